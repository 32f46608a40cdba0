"""How the lexicon reads a text: plain words in one spelling, with sentence ends and pauses, and the way back.

``I'm not gonna lie, i wanna die`` is read as ``. i am not going to lie , i want to die .``
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from .orthography import ENGLISH, PAUSES, STOPS, Orthography, fold
from .pattern import PAUSE, STOP

_WINDOW = 320
_OVERLAP = 40
"""Words read at once, and shared with the next window: longer than any pattern reaches."""


class Spelling(dict[str, str]):
    """From a token as written to the word or words a reading uses; learns each token the first time.

    Keeps at most ``_MOST`` learned tokens, so that strange texts cannot fill the memory.
    """

    _MOST = 30_000

    def __init__(self, table: Mapping[str, str], known: Callable[[str], bool], written: Orthography = ENGLISH) -> None:
        super().__init__(table)
        self._known = known
        self._written = written
        self._room = len(self) + self._MOST

    def __missing__(self, token: str) -> str:
        word = self._spell(token)
        if len(self) < self._room:
            self[token] = word
        return word

    def plain(self, token: str) -> str:
        """The spelling of a word that is known to be right, such as one in a pattern."""
        if not self._written.spaced and len(parts := self._written.tokens.findall(token)) > 1:
            return " ".join(filter(None, map(self.plain, parts)))
        token = fold(token)
        if self._written.elision and "'" in token:
            return " ".join(filter(None, map(self.plain, token.split("'"))))
        found = self.get(token)
        return found if found is not None else self.get(token.replace("'", ""), token.replace("'", ""))

    def _spell(self, token: str) -> str:
        first = token[0]
        if first in STOPS:
            return STOP
        if first in PAUSES:
            return PAUSE
        if len(token) > 40:
            return token[:40]
        if (folded := fold(token)) != token:
            return self[folded] if folded else ""
        if self._written.elision and "'" in token:
            return " ".join(filter(None, (self[part] for part in token.split("'") if part)))
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
            for prefix in self._written.prefixes:
                rest = plain.removeprefix(prefix)
                if rest != plain and rest and (rest in self or self._known(rest)):
                    return self.get(rest, rest)
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


def readings(
    text: str, spelling: Spelling, written: Orthography = ENGLISH, start: int = 0, end: int | None = None
) -> Iterator[Reading]:
    """``[start, end)`` of the canonical text in overlapping windows; a message of ordinary length is one window."""
    end = len(text) if end is None else end
    token = written.tokens
    found = token.findall(text, start, end)
    words = [spelling[token] for token in found]
    spans: list[tuple[int, int]] = []

    def tokens() -> list[tuple[int, int]]:
        if not spans:
            spans.extend([(start - 1, start), *(m.span() for m in token.finditer(text, start, end)), (end, end)])
        return spans

    # Token 0 and the last one are sentence borders that are not in the text.
    words.insert(0, STOP)
    words.append(STOP)
    for first in range(0, max(1, len(words) - _OVERLAP), _WINDOW - _OVERLAP):
        yield Reading(words[first : first + _WINDOW], tokens, first)
