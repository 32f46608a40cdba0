"""Which language a person writes in: by script, small words and letters, which are data (``data/spoken.yaml``).

Pure and deterministic. It changes the language of a conversation only on clear evidence; a short "si" or "no", a name
or a mixed message changes nothing. It asks no model and shows nothing to the person.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from .types import Frozen

DATA = Path(__file__).parent / "data" / "spoken.yaml"
READ = 1_200
"""Characters of a message that are looked at: enough for any doubt, and a long message costs no more."""
CLEAR = 2.0
"""Evidence a change needs: two small words that no other language has, or one that tells it alone."""
LEAD, LEAD_LONG, LONG = 2.0, 1.4, 8
"""Times the evidence for any other language that a change needs; less in a message of ``LONG`` words or more."""
SHARE = 0.25
"""Share of a message's words that must speak for the new language: a quoted line is no change."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SCRIPTS = (
    ("ru", re.compile(r"[\u0400-\u052f]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("bn", re.compile(r"[\u0980-\u09ff]")),
    ("ta", re.compile(r"[\u0b80-\u0bff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("ka", re.compile(r"[\u10a0-\u10ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
)
_OWN_LETTERS = {"ru": (("uk", "іїєґ"), ("be", "ў"), ("sr", "ђјљњћџ")), "ar": (("ur", "ٹڈڑںے"), ("fa", "پچژگکی"))}
"""Letters by which another language is told from the one that most write in a script."""
_NEIGHBOURS = {"ja": ("zh",), "ru": ("uk", "be", "sr"), "ar": ("fa", "ur")}
"""Languages that share a script: without their own letters, who began in one of them goes on in it."""


def language_of(text: str, before: str = "en") -> str:
    """The language in which the conversation goes on after ``text``.

    Args:
        before: ISO 639-1 code of the language so far.
    """
    head = unicodedata.normalize("NFC", text[:READ]).lower()
    if not head.isascii() and (found := _by_script(head, before)):
        return found
    score, hits, words = _heard(head)
    if not score:
        return before
    best = max(score, key=score.__getitem__)
    evidence = score[best]
    rival = max((value for language, value in score.items() if language != best), default=0.0)
    lead = LEAD_LONG if words >= LONG else LEAD
    clear = evidence >= CLEAR and evidence >= lead * rival and hits[best] >= SHARE * words
    return best if clear else before


def speaks(text: str, language: str) -> float:
    """Evidence that some of ``text`` is in a language with Latin script, counted in words that it alone has."""
    return _heard(unicodedata.normalize("NFC", text[:READ]).lower())[0].get(language, 0.0)


def others(text: str) -> float:
    """Evidence that some of ``text`` is in a language other than English: the most that any of them has, or how many
    letters it has of a script that English has not."""
    head = unicodedata.normalize("NFC", text[:READ]).lower()
    written = 0 if head.isascii() else max(len(script.findall(head)) for _, script in _SCRIPTS)
    return max([float(written), *(score for language, score in _heard(head)[0].items() if language != "en")])


def _heard(head: str) -> tuple[Mapping[str, float], Mapping[str, int], int]:
    """(evidence by language, words and letters that speak for it, words in all)."""
    words = [word.replace("’", "'") for word in _WORD.findall(head)]
    score: defaultdict[str, float] = defaultdict(float)
    hits: Counter[str] = Counter()
    weights, letters = _evidence()
    for word in words:
        for language, weight in weights.get(word, ()):
            score[language] += weight
            hits[language] += 1
    for letter, language in letters.items():
        if letter in head:
            score[language] += 1
            hits[language] += 1
    return score, hits, len(words)


def _by_script(head: str, before: str) -> str | None:
    """The language of a script that is not Latin, when it is most of the message."""
    letters = sum(character.isalpha() for character in head)
    for language, script in _SCRIPTS:
        found = len(script.findall(head))
        if found < 2 or 2 * found <= letters:
            continue
        for other, own in _OWN_LETTERS.get(language, ()):
            if any(letter in head for letter in own):
                return other
        return before if before in _NEIGHBOURS.get(language, ()) else language
    return None


@cache
def latin() -> frozenset[str]:
    """The languages that are told by words and letters, not by a script."""
    return frozenset(language for owners in _evidence()[0].values() for language, _ in owners)


class _Signs(Frozen):
    """What tells one language; each is a list of words or letters as one string."""

    words: str
    sure: str = ""
    letters: str = ""


@cache
def _evidence() -> tuple[Mapping[str, tuple[tuple[str, float], ...]], Mapping[str, str]]:
    """By word, the languages it speaks for and how much; by letter, its language."""
    raw = yaml.load(DATA.read_text("utf-8"), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    told = TypeAdapter(dict[str, _Signs]).validate_python(raw)
    owners: dict[str, list[str]] = {}
    sure: dict[str, str] = {}
    letters: dict[str, str] = {}
    for language, signs in told.items():
        for word in dict.fromkeys(signs.words.split()):
            owners.setdefault(word, []).append(language)
        sure |= dict.fromkeys(signs.sure.split(), language)
        letters |= dict.fromkeys(signs.letters, language)
    weights = {word: tuple((language, 1.0 / len(found)) for language in found) for word, found in owners.items()}
    return weights | {word: ((language, CLEAR),) for word, language in sure.items()}, letters
