"""The whole filter on messages of writers it had not seen: systems beside each other, stages left out, subgroups.

It judges with the filter as it ships, fed with the kept predictions; it draws no conclusion and changes no threshold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import yaml

from .. import filter as filter_module
from ..canonical import Canonical
from ..encoder import Calibration
from ..filter import CrisisFilter
from ..scope import Judged, judge
from ..types import Category, RiskLevel
from .corpus import CATEGORIES, Message
from .held_out import Prediction, Replay
from .statistics import f1, macro_f1_interval, ppv, share, table

DATA = Path(__file__).parent / "data"
PREVALENCES = (0.005, 0.01, 0.02, 0.05, 0.10, 0.20)
"""From an everyday companion to a crisis chat; Verily gives its PPV at 0.02."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said about one message."""

    level: RiskLevel
    categories: frozenset[Category]

    @property
    def crisis(self) -> bool:
        return self.level >= RiskLevel.ELEVATED


@dataclass(frozen=True, slots=True)
class System:
    """A name and its answers to the messages, in their order."""

    name: str
    answers: Sequence[Answer]


@cache
def _keywords() -> tuple[tuple[Category, re.Pattern[str]], ...]:
    listed: dict[str, str] = yaml.safe_load((DATA / "keywords.yaml").read_text("utf-8"))
    made = []
    for name, lines in listed.items():
        words = "|".join(re.escape(w).replace(r"\*", r"\w*") for w in map(str.strip, lines.splitlines()) if w)
        made.append((Category(name), re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)))
    return tuple(made)


def by_keywords(text: str) -> Answer:
    """The baseline: a crisis wherever a keyword stands, and the categories whose keywords do."""
    text = text.replace("’", "'")
    found = frozenset(category for category, pattern in _keywords() if pattern.search(text))
    return Answer(RiskLevel.ELEVATED if found else RiskLevel.NONE, found)


def _judged(crisis_filter: CrisisFilter, messages: Iterable[Message]) -> list[Answer]:
    made = []
    for message in messages:
        verdict = crisis_filter.screen(message.text)
        if verdict.error:
            raise RuntimeError(f"the filter failed on {message.id}: {verdict.error}")
        made.append(Answer(verdict.level, frozenset(verdict.categories)))
    return made


def _as_typed(text: str) -> Canonical:
    return Canonical(text.lower(), ())


def _nothing_taken_back(*arguments: object) -> list[Judged]:
    return [Judged(j.match, j.subject, None) for j in judge(*arguments)]  # pyright: ignore[reportArgumentType]


STAGES = ("canonical text", "negation, idioms, past, fiction", "combinations")


def _without(stage: str) -> AbstractContextManager[object]:
    """The filter with one of its stages replaced by the plainest thing that has the same form."""
    if stage == "canonical text":
        return patch.object(filter_module, "canonical", _as_typed)
    if stage == "negation, idioms, past, fiction":
        return patch.object(filter_module, "judge", _nothing_taken_back)
    if stage == "combinations":
        return patch.object(filter_module, "_combined", lambda *_: [])
    return nullcontext()


def systems(predictions: Sequence[Prediction], calibration: Calibration) -> list[System]:
    """Baseline, each half alone, the filter as it ships, and the filter without each of its stages."""
    messages = [p.message for p in predictions]

    def whole() -> CrisisFilter:
        return CrisisFilter(encoder=Replay(predictions, calibration), thresholds=calibration.thresholds)

    made = [
        System("keyword baseline", [by_keywords(m.text) for m in messages]),
        System("lexicon alone", _judged(CrisisFilter(encoder=None), messages)),
    ]
    with patch.object(CrisisFilter, "_findings", lambda *_: []):
        made.append(System("encoder alone", _judged(whole(), messages)))
    made.append(System("the filter", _judged(whole(), messages)))
    for stage in STAGES:
        with _without(stage):
            made.append(System(f"without {stage}", _judged(whole(), messages)))
    return made


def _row(name: str, answers: Sequence[Answer], messages: Sequence[Message]) -> list[object]:
    crises = [a.crisis for a, m in zip(answers, messages, strict=True) if m.crisis]
    calm = [not a.crisis for a, m in zip(answers, messages, strict=True) if not m.crisis]
    return [name, share(sum(crises), len(crises)), share(sum(calm), len(calm))]


def _truth(messages: Sequence[Message]) -> np.ndarray:
    return np.array([[m.crisis and c in m.categories for c in CATEGORIES] for m in messages], dtype=bool)


def _said(answers: Sequence[Answer]) -> np.ndarray:
    return np.array([[a.crisis and c in a.categories for c in CATEGORIES] for a in answers], dtype=bool)


def macro_f1(answers: Sequence[Answer], messages: Sequence[Message]) -> str:
    """``0.512 (0.49-0.53)``, over the categories of crises."""
    said, truth = _said(answers), _truth(messages)
    low, high = macro_f1_interval(said, truth)
    return f"{f1(said, truth).mean():.3f} ({low:.3f}-{high:.3f})"


def groups(messages: Sequence[Message]) -> Iterator[tuple[str, list[int]]]:
    """Subgroups of at least 25 messages and where they stand: author, language, length, kind, style, level."""

    def length(message: Message) -> str:
        words = len(message.text.split())
        return next(name for top, name in ((7, "1-7"), (20, "8-20"), (50, "21-50"), (10**9, "over 50")) if words <= top)

    views: Mapping[str, Callable[[Message], Iterable[str]]] = {
        "author": lambda m: [m.author],
        "language": lambda m: [m.language],
        "words": lambda m: [length(m)],
        "kind": lambda m: [m.kind] if m.kind else [],
        "style": lambda m: m.style,
        "level": lambda m: [m.level.value],
    }
    for view, names in views.items():
        tally = Counter(name for m in messages for name in names(m))
        for name in sorted(name for name, n in tally.items() if n >= 25):
            yield f"{view}: {name}", [i for i, m in enumerate(messages) if name in names(m)]


def report(predictions: Sequence[Prediction], calibration: Calibration) -> str:
    """The tables of the filter's card, in Markdown."""
    messages = [p.message for p in predictions]
    every = systems(predictions, calibration)
    shipped = next(s for s in every if s.name == "the filter")
    crises = sum(m.crisis for m in messages)
    authors = ", ".join(sorted({m.author for m in messages}))
    parts = [
        f"{len(messages)} messages by writers the encoder had not seen ({authors}): {crises} crises, "
        f"{len(messages) - crises} others. `concern` counts as calm, the strictest reading."
    ]
    rows = [[*_row(s.name, s.answers, messages), macro_f1(s.answers, messages)] for s in every]
    parts.append(table(["system", "sensitivity", "specificity", "macro-F1, eight categories"], rows))
    parts.append("### Levels\n\n" + _levels(shipped, messages))
    parts.append("### By category\n\n" + _categories(shipped, messages))
    parts.append("### Disguised wording (lexicon alone)\n\n" + _disguised(messages))
    parts.append("### By group\n\n" + _by_group(shipped, every[0], messages))
    parts.append("### How often an alarm is right\n\n" + _ppv(every, messages))
    parts.append("### Published figures, on their own sets\n\n" + published())
    return "\n\n".join(parts)


def _levels(system: System, messages: Sequence[Message]) -> str:
    rows = []
    for level in RiskLevel:
        said = Counter(a.level for a, m in zip(system.answers, messages, strict=True) if m.level is level)
        rows.append([level.value, said.total(), *(said[heard] for heard in RiskLevel)])
    concern = [a.level for a, m in zip(system.answers, messages, strict=True) if m.level is RiskLevel.CONCERN]
    imminent = [a.level for a, m in zip(system.answers, messages, strict=True) if m.level is RiskLevel.IMMINENT]
    heard = sum(level > RiskLevel.NONE for level in concern)
    missed = sum(level is RiskLevel.NONE for level in imminent)
    return (
        table(["labelled", "n", *(f"heard as {level.value}" for level in RiskLevel)], rows)
        + f"\n\nConcern heard as something: {share(heard, len(concern))}. "
        + f"Imminent heard as nothing: {share(missed, len(imminent))}."
    )


def _categories(system: System, messages: Sequence[Message]) -> str:
    said, truth = _said(system.answers), _truth(messages)
    calm = np.array([not m.crisis for m in messages])
    rows = []
    for i, category in enumerate(CATEGORIES):
        column, true = said[:, i], truth[:, i]
        found = [a.crisis for a, t in zip(system.answers, true, strict=True) if t]
        rows.append(
            [
                category.value,
                int(true.sum()),
                share(sum(found), len(found)),
                share(int((column & true).sum()), int(true.sum())),
                share(int((~column & ~true).sum()), int((~true).sum())),
                share(int((~column & calm).sum()), int(calm.sum())),
                f"{float(f1(column[:, None], true[:, None])[0]):.3f}",
            ]
        )
    head = ["category", "crises", "found as a crisis", "and as this one", "specificity", "of calm messages", "F1"]
    return table(head, rows)


DISGUISES: Mapping[str, Callable[[str], str]] = {
    "as typed": lambda text: text,
    "leetspeak": lambda text: text.translate(str.maketrans("aeios", "@3105")),
    "letters of other alphabets": lambda text: text.translate(str.maketrans("aeopcx", "аеорсх")),
    "invisible characters": lambda text: "\u200b".join(text),
    "letters drawn out": lambda text: re.sub(r"([aeiou])(?=\w*\b)", r"\1\1\1", text),
    "full-width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "HTML entities": lambda text: "".join(f"&#{ord(c)};" if c.isalpha() else c for c in text),
}
"""Ways to write a message past a filter."""


def _disguised(messages: Sequence[Message]) -> str:
    """Of the crises that the lexicon finds as typed, how many it finds in disguise. A network cannot be replayed."""
    lexicon = CrisisFilter(encoder=None)
    found = [m.text for m in messages if m.crisis and lexicon.screen(m.text).crisis]

    def still(disguise: Callable[[str], str]) -> str:
        return share(sum(lexicon.screen(disguise(text)).crisis for text in found), len(found))

    rows = []
    for name, disguise in DISGUISES.items():
        canonical_too = still(disguise)
        with _without("canonical text"):
            rows.append([name, canonical_too, still(disguise)])
    return table(["disguise", "still found", "without canonical text"], rows)


def _by_group(shipped: System, baseline: System, messages: Sequence[Message]) -> str:
    rows = []
    for name, places in groups(messages):
        some = [messages[i] for i in places]
        ours = _row(name, [shipped.answers[i] for i in places], some)
        plain = _row(name, [baseline.answers[i] for i in places], some)
        rows.append([name, len(some), *ours[1:], *plain[1:]])
    return table(["group", "n", "sensitivity", "specificity", "keywords: sens.", "keywords: spec."], rows)


def _rates(answers: Sequence[Answer], messages: Sequence[Message]) -> tuple[float, float]:
    crises = [a.crisis for a, m in zip(answers, messages, strict=True) if m.crisis]
    calm = [not a.crisis for a, m in zip(answers, messages, strict=True) if not m.crisis]
    return sum(crises) / max(1, len(crises)), sum(calm) / max(1, len(calm))


def _ppv(every: Sequence[System], messages: Sequence[Message]) -> str:
    rows = []
    for system in every[:4]:
        rates = _rates(system.answers, messages)
        rows.append([system.name, *(f"{ppv(*rates, prevalence):.3f}" for prevalence in PREVALENCES)])
    for figure in _published():
        rates = figure["sensitivity"], figure["specificity"]
        rows.append([f"*{figure['system']}*", *(f"{ppv(*rates, prevalence):.3f}" for prevalence in PREVALENCES)])
    return table(["share of crises among the messages", *(f"{p:.1%}" for p in PREVALENCES)], rows)


@cache
def _published() -> list[dict]:
    return yaml.safe_load((DATA / "published.yaml").read_text("utf-8"))


def published() -> str:
    """Other people's figures, with their source."""
    rows = [
        [f["system"], f"{f['sensitivity']:.3f}", f"{f['specificity']:.3f}", f.get("macro_f1", "-"), f["source"]]
        for f in _published()
    ]
    return table(["system and set", "sensitivity", "specificity", "macro-F1", "source"], rows)
