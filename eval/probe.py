"""What moves a judge that should not: a longer text that says no more, and the place at which a text stands.

``padded``: the same answer with sentences that say nothing, judged alone as the plain one was. ``pair``: the plain and
the padded answer in one call, in both orders. It changes no score; it tells by how much scores are to be distrusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from pydantic import Field

from ..guards.training.statistics import wilson
from ..guards.types import Frozen
from .journal import Judged, Probed
from .questions import Question
from .rubrics import Rubrics, read_data, shipped_rubrics
from .statistics import Difference, Estimate, paired_difference

DATA = Path(__file__).parent / "data" / "probe.yaml"
OVERALL = "overall"
LONGER = 1.5
"""A padded answer is about this many times as long; the answers of common models differ by more."""
PROBED = 50
"""Questions that are probed: an effect of half a point shows on so many, at three calls each."""


class _Padding(Frozen):
    version: int = Field(ge=1)
    padding: tuple[str, ...] = Field(min_length=1)


@cache
def padding() -> tuple[str, ...]:
    """The sentences that say nothing. English."""
    return read_data(DATA, _Padding).padding


def padded(answer: str) -> str:
    """``answer`` with sentences behind it that say nothing, about half as long again."""
    added, length = [], 0
    for sentence in padding():
        if length >= (LONGER - 1) * len(answer):
            break
        added.append(sentence)
        length += len(sentence) + 1
    return f"{answer.rstrip()}\n\n{' '.join(added)}"


def chosen(questions: Iterable[Question], how_many: int = PROBED) -> list[Question]:
    """The questions to probe: the same ones at every start, spread over the bench. Only English, as the padding is."""
    english = [question for question in questions if question.lang == "en"]
    return sorted(english, key=lambda q: hashlib.sha256(q.id.encode()).digest())[:how_many]


@dataclass(frozen=True)
class ProbeFigures:
    """What moves one judge. Differences are in points, by rubric id and ``overall``."""

    judge: str
    mode: str
    asked: int
    unscored: int
    """Probes that could not be read."""
    length: Mapping[str, Difference]
    """Padded minus plain, each judged alone."""
    length_in_pair: Mapping[str, Difference]
    """Padded minus plain, judged in one call, over both orders; empty in `paper` mode."""
    order: Mapping[str, Difference]
    """First place minus second place, over both texts; empty in `paper` mode."""
    flips: Estimate
    """Share of pairs of which the judge prefers another text when the two change places."""

    @property
    def name(self) -> str:
        """Judge and mode."""
        return f"{self.judge} ({self.mode})"


def probe_figures(judged: Sequence[Judged], probed: Sequence[Probed], rubrics: Rubrics | None = None) -> ProbeFigures:
    """The figures of one judge in one mode, from its judgements and at least one probe."""
    ids = (rubrics or shipped_rubrics()).ids
    plain = {one.id: _whole(one.scores, ids) for one in judged if one.scores and one.repeat == 0}
    by_form: dict[str, dict[str, list[Mapping[str, float]]]] = {form: {} for form in ("padded", "pair", "swapped")}
    for one in probed:
        if one.scores:
            by_form[one.form][one.id] = [_whole(scores, ids) for scores in one.scores]
    alone = [(plain[id], scores[0]) for id, scores in by_form["padded"].items() if id in plain]
    # A pair shows plain then padded; swapped shows padded then plain.
    both = [(scores, by_form["swapped"][id]) for id, scores in by_form["pair"].items() if id in by_form["swapped"]]
    every = (*ids, OVERALL)
    flips = sum(_sign(a[0][OVERALL] - a[1][OVERALL]) != _sign(b[1][OVERALL] - b[0][OVERALL]) for a, b in both)
    return ProbeFigures(
        probed[0].judge,
        probed[0].mode,
        len(probed),
        sum(one.scores is None for one in probed),
        {r: paired_difference([b[r] for _, b in alone], [a[r] for a, _ in alone]) for r in every} if alone else {},
        {
            r: paired_difference(
                [fmean((a[1][r], b[0][r])) for a, b in both], [fmean((a[0][r], b[1][r])) for a, b in both]
            )
            for r in every
        }
        if both
        else {},
        {
            r: paired_difference(
                [fmean((a[0][r], b[0][r])) for a, b in both], [fmean((a[1][r], b[1][r])) for a, b in both]
            )
            for r in every
        }
        if both
        else {},
        Estimate(flips / len(both) if both else float("nan"), *wilson(flips, len(both)), len(both)),
    )


def _whole(scores: Mapping[str, float], ids: Sequence[str]) -> Mapping[str, float]:
    return {id: scores[id] for id in ids} | {OVERALL: fmean(scores[id] for id in ids)}


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
