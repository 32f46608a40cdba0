"""Makes a long written answer into one that could be said in a chat: short, without lists, in plain words.

It cuts, leaves sentences out and swaps stock phrases by rules that are data; it adds no thought of its own. Whether
what is left is safe is for the output guard to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

import regex
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..guards.sentences import ends_with_stop, sentences
from .pairs import DataError

FILE = Path(__file__).parent / "data" / "wording.yaml"


def _compiles(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles), Field(min_length=1)]


class LeaveOut(BaseModel):
    """A kind of sentence that a reply is better without."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What the data card counts it as."""
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    """Any of them, anywhere in the sentence, in any case."""


class Swap(BaseModel):
    """Stiff words and the plain ones for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    find: Pattern
    put: str
    """May name groups, ``\\1``; takes over a capital letter at the beginning."""


class Wording(BaseModel):
    """A wording file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    """Counted up at every change: cached answers are made anew."""
    leave_out: tuple[LeaveOut, ...]
    danger: tuple[Pattern, ...] = Field(min_length=1)
    """Questions that the data leave to the crisis protocol."""
    hears: tuple[Pattern, ...] = Field(min_length=1)
    """Ways to show a person that they were heard."""
    swap: tuple[Swap, ...]

    @cached_property
    def unwanted(self) -> tuple[tuple[str, regex.Pattern[str]], ...]:
        """Each rule's name, and what finds it."""
        return tuple((rule.name, regex.compile("|".join(rule.patterns), regex.I)) for rule in self.leave_out)

    @cached_property
    def dangerous(self) -> re.Pattern[str]:
        """Finds any of ``danger``; with ``re``, which reads 16,000 questions in a third of the time."""
        return re.compile("|".join(self.danger), re.I)

    @cached_property
    def heard(self) -> regex.Pattern[str]:
        """Finds any of ``hears``."""
        return regex.compile("|".join(self.hears), regex.I)

    @cached_property
    def swaps(self) -> tuple[tuple[regex.Pattern[str], str], ...]:
        """What is found, and what stands there afterwards; in order, each on the result of those before it."""
        return tuple((regex.compile(rule.find, regex.I), rule.put) for rule in self.swap)


def read_wording(text: str, name: str) -> Wording:
    """The rules in YAML ``text``; ``name`` is the file that errors point at.

    Raises:
        DataError: naming the file and the key.
    """
    try:
        return Wording.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise DataError(f"{name}: not YAML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in error.errors())
        raise DataError(f"{name}: {problems}") from None


@cache
def shipped_wording() -> Wording:
    """The rules that ship."""
    return read_wording(FILE.read_text(encoding="utf-8"), str(FILE))


@dataclass(frozen=True)
class Reworded:
    """A shorter answer, and why sentences are missing in it."""

    text: str
    """Empty when nothing was left."""
    left_out: tuple[str, ...] = ()
    """The rule's name for each sentence that was left out; not those behind the end."""


def reword(
    answer: str, words: int, *, refused: Callable[[str, str], bool] = lambda *_: False, wording: Wording | None = None
) -> Reworded:
    """``answer`` with its first sentences, up to ``words`` words, as one or two paragraphs.

    Ends earlier, where the source ends a paragraph or a list's item, once it has half of the words and an idea: one
    that is said well helps more than the beginning of a third. The first sentence stays even when it is too long.

    Args:
        refused: whether a sentence, after the text before it, may not be said.
    """
    wording = wording or shipped_wording()
    left_out: list[str] = []
    paragraphs: list[list[str]] = []
    last = -1
    room, taken = words, 0
    before = ""
    openings: set[str] = set()
    for number, sentence in _sentences(answer):
        sentence = _plain(sentence, wording)
        opening = " ".join(sentence.lower().split()[:4])
        reason = next((name for name, pattern in wording.unwanted if pattern.search(sentence)), None)
        if reason or opening in openings:
            left_out.append(reason or "begins like one before it")
            continue
        if refused(sentence, before):
            left_out.append("refused by the output guard")
            continue
        length = len(sentence.split())
        room -= length
        if paragraphs and (room < 0 or (number != last and len(paragraphs) > 1 and taken * 2 >= words)):
            break
        taken += length
        if number != last:
            paragraphs.append([])
            last = number
        paragraphs[-1].append(sentence)
        openings.add(opening)
        before += f"{sentence} "
    return Reworded(_laid_out(paragraphs), tuple(left_out))


_BEGINNING = 45
"""Words of an answer in which the person should be heard; about two sentences."""


def hears_the_person(answer: str, wording: Wording | None = None) -> bool:
    """Whether the beginning of an answer is about how the person feels, before it advises anything."""
    return bool((wording or shipped_wording()).heard.search(" ".join(answer.split()[:_BEGINNING])))


def names_danger(question: str, wording: Wording | None = None) -> bool:
    """Whether a question names something that this kind of data should not answer."""
    return bool((wording or shipped_wording()).dangerous.search(question))


_ITEM = regex.compile(r"^\s*(?:\d{1,2}[.)]|[-*•–])\s+")
_HEAD = regex.compile(r"^[*_]{0,2}[^.:?!\n]{2,60}[:.]?[*_]{0,2}:?[*_]{0,2}\s+(?=[A-Z])")
_RUN_ON = regex.compile(r"(?<=\p{Ll}[.!?])(?=\p{Lu}\p{Ll})")
"""Where the space between two sentences was lost, as in much text from web pages."""
_MARKS = regex.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|^#+\s+", regex.M)


def _sentences(answer: str) -> Iterator[tuple[int, str]]:
    """Each whole sentence with its paragraph's number; a list's item is a paragraph without its mark and heading."""
    for number, line in enumerate(filter(str.strip, answer.splitlines())):
        item = _ITEM.match(line)
        text = line[item.end() :] if item else line
        if item and ":" in text[:64]:
            text = _HEAD.sub("", text, count=1)
        text = " ".join(_RUN_ON.sub(" ", _MARKS.sub("", text)).split())
        for piece in sentences(text, limit=10_000):
            if ends_with_stop(piece):
                yield number, piece.strip()


def _plain(sentence: str, wording: Wording) -> str:
    for pattern, put in wording.swaps:
        sentence = pattern.sub(lambda found, put=put: _cased(found, put), sentence)
    sentence = sentence.strip()
    return sentence[:1].upper() + sentence[1:]


def _cased(found: Any, put: str) -> str:
    text, old = found.expand(put), found.group()
    begins = found.start() == 0 or (old[:1].isupper() and not old.startswith(("I ", "I'")))
    return text[:1].upper() + text[1:] if begins else text


def _laid_out(paragraphs: list[list[str]]) -> str:
    """Paragraphs of one sentence are drawn to the one before: a chat is no essay."""
    laid: list[list[str]] = []
    for paragraph in paragraphs:
        if laid and (len(paragraph) == 1 or len(laid[-1]) == 1):
            laid[-1] += paragraph
        else:
            laid.append(list(paragraph))
    return "\n\n".join(" ".join(paragraph) for paragraph in laid)
