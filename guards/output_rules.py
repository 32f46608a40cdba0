"""The rules of the output guard: YAML data, validated and compiled once. They find wording; they never judge a person.

A pattern is a small, bounded regular expression over lower-case text. In it a space stands for any short run of marks
between words, ``<4>`` for up to four words of the same sentence, ``<name>`` for a list of the vocabulary, ``^`` and
``$`` for the start and end of a sentence. Unbounded repeats are refused, so that checking takes linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from .types import Frozen

DATA = Path(__file__).parent / "data" / "output"


class RulesError(ValueError):
    """A rule file cannot be used. The message names the file, the rule and what is wrong."""


class Problem(StrEnum):
    """Why a text must not reach the person. The first twenty are the labels of the reply corpus."""

    ABANDONMENT = "abandonment"
    """Ends the talk, refuses the subject or sends the person away when they have opened up."""
    CLAIMS_HUMAN = "claims_human"
    """Says or implies that a human being writes: a body, a past, a family, a shift."""
    COERCION = "coercion"
    """Threatens, bargains or sets an ultimatum."""
    DEPENDENCE = "dependence"
    """Makes itself needed: exclusive, jealous, hurt by absence."""
    DIAGNOSIS = "diagnosis"
    """Tells the person or somebody else what disorder they have or do not have."""
    DISCOURAGES_HELP = "discourages_help"
    """Talks down professionals, lines, emergency care, friends or family as help."""
    ENCOURAGEMENT = "encouragement"
    """Approves of, helps with or romanticises death, self-harm, starving or violence."""
    EXPLICIT_OR_ROMANTIC = "explicit_or_romantic"
    """Flirts, courts or is sexual."""
    FALSE_PROMISE = "false_promise"
    """Promises what it cannot keep or claims an act it cannot do: secrecy, rescue, calls made, a certain outcome."""
    FEEDS_DELUSION = "feeds_delusion"
    """Confirms a delusion or the authority of a voice."""
    INVENTED_CONTACT = "invented_contact"
    """Names a service, a person or a code as if it could be reached there."""
    LEADING_QUESTION = "leading_question"
    """Asks so that only the reassuring answer is easy."""
    MEDICATION_CHANGE = "medication_change"
    """Advises to start, stop, skip, double, mix or swap a medicine."""
    METHOD_INFORMATION = "method_information"
    """Method, dose, means, concealment or evasion."""
    OFF_ROLE = "off_role"
    """Law, money, politics, code, advertising: not what the person came for."""
    PRIVACY = "privacy"
    """Asks for or reveals personal data."""
    REASSURANCE_LOOP = "reassurance_loop"
    """Gives the certainty that OCD asks for."""
    SHAMING = "shaming"
    """Belittles, compares, scolds, lays on guilt."""
    STEREOTYPING = "stereotyping"
    """Speaks of a group of people as if they were one."""
    VICTIM_BLAMING = "victim_blaming"
    """Lays what was done to somebody at their own door."""
    UNKNOWN_CONTACT = "unknown_contact"
    """A number or address that the directory does not hold."""
    PROMPT_LEAK = "prompt_leak"
    """Chat-template tokens, role labels, the words of the system prompt."""
    MARKUP = "markup"
    """Control characters, terminal escapes, tags, invisible or reordering marks."""
    OTHER_LANGUAGE = "other_language"
    """A language these rules cannot read, so that nothing is known about it."""
    DEGENERATE = "degenerate"
    """Nothing at all, or the same words over and over."""


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""One pattern or a list of them; ``a|b`` is one pattern."""


class Rule(Frozen):
    """One way a problem is worded."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    any: Patterns = Field(min_length=1)
    """Patterns; one is enough."""
    given: Patterns = ()
    """Only when one of these is in the person's last message."""
    near: Patterns = ()
    """Only when one of these is in the reply's last words or in the person's last message."""
    unless: Patterns = ()
    """Not when one of these is in the same clause."""
    unless_before: Patterns = ()
    """Not when one of these ends right before the match, with at most three words between."""
    unless_after: Patterns = ()
    """Not when one of these follows in the same clause."""
    negatable: bool = True
    """Whether the file's ``unless_before`` counts for this rule."""
    quotable: bool = True
    """Whether it may stand in quotation marks as somebody else's words."""


class _RuleFile(Frozen):
    problem: Problem
    about: str
    unless_before: Patterns = ()
    rules: tuple[Rule, ...] = Field(min_length=1)


class _VocabularyFile(Frozen):
    short: dict[str, list[str]]
    marked: dict[str, list[str]]


class Hit(Frozen):
    """A rule that matched ``text[start:end]`` of the folded text it was given."""

    start: int
    end: int
    problem: Problem
    rule: str


_REFUSED = re.compile(r"(?<!\\)(?:\*|\+|\{\d*,\}|\\\d|\(\?P?[<=>&R](?![=!]))")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_SPACE, _MAYBE_SPACE = r"\W{1,5}", r"\W{0,5}"
_GAP = r"(?:[^\w.!?;\n]{{1,5}}\w[\w']{{0,23}}){{0,{n}}}?"
_START = r"(?:(?<=[.!?;:\n]\W)|(?<=[.!?;:\n])|\A)\W{0,5}"
_END = r"(?=\W{0,5}(?:[.!?;:\n]|\Z))"
_WORD_START = r"(?<!\w)"
_OPENING = re.compile(r"(?<!\w)[\w\[\ue000-\ue0ff]")
_OPEN, _CLOSE = 0xE000, 0xE100
"""Private-use characters that stand before and after each phrase of a marked list; to a pattern they are mere marks."""
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CLAUSE_END = re.compile(r"[.!?;\n]|[,\s](?:but|though|although|however|still|yet|that said|having said that)\b")
_SENTENCE_END = re.compile(r"[.!?;\n]")
_QUOTED = re.compile(r"[\"“][^\"“”\n]{1,200}[\"”]")
_SPOKEN_BY = re.compile(
    r"\b(?:sa(?:y|ys|id|ying)|wr(?:ite|ites|ote|itten)|t(?:ell|ells|old)|call(?:s|ed)?|ask(?:s|ed)?|typed|texted|thought|think"
    r"|with|such as|like|word|words|message|finish|finishing|sentence)\b[^.!?;\n]{0,30}$"
)
_LEAD = 70
"""How much of a clause around a match is read for exceptions, in characters."""


class _Vocabulary:
    """The word lists, and how a pattern that names them becomes a regular expression."""

    def __init__(self, short: Mapping[str, list[str]], marked: Mapping[str, list[str]]) -> None:
        self._short = short
        self._marks = {name: number for number, name in enumerate(marked)}
        self._finders = [re.compile(self.expand("|".join(words))) for words in marked.values()]

    def expand(self, pattern: str) -> str:
        """One alternative of a rule as the source of a regular expression.

        Raises:
            ValueError: for an unbounded repeat or an unknown list.
        """
        if _REFUSED.search(_CLASS.sub("", pattern)):
            raise ValueError("repeats need an upper bound, e.g. {0,4} or <4>, and groups cannot be named")
        body = re.sub(r"(?<!\\)\((?!\?)", "(?:", re.sub(r"<([a-z_]+|\d{1,2})>", self._named, pattern))
        head, tail = _WORD_START, r"(?!\w)"
        if body.startswith("^"):
            head, body = _START, body[1:]
        if body.endswith("$"):
            body, tail = body[:-1], _END
        return f"{head}(?:{body.replace(' ?', _MAYBE_SPACE).replace(' ', _SPACE)}){tail}"

    def openings(self, pattern: str) -> frozenset[str] | None:
        """The keys (see ``_key``) under which a match can begin; ``None``: anywhere."""
        if pattern.startswith("^"):
            return None
        found, at = self._openings_of(pattern, 0)
        if at != len(pattern):
            raise ValueError(f"there is a bracket too many at {pattern[at:]!r}")
        keys = {"".join(key) if key and "" not in key else None for key in found}
        return None if None in keys else frozenset(key if len(key) == 2 else key + " " for key in keys if key)

    def _openings_of(self, pattern: str, at: int) -> tuple[set[tuple[str, ...]], int]:
        """First characters, at most two, of what ``pattern[at:]`` matches up to its bracket; "" stands for anything."""
        every: set[tuple[str, ...]] = set()
        so_far: set[tuple[str, ...]] = {()}
        while at < len(pattern) and pattern[at] != ")":
            if pattern[at] == "|":
                every |= so_far
                so_far, at = {()}, at + 1
                continue
            item, at = self._opening_item(pattern, at)
            optional = re.compile(r"\?|\{0?,\d+\}\??").match(pattern, at)
            counted = optional or re.compile(r"\{\d+(?:,\d+)?\}\??").match(pattern, at)
            at = counted.end() if counted else at
            grown = {key if _is_sure(key) else (key + more)[:2] for key in so_far for more in item}
            so_far = grown | so_far if optional else grown
        return every | so_far, at

    def _opening_item(self, pattern: str, at: int) -> tuple[set[tuple[str, ...]], int]:
        character = pattern[at]
        if character == "(":
            if pattern.startswith("(?", at):
                return {("",)}, _bracket_end(pattern, at)
            found, end = self._openings_of(pattern, at + 1)
            if end == len(pattern):
                raise ValueError("a bracket is not closed")
            return found, end + 1
        if character == "<" and (named := re.compile(r"<([a-z_]+|\d{1,2})>").match(pattern, at)):
            name = named.group(1)
            if name in self._marks:
                return {(chr(_OPEN + self._marks[name]), " ")}, named.end()
            if name in self._short:
                return self._openings_of("|".join(self._short[name]), 0)[0], named.end()
            return {("",)}, named.end()
        if pattern.startswith("\\d", at):
            return {(digit,) for digit in "0123456789"}, at + 2
        if character == "\\":
            return {(pattern[at + 1],) if not pattern[at + 1].isalnum() else ("",)}, at + 2
        if character == "[" and (kind := _CLASS.match(pattern, at)):
            return {("",)}, kind.end()
        return {(character if character.isalnum() or character == "'" else " ",)}, at + 1

    def mark(self, text: str) -> _Marked:
        """The text with the phrases of the marked lists between marks."""
        if not text.isascii():
            text = _PRIVATE.sub(" ", text)
        marks: list[tuple[int, int, str]] = []
        for number, finder in enumerate(self._finders):
            for match in finder.finditer(text):
                marks.append((match.start(), 1, chr(_OPEN + number)))
                marks.append((match.end(), 0, chr(_CLOSE + number)))
        if not marks:
            return _Marked(text, [])
        marks.sort()
        parts: list[str] = []
        at = 0
        for place, _, mark in marks:
            parts += (text[at:place], mark)
            at = place
        parts.append(text[at:])
        return _Marked("".join(parts), [place + i for i, (place, _, _) in enumerate(marks)])

    def _named(self, match: re.Match[str]) -> str:
        name = match.group(1)
        if name.isdigit():
            return _GAP.format(n=name)
        if name in self._marks:
            start, end = chr(_OPEN + self._marks[name]), chr(_CLOSE + self._marks[name])
            return f"{start}[^{start}{end}]{{1,80}}{end}"
        if name not in self._short:
            raise ValueError(f"<{name}> is not in vocabulary.yaml")
        return "(?:" + "|".join(self._short[name]) + ")"


def _is_sure(key: tuple[str, ...]) -> bool:
    return len(key) == 2 or bool(key and key[-1] in ("", " "))


def _bracket_end(pattern: str, at: int) -> int:
    depth = 0
    for i in range(at, len(pattern)):
        depth += (pattern[i] == "(") - (pattern[i] == ")")
        if depth == 0:
            return i + 1
    raise ValueError("a bracket is not closed")


class _Marked(NamedTuple):
    """A text with marks, and where in it they stand."""

    text: str
    places: list[int]

    def back(self, position: int) -> int:
        """A position in the marked text, as a position in the text."""
        return position - bisect_left(self.places, position)

    def forth(self, position: int) -> int:
        """The first position in the marked text that stands for ``position``."""
        for place in self.places:
            if place >= position:
                break
            position += 1
        return position


class _Compiled:
    """A rule and how to run it. Its own patterns are compiled when it is first suspected."""

    def __init__(self, rule: Rule, problem: Problem, shared: tuple[str, ...], vocabulary: _Vocabulary) -> None:
        self.name = f"{problem.value}/{rule.id}"
        self.problem = problem
        self._rule = rule
        self._before = rule.unless_before + (shared if rule.negatable else ())
        self._expand = vocabulary.expand
        self.openings = [vocabulary.openings(pattern) for pattern in rule.any]
        self.sources = [vocabulary.expand(pattern) for pattern in rule.any]
        for patterns in (rule.given, rule.near, rule.unless, self._before, rule.unless_after):
            for pattern in patterns:
                vocabulary.expand(pattern)

    def _one(self, patterns: Iterable[str], tail: str = "") -> re.Pattern[str] | None:
        sources = [self._expand(pattern) for pattern in patterns]
        return re.compile("(?:" + "|".join(sources) + ")" + tail) if sources else None

    @cached_property
    def _search(self) -> re.Pattern[str]:
        return re.compile("|".join(self.sources))

    @cached_property
    def _given(self) -> re.Pattern[str] | None:
        return self._one(self._rule.given)

    @cached_property
    def _near(self) -> re.Pattern[str] | None:
        return self._one(self._rule.near)

    @cached_property
    def _unless(self) -> re.Pattern[str] | None:
        return self._one(self._rule.unless)

    @cached_property
    def _unless_before(self) -> re.Pattern[str] | None:
        return self._one(self._before, r"(?:[^\w.!?;]{1,5}[\w']{1,24}){0,3}\W{0,5}\Z")

    @cached_property
    def _unless_after(self) -> re.Pattern[str] | None:
        return self._one(self._rule.unless_after)

    def warm(self) -> None:
        """Compile now."""
        for part in (self._search, self._given, self._near, self._unless, self._unless_before, self._unless_after):
            del part

    def hits(self, text: str, new_from: int, context: str) -> Iterator[tuple[int, int]]:
        """Spans in the marked text that reach past ``new_from``."""
        if self._given and not self._given.search(context):
            return
        late: re.Match[str] | None = None
        if self._near and not self._near.search(context) and not self._near.search(text, 0, new_from):
            late = self._near.search(text)
            if late is None:
                return
        for match in self._search.finditer(text):
            start, end = match.span()
            if end <= new_from:  # judged when it was new, unless only now its other half has come
                if late is None:
                    continue
                end = max(end, late.end())
            if not self._excepted(text, *match.span()):
                yield start, end

    def _excepted(self, text: str, start: int, end: int) -> bool:
        head = text[max(0, start - _LEAD) : start]
        cuts = list(_CLAUSE_END.finditer(head))
        head = head[cuts[-1].end() :] if cuts else head
        rest = text[end : end + _LEAD]
        cut = _CLAUSE_END.search(rest)
        rest = rest[: cut.start()] if cut else rest
        if self._unless_before and self._unless_before.search(head):
            return True
        if self._unless_after and self._unless_after.search(rest):
            return True
        if self._unless and self._unless.search(head + text[start:end] + rest):
            return True
        return self._rule.quotable and any(
            quoted.start() < start
            and end < quoted.end()
            and _SPOKEN_BY.search(text, max(0, quoted.start() - 60), quoted.start())
            for quoted in _QUOTED.finditer(text)
        )


def _key(opening: str) -> str:
    """Where a phrase that begins so is filed: its first two characters, marks as a space."""
    if len(opening) == 1 or opening[0] >= chr(_OPEN):
        return opening[0] + " "
    return opening if opening[1].isalnum() or opening[1] == "'" else opening[0] + " "


class Rules:
    """All rules. ``find`` is linear in the text.

    Most sentences are good, so rules are found by how their phrases begin: at each word only the few alternatives run
    that can start with its first two characters.
    """

    def __init__(self, compiled: list[_Compiled], vocabulary: _Vocabulary) -> None:
        self._rules = compiled
        self._vocabulary = vocabulary
        at_starts: dict[int, list[str]] = {}
        self._by_opening: dict[str, dict[int, list[str]]] = {}
        self._compiled_openings: dict[str, tuple[re.Pattern[str], list[int]]] = {}
        for number, rule in enumerate(compiled):
            for keys, source in zip(rule.openings, rule.sources, strict=True):
                if keys is None:
                    at_starts.setdefault(number, []).append(source)
                    continue
                for key in keys:
                    self._by_opening.setdefault(key, {}).setdefault(number, []).append(source)
        self._at_starts = list(at_starts)
        starts = [source.removeprefix(_START) for sources in at_starts.values() for source in sources]
        self._start = re.compile(f"{_START}(?:{'|'.join(starts)})") if starts else None

    def warm(self) -> None:
        """Compile everything now instead of at first use; takes about a second.

        Raises:
            re.error: for a broken pattern.
        """
        for key in self._by_opening:
            self._opening(key)
        for rule in self._rules:
            rule.warm()

    def _opening(self, key: str) -> tuple[re.Pattern[str], list[int]] | None:
        known = self._compiled_openings.get(key)
        if known is None and (rules := self._by_opening.get(key)):
            sources = [source.removeprefix(_WORD_START) for these in rules.values() for source in these]
            known = self._compiled_openings[key] = (re.compile("|".join(sources)), list(rules))
        return known

    def _suspects(self, text: str) -> list[int]:
        found = set(self._at_starts if self._start and self._start.search(text) else ())
        for match in _OPENING.finditer(text):
            opening = self._opening(_key(text[match.start() : match.start() + 2]))
            if opening is not None and not found.issuperset(opening[1]) and opening[0].match(text, match.start()):
                found.update(opening[1])
        return sorted(found)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, text: str, new_from: int = 0, context: str = "") -> list[Hit]:
        """Hits that reach past ``new_from``; what stands before it is carry-over that has been judged already.

        Args:
            text: in canonical spelling.
            new_from: where the new words begin.
            context: the person's last message, in canonical spelling.
        """
        marked = self._vocabulary.mark(text)
        suspects = self._suspects(marked.text)
        if not suspects:
            return []
        border, said = marked.forth(new_from), self._vocabulary.mark(context).text
        return [
            Hit(start=marked.back(start), end=marked.back(end), problem=rule.problem, rule=rule.name)
            for rule in (self._rules[number] for number in suspects)
            for start, end in rule.hits(marked.text, border, said)
        ]


def load_rules(folder: Path = DATA) -> Rules:
    """Read every file of ``folder``.

    Raises:
        RulesError: naming the file, the rule or key, and what is wrong.
    """
    vocabulary = _vocabulary(folder / "vocabulary.yaml")
    compiled: list[_Compiled] = []
    seen: set[str] = set()
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "vocabulary.yaml":
            continue
        try:
            file = _RuleFile.model_validate(_yaml(path))
        except ValidationError as error:
            raise RulesError("\n".join(f"{path}: {_place(e['loc'])}: {e['msg']}" for e in error.errors())) from None
        for rule in file.rules:
            try:
                compiled.append(_Compiled(rule, file.problem, file.unless_before, vocabulary))
                if folder != DATA:  # a test compiles ours; doing it here would cost the chat half a second
                    compiled[-1].warm()
            except (ValueError, re.error) as error:
                raise RulesError(f"{path}: rule {rule.id}: {error}") from None
            if compiled[-1].name in seen:
                raise RulesError(f"{path}: rule {rule.id}: this id is used twice")
            seen.add(compiled[-1].name)
    if not compiled:
        raise RulesError(f"{folder}: holds no rules; expected files such as diagnosis.yaml")
    return Rules(compiled, vocabulary)


@cache
def shipped_rules() -> Rules:
    """The rules of this package, read once."""
    return load_rules()


def _vocabulary(path: Path) -> _Vocabulary:
    try:
        lists = _VocabularyFile.model_validate(_yaml(path))
        return _Vocabulary(lists.short, lists.marked)
    except ValidationError as error:
        raise RulesError("\n".join(f"{path}: {_place(e['loc'])}: {e['msg']}" for e in error.errors())) from None
    except (ValueError, re.error) as error:
        raise RulesError(f"{path}: {error}") from None


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise RulesError(f"{path}: {error}") from None


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)
