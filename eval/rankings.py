"""What the rankings of people say: which system is preferred how often, and whether the judges order alike.

Each question counts once, however many people ranked it. A judge's scores and a person's order are never mixed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from .ratings import Ranking, Ratings
from .results import OVERALL, RunResult
from .statistics import Estimate, krippendorff_alpha, mean_interval


@dataclass(frozen=True)
class Ranked:
    """One system in the eyes of people."""

    system: str
    place: Estimate
    """Mean place, 1 is the best."""
    won: Estimate
    """Share of the comparisons with another system that it won, ties counted half."""


@dataclass(frozen=True)
class RankingFigures:
    """The rankings over one set of questions."""

    bench: str
    raters: tuple[str, ...]
    questions: int
    systems: tuple[Ranked, ...]
    """The one that is preferred most often first."""
    alpha: float
    """Krippendorff's (ordinal) over the raters' preferences in each pair; NaN with one rater."""
    judges: tuple[tuple[str, Estimate], ...]
    """By judge: of the pairs in which people prefer one answer, those that it orders alike, its ties counted half."""


def ranking_figures(runs: Sequence[RunResult]) -> list[RankingFigures]:
    """One for each set of questions that was ranked."""
    every = Ratings.of(ranking for run in runs for ranking in run.ratings.rankings)
    by_bench: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in every.rankings:
        by_bench[ranking.bench].append(ranking)
    return [_figures(some, [run for run in runs if run.header.checksum == b]) for b, some in by_bench.items()]


def _figures(rankings: Sequence[Ranking], runs: Sequence[RunResult]) -> RankingFigures:
    places: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    won: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    preferred: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for ranking in rankings:
        for system in ranking.systems:
            places[system][ranking.question].append(ranking.place(system))
        for a, b in combinations(sorted(ranking.systems), 2):
            said = float(np.sign(ranking.place(b) - ranking.place(a)))  # 1 where a is the better one
            preferred[ranking.question, a, b][ranking.rater] = said
            won[a][ranking.question].append((1 + said) / 2)
            won[b][ranking.question].append((1 - said) / 2)
    systems = [Ranked(system, _by_question(places[system]), _by_question(won[system])) for system in sorted(places)]
    raters = sorted({ranking.rater for ranking in rankings})
    votes = np.array([[of.get(rater, math.nan) for of in preferred.values()] for rater in raters])
    return RankingFigures(
        runs[0].header.bench,
        tuple(raters),
        len({ranking.question for ranking in rankings}),
        tuple(sorted(systems, key=lambda one: -one.won.value)),
        krippendorff_alpha(votes) if len(raters) > 1 else math.nan,
        tuple(_judges(preferred, runs)),
    )


def _by_question(values: dict[str, list[float]]) -> Estimate:
    return mean_interval([fmean(some) for some in values.values()])


def _judges(
    preferred: dict[tuple[str, str, str], dict[str, float]], runs: Sequence[RunResult]
) -> list[tuple[str, Estimate]]:
    scores = {run.name: {judge.name: judge.scores for judge in run.judges if not judge.human} for run in runs}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (question, a, b), votes in preferred.items():
        said = np.sign(sum(votes.values()))
        for judge in scores.get(a, {}).keys() & scores.get(b, {}).keys():
            x, y = scores[a][judge].get(question), scores[b][judge].get(question)
            if said and x and y:
                found[judge][question].append(float((1 + said * np.sign(x[OVERALL] - y[OVERALL])) / 2))
    return [(judge, _by_question(found[judge])) for judge in sorted(found)]
