"""What stands in a sentence about lines and places, in the language of the talk: how a line is reached, what a country
is called, where its people look for a therapist. Data; it decides nothing about a person.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from ...guards.hotlines import INTERNATIONAL, WRITTEN, Contact, Hotline, Method, country_in, country_names
from ...guards.types import Frozen
from .files import Lines, PlaybookError

DATA = Path(__file__).parents[1] / "data" / "protocol"
SILENT = frozenset({"deaf", "cannot_speak"})
"""Flags of people who need a line that is written to."""


class Ways(Frozen):
    """How a line is reached, in words that follow "you can"."""

    call: str
    text: str
    keyword: str
    call_or_text: str
    whatsapp: str
    chat: str
    web: str
    email: str

    def say(self, contact: Contact) -> str:
        """One way: ``text HOME to 741741``."""
        value = contact.value.removeprefix("https://").removeprefix("www.").rstrip("/")
        pattern: str = self.keyword if contact.keyword else getattr(self, contact.method.value)
        return pattern.format(value=value, keyword=contact.keyword)


class _Finder(Frozen):
    """Where a country's people look for a therapist."""

    source: str
    say: Mapping[str, str] = Field(min_length=1)


def how(line: Hotline, flags: Collection[str] = (), language: str = "en") -> str:
    """How to reach a line, in a few words: in writing for who cannot speak."""
    ways = _ways()[language if language in _ways() else "en"]
    if SILENT & set(flags):
        for contact in line.contacts:
            if contact.method in WRITTEN:
                return ways.say(contact)
    first = line.contacts[0]
    texted = any(c.method is Method.TEXT and c.value == first.value and not c.keyword for c in line.contacts)
    both = first.method is Method.CALL and texted
    return ways.call_or_text.format(value=first.value) if both else ways.say(first)


def name_of(line: Hotline, language: str) -> str:
    """What a line is called: by its own name for who does not write English."""
    return line.name if language == "en" else line.local_name or line.name


def finder(country: str | None, language: str = "en") -> str:
    """How to look for a therapist in a country."""
    entry = _finders().get(country or INTERNATIONAL) or _finders()[INTERNATIONAL]
    return entry.say.get(language) or entry.say["en"]


def finders(language: str = "en") -> Mapping[str, str]:
    """By country code, how to look for a therapist there; ``ZZ`` for everywhere.

    Raises:
        PlaybookError: naming the file, the line and what is wrong.
    """
    return {code: finder(code, language) for code in _finders()}


def country_name(code: str, language: str = "en") -> str:
    """The name of a country; its English one, or the code itself, where there is none."""
    return _countries().get(code, {}).get(language) or country_names().get(code, code)


def country_named(text: str, language: str = "en") -> str | None:
    """The one country that an answer to "where are you" names, in the language of the talk or in English."""
    found = {code for code, pattern in _patterns(language) if pattern.search(text)}
    return next(iter(found)) if len(found) == 1 else country_in(text)


@cache
def _ways(path: Path = DATA / "ways.yaml") -> Mapping[str, Ways]:
    file, found = Lines(path), {}
    for language, value in (file.value or {}).items():
        try:
            found[language] = Ways.model_validate(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise file.error((language, *problem["loc"]), f"{language}: {problem['msg']}") from None
    if "en" not in found:
        raise PlaybookError(f"{path}:1: there is no entry en")
    return found


@cache
def _finders(path: Path = DATA / "finders.yaml") -> Mapping[str, _Finder]:
    file, found = Lines(path), {}
    for code, value in (file.value or {}).items():
        try:
            found[code] = _Finder.model_validate(value)
        except ValidationError as error:
            raise file.error((code,), f"{code}: {error.errors(include_url=False)[0]['msg']}") from None
        if "en" not in found[code].say:
            raise file.error((code, "say"), f"{code}: there is no text in en")
    if INTERNATIONAL not in found:
        raise PlaybookError(f"{path}:1: there is no entry {INTERNATIONAL} for countries without one")
    return found


@cache
def _countries(path: Path = DATA / "places.yaml") -> Mapping[str, Mapping[str, str]]:
    file = Lines(path)
    try:
        return TypeAdapter(dict[str, dict[str, str]]).validate_python(file.value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise file.error(tuple(problem["loc"]), problem["msg"]) from None


@cache
def _patterns(language: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """A pattern for each name; a long one may have another ending, as in "в Германии"."""
    found: list[tuple[str, re.Pattern[str]]] = []
    for code, names in _countries().items():
        if name := names.get(language):
            bent = language == "ru" and len(name) > 4
            word = re.escape(name[:-1]) + r"\w{0,2}" if bent else re.escape(name)
            found.append((code, re.compile(rf"\b{word}\b", re.IGNORECASE)))
    return tuple(found)
