"""The crisis bench: systems that say level and categories, on labelled messages, beside each other.

It measures and changes no threshold. A system without a readable verdict is wrong on that message, and it is counted.
The shipped encoder has learned from the corpus of this repository: give it messages that it has not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..guards.filter import CrisisFilter
from ..guards.second_opinion import LLMOpinion
from ..guards.training.corpus import CATEGORIES, Message
from ..guards.training.filter_report import by_keywords, groups
from ..guards.training.statistics import f1, macro_f1_interval, ppv, wilson
from ..guards.types import Category, RiskLevel, Verdict
from .endpoint import Endpoint, EndpointRefused
from .journal import Journal, Screened, read_run
from .lines import EvalError, Lines, read_lines
from .peers import KINDS, peer
from .reliability import Reliability, reliability
from .run import Progress
from .statistics import Estimate, cochran_q, pairwise_mcnemar

if TYPE_CHECKING:
    from ..agent.settings import GuardSettings

PREVALENCES = (0.005, 0.01, 0.02, 0.05, 0.20)
LOCAL = ("filter", "lexicon", "encoder", "keywords")
"""Systems that need no server: the filter as it is set up, each of its halves alone, and a keyword baseline."""
_FIRST_WAIT_S = 1.0
_TRIES = 3


def read_messages(path: Path, *, skip_bad: bool = False) -> Lines[Message]:
    """Labelled messages: JSONL with ``text``, ``level``, ``categories``, and if known ``lang``, ``kind``, ``style``.

    Raises:
        EvalError: naming the file and its wrong lines.
    """
    number = 0

    def parse(row: Mapping[str, Any]) -> Message:
        nonlocal number
        number += 1
        text = row["text"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("text: wants words")
        return Message(
            id=str(row.get("id", number)),
            text=text,
            level=RiskLevel(row["level"]),
            categories=frozenset(Category(name) for name in row.get("categories") or ()),
            author=str(row.get("author", "")),
            language=str(row.get("lang", "en")),
            kind=str(row.get("kind") or ""),
            style=tuple(map(str, row.get("style") or ())),
        )

    return read_lines(path, parse, key=lambda message: message.id, skip_bad=skip_bad)


class Screener(Protocol):
    """A system that judges a message."""

    @property
    def name(self) -> str:
        """As the tables call it."""
        ...

    async def screen(self, message: Message) -> Screened:
        """Its verdict. Raises EvalError where it cannot be asked at all."""
        ...


@dataclass(frozen=True)
class Heard:
    """What a system makes of a text."""

    level: RiskLevel | None
    """``None`` where it failed."""
    categories: frozenset[Category] = frozenset()
    score: float | None = None
    """How sure it is that this is a crisis, 0 to 1, where it says so."""


@dataclass(frozen=True)
class Local:
    """A system in this process."""

    name: str
    hears: Callable[[str], Heard]

    async def screen(self, message: Message) -> Screened:
        """Its verdict; ``None`` for the level where it failed."""
        heard = self.hears(message.text)
        return _screened(message, self.name, heard.level, heard.categories, heard.score)


class _EncoderAlone(CrisisFilter):
    def _findings(self, text: str) -> list[Any]:
        return []


def local(name: str, settings: GuardSettings) -> Local:
    """One of ``LOCAL``.

    Raises:
        EvalError: there is no such system.
    """
    if name == "keywords":
        return Local(name, lambda text: Heard((said := by_keywords(text)).level, said.categories))
    from ..agent.parts import crisis_filter

    whole = crisis_filter(settings)
    if name == "filter":
        return Local(name, _heard_by(whole))
    if name == "lexicon":
        return Local(name, _heard_by(CrisisFilter(whole.lexicon, encoder=None), scored=False))
    if name == "encoder" and whole.encoder is not None:
        return Local(
            name, _heard_by(_EncoderAlone(whole.lexicon, whole.encoder, whole.thresholds, foreign=whole.foreign))
        )
    raise EvalError(
        f"--system {name}: wants {', '.join(LOCAL)} (the encoder must be on), NAME@URL, "
        "guardrails:MODULE:CLASS or nemo:FOLDER"
    )


def system(name: str, settings: GuardSettings, *, key: str = "") -> Screener:
    """A system by what ``--system`` says.

    Args:
        key: the environment variable that holds the key of an endpoint.

    Raises:
        EvalError: there is no such system, or its package is not installed.
    """
    if name.startswith(KINDS):
        return peer(name)
    if "@" in name:
        return LanguageModel(Endpoint.parse(name, key))
    return local(name, settings)


def _heard_by(crisis_filter: CrisisFilter, *, scored: bool = True) -> Callable[[str], Heard]:
    def hears(text: str) -> Heard:
        verdict = crisis_filter.screen(text)
        score = _sure(verdict) if scored else None
        return Heard(None if verdict.error else verdict.level, frozenset(verdict.categories), score)

    return hears


def _sure(verdict: Verdict) -> float | None:
    """How sure the filter is: as sure as its surest stage; as its encoder where that takes back what the lexicon said.

    The lexicon alone knows levels and no shades, so it gives no score.
    """
    if (encoder := verdict.stages.get("encoder")) is None:
        return None
    return max(encoder, verdict.stages.get("lexicon", 0.0)) if verdict.crisis else encoder


class LanguageModel:
    """Any model behind an OpenAI endpoint, asked what the filter's second opinion is asked.

    A model may refuse just the messages that matter, so a message without a verdict counts, as wrong. Only a server
    that never gave any is an error.
    """

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 60.0, sleep: Callable[[float], Any] = asyncio.sleep
    ) -> None:
        self.name, self._sleep = endpoint.name, sleep
        self._opinion = LLMOpinion(endpoint.base_url, endpoint.model, endpoint.key, timeout_s)
        self._answers = False

    async def screen(self, message: Message) -> Screened:
        """Its verdict; ``None`` for the level where it gave none in several tries.

        Raises:
            EndpointRefused: the server has not given a verdict on any message.
        """
        for attempt in range(_TRIES):
            if attempt:
                await self._sleep(_FIRST_WAIT_S * 2**attempt)
            if (said := await self._opinion.aask(message.text)) is not None:
                self._answers = True
                return _screened(message, self.name, said.level, frozenset(said.categories))
        if not self._answers:
            raise EndpointRefused(f"{self.name}: no readable verdict in {_TRIES} tries; look at the key, name and URL")
        return _screened(message, self.name, None)


def _screened(
    message: Message,
    system: str,
    level: RiskLevel | None,
    categories: frozenset[Category] = frozenset(),
    score: float | None = None,
) -> Screened:
    order = [category for category in CATEGORIES if category in categories]
    return Screened(id=message.id, system=system, level=level, categories=tuple(order), score=score)


async def screen_all(
    messages: Sequence[Message],
    systems: Sequence[Screener],
    journal: Journal,
    *,
    concurrency: int = 8,
    tell: Callable[[Progress], object] = lambda _: None,
) -> Progress:
    """Have every system judge every message that is not in the journal yet."""
    pairs = [(m, s) for s in systems for m in messages]
    left = iter([(m, s) for m, s in pairs if (m.id, s.name) not in journal.screened])
    kept = sum((m.id, s.name) in journal.screened for m, s in pairs)
    progress = Progress(len(pairs), done=kept, kept=kept)

    async def worker() -> None:
        for message, system in left:
            journal.add(await system.screen(message))
            progress.done += 1
            tell(progress)
            await asyncio.sleep(0)

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return progress


def read_heard(path: Path, systems: Sequence[str]) -> dict[str, dict[str, Screened]]:
    """The verdicts in a log, by system and message id; only of ``systems``, in their order."""
    heard: dict[str, dict[str, Screened]] = {name: {} for name in systems}
    for line in read_run(path):
        if isinstance(line, Screened) and line.system in heard:
            heard[line.system][line.id] = line
    return heard


# -- the tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """Right and wrong verdicts on one question."""

    hits: int
    misses: int
    alarms: int
    calm: int

    def _share(self, part: int, of: int) -> Estimate:
        low, high = wilson(part, of)
        return Estimate(part / of if of else float("nan"), low, high, of)

    @property
    def sensitivity(self) -> Estimate:
        """Of the crises, those that were found."""
        return self._share(self.hits, self.hits + self.misses)

    @property
    def specificity(self) -> Estimate:
        """Of the rest, those that were left alone."""
        return self._share(self.calm, self.calm + self.alarms)

    @property
    def accuracy(self) -> Estimate:
        """Of all, those that were right."""
        return self._share(self.hits + self.calm, self.hits + self.misses + self.alarms + self.calm)

    @property
    def ppv(self) -> Estimate:
        """Of the alarms, those that were crises, in this file."""
        return self._share(self.hits, self.hits + self.alarms)

    @property
    def npv(self) -> Estimate:
        """Of the silences, those that were none."""
        return self._share(self.calm, self.calm + self.misses)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and PPV; 0 without any hit."""
        return 2 * self.hits / max(1, 2 * self.hits + self.misses + self.alarms)


def counted(truth: Sequence[bool] | np.ndarray, said: Sequence[bool] | np.ndarray) -> Counts:
    """The counts of one yes-or-no question."""
    t, s = np.asarray(truth, dtype=bool), np.asarray(said, dtype=bool)
    return Counts(int((t & s).sum()), int((t & ~s).sum()), int((~t & s).sum()), int((~t & ~s).sum()))


@dataclass(frozen=True)
class SystemFigures:
    """What one system reached."""

    name: str
    binary: Counts
    by_category: Mapping[Category, Counts]
    macro_f1: Estimate
    unreadable: int
    """Messages without a verdict; each counts as wrong."""
    by_group: Mapping[str, Counts]
    missed: tuple[Message, ...]
    false_alarms: tuple[Message, ...]
    reliability: Reliability | None = None
    """Where it gives scores."""

    def ppv_at(self, prevalence: float) -> float:
        """Of its alarms, those that would be right where ``prevalence`` of the messages are crises."""
        return ppv(self.binary.sensitivity.value, self.binary.specificity.value, prevalence)


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same messages."""

    a: str
    b: str
    only_a: int
    only_b: int
    p: float
    """McNemar's exact test, corrected (Bonferroni)."""


@dataclass(frozen=True)
class CrisisFigures:
    """Everything the bench says."""

    messages: int
    crises: int
    systems: tuple[SystemFigures, ...]
    cochran_q: float
    cochran_p: float
    pairs: tuple[Comparison, ...]
    said: tuple[tuple[Message, tuple[Screened, ...]], ...] = ()
    """Every message that was counted, and what each system said of it."""


def figures(messages: Sequence[Message], heard: Mapping[str, Mapping[str, Screened]]) -> CrisisFigures:
    """The figures of all systems.

    Args:
        heard: by system, by message id. Only messages that every system has judged are counted.
    """
    common = [m for m in messages if all(m.id in said for said in heard.values())]
    if not common or not heard:
        raise EvalError("there is no message that every system has judged yet")
    truth = np.array([m.crisis for m in common])
    labels = np.array([[m.crisis and c in m.categories for c in CATEGORIES] for m in common], dtype=bool)
    subgroups = list(groups(common))
    systems, right = [], []
    for name, by_id in heard.items():
        said = [by_id[m.id] for m in common]
        readable = np.array([one.level is not None for one in said])
        alarm = np.array([one.level is not None and one.level >= RiskLevel.ELEVATED for one in said])
        alarm = np.where(readable, alarm, ~truth)  # what gave no verdict is wrong either way
        named = np.array(
            [[bool(a) and c in one.categories for c in CATEGORIES] for one, a in zip(said, alarm, strict=True)]
        )
        low, high = macro_f1_interval(named, labels)
        systems.append(
            SystemFigures(
                name,
                counted(truth, alarm),
                {c: counted(labels[:, i], named[:, i]) for i, c in enumerate(CATEGORIES)},
                Estimate(float(f1(named, labels).mean()), low, high, len(common)),
                int((~readable).sum()),
                {group: counted(truth[places], alarm[places]) for group, places in subgroups},
                tuple(m for m, t, a in zip(common, truth, alarm, strict=True) if t and not a),
                tuple(m for m, t, a in zip(common, truth, alarm, strict=True) if a and not t),
                _reliability(said, truth),
            )
        )
        right.append(alarm == truth)
    matrix = np.array(right).T
    q, p = cochran_q(matrix) if len(systems) > 1 else (float("nan"), float("nan"))
    names = [system.name for system in systems]
    pairs = [Comparison(names[i], names[j], a, b, p_) for i, j, a, b, p_ in pairwise_mcnemar(matrix)]
    said = tuple((m, tuple(by_id[m.id] for by_id in heard.values())) for m in common)
    return CrisisFigures(len(common), int(truth.sum()), tuple(systems), q, p, tuple(pairs), said)


def _reliability(said: Sequence[Screened], truth: np.ndarray) -> Reliability | None:
    scored = [(one.score, t) for one, t in zip(said, truth, strict=True) if one.score is not None]
    return reliability([score for score, _ in scored], [t for _, t in scored]) if scored else None
