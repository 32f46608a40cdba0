"""One plain spelling for every way a text can be written, with the way back to what the person typed.

Decides nothing about risk. It undoes look-alike letters, invisible characters, leetspeak, s p a c e d letters, floods
of repeats, HTML entities and base64, and lower-cases. Every step is linear in the length of the text.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edits:
    """One rewriting step: where its output differs from its input. All four lists run in parallel, in order."""

    out_start: list[int]
    out_end: list[int]
    in_start: list[int]
    in_end: list[int]

    def back(self, position: int, *, end: bool) -> int:
        """A position in the output, as a position in the input; inside an edit it widens to the edit's border."""
        i = bisect_right(self.out_start, position - 1 if end else position) - 1
        if i < 0:
            return position
        if position < self.out_end[i] or (end and position == self.out_end[i]):
            # Within the replacement: there is no finer truth than the whole piece that was replaced.
            return self.in_end[i] if end else self.in_start[i]
        return position - self.out_end[i] + self.in_end[i]


@dataclass(frozen=True, slots=True)
class Canonical:
    """A text in canonical spelling."""

    text: str
    offsets: tuple[Edits, ...]
    """The steps that moved characters, first one first; empty when every character stands where it stood."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The ``[start, end)`` of the original text that canonical ``[start, end)`` was made from."""
        for step in reversed(self.offsets):
            start, end = step.back(start, end=False), step.back(end, end=True)
        return start, max(start, end)


def canonical(text: str) -> Canonical:
    """The canonical spelling of any string, lone surrogates included. Never raises."""
    if text.isascii() and not _ODD_ASCII.search(text):
        return Canonical(text.lower(), ())
    steps: list[Edits] = []

    def rewrite(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
        text, step = _apply(text, edits)
        if step is not None:
            steps.append(step)
        return text

    if "&" in text:
        text = rewrite(text, ((m.start(), m.end(), html.unescape(m[0])) for m in _ENTITY.finditer(text)))
    text = rewrite(text, _decoded(text))
    if "\x1b" in text or "\x9b" in text:
        text = rewrite(text, ((m.start(), m.end(), "") for m in ANSI.finditer(text)))
    text = rewrite(
        text, ((m.start(), m.end(), unicodedata.normalize("NFC", m[0])) for m in _TAKEN_APART.finditer(text))
    )
    present = set(text)
    moved = [c for c in present if len(_FOLD[ord(c)]) != 1]
    if moved:
        # Only characters that vanish or grow move the others; one class for exactly those keeps the scan in C.
        gone = re.escape("".join(c for c in moved if not _FOLD[ord(c)]))
        grown = re.escape("".join(c for c in moved if _FOLD[ord(c)]))
        pattern = "|".join(part for part in (gone and f"[{gone}]+", grown and f"[{grown}]") if part)
        text = rewrite(text, ((m.start(), m.end(), m[0].translate(_FOLD)) for m in re.finditer(pattern, text)))
    text = text.translate(_FOLD)
    if not text.isascii() and not _LOOKALIKE.keys().isdisjoint(map(ord, set(text))):
        text = _latinised(text)
    text = _LEET_WORD.sub(_unleet, text)
    text = rewrite(text, ((m.start(), m.end(), _SEPARATOR.sub("", m[0])) for m in _SPACED.finditer(text)))
    text = rewrite(text, ((m.start(), m.end(), m[1] * 2) for m in _REPEAT.finditer(text)))
    return Canonical(text, tuple(steps))


_ODD_ASCII = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f&]|[a-zA-Z][0-9@$!|+(]+[a-zA-Z]|\b[0-9@$][a-zA-Z]{3}"
    r"|(?<!\w)[a-zA-Z][ .\-_*/][a-zA-Z][ .\-_*/][a-zA-Z](?!\w)|([a-zA-Z])\1\1|[A-Za-z0-9+/]{20}"
)
"""Anything in an ASCII text that some step below may touch; without it the text only needs lower case."""

ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?"
)
"""Terminal escape sequences: CSI, OSC and other strings, and single ones (ECMA-48)."""

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")


def _apply(text: str, edits: Iterable[tuple[int, int, str]]) -> tuple[str, Edits | None]:
    parts: list[str] = []
    step = Edits([], [], [], [])
    at = out = 0
    for start, end, new in edits:
        parts.append(text[at:start])
        out += start - at
        step.out_start.append(out)
        out += len(new)
        step.out_end.append(out)
        step.in_start.append(start)
        step.in_end.append(end)
        parts.append(new)
        at = end
    if not parts:
        return text, None
    parts.append(text[at:])
    return "".join(parts), step


_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{20,}={0,2}(?![A-Za-z0-9+/=_-])")


def _decoded(text: str) -> Iterable[tuple[int, int, str]]:
    """Base64 that holds readable words, decoded once; anything else that looks like base64 stays as it is."""
    for m in _BASE64.finditer(text):
        try:
            plain = base64.b64decode(m[0] + "=" * (-len(m[0].rstrip("=")) % 4), validate=False).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        letters = sum(c.isalpha() or c == " " for c in plain)
        if plain.isprintable() and letters >= 0.8 * len(plain):
            yield m.start(), m.end(), plain


def _fold(char: str) -> str:
    """What one character becomes. Empty for characters that cannot be seen."""
    if char in "\n\t\r\x0b\x0c\x85\u2028\u2029":
        return " " if char == "\t" else "\n"
    category = unicodedata.category(char)
    if category in ("Cc", "Cf", "Cs") or char in _INVISIBLE or _MARK.match(char):
        return ""
    if char in _QUOTES:
        return _QUOTES[char]
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    folded = unicodedata.normalize("NFKC", char)
    if folded[:1] == " ":  # spacing accents: NFKC gives a space and a mark
        return "'" if char in "´`" else " "
    plain = unicodedata.normalize("NFD", folded)
    if plain[0].isascii() and plain[0].isalpha():
        folded = "".join(c for c in plain if not _MARK.match(c))
    return "".join(_STROKED.get(c, c) for c in folded.lower()) if folded != "İ" else "i"


_STROKED = {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "ħ": "h", "ŧ": "t", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe"}
"""Letters that are a plain one with a stroke, or two in one, but have no decomposition in Unicode."""
_TAKEN_APART = re.compile(r"[\u1100-\u11ff]+|[\u3041-\u30fe][\u3099\u309a]|[\u0418\u0438][\u0306]")
"""Hangul, kana and one Cyrillic letter in pieces, as some systems store them."""
_MARK = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]")
"""Marks that sit on Latin, Greek and Cyrillic letters, and variation selectors; other vowel signs are letters."""
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
_QUOTES = dict.fromkeys("’‘‛ʼʹ′`´＇", "'") | dict.fromkeys("“”„‟«»″", '"')


def letters(text: str) -> str:
    """Each character in its canonical spelling and nothing more: for words that are known to be honest."""
    return text if text.isascii() and text.islower() else text.translate(_FOLD)


class _Folding(dict[int, str]):
    """``str.translate`` table that learns each character the first time it is seen."""

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code))
        self[code] = folded
        return folded


_FOLD = _Folding()

_PAIRS = (
    "аa еe оo рp сc уy хx кk іi їi јj ѕs ԁd һh ԛq ԝw вb нh мm тt пn ɡg αa οo ρp νv ιi κk τt υu εe ηn ωw χx γy ɑa ѵv"
)
_LOOKALIKE = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
"""Small Cyrillic, Greek and other letters, to the Latin letter each is mistaken for (after Unicode TR39)."""
_CYRILLIC = str.maketrans("aeopcyxki", "аеорсухкі")
_WORD = re.compile(r"[^\W\d_]+")
_FOREIGN = re.compile(r"[\u0370-\u052f]")


def _latinised(text: str) -> str:
    """Look-alikes to Latin, only in words that are otherwise Latin: Russian stays Russian, Greek stays Greek."""
    lookalikes = frozenset(map(chr, _LOOKALIKE))
    latin = any("a" <= c <= "z" for c in set(text))
    genuine = any(_FOREIGN.match(c) and c not in lookalikes for c in set(text))

    def word(m: re.Match[str]) -> str:
        letters = set(m[0])
        if lookalikes.isdisjoint(letters):
            return m[0]
        rest = letters - lookalikes
        mixed = any("a" <= c <= "z" for c in rest)
        if any(_FOREIGN.match(c) for c in rest):
            # Latin look-alikes inside a Cyrillic word; Greek keeps its own.
            return m[0].translate(_CYRILLIC) if mixed and any(c >= "\u0400" for c in rest) else m[0]
        if not (mixed or (latin and not genuine)):
            return m[0]
        return m[0].translate(_LOOKALIKE)

    return _WORD.sub(word, text)


_LEET = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "|": "l", "€": "e"}
_LEET_WORD = re.compile(r"(?<![\w@$!|€.+])[\w@$!|€]*[a-z][\w@$!|€]*")
_LEET_INNER = re.compile(r"(?<=[a-z])[013457@$!|€]{1,2}(?=[a-z])")
_LEET_FIRST = re.compile(
    r"^[01357@$](?=[a-z]{4})(?!(?:min|hour|week|day|year|month|time|tab|pill|gram|unit|pint|stone|pound|kilo|kcal|cal|drink|star)s?)"
)
_LEET_LAST = re.compile(r"(?<=[a-z])[013@$](?![\w@$!|€])")


def _unleet(m: re.Match[str]) -> str:
    """``su1c1de`` to ``suicide``; ``2nite``, ``5mg``, ``b4`` and e-mail addresses stay."""
    word = m[0]
    if word.isalpha() or not _LEET_SIGN.search(word):
        return word
    plain = _LEET_INNER.sub(_plain_signs, word)
    plain = _LEET_FIRST.sub(_plain_signs, plain)
    # A last digit is a letter only when the word had another one, or is long: "unal1v3", not "mp3" or "ps5".
    if plain != word or len(word) > 5:
        plain = _LEET_LAST.sub(_plain_signs, plain)
    return plain


_LEET_SIGN = re.compile(r"[013457@$!|€]")


def _plain_signs(m: re.Match[str]) -> str:
    return "".join(_LEET[c] for c in m[0])


_SPACED = re.compile(
    r"(?<![\w'])(?:[a-z](?: [a-z]){3,}|[a-z](?:\.[a-z]){2,}\.?|[a-z](?:[-_*/·•~][a-z]){2,}"
    r"|[a-z](?:[.,*_-] ?[a-z]){3,})(?![\w'])"
)
_SEPARATOR = re.compile(r"[^a-z]")
_REPEAT = re.compile(r"([^\W\d_])\1{2,}")
