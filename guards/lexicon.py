"""The lexicon: crisis language as data. Loads and checks the YAML, and finds its patterns in a text.

It says where a pattern matches; what a match means in its clause is decided in ``scope``, the verdict in ``filter``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from .canonical import letters
from .orthography import Orthography, fold
from .pattern import NEGATORS, Choice, PatternError, Sequence, Word, expression, longest, parse, phrase, required
from .reading import Reading, Spelling, readings
from .types import Category, Frozen, RiskLevel

SHIPPED = Path(__file__).parent / "data" / "lexicon"
"""Folder of the lexicons that ship, one file a language."""


class LexiconError(ValueError):
    """A lexicon file cannot be used. The message names the file, the line, the rule and what is wrong."""


Lines = str
"""Patterns, one a line; ``#`` begins a comment line."""


class Rule(Frozen):
    """Wordings that speak for one category at one level."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    level: RiskLevel
    patterns: Lines
    tags: tuple[str, ...] = ()
    """What combinations ask for, such as ``wish`` or ``means``."""
    also: tuple[Category, ...] = ()
    """Further categories that the same words speak for."""
    subject: Literal["auto", "self", "other"] = "auto"
    """Who is at risk; ``auto`` takes the nearest person named before the match."""
    negatable: bool = True
    """False where a "not" before it does not take it back."""
    ends: bool = True
    """False where being told in the past does not make it over."""
    weak: bool = False
    """True for words that people also use in jest: a light cue in the clause takes them back."""


class Cue(Frozen):
    """Wordings that are no evidence alone, but count in combinations."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    tags: tuple[str, ...] = Field(min_length=1)
    patterns: Lines


class Combination(Frozen):
    """Tags that together mean more than each alone."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    all: tuple[str, ...] = Field(min_length=2)
    level: RiskLevel
    category: Category | None = None
    """``None`` keeps the categories of the evidence."""
    within: int = Field(60, ge=1, le=400)
    """Most words between the first and the last of them."""


class Scopes(Frozen):
    """Cues that take a match back, each only inside its own clause; what is left empty takes nothing back."""

    negation: Lines = ""
    negation_reach: int = Field(4, ge=1, le=12)
    """Most words between the negation and the match."""
    negation_except: Lines = ""
    """Phrases whose "not" negates nothing, such as "not gonna lie"."""
    past: Lines = ""
    now: Lines = ""
    """Cues that bring the past into the present again."""
    frames: Lines = ""
    """Fiction, games, films, lyrics, research, news, work: they hold what is not said in the first person."""
    light: Lines = ""
    idioms: Lines = ""
    """Takes back what it overlaps, and nothing else."""
    first_person: Lines = ""
    other_person: Lines = ""
    breaks: Lines = ""
    """Words that begin a new clause."""


class Exchange(Frozen):
    """A question of ours and the short answers that mean something only after it."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    question: Lines
    answer: Lines
    level: RiskLevel
    category: Category


class Replies(Frozen):
    """How people take a worry back, or deny it."""

    denial: Lines
    """A clear no to a direct question."""
    retraction: Lines
    """Taking back what was said, without saying that it is not so."""


class LexiconFile(Frozen):
    """One YAML file."""

    language: str = Field("en", pattern=r"^[a-z]{2}$")
    spaced: bool = True
    """False where words are not set apart: every character is then a word, in patterns and in readings."""
    elision: bool = False
    """True where an apostrophe ends a word, as in "j'ai"."""
    prefixes: str = ""
    """Small words that are written as one with the next."""
    negators: str = " ".join(NEGATORS)
    """Words that a gap never swallows."""
    spellings: Mapping[str, str] = Field(default_factory=dict)
    """From the words a reading uses to the ways people write them, separated by spaces."""
    fuzzy: str = ""
    """Words that are understood with one letter wrong."""
    fillers: str = ""
    """Words that a reading leaves out."""
    common: str = ""
    """Words that are everywhere, most frequent first; patterns are looked up by their other words."""
    classes: Mapping[str, str] = Field(default_factory=dict)
    """Name to alternatives, separated by ``|``; may use classes named above it."""
    scopes: Scopes | None = None
    rules: Mapping[Category, tuple[Rule, ...]] = Field(default_factory=dict)
    cues: tuple[Cue, ...] = ()
    combinations: tuple[Combination, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    replies: Replies | None = None

    @field_validator("rules", "cues", "combinations", "exchanges")
    @classmethod
    def _unique(cls, value: Mapping[Category, tuple[Rule, ...]] | tuple[Rule, ...]) -> object:
        for group in value.values() if isinstance(value, Mapping) else (value,):
            seen: set[str] = set()
            for item in group:
                if item.id in seen:
                    raise ValueError(f"id {item.id!r} is used twice")
                seen.add(item.id)
        return value


Kind = Literal[
    "rule", "cue", "idiom", "negation", "negation_except", "past", "now", "frame", "light", "first", "other", "break"
]


@dataclass(frozen=True, slots=True)
class Match:
    """One place where a pattern fits a reading."""

    kind: Kind
    start: int
    end: int
    """``[start, end)`` in the reading's text; ``start`` is the space before the first word."""
    rule: Rule | Cue | None = None
    category: Category | None = None
    who: str | None = None
    """The person named by ``<who>`` inside the match."""

    @property
    def source(self) -> str:
        """``category/rule-id``."""
        return f"{self.category}/{self.rule.id}" if self.rule else self.kind


@dataclass(slots=True)
class _Pattern:
    kind: Kind
    nodes: Sequence
    needs: frozenset[int]
    """Features that all have to be there."""
    rarest: int
    """The one of them that is rarest in English: matches are looked for around it."""
    reach: int
    rule: Rule | Cue | None
    category: Category | None
    negators: tuple[str, ...]
    _compiled: re.Pattern[str] | None = None

    def find(self, reading: Reading, places: Mapping[int, list[int]]) -> list[Match]:
        """The matches in a reading where every need is met somewhere."""
        # Compiled when first needed: most of the patterns are ruled out for most texts, and loading stays quick.
        compiled = self._compiled or self.compile()
        starts, last, reach = reading.starts, len(reading.starts) - 2, self.reach
        others = [places[need] for need in self.needs if need != self.rarest]
        stretches: list[tuple[int, int]] = []
        for at in places[self.rarest]:
            low = at - reach if at > reach else 0
            high = at + reach if at + reach < last else last
            for other in others:
                i = bisect_left(other, low)
                if i == len(other) or other[i] > high:
                    break
            else:
                if stretches and low <= stretches[-1][1]:
                    low = stretches.pop()[0]
                stretches.append((low, high))
        return [
            self._match(found)
            for low, high in stretches
            for found in compiled.finditer(reading.text, starts[low] - 1, starts[high + 1])
        ]

    def _match(self, found: re.Match[str]) -> Match:
        who = found["who"] if "who" in found.re.groupindex else None
        return Match(self.kind, found.start(), found.end(), self.rule, self.category, who.strip() if who else None)

    def compile(self) -> re.Pattern[str]:
        """The regular expression, made once."""
        first, *rest = expression(self.nodes, self.negators).split(
            "(?P<who>"
        )  # the first person named is whom it is about
        self._compiled = re.compile("(?P<who>".join([first, "(?:".join(rest)]) if rest else first)
        return self._compiled


class _Index:
    """Patterns by the rarest word they need."""

    def __init__(self, patterns: Iterable[_Pattern]) -> None:
        self._by_feature: dict[int, list[_Pattern]] = {}
        for pattern in patterns:
            self._by_feature.setdefault(pattern.rarest, []).append(pattern)

    def __iter__(self) -> Iterator[_Pattern]:
        return chain.from_iterable(self._by_feature.values())

    def find(self, reading: Reading, places: Mapping[int, list[int]], skip: Set[str] = frozenset()) -> list[Match]:
        found: list[Match] = []
        present = frozenset(places)
        for feature in present & self._by_feature.keys():
            for pattern in self._by_feature[feature]:
                if pattern.needs <= present and not (skip and pattern.rule and pattern.rule.id in skip):
                    found += pattern.find(reading, places)
        found.sort(key=_place_of)
        return found


class _Features(dict[str, frozenset[int]]):
    """From a read word to the features (words and stems that patterns need) it stands for."""

    _MOST = 30_000

    def __init__(self, words: Mapping[str, frozenset[int]], stems: Mapping[str, frozenset[int]]) -> None:
        super().__init__(words)
        self._words = words
        self._stems = stems
        self._room = len(self) + self._MOST
        for word in words:
            self[word] = self._of(word)

    def _of(self, word: str) -> frozenset[int]:
        if " " in word:
            return frozenset(chain.from_iterable(self[part] for part in word.split()))
        found = [self._words.get(word, frozenset[int]())]
        found += [self._stems[word[:n]] for n in range(2, len(word) + 1) if word[:n] in self._stems]
        return frozenset(chain.from_iterable(found))

    def __missing__(self, word: str) -> frozenset[int]:
        found = self._of(word)
        if len(self) < self._room:
            self[word] = found
        return found


class Lexicon:
    """Lexicon files, merged and ready to be searched. Immutable after construction; safe to share between threads."""

    def __init__(self, files: Iterable[Path]) -> None:
        loaded = [(path, _load(path)) for path in files]
        if not loaded:
            raise LexiconError("no lexicon file given")
        language = loaded[0][1]
        self.language = language.language
        self._written = Orthography(language.spaced, language.elision, tuple(_words(language.prefixes)))
        table: dict[str, str] = {}
        fillers: set[str] = set()
        common: list[str] = []
        for _, data in loaded:
            common += _words(data.common)
            for target, variants in data.spellings.items():
                table.update(dict.fromkeys(_words(variants), " ".join(_words(target))))
            fuzzy = _words(data.fuzzy)
            for target in fuzzy:
                for variant in _one_letter_wrong(target):
                    if variant not in fuzzy:  # "overdosed" is a word of its own, not "overdose" misspelt
                        table.setdefault(variant, target)
            fillers.update(_words(data.fillers))
        table.update(dict.fromkeys(fillers, ""))
        self._known: set[str] = set(table) | set(common)
        self.spelling = Spelling(table, self._known.__contains__, self._written)
        self._negators = tuple(map(self.spelling.plain, _words(language.negators)))
        self._ranks = {word: _COMMON - i for i, word in enumerate(common[:_COMMON])}
        self.combinations: tuple[Combination, ...] = tuple(chain.from_iterable(d.combinations for _, d in loaded))
        self.negation_reach = 4
        self.exchanges: list[tuple[Exchange, tuple[_Pattern, ...], tuple[_Pattern, ...]]] = []
        self._replies: dict[Literal["retraction", "denial"], list[_Pattern]] = {"retraction": [], "denial": []}
        self._classes: dict[str, Choice] = {}
        self._phrases: dict[str, Sequence] = {}
        self._feature_ids: dict[frozenset[Word], int] = {}
        primary: list[_Pattern] = []
        secondary: list[_Pattern] = []
        for path, data in loaded:
            place = _Place(path)
            for name, options in data.classes.items():
                (choice,) = self._parse(f"({options})", place.at("classes", name))
                assert isinstance(choice, Choice)
                self._classes[name] = Choice(choice.options, name="who" if name == "who" else None)
            for category, rules in data.rules.items():
                for i, rule in enumerate(rules):
                    where = place.at("rules", category.value, i, "patterns")
                    primary += self._patterns("rule", rule.patterns, where, rule, category)
            for i, cue in enumerate(data.cues):
                primary += self._patterns("cue", cue.patterns, place.at("cues", i, "patterns"), cue)
            if data.scopes:
                self.negation_reach = data.scopes.negation_reach
                for name, kind in _SCOPE_KINDS.items():
                    lines: str = getattr(data.scopes, name)
                    if lines.strip():
                        secondary += self._patterns(kind, lines, place.at("scopes", name))
            for i, exchange in enumerate(data.exchanges):
                where = place.at("exchanges", i)
                asked = tuple(self._patterns("cue", exchange.question, where))
                answered = tuple(self._patterns("cue", exchange.answer, where))
                self.exchanges.append((exchange, asked, answered))
            if data.replies:
                for name, found in self._replies.items():
                    found += self._patterns("cue", getattr(data.replies, name), place.at("replies", name))
        words: dict[str, set[int]] = {}
        stems: dict[str, set[int]] = {}
        for options, number in self._feature_ids.items():
            for word in options:
                (stems if word.stem else words).setdefault(word.text, set()).add(number)
        self._features = _Features(_frozen(words), _frozen(stems))
        self._primary, self._secondary = _Index(primary), _Index(secondary)
        self.tags = frozenset(chain.from_iterable(p.rule.tags for p in primary if p.rule))
        self.categories = frozenset(p.category for p in primary if p.category)
        for combination in self.combinations:
            if missing := set(combination.all) - self.tags:
                raise LexiconError(
                    f"combination {combination.id!r} asks for tags no rule has: {', '.join(sorted(missing))}"
                )

    def compile(self) -> int:
        """Compile every pattern now, so that no first message has to wait for one; says how many there are."""
        patterns = [*self._primary, *self._secondary]
        for pattern in patterns:
            pattern.compile()
        return len(patterns)

    def read(self, text: str, start: int = 0, end: int | None = None) -> Iterator[Reading]:
        """``[start, end)`` of a canonical text as readings."""
        return readings(text, self.spelling, self._written, start, end)

    def places(self, reading: Reading) -> dict[int, list[int]]:
        """Where the words that patterns need stand: feature to word numbers."""
        found: dict[int, list[int]] = {}
        features = self._features
        for at, word in enumerate(reading.words):
            for feature in features[word]:
                if feature in found:
                    found[feature].append(at)
                else:
                    found[feature] = [at]
        return found

    def find(self, reading: Reading, places: Mapping[int, list[int]], skip: Set[str] = frozenset()) -> list[Match]:
        """Rules and cues that fit, in order of place; without the rules whose ids are in ``skip``."""
        return self._primary.find(reading, places, skip)

    def scopes(self, reading: Reading, places: Mapping[int, list[int]]) -> list[Match]:
        """Idioms and scope cues that fit, in order of place."""
        return self._secondary.find(reading, places)

    def answers(self, question: str, answer: str) -> list[Exchange]:
        """Exchanges whose question is asked in ``question`` and answered in ``answer`` (both canonical)."""
        asked, said = self._placed(question), self._placed(answer)
        return [
            exchange
            for exchange, questions, answers in self.exchanges
            if _any(questions, asked) and _any(answers, said)
        ]

    def reply(self, text: str) -> Literal["retraction", "denial"] | None:
        """Whether a message (canonical) takes back or denies; a message that does both takes back."""
        said = self._placed(text)
        return next((name for name, patterns in self._replies.items() if _any(patterns, said)), None)

    def _placed(self, text: str) -> list[tuple[Reading, dict[int, list[int]]]]:
        return [(reading, self.places(reading)) for reading in self.read(text)]

    def _parse(self, source: str, place: Callable[[], str]) -> Sequence:
        try:
            nodes = parse(letters(source), self._classes, self._phrase)
        except PatternError as error:
            raise LexiconError(f"{place()}: pattern {source.strip()!r}: {error}") from None
        return nodes

    def _phrase(self, written: str) -> Sequence:
        found = self._phrases.get(written)
        if found is None:
            found = self._phrases[written] = phrase(written, self.spelling.plain)
            self._known.update(word.text for word in found if not word.stem)
        return found

    def _frequency(self, word: str) -> int:
        return self._ranks.get(word, 0)

    def _frequency_of(self, word: Word) -> int:
        return self._ranks.get(word.text, 0)

    def _patterns(
        self,
        kind: Kind,
        lines: str,
        place: Callable[[], str],
        rule: Rule | Cue | None = None,
        category: Category | None = None,
    ) -> list[_Pattern]:
        patterns: list[_Pattern] = []
        for line in lines.splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            nodes = self._parse(line, place)
            needs = required(nodes, self._frequency)
            # Words that are everywhere rule nothing out; they are asked for only where there is nothing else.
            telling = [words for words in needs if max(map(self._frequency_of, words)) < _EVERYWHERE]
            needs = telling or [min(needs, key=lambda words: max(map(self._frequency_of, words)))]
            rarest = min(needs, key=lambda words: (max(map(self._frequency_of, words)), len(words)))
            ids = self._feature_ids
            numbers = tuple(ids.setdefault(words, len(ids)) for words in needs)
            patterns.append(
                _Pattern(kind, nodes, frozenset(numbers), ids[rarest], longest(nodes), rule, category, self._negators)
            )
        if not patterns:
            raise LexiconError(f"{place()}: no pattern given")
        return patterns


@lru_cache(maxsize=64)
def load_lexicon(language: str = "en", extra: tuple[Path, ...] = ()) -> Lexicon:
    """The shipped lexicon of a language, then the files of a site, in order.

    Raises:
        LexiconError: naming the file, the line, the rule and what is wrong.
    """
    return Lexicon((SHIPPED / f"{language}.yaml", *extra))


_COMMON = 120
"""How many of the common words count as common when patterns are indexed."""
_EVERYWHERE = 70
"""Rank from which a word is in almost every text; the first fifty of the list."""

_SCOPE_KINDS: dict[str, Kind] = {
    "negation": "negation",
    "negation_except": "negation_except",
    "past": "past",
    "now": "now",
    "frames": "frame",
    "light": "light",
    "idioms": "idiom",
    "first_person": "first",
    "other_person": "other",
    "breaks": "break",
}


def _any(patterns: Iterable[_Pattern], texts: list[tuple[Reading, dict[int, list[int]]]]) -> bool:
    return any(
        pattern.find(reading, places)
        for pattern in patterns
        for reading, places in texts
        if pattern.needs <= places.keys()
    )


def _words(written: str) -> list[str]:
    """Words of a lexicon file, in the letters of a reading."""
    return [fold(letters(word)) for word in written.split()]


def _place_of(match: Match) -> tuple[int, int]:
    return match.start, -match.end


def _frozen(table: Mapping[str, set[int]]) -> dict[str, frozenset[int]]:
    return {word: frozenset(numbers) for word, numbers in table.items()}


def _one_letter_wrong(word: str) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail:
            yield head + tail[1:]
            yield from (head + c + tail[1:] for c in letters)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        yield from (head + c + tail for c in letters)


class _Place:
    """Where something stands in a file; looked up only when it has to be told."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def at(self, *keys: str | int) -> Callable[[], str]:
        return lambda: self.tell(keys)

    def tell(self, keys: Iterable[str | int]) -> str:
        node = yaml.compose(self.path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        name, line = "", node.start_mark.line + 1 if node else 1
        for key in keys:
            child = None
            if isinstance(node, yaml.MappingNode):
                child = next((v for k, v in node.value if k.value == str(key)), None)
                name += f".{key}"
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                child = node.value[key]
                ids = [v.value for k, v in getattr(child, "value", ()) if k.value == "id"] if child else []
                name += f" {ids[0]!r}" if ids else f"[{key}]"
            if child is None:
                break
            node, line = child, child.start_mark.line + 1
        return f"{self.path}, line {line}, {name.lstrip('.')}"


def _load(path: Path) -> LexiconFile:
    try:
        data = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise LexiconError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise LexiconError(f"{path}: not valid YAML: {error}") from None
    try:
        return LexiconFile.model_validate(data)
    except ValidationError as error:
        place = _Place(path)
        problems = (f"{place.tell(p['loc'])}: {p['msg'].removeprefix('Value error, ')}" for p in error.errors())
        raise LexiconError("\n".join(problems)) from None
