"""How languages are written: what one word is, where a sentence ends, and which letters count as the same.

Decides nothing about risk or meaning; the canonical text stays as it is, only the words of a reading are folded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STOPS = ".!?;\n\u2026\u3002\u061f\u06d4\u0964\u0965"
"""Characters that end a sentence, those of Arabic, Indic and East Asian scripts among them."""
PAUSES = ",:()[]{}-\u060c\u061b\u3001\u00bf\u00a1"

_MARKS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
"""Vowel signs: they belong to the word, though they are no letters."""
_SPACELESS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Thai, kana, Han and, because people leave its spaces out, Hangul."""
_SIGNS = (
    rf"[{re.escape(STOPS)}]+(?:[ \t]*[.!?;\n]+)*|[,:()\[\]{{}}\u060c\u061b\u3001\u00bf\u00a1]|(?<=\s)-+(?=\s)|--+"
    r"|[\u2600-\u27bf\U0001f300-\U0001faff]"
)
WORDS = re.compile(rf"[^\W_]+(?:['*{_MARKS}]+[^\W_]+|[{_MARKS}]+)*|{_SIGNS}")
"""A word, the end of a sentence, a pause, or one emoji."""
CHARACTERS = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+(?:['*][^\W_{_SPACELESS}]+)*|{_SIGNS}")
"""The same where the space says nothing: each character of such a script is a word."""

_FOLD: dict[int, str | int | None] = {
    **dict.fromkeys((*range(0x0610, 0x061B), *range(0x064B, 0x0660), 0x0670, 0x0640)),  # Arabic vowels, tatweel
    **dict.fromkeys((0x093C, 0x09BC, 0x30FC)),  # dots below in Devanagari and Bengali, the long sign of kana
    0x0901: 0x0902,
    0x0981: 0x0982,  # two ways to write a nasal
    **{katakana: katakana - 0x60 for katakana in range(0x30A1, 0x30F7)},
    **str.maketrans("أإآٱىیېئکةۀؤ", "ااااييييكههو"),
    **str.maketrans("ёйїіґє", "еиииге"),
}
"""Letters that people write for one another, marks that they leave out."""


def fold(word: str) -> str:
    """A canonical word with letters that are one in practice made one."""
    return word if word.isascii() else word.translate(_FOLD)


@dataclass(frozen=True, slots=True)
class Orthography:
    """How one language is written."""

    spaced: bool = True
    """False where words are not set apart, so that every character is read as a word."""
    elision: bool = False
    """True where an apostrophe ends a word: "j'ai" is two."""
    prefixes: tuple[str, ...] = ()
    """Small words written as one with the next, such as the Arabic "and"."""
    tokens: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", WORDS if self.spaced else CHARACTERS)


ENGLISH = Orthography()
