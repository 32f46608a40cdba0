"""Where a text names a way to reach somebody: phone numbers, short codes, e-mail and web addresses.

It only finds them, and would rather take a number for a phone number than miss one. Whether a contact is real is for
the directory to say: models invent phone numbers, and a person in danger will ring them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class FoundContact(NamedTuple):
    """One contact in a text: ``text[start:end]`` is what a reader would dial or open."""

    start: int
    end: int
    text: str
    """In plain digits and letters, number words written as digits, ready for the directory."""


_DIGIT_WORDS = {
    w: d for d, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
} | {"oh": 0, "nought": 0, "double": -2, "triple": -3}  # fmt: skip
_WORD = "|".join(_DIGIT_WORDS)

_EMAIL = re.compile(
    r"[\w.+%-]{1,64}\s?@\s?[\w-]{1,63}(?:\s?\.\s?[\w-]{1,63}){1,4}"
    r"|\b[\w.+-]{1,40}\s?[(\[{]?\s?\bat\b\s?[)\]}]?\s?[\w-]{2,40}\s?[(\[{]?\s?\bdot\b\s?[)\]}]?\s?[a-z]{2,10}\b"
)
_TOP = (
    "com|org|net|info|edu|gov|mil|int|io|co|ai|app|chat|care|help|health|life|support|online|site|live|me|tv|biz|example|test"
    "|uk|us|ca|ie|au|nz|in|de|fr|es|it|nl|be|at|ch|pt|pl|se|no|dk|fi|eu|jp|kr|cn|br|mx|ar|za|ng|ke|gh|ph|sg|my|ly|gg|to"
)
_URL = re.compile(
    r"\bhttps?\s?:\s?//\S{1,300}|\bwww\s?\.\s?\S{1,200}"
    rf"|\b(?:[a-z0-9-]{{2,63}}\.){{1,4}}(?:{_TOP})\b(?:/\S{{0,200}})?"
    r"|\b[a-z0-9-]{2,40}\s(?:dot|\(dot\)|\[dot\])\s(?:com|org|net|co|info|uk|example)\b"
    r"|(?<![\w.])@[a-z][\w.]{2,30}\b"
)
_SEP = r"[\s().\-–—‐‑‒−/·•*_]"
_DIGITS = re.compile(rf"(?<![\w,.€$£-])[+(]{{0,2}}\d(?:{_SEP}{{0,4}}\d){{6,24}}(?![\d%])")
_PLACEHOLDER = re.compile(r"(?<!\w)(?:\+?1[\s-])?\(?(?:8\d\d|0\d{2,4})\)?[\s-]?(?:[\[<{][^\]>}\n]{1,30}[\]>}]|x{3,}\b)")
_VANITY = re.compile(
    r"(?<!\w)(?:\+?1[\s-]?)?\(?(?:8(?:00|33|44|55|66|77|88)|0[38]00)\)?[\s-](?-i:[A-Z]{2}[A-Z0-9-]{1,12})\b"
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d|(?:19|20)\d\d\s?[-–]\s?(?:19|20)\d\d"
)

_ASK = (
    r"\b(?:call(?:ing|ed)?|dial(?:ing|ling|led)?|phon(?:e|ed|ing)|ring(?:ing)?|rang|text(?:ing|ed)?|sms|whats\s?app|message|fax"
    r"|hot\s?lines?|help\s?lines?|warm\s?lines?|life\s?lines?|numbers?|tel|telephone|mobile|cell|contact(?:ing|ed)?"
    r"|reach(?:ed|ing)?|extension|ext|line|short\s?code|emergency|services|samaritans|ambulance|police)\b"
)
_UNIT = (
    r"(?:\s?(?:%|°)|[\s-]?(?:per\s?cent|percent|minutes?|mins?|seconds?|secs?|hours?|hrs?|days?|nights?|weeks?|months?"
    r"|years?|times|am|pm|a\.m|p\.m|o'?clock|people|persons?|friends?|men|women|kids|children|adults?|words|pages|steps|things"
    r"|questions?|miles?|km|kilomet\w{2,4}|metres?|meters?|feet|calories|kcal|kg|kilos?|pounds|lbs|g|mg|ml|milligrams?|dollars"
    r"|euros?|quid|bucks|pence|cents|copies|countries|languages|volunteers|counsellors|counselors|members|breaths|of\sthem)\b)"
)
_SHORT = re.compile(rf"(?<![\w.,:€$£/-])\d(?:[\s.-]?\d){{2,5}}(?![\w%]|[.,:/]\d|{_UNIT})")
_SPOKEN = re.compile(rf"\b(?:{_WORD})(?:[\s,-]{{1,3}}(?:{_WORD})){{2,24}}\b")
_ASKED = re.compile(_ASK)
_KEYWORD = re.compile(r"\b(?:text|sms|send|message)\s{1,3}[\"'“]?(?-i:([A-Z]{2,12}))[\"'”]?\s{1,3}to\s{1,3}$", re.I)
_YEAR = re.compile(r"(?:19|20)\d\d$")

_DIGIT = re.compile(r"\d")
_REACH = 60
"""How far before a short number the word that makes it a number to ring may stand, in characters."""


def find_contacts(text: str) -> list[FoundContact]:
    """Every contact in ``text``, in order, without overlaps. Never raises on any string."""
    plain = _plain(text)
    lower = plain.lower() if len(plain.lower()) == len(plain) else plain
    taken: list[tuple[int, int, str]] = []

    def take(start: int, end: int, value: str | None = None) -> None:
        if all(end <= s or start >= e for s, e, _ in taken):
            taken.append((start, end, value if value is not None else plain[start:end]))

    if "@" in lower or "dot" in lower:
        for match in _EMAIL.finditer(lower):
            take(match.start(), match.end(), re.sub(r"\s", "", match.group()))
    if "." in lower or "dot" in lower or "://" in lower or "@" in lower:
        for match in _URL.finditer(lower):
            end = match.start() + len(match.group().rstrip(".,;:!?)\"'*_]"))
            take(match.start(), end)
    if _DIGIT.search(plain):
        for pattern in (_PLACEHOLDER, _VANITY):
            for match in pattern.finditer(plain):
                take(match.start(), match.end())
        for match in _DIGITS.finditer(plain):
            if not _DATE.fullmatch(match.group().strip("()")):
                take(match.start(), match.end())
        for match in _SHORT.finditer(lower):
            if _is_asked_for(lower, match.start(), match.end()):
                keyword = _KEYWORD.search(plain, max(0, match.start() - _REACH), match.start())
                take(match.start(), match.end(), f"{keyword.group(1)} to {match.group()}" if keyword else None)
    for match in _SPOKEN.finditer(lower):
        digits = _digits_of(match.group())
        if len(digits) >= 7 or _is_asked_for(lower, match.start(), match.end(), digits):
            take(match.start(), match.end(), digits)
    return [FoundContact(*found) for found in sorted(taken)]


def _is_asked_for(lower: str, start: int, end: int, digits: str | None = None) -> bool:
    """Whether a short number is one to ring: a word for ringing stands near, and it is not a year of one's life."""
    digits = digits or lower[start:end]
    before = lower[max(0, start - _REACH) : start]
    asked = list(_ASKED.finditer(before))
    if not asked:
        return bool(_ASKED.match(lower[end : end + 20].lstrip(" ,.'\"-")))
    between = before[asked[-1].end() :]
    return not (_YEAR.match(digits) and re.search(r"\b(?:in|since|of|until|from|by)\s$", between))


def _digits_of(spoken: str) -> str:
    digits, repeat = "", 1
    for word in re.split(r"[\s,-]+", spoken):
        value = _DIGIT_WORDS[word]
        if value < 0:
            repeat = -value
        else:
            digits, repeat = digits + str(value) * repeat, 1
    return digits


def _plain(text: str) -> str:
    """Same length; digits and letters of other styles (full-width, Arabic-Indic, circled, mathematical) made plain."""
    if text.isascii():
        return text
    return "".join(_plain_character(character) for character in text)


def _plain_character(character: str) -> str:
    if character < "\u0080":
        return character
    value = unicodedata.digit(character, None)
    if value is not None:
        return str(value)
    if unicodedata.category(character) == "Cf":
        return "-"  # an invisible mark between digits must not hide them
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character
