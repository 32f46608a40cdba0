"""A judge's scores brought onto the scale of people who rated the same answers, and how well that holds.

A straight line for each rubric: with the few answers that people rate, more would follow their noise. It never turns a
judge's order around, and it is fitted by nothing but answers that both have scored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from ..guards.types import Frozen
from .lines import EvalError, write_whole
from .results import OVERALL, JudgeResult, RunResult
from .rubrics import HIGHEST, LOWEST, Rubrics, shipped_rubrics
from .statistics import Estimate, mean_interval

FILE = "calibration.json"
"""In the folder of a run."""
FEWEST = 20
"""Answers that judge and people must both have scored. Below, the interval of a slope is wider than the scale."""
FOLDS = 10


class Fit(Frozen):
    """One rubric: people's score is about ``intercept + slope * judge's score``, from 1 to 10."""

    slope: float = Field(ge=0)
    intercept: float
    error_before: float
    """Mean distance of the judge's score from people's, in points."""
    error_after: float
    """The same when calibrated, cross-validated: each question by a line that was fitted without it."""
    gain_low: float
    gain_high: float
    """95 % interval of the first minus the second; when it holds 0, calibrating is not shown to help."""

    def applied(self, score: float) -> float:
        """The judge's score on people's scale."""
        return min(HIGHEST, max(LOWEST, self.intercept + self.slope * score))

    @property
    def helps(self) -> bool:
        """Whether calibrated scores are nearer to people's, beyond chance."""
        return self.gain_low > 0


class Calibration(Frozen):
    """One judge in one mode."""

    judge: str
    mode: str
    answers: int
    questions: int
    raters: tuple[str, ...]
    bench: tuple[str, ...]
    rubrics: dict[str, Fit]
    """By rubric id, and ``overall``, which is only measured: it is the mean of the calibrated rubrics."""

    @property
    def name(self) -> str:
        """Judge and mode, as results have it."""
        return f"{self.judge} ({self.mode})"

    def applied(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Calibrated scores of one answer, with their mean as ``overall``."""
        made = {id: fit.applied(scores[id]) for id, fit in self.rubrics.items() if id != OVERALL}
        return made | {OVERALL: fmean(made.values())}


class _File(Frozen):
    version: Literal[1] = 1
    judges: tuple[Calibration, ...]


@dataclass(frozen=True)
class _Pair:
    question: str
    judge: Mapping[str, float]
    people: Mapping[str, float]


def calibrate(runs: Sequence[RunResult], rubrics: Rubrics | None = None) -> tuple[list[Calibration], list[str]]:
    """Every judge that shares enough rated answers with people over all ``runs``, and in words why others are not."""
    ids = (rubrics or shipped_rubrics()).ids
    made, why_not = [], []
    for name in sorted({judge.name for run in runs for judge in run.judges if not judge.human}):
        pairs = list(_pairs(runs, name))
        if len(pairs) < FEWEST:
            why_not.append(f"{name}: people rated {len(pairs)} of its answers, and it takes {FEWEST}")
            continue
        some = [run for run in runs if any(judge.name == name for judge in run.judges) and run.people]
        one = next(judge for run in some for judge in run.judges if judge.name == name)
        made.append(
            Calibration(
                judge=one.judge,
                mode=one.mode,
                answers=len(pairs),
                questions=len({pair.question for pair in pairs}),
                raters=tuple(sorted({rating.rater for run in some for rating in run.ratings.ratings})),
                bench=tuple(sorted({run.header.bench for run in some})),
                rubrics=_fits(pairs, ids),
            )
        )
    return made, why_not


def shared(runs: Sequence[RunResult], name: str) -> int:
    """Answers that people and the judge of that name have both scored."""
    return sum(1 for _ in _pairs(runs, name))


def _pairs(runs: Sequence[RunResult], name: str) -> Iterable[_Pair]:
    for run in runs:
        judge = next((judge for judge in run.judges if judge.name == name), None)
        if judge and (people := run.people):
            for id in sorted(judge.scores.keys() & people.scores.keys()):
                yield _Pair(f"{run.header.checksum}/{id}", judge.scores[id], people.scores[id])


def _fits(pairs: Sequence[_Pair], ids: Sequence[str]) -> dict[str, Fit]:
    # All answers to a question go into one fold: what one of them teaches about it must not help with the others.
    order = sorted({pair.question for pair in pairs}, key=lambda q: hashlib.sha256(q.encode()).digest())
    fold = {question: number % FOLDS for number, question in enumerate(order)}
    folds = np.array([fold[pair.question] for pair in pairs])
    judge = {id: np.array([pair.judge[id] for pair in pairs]) for id in (*ids, OVERALL)}
    people = {id: np.array([pair.people[id] for pair in pairs]) for id in (*ids, OVERALL)}
    unseen = {id: _cross_validated(judge[id], people[id], folds) for id in ids}
    unseen[OVERALL] = np.mean([unseen[id] for id in ids], axis=0)
    fits = {}
    for id in (*ids, OVERALL):
        before, after = np.abs(judge[id] - people[id]), np.abs(unseen[id] - people[id])
        gain = mean_interval(_by_question(before - after, pairs))
        slope, intercept = _line(judge[id], people[id])
        fits[id] = Fit(
            slope=slope,
            intercept=intercept,
            error_before=float(before.mean()),
            error_after=float(after.mean()),
            gain_low=gain.low,
            gain_high=gain.high,
        )
    return fits


def _line(judge: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """Least squares with a slope of at least 0: a judge that goes the wrong way tells nothing."""
    spread = float(((judge - judge.mean()) ** 2).sum())
    slope = max(0.0, float(((judge - judge.mean()) * (people - people.mean())).sum()) / spread) if spread else 0.0
    return slope, float(people.mean() - slope * judge.mean())


def _cross_validated(judge: np.ndarray, people: np.ndarray, folds: np.ndarray) -> np.ndarray:
    said = np.empty(len(judge))
    for fold in np.unique(folds):
        out = folds == fold
        slope, intercept = _line(judge[~out], people[~out])
        said[out] = np.clip(intercept + slope * judge[out], LOWEST, HIGHEST)
    return said


def _by_question(values: np.ndarray, pairs: Sequence[_Pair]) -> list[float]:
    """The mean of each question: answers to one question are no independent observations."""
    by: dict[str, list[float]] = {}
    for value, pair in zip(values, pairs, strict=True):
        by.setdefault(pair.question, []).append(float(value))
    return [fmean(some) for some in by.values()]


def calibrated(judge: JudgeResult, calibration: Calibration) -> dict[str, Estimate]:
    """The means of a judge on people's scale, by rubric and ``overall``."""
    every = [calibration.applied(scores) for scores in judge.scores.values()]
    return {id: mean_interval([one[id] for one in every]) for id in calibration.rubrics}


def write_calibrations(folder: Path, some: Sequence[Calibration]) -> None:
    """Store them beside a run.

    Raises:
        EvalError: the file cannot be written.
    """
    write_whole(folder / FILE, _File(judges=tuple(some)).model_dump_json(indent=1) + "\n")


def read_calibrations(path: Path) -> tuple[Calibration, ...]:
    """Those of a file, or of the one in a run's folder; none where the folder has none.

    Raises:
        EvalError: it is no such file, or one of another version.
    """
    file = path / FILE if path.is_dir() else path
    if path.is_dir() and not file.exists():
        return ()
    try:
        return _File.model_validate_json(file.read_bytes()).judges
    except OSError as error:
        raise EvalError(f"{file}: {error.strerror}") from None
    except ValidationError:
        raise EvalError(f"{file}: no calibration of this version; `warmline eval calibrate` writes it anew") from None
