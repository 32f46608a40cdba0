"""Where one sentence of a streamed reply ends. It never drops, adds or changes a character.

Pieces depend on the text alone, never on how it was cut into chunks, and each costs time in proportion to its length.
White space stands before a piece, so that a piece can be shown as soon as its stop is sure.
"""

from __future__ import annotations

import regex

LIMIT = 280
"""Longest piece, in characters. Two to four spoken sentences: a run-on must not hold back the whole reply."""

_LOOK = 24
"""Characters read past a candidate before it counts as undecidable; also the longest gap inside a phone number."""

_STOP = regex.compile(r"[.!?…]|[。！？｡]|\n")
_RUN = regex.compile(r"[.!?…。！？｡]+")
_CLOSERS = frozenset("\"'”’»›)]}*_」』）】")
_WORD_BEFORE = regex.compile(r"[^\s\"'“‘(\[«*]{1,16}$")
_CLAUSE = regex.compile(r"[,;:)、，；：–—]\s|[、，；：]|\s[-–—]\s")
_NUMBER_GAP = frozenset(" \t\n\r\u00a0\u202f()./+-–—,;:")
_LIST_MARK = regex.compile(r"\s*(?:[-*•]\s*)?(?:\d{1,2}|[A-Za-z])$")

# "no" and "nr" stand before numbers only, see _keeps_going.
_TITLES = "dr mr mrs ms mx prof st rev e.g eg i.e vs cf ca approx ext tel dept fig gen hon sgt capt incl viz z.b bzw"
_OTHERS = "etc a.m p.m am pm u.s u.k u.n inc ltd jr sr al ph.d b.sc m.d d.c"
_NEVER_LAST, _MAYBE_LAST = frozenset(_TITLES.split()), frozenset(_OTHERS.split())


class SentenceSplitter:
    """Cuts a stream of text into sentences: ``feed`` each chunk, ``flush`` at the end.

    The pieces joined are exactly the chunks joined.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 40:
            raise ValueError(f"limit is {limit}; a sentence needs at least 40 characters, e.g. {LIMIT}")
        self._limit = limit
        self._held = ""
        self._scanned = 0

    @property
    def held(self) -> str:
        """What was fed and is not yet a sentence."""
        return self._held

    def feed(self, chunk: str) -> list[str]:
        """Take the next chunk; return the sentences that are now complete."""
        self._held += chunk
        return self._take(final=False)

    def flush(self) -> list[str]:
        """The text has ended: return what is left, as one or more pieces."""
        return self._take(final=True)

    def _take(self, final: bool) -> list[str]:
        text, start, at = self._held, 0, self._scanned
        pieces: list[str] = []
        while start < len(text):
            end, at = _next_end(text, start, at, self._limit, final)
            if end is None:
                break
            pieces.append(text[start:end])
            start = at = end
        self._held, self._scanned = text[start:], max(0, at - start)
        return pieces


def sentences(text: str, limit: int = LIMIT) -> list[str]:
    """The pieces of a finished text."""
    splitter = SentenceSplitter(limit)
    return splitter.feed(text) + splitter.flush()


def ends_with_stop(text: str) -> bool:
    """Whether the text ends like a finished sentence, closing quotes and brackets aside."""
    bare = text.rstrip()
    while bare and bare[-1] in _CLOSERS:
        bare = bare[:-1].rstrip()
    return bool(bare) and _RUN.fullmatch(bare[-1]) is not None


def _next_end(text: str, start: int, at: int, limit: int, final: bool) -> tuple[int | None, int]:
    """End of the piece that begins at ``start``, or ``None`` with the place where to go on when there is more text."""
    bound = start + limit
    while (match := _STOP.search(text, at, min(bound, len(text)))) is not None:
        found = _judge(text, start, match.start(), bound, final)
        if found is None:
            return None, match.start()
        if 0 < found <= bound:
            return found, found
        at = max(match.end(), -found)
    if len(text) >= bound + _LOOK or (final and len(text) > bound):
        return _forced(text, start, bound), bound
    if final:
        return len(text), len(text)
    return None, max(at, min(bound, len(text)))


def _judge(text: str, start: int, stop: int, bound: int, final: bool) -> int | None:
    """Where the sentence ends for the stop at ``stop``; ``-n``: not here, search from n; ``None``: cannot tell yet."""
    blank = text[start:stop].isspace() or stop == start
    if text[stop] == "\n":
        if blank:
            return -(stop + 1)
        after = _skip_space(text, stop)
        if after == len(text) and not final and after - stop <= _LOOK:
            return None
        inside = _in_number(text, stop, final)
        return None if inside is None else -(stop + 1) if inside else stop
    run = _RUN.match(text, stop)
    end = run.end() if run else stop + 1
    while end < min(len(text), bound) and text[end] in _CLOSERS:
        end += 1
    if end >= bound:
        return -bound
    if end == len(text):
        return end if final else None
    wide = text[end - 1] in "。！？｡」』）】"
    if not wide and not text[end].isspace():
        return -end
    after = _skip_space(text, end)
    if after == len(text) and not final and after - end <= _LOOK:
        return None
    following = text[after] if after < len(text) else ""
    inside = _in_number(text, stop, final)
    if inside is None:
        return None
    return -end if inside or _keeps_going(text, start, stop, end, following) else end


def _keeps_going(text: str, start: int, stop: int, end: int, following: str) -> bool:
    """Whether the stop belongs to an abbreviation, a list number, an ellipsis or a quotation inside the sentence."""
    dots = text[stop:end].rstrip("\"'”’»›)]}*_」』）】")
    if following.islower() and (dots != text[stop:end] or (dots != "." and not set("!?") & set(dots))):
        return True
    if dots != ".":
        return False
    if _LIST_MARK.fullmatch(text, start, stop):
        return True
    match = _WORD_BEFORE.search(text[max(start, stop - 17) : stop])
    word = match.group() if match else ""
    lower = word.lower()
    if lower in _NEVER_LAST or (lower in {"no", "nr", "nos"} and following.isdigit()):
        return True
    if lower in _MAYBE_LAST:
        return following.islower() or following.isdigit()
    return len(word) == 1 and word.isupper() and word != "I"


def _skip_space(text: str, at: int) -> int:
    end = min(len(text), at + _LOOK + 1)
    while at < end and text[at].isspace():
        at += 1
    return at


def _in_number(text: str, at: int, final: bool = True) -> bool | None:
    """Whether only number punctuation stands between ``at`` and a digit on either side; ``None``: cannot tell yet."""
    left = at - 1
    while left >= max(0, at - _LOOK) and (text[left] in _NUMBER_GAP or text[left] in ".!?"):
        left -= 1
    if left < 0 or not text[left].isdigit():
        return False
    right = at
    while right < min(len(text), at + _LOOK) and (text[right] in _NUMBER_GAP or text[right] in ".!?"):
        right += 1
    if right == len(text):
        return False if final else None
    return text[right].isdigit()


def _forced(text: str, start: int, bound: int) -> int:
    """Cut a run-on: after its last clause mark, else before its last space, else at the limit; not inside a number."""
    floor = start + (bound - start) // 3
    for match in reversed(list(_CLAUSE.finditer(text, floor, bound))):
        cut = match.start() + 1 if not match.group()[0].isspace() else match.start()
        if not _in_number(text, cut):
            return cut
    for cut in range(bound - 1, start, -1):
        if text[cut].isspace() and not text[start:cut].isspace() and not _in_number(text, cut):
            return cut
    cut = bound
    while cut > floor and (text[cut - 1].isdigit() or _in_number(text, cut)):
        cut -= 1  # a wall of text that ends in digits: the number goes whole to the next piece
    return cut if cut > floor else bound
