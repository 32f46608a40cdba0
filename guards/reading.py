"""How the lexicon reads a text: plain words in one spelling, with sentence ends and pauses, and the way back.

``I'm not gonna lie, i wanna die`` is read as ``. i am not going to lie , i want to die .``
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from .pattern import PAUSE, STOP

TOKEN = re.compile(
    r"[^\W_]+(?:['*][^\W_]+)*|[.!?;\n\u2026\u3002]+(?:[ \t]*[.!?;\n]+)*|[,:()\[\]{}]|(?<=\s)-+(?=\s)|--+"
    r"|[\u2600-\u27bf\U0001f300-\U0001faff]"
)
"""A word, the end of a sentence, a pause, or one emoji."""

_WINDOW = 320
_OVERLAP = 40
"""Words read at once, and shared with the next window: longer than any pattern reaches."""


class Spelling(dict[str, str]):
    """From a token as written to the word or words a reading uses; learns each token the first time.

    Keeps at most ``_MOST`` learned tokens, so that strange texts cannot fill the memory.
    """

    _MOST = 30_000

    def __init__(self, table: Mapping[str, str], known: Callable[[str], bool]) -> None:
        super().__init__(table)
        self._known = known
        self._room = len(self) + self._MOST

    def __missing__(self, token: str) -> str:
        word = self._spell(token)
        if len(self) < self._room:
            self[token] = word
        return word

    def plain(self, token: str) -> str:
        """The spelling of a word that is known to be right, such as one in a pattern."""
        found = self.get(token)
        return found if found is not None else self.get(token.replace("'", ""), token.replace("'", ""))

    def _spell(self, token: str) -> str:
        first = token[0]
        if first in ".!?;\n\u2026\u3002":
            return STOP
        if first in ",:()[]{}-":
            return PAUSE
        if len(token) > 40:
            return token[:40]
        plain = token.replace("'", "")
        if plain != token:
            if plain in self:
                return self[plain]
            if token.endswith("'s"):
                return self[token[:-2]]
        if not self._known(plain):
            # "sooo" is canonical "soo", "dieee" is "diee": one letter fewer is tried before the word counts as unknown.
            single = _DRAWN.sub(r"\1\2", plain)
            if single != plain and (single in self or self._known(single)):
                return self.get(single, single)
        return plain


_DRAWN = re.compile(r"([aeiou])\1|([a-z])\2$")
"""Doubles that come from drawing a word out."""


class Reading:
    """A stretch of text as the lexicon reads it."""

    __slots__ = ("_all", "_first", "_numbers", "_tokens", "starts", "text", "words")

    def __init__(self, words: list[str], tokens: Callable[[], list[tuple[int, int]]], first: int) -> None:
        self.words = list(filter(None, words))
        """As read, without fillers; an entry may be several words."""
        self.text = f" {' '.join(self.words)} "
        self.starts = list(accumulate((len(word) + 1 for word in self.words), initial=1))
        """Where each entry begins in ``text``, and one past the end."""
        self._tokens = tokens
        self._all = words
        self._first = first
        self._numbers: list[int] | None = None

    def token(self, position: int) -> int:
        """Index, in the whole text, of the token that stands at ``position`` of ``text``."""
        if self._numbers is None:
            self._numbers = [self._first + i for i, word in enumerate(self._all) if word]
        return self._numbers[bisect_right(self.starts, position) - 1]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """``[start, end)`` of ``text`` (from a pattern, with its leading space) in the canonical text."""
        tokens = self._tokens()
        return tokens[self.token(start + 1)][0], tokens[self.token(end - 1)][1]


def readings(text: str, spelling: Spelling) -> Iterator[Reading]:
    """The canonical text in overlapping windows; a message of ordinary length is one window."""
    found = TOKEN.findall(text)
    words = [spelling[token] for token in found]
    spans: list[tuple[int, int]] = []

    def tokens() -> list[tuple[int, int]]:
        if not spans:
            spans.extend([(-1, 0), *(m.span() for m in TOKEN.finditer(text)), (len(text), len(text))])
        return spans

    # Token 0 and the last one are sentence borders that are not in the text.
    words.insert(0, STOP)
    words.append(STOP)
    for first in range(0, max(1, len(words) - _OVERLAP), _WINDOW - _OVERLAP):
        yield Reading(words[first : first + _WINDOW], tokens, first)
