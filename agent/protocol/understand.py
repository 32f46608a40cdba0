"""What a person's message says to the protocol: an answer to its question, a wish, a worry, a change of subject.

A pure function over the text, the question that is open and the guards' verdict. The rules are data
(``data/protocol/answers/<language>.yaml``); this module finds them and never judges how dangerous a message is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from pydantic import Field

from ...guards.canonical import canonical
from ...guards.lexicon import load_lexicon
from ...guards.reading import Spelling, readings
from ...guards.types import Category, Frozen, RiskLevel, Verdict
from .files import Lines, PlaybookError
from .places import country_named
from .state import Answer

_ABOUT_ME = re.compile(r"i (?:do|am|have|will|would|can) not\b")
"""Begins like a no, and may be the danger itself."""
HEAD, TAIL = 1500, 500
"""Characters of a message that are read for an answer: its beginning and its end. The guards read all of it."""


class Heard(Frozen):
    """What was understood of one message."""

    to: str | None = None
    """Topic of the question that was open."""
    answer: Answer | None = None
    """The answer to it; None when none was given."""
    acts: tuple[str, ...] = ()
    """What the person does with it: ``refusal``, ``question``, ``worse``, ``asks_number`` and so on."""
    states: tuple[str, ...] = ()
    """Answers told without being asked, or more exactly than asked: ``plan:no``."""
    barriers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    reflect: str | None = None
    """What they carry, in words that may be said back: ``losing your job``. From a fixed list, never free text."""
    who: str | None = None
    """Whom they write about: ``your son``. From a fixed list."""
    country: str | None = None
    """ISO 3166-1 alpha-2, when they answered where they are."""

    def facts(self) -> Iterable[str]:
        """As the playbooks' preconditions name them."""
        yield from (f"heard:{act}" for act in self.acts)
        yield from (f"barrier:{kind}" for kind in self.barriers)
        if self.to:
            yield f"to:{self.to}"
        if self.answer:
            yield f"heard:{self.answer}"
        if self.reflect:
            yield "knows:reflect"
        if not (set(self.acts) - {"short"} or self.answer or self.barriers or self.states):
            yield "heard:nothing"


class _Group(Frozen):
    """Wordings of one thing."""

    patterns: str
    """Regular expressions, one a line, over plain words: lower case, contractions written out."""
    words: int = 60
    """Longest message, in words, in which they mean it."""
    unless: str = ""
    """Wordings that take it back."""


class _File(Frozen):
    """One file of rules."""

    language: str = Field(pattern=r"^[a-z]{2}$")
    answers: Mapping[Answer, _Group]
    agree: _Group
    """A yes to an offer; nothing as an answer to another question."""
    decline: _Group
    soft: _Group
    """Half a yes."""
    after: Mapping[str, Mapping[Answer, _Group]]
    """What words mean after a certain question; read before ``answers``."""
    states: Mapping[str, _Group]
    acts: Mapping[str, _Group]
    barriers: Mapping[str, _Group]
    flags: Mapping[str, _Group]
    reflect: Mapping[str, str]
    who: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Finder:
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None
    words: int

    def finds(self, text: str, words: int) -> bool:
        if words > self.words or not self.pattern.search(text):
            return False
        return self.unless is None or not self.unless.search(text)


@dataclass(frozen=True)
class AnswerRules:
    """The rules of one language, compiled. Build it with `load_answers`."""

    language: str
    answers: Mapping[Answer, _Finder]
    agree: _Finder
    decline: _Finder
    soft: _Finder
    after: Mapping[str, Mapping[Answer, _Finder]]
    states: Mapping[str, _Finder]
    acts: Mapping[str, _Finder]
    barriers: Mapping[str, _Finder]
    flags: Mapping[str, _Finder]
    reflect: tuple[tuple[str, re.Pattern[str]], ...]
    who: tuple[tuple[str, re.Pattern[str]], ...]

    def facts(self) -> frozenset[str]:
        """Every fact these rules can make, for checking the playbooks."""
        made = {f"heard:{act}" for act in (*self.acts, *Answer, "off_topic", "elsewhere", "short", "country")}
        made |= {f"barrier:{kind}" for kind in self.barriers} | {f"flag:{flag}" for flag in self.flags}
        made |= set(self.states) | {f"{state.partition(':')[0]}:known" for state in self.states}
        made |= {f"told:{state.partition(':')[0]}" for state in self.states}
        return frozenset(made)


@lru_cache(maxsize=8)
def load_answers(path: Path) -> AnswerRules:
    """Read and compile one file.

    Raises:
        PlaybookError: naming the file, the line and what is wrong.
    """
    file = Lines(path)
    raw = file.read(_File)

    def finder(group: _Group, *where: str) -> _Finder:
        unless = _compiled(file, where, group.unless) if group.unless else None
        return _Finder(_compiled(file, where, group.patterns), unless, group.words)

    def finders(section: str, groups: Mapping[str, _Group]) -> dict[str, _Finder]:
        return {name: finder(group, section, name) for name, group in groups.items()}

    def phrases(section: str, patterns: Mapping[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((phrase, _compiled(file, (section, phrase), lines)) for phrase, lines in patterns.items())

    return AnswerRules(
        language=raw.language,
        answers={answer: finder(group, "answers", answer) for answer, group in raw.answers.items()},
        agree=finder(raw.agree, "agree"),
        decline=finder(raw.decline, "decline"),
        soft=finder(raw.soft, "soft"),
        after={
            topic: {answer: finder(group, "after", topic, answer) for answer, group in groups.items()}
            for topic, groups in raw.after.items()
        },
        states=finders("states", raw.states),
        acts=finders("acts", raw.acts),
        barriers=finders("barriers", raw.barriers),
        flags=finders("flags", raw.flags),
        reflect=phrases("reflect", raw.reflect),
        who=phrases("who", raw.who),
    )


def _compiled(file: Lines, where: tuple[str, ...], lines: str) -> re.Pattern[str]:
    patterns = [line.strip() for line in lines.splitlines() if line.strip() and not line.strip().startswith("#")]
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise PlaybookError(f"{file.path}:{file.line(*where)}: {'.'.join(where)}: {pattern!r}: {error}") from None
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


@cache
def exchanges() -> frozenset[str]:
    """Sources of evidence that lies only in what a short answer means after a question of ours."""
    return frozenset(f"lexicon:{exchange.category}/{exchange.id}" for exchange, *_ in load_lexicon().exchanges)


_AS_WRITTEN = Spelling({}, lambda _: True)
"""English slang is written out ("ya" is "you"); in another language those letters are other words."""


@lru_cache(maxsize=64)
def plain(text: str, language: str = "en") -> str:
    """The words of a message as the rules read them: lower case, no accents; in English one spelling as well, with
    contractions written out."""
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} . {text[-TAIL:]}"
    if language != "en":
        return " ".join(part.text.strip(" .,") for part in readings(canonical(text).text, _AS_WRITTEN)).strip(" .,")
    bare = text.strip().casefold().strip(".! ")
    if bare in ("y", "n"):  # the lexicon reads a lone n as "and"
        return {"y": "yes", "n": "no"}[bare]
    spelled = load_lexicon().read(canonical(text).text)
    return " ".join(reading.text.strip(" .,").lower() for reading in spelled).strip(" .,")


def understand(
    text: str,
    pending: str | None,
    verdict: Verdict,
    rules: AnswerRules,
    *,
    soft: bool = False,
    offer: bool = False,
    asks_country: bool = False,
) -> Heard:
    """Read one message in the light of the question that is open.

    Args:
        pending: topic of that question, or None.
        verdict: what the guards say about the message; a crisis in it is never a change of subject.
        offer: whether it offered something, so that "okay" agrees and "I can't" declines.
        soft: whether half a yes ("sometimes") is a yes to the open question.
        asks_country: whether the person was asked where they are.
    """
    words = plain(text, rules.language)
    count = len(words.split())

    def found(finders: Mapping[str, _Finder]) -> list[str]:
        return [name for name, finder in finders.items() if finder.finds(words, count)]

    states = found(rules.states)
    acts = found(rules.acts)
    barriers = found(rules.barriers)
    country = country_named(text, rules.language) if asks_country and count <= 12 else None
    answer = _answer(words, count, pending, states, rules, soft=soft, offer=offer) if pending else None
    if pending and answer is None:
        danger = [e for e in verdict.evidence if e.level >= RiskLevel.ELEVATED and e.category is Category.SUICIDE]
        if pending == "thoughts" and any(e.source not in exchanges() for e in danger):
            answer = Answer.YES
        elif "refusal" in acts:
            answer = Answer.REFUSED
    if answer is Answer.NO and _ABOUT_ME.match(words) and any(e.source not in exchanges() for e in verdict.evidence):
        answer = None  # "i do not want to be alive" is no answer to where the nearest person is
    if country:
        acts.append("country")
    elif "off_topic" not in acts and pending and answer is None and not (states or acts or barriers):
        # Something else was told: neither an answer nor another subject.
        acts.append("elsewhere")
    if 0 < count <= 3 and answer is None and not (states or barriers or set(acts) - {"elsewhere"}):
        acts.append("short")
    if "off_topic" in acts and (pending or "").startswith("plan_") and "question" not in acts:
        acts.remove("off_topic")  # "music and pizza" is an answer there
        acts.append("elsewhere")
    if "off_topic" in acts and (verdict.level >= RiskLevel.CONCERN or states or answer in (Answer.YES, Answer.NO)):
        acts.remove("off_topic")
    return Heard(
        to=pending,
        answer=answer,
        acts=tuple(dict.fromkeys(acts)),
        states=tuple(states),
        barriers=tuple(barriers),
        flags=tuple(found(rules.flags)),
        reflect=next((phrase for phrase, pattern in rules.reflect if pattern.search(words)), None),
        who=next((phrase for phrase, pattern in rules.who if pattern.search(words)), None),
        country=country,
    )


def _answer(
    words: str, count: int, pending: str, states: Iterable[str], rules: AnswerRules, *, soft: bool, offer: bool
) -> Answer | None:
    """The most exact reading first: what was said outright, what it means after this question, a bare yes or no."""
    told = [state.partition(":")[2] for state in states if state.partition(":")[0] == pending]
    if told:
        return Answer(told[0])
    for answer, finder in rules.after.get(pending, {}).items():
        if finder.finds(words, count):
            return answer
    if rules.answers[Answer.REFUSED].finds(words, count):
        return Answer.REFUSED
    if soft and rules.soft.finds(words, count):
        return Answer.YES
    for answer in (Answer.UNCLEAR, Answer.NO, Answer.YES):
        if rules.answers[answer].finds(words, count):
            return answer
    if offer and rules.decline.finds(words, count):
        return Answer.NO
    return Answer.YES if offer and rules.agree.finds(words, count) else None
