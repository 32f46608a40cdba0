"""The playbooks: what may be said in a crisis, when, and in which words. Data, checked whole when it is read.

A playbook is a list of moves, the most urgent first. This module says which moves there are and whether the files make
sense; which move comes next is decided in ``choose``, its words in ``say``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from pydantic import Field, ValidationError, model_validator

from ...guards.hotlines import INTERNATIONAL, Directory, LineTopic
from ...guards.types import Category, Frozen, RiskLevel
from .files import Lines, PlaybookError
from .state import Answer
from .understand import AnswerRules, load_answers

DATA = Path(__file__).parents[1] / "data" / "protocol"
VARIANTS = 4
"""Wordings every move has at least."""
PLACEHOLDERS = frozenset({"reach", "emergency", "country", "finder", "reflect", "who", "plan", "line"})


class Kind(StrEnum):
    """What a move does."""

    HEAR = "hear"
    """Opens: takes in what was said."""
    ACT = "act"
    """Opens: what to do now, with the lines."""
    ACKNOWLEDGE = "acknowledge"
    """Meets the answer that was just given."""
    BARRIER = "barrier"
    """Answers what stands in the way of help."""
    ANSWER = "answer"
    """Answers what the person asked for."""
    DISCLOSE = "disclose"
    """Says what this is: an AI that can call nobody."""
    ASK = "ask"
    """Asks about the danger."""
    INFORM = "inform"
    """Tells something that helps to stay safe."""
    OFFER = "offer"
    """Offers a way to a human, or asks whether they would use it."""
    PLAN = "plan"
    """One step of the safety plan."""
    SKILL = "skill"
    """Something to do in the next minutes."""
    CLOSE = "close"
    """The way back to ordinary talk."""
    STAY = "stay"
    """Keeps the talk open."""


OPENING = frozenset({Kind.HEAR, Kind.ACT})
RESPONDING = frozenset({Kind.ACKNOWLEDGE, Kind.BARRIER, Kind.ANSWER})
AGENDA = frozenset(Kind) - OPENING - RESPONDING - {Kind.DISCLOSE}


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when one of ``any`` is a fact, or with ``negated`` when none is."""

    any: frozenset[str]
    negated: bool = False

    @classmethod
    def parse(cls, text: str) -> Condition:
        """``thoughts:yes | thoughts:unclear`` or ``not heard:refusal``."""
        bare = text.removeprefix("not ")
        return cls(frozenset(part.strip() for part in bare.split("|")), bare != text)

    def holds(self, facts: Collection[str]) -> bool:
        """Whether it holds among ``facts``."""
        return self.any.isdisjoint(facts) == self.negated


class Topic(Frozen):
    """Something that is asked about."""

    soft: bool = False
    """A "sometimes" or "maybe" is a yes."""
    offer: bool = False
    """Offers or suggests something: "okay" is a yes to it."""
    about: Category | None = None
    """The trouble that the answer speaks for."""
    danger: Answer | None = None
    """The answer that speaks for danger."""
    denial: bool = False
    """The other answer takes the danger away: the risk may step down."""
    again: int = Field(default=0, ge=0)
    """Turns after which it may be asked anew, as one asks a friend in a long night; 0 is never. Not about danger."""

    @model_validator(mode="after")
    def _danger_is_asked_once(self) -> Topic:
        if self.again and self.danger:
            raise ValueError("a question about danger comes back with the risk, not with time: again must be 0")
        return self


class _RawMove(Frozen):
    """A move as the file writes it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Kind
    when: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    asks: str | None = None
    offers: str | None = None
    repeat: bool = False
    texts: tuple[str, ...] = ()
    words_of: str | None = None
    """Another move of the same playbook whose texts it says, in a turn with other preconditions."""


class _RawPlaybook(Frozen):
    """One file."""

    playbook: str = Field(pattern=r"^[a-z][a-z_]*$")
    category: Category | None = None
    lines: tuple[LineTopic, ...] = ()
    raises: tuple[tuple[str, ...], ...] = ()
    moves: tuple[_RawMove, ...]


@dataclass(frozen=True)
class Move:
    """One thing the protocol can say."""

    id: str
    """With its playbook: ``suicide/ask_plan``."""
    kind: Kind
    when: tuple[Condition, ...]
    after: tuple[str, ...]
    """Moves that must have been made before."""
    asks: str | None
    offers: str | None
    repeat: bool
    said_as: str
    """Under which id its texts are remembered and audited: its own, or that of the move whose words it says."""
    texts: tuple[str, ...]
    written: tuple[str, ...]
    """``when`` as the file writes it."""
    file: str
    line: int

    @cached_property
    def holes(self) -> frozenset[str]:
        """What its texts must be filled with."""
        return frozenset().union(*map(_holes, self.texts))

    def fits(self, facts: Collection[str]) -> bool:
        """Whether its preconditions hold."""
        return all(condition.holds(facts) for condition in self.when)


@dataclass(frozen=True)
class Playbook:
    """The moves of one trouble, the most urgent first."""

    name: str
    category: Category | None
    lines: tuple[LineTopic, ...]
    raises: tuple[frozenset[str], ...]
    """Answers that together mean danger right now."""
    moves: tuple[Move, ...]
    file: str


@dataclass(frozen=True)
class Playbooks:
    """All playbooks in one language, with what is needed to understand an answer. Build it with `load_playbooks`."""

    language: str
    topics: Mapping[str, Topic]
    books: Mapping[str, Playbook]
    answers: AnswerRules
    by_id: Mapping[str, Move] = field(init=False)

    def __post_init__(self) -> None:
        moves = {move.id: move for book in self.books.values() for move in book.moves}
        object.__setattr__(self, "by_id", moves)

    def for_category(self, category: Category | None) -> Playbook:
        """The playbook of a category; None gives the one for a danger that was never named."""
        return self.books[category.value if category else "unclear"]


REQUIRED = frozenset(
    {category.value for category in Category} | {"unclear", "third_party", "imminent", "own", "common"}
)


@lru_cache(maxsize=8)
def load_playbooks(language: str = "en", folder: Path = DATA) -> Playbooks:
    """Read, check and join all files.

    The English texts stand in the playbooks. Another language brings ``copy/<language>/<playbook>.yaml`` (texts by move
    id) and ``answers/<language>.yaml``; without them English is used.

    Raises:
        PlaybookError: naming the file, the line and what is wrong.
    """
    topics = _topics(folder / "topics.yaml")
    translated = (folder / "copy" / language).is_dir() and language != "en"
    answers = load_answers(folder / "answers" / f"{language if translated else 'en'}.yaml")
    books: dict[str, Playbook] = {}
    for path in sorted((folder / "playbooks").glob("*.yaml")):
        overlay = folder / "copy" / language / path.name if translated else None
        book = _read_book(path, overlay)
        if book.name in books:
            raise PlaybookError(f"{path}:1: the playbook {book.name} is already in {books[book.name].file}")
        books[book.name] = book
    if missing := REQUIRED - books.keys():
        raise PlaybookError(f"{folder / 'playbooks'}: no playbook for {', '.join(sorted(missing))}")
    playbooks = Playbooks(language if translated else "en", topics, books, answers)
    _check(playbooks)
    return playbooks


def check_lines(playbooks: Playbooks, directory: Directory) -> None:
    """A person whose country has no lines must still get one: each playbook needs a topic that is served everywhere.

    Raises:
        PlaybookError: naming the playbook and its topics.
    """
    everywhere = {topic for line in directory if line.country == INTERNATIONAL for topic in line.topics}
    for book in playbooks.books.values():
        if book.lines and everywhere.isdisjoint(book.lines):
            names = ", ".join(book.lines)
            raise PlaybookError(f"{book.file}: lines: none of {names} has an international entry to fall back to")


# -- reading ---------------------------------------------------------------------------------------------------------


def _topics(path: Path) -> Mapping[str, Topic]:
    file = Lines(path)
    found: dict[str, Topic] = {}
    for name, value in (file.value or {}).items():
        try:
            found[name] = Topic.model_validate(value or {})
        except ValidationError as error:
            raise file.error((name,), f"{name}: {error.errors(include_url=False)[0]['msg']}") from None
    return found


def _read_book(path: Path, overlay: Path | None) -> Playbook:
    file = Lines(path)
    raw: _RawPlaybook = file.read(_RawPlaybook)
    other = Lines(overlay) if overlay else None
    moves: list[Move] = []
    seen: set[str] = set()
    for number, move in enumerate(raw.moves):
        where = ("moves", number)
        if move.id in seen:
            raise file.error((*where, "id"), f"{move.id}: this id is already used")
        seen.add(move.id)
        source, place = file, (*where, "texts")
        texts: Sequence[Any] = move.texts
        if move.words_of is not None:
            texts = next((earlier.texts for earlier in moves if earlier.id == f"{raw.playbook}/{move.words_of}"), ())
            place = (*where, "words_of")
        elif other is not None:
            source, place = other, (move.id,)
            texts = (other.value or {}).get(move.id) or ()
        if len(texts) < VARIANTS:
            raise source.error(place, f"{move.id}: has {len(texts)} texts; at least {VARIANTS} are wanted")
        checked = tuple(str(text).strip() for text in texts)
        for n, text in enumerate(checked):
            if problem := _wrong(text, move):
                raise source.error((*place, n), f"{move.id}: {problem}: {text[:60]!r}")
        if len(set(checked)) < len(checked):
            raise source.error(place, f"{move.id}: says the same thing twice")
        moves.append(
            Move(
                id=f"{raw.playbook}/{move.id}",
                kind=move.kind,
                when=tuple(map(Condition.parse, move.when)),
                after=tuple(_full(name, raw.playbook) for name in move.after),
                asks=move.asks,
                offers=move.offers,
                repeat=move.repeat,
                said_as=f"{raw.playbook}/{move.words_of or move.id}",
                texts=checked,
                written=move.when,
                file=path.name,
                line=file.line(*where),
            )
        )
    if other is not None and (unknown := set(other.value or {}) - seen):
        name = sorted(unknown)[0]
        raise other.error((name,), f"{name}: there is no such move in {path.name}")
    raises = tuple(map(frozenset, raw.raises))
    return Playbook(raw.playbook, raw.category, raw.lines, raises, tuple(moves), str(path))


def _full(name: str, playbook: str) -> str:
    return name if "/" in name else f"{playbook}/{name}"


def _holes(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def _wrong(text: str, move: _RawMove) -> str | None:
    """What is wrong with one text, or None."""
    if not text:
        return "an empty text"
    if "!" in text:
        return "an exclamation mark"
    try:
        holes = _holes(text)
    except ValueError as error:
        return f"a broken placeholder ({error})"
    if unknown := holes - PLACEHOLDERS:
        return f"unknown placeholders {sorted(unknown)}"
    if move.kind is Kind.ACT and not {"reach", "emergency"} & holes:
        return "names neither {reach} nor {emergency}"
    if "reflect" in holes and "knows:reflect" not in move.when:
        return "uses {reflect} without the precondition knows:reflect"
    questions = _QUOTED.sub("", text).count("?")
    if move.asks and questions != 1:
        return f"asks {questions} questions; one is wanted"
    if not move.asks and questions:
        return "asks a question, but the move has no `asks`"
    return None


_QUOTED = re.compile(r'"[^"]*"')
"""Words the person could say to somebody: not a question of ours."""

# -- checking --------------------------------------------------------------------------------------------------------

_STATIC = frozenset(
    [
        "self",
        "other",
        "turn:open",
        "turn:rise",
        "turn:fresh",
        "country:known",
        "country:unknown",
        "knows:reflect",
        "knows:who",
        "lines:new",
        "new:country",
        "country:asked",
        "peak:imminent",
        "fell",
        "heard:told",
        "heard:safer",
        "watchful",
        "disclosed",
        "denied",
        "built_up",
        "plan:started",
        "plan:empty",
        "heard:nothing",
        "steady:1",
        "steady:2",
        "steady:3",
        "turns:2",
        "turns:4",
        "turns:6",
    ]
    + [f"level:{level.value}" for level in RiskLevel]
    + [f"category:{category.value}" for category in Category]
    + [f"lead:{category.value}" for category in Category]
    + ["lead:unclear"]
)
"""Facts that the turn itself brings."""
_EXCLUSIVE = ("level:", "lead:")


def _check(playbooks: Playbooks) -> None:
    moves = playbooks.by_id
    offers = {move.offers for move in moves.values() if move.offers}
    known = _STATIC | playbooks.answers.facts() | load_answers(DATA / "answers" / "en.yaml").facts()
    for topic in playbooks.topics:
        known |= {
            f"asked:{topic}",
            f"told:{topic}",
            f"to:{topic}",
            f"{topic}:known",
            *(f"{topic}:{answer}" for answer in Answer),
        }
    known |= {f"done:{id}" for id in moves} | {f"offered:{offer}" for offer in offers}
    for move in moves.values():
        at = f"{move.file}:{move.line}: {move.id}"
        if move.asks and move.asks not in playbooks.topics:
            raise PlaybookError(f"{at}: asks about the unknown topic {move.asks!r}; topics.yaml lists them")
        for condition in move.when:
            if unknown := condition.any - known:
                raise PlaybookError(f"{at}: when: nothing ever makes {sorted(unknown)[0]!r} a fact")
        for before in move.after:
            if before not in moves:
                raise PlaybookError(f"{at}: after: there is no move {before!r}")
        if clash := _clash(move):
            raise PlaybookError(f"{at}: can never be reached: {clash}")
    for book in playbooks.books.values():
        for combination in book.raises:
            if unknown := combination - known:
                raise PlaybookError(f"{book.file}: raises: nothing ever makes {sorted(unknown)[0]!r} a fact")
    if circle := _circle(moves):
        first = moves[circle[0]]
        raise PlaybookError(f"{first.file}:{first.line}: goes in a circle without progress: {' after '.join(circle)}")
    for move in _unreachable(playbooks, known):
        raise PlaybookError(f"{move.file}:{move.line}: {move.id}: can never be reached")


def _clash(move: Move) -> str | None:
    """Two preconditions that exclude each other."""
    needed = [condition.any for condition in move.when if not condition.negated]
    never = frozenset().union(*(condition.any for condition in move.when if condition.negated))
    for facts in needed:
        if facts <= never:
            return f"it needs {' | '.join(sorted(facts))} and not"
    sure = {next(iter(facts)) for facts in needed if len(facts) == 1}
    if {"self", "other"} <= sure:
        return "it needs both self and other"
    for prefix in _EXCLUSIVE:
        if len(group := sorted(fact for fact in sure if fact.startswith(prefix))) > 1:
            return f"it needs {' and '.join(group)}"
    answers = [fact for fact in sure if fact.rpartition(":")[2] in set(Answer)]
    topics = [fact.rpartition(":")[0] for fact in answers]
    return f"it needs two answers to {topics[0]}" if len(set(topics)) < len(topics) else None


def _circle(moves: Mapping[str, Move]) -> list[str] | None:
    """Moves that wait for each other."""
    settled: set[str] = set()

    def walk(id: str, way: list[str]) -> list[str] | None:
        if id in way:
            return [*way[way.index(id) :], id]
        if id in settled:
            return None
        for before in moves[id].after:
            if found := walk(before, [*way, id]):
                return found
        settled.add(id)
        return None

    return next(filter(None, (walk(id, []) for id in moves)), None)


def _unreachable(playbooks: Playbooks, known: Collection[str]) -> Iterator[Move]:
    """Moves whose preconditions hold in no conversation, whatever the person says."""
    facts = set(_STATIC | playbooks.answers.facts() | load_answers(DATA / "answers" / "en.yaml").facts())
    waiting: dict[str, Move] = dict(playbooks.by_id)
    made: set[str] = set()
    while True:
        now = [
            move
            for move in waiting.values()
            if made.issuperset(move.after) and all(c.negated or not c.any.isdisjoint(facts) for c in move.when)
        ]
        if not now:
            break
        for move in now:
            del waiting[move.id]
            made.add(move.id)
            facts |= {f"done:{move.id}", f"offered:{move.offers}"}
            if move.asks:
                answers: Iterable[str] = (f"{move.asks}:{answer}" for answer in Answer)
                facts |= {f"told:{move.asks}", f"asked:{move.asks}", f"to:{move.asks}", f"{move.asks}:known", *answers}
    yield from waiting.values()
