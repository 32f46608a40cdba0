"""The statistics of comparisons and agreement: pure functions, seeded, intervals of 95 %.

Shares, areas, F1 and PPV are those of ``guards.training.statistics``; here is what a comparison of systems and of
judges needs beyond them. Nothing here rounds, and nothing turns a missing value into a number.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

TIMES = 10_000
"""Resamples of a bootstrap: the ends of an interval move by less than a hundredth of its width."""
_AT_ONCE = 2_000_000
"""Numbers held at a time while resampling, so that memory does not grow with the samples."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def _resampled_means(values: np.ndarray, times: int, seed: int) -> np.ndarray:
    rng, n = np.random.default_rng(seed), len(values)
    step = max(1, _AT_ONCE // n)
    parts = [
        values[rng.integers(0, n, size=(min(step, times - start), n))].mean(axis=1) for start in range(0, times, step)
    ]
    return np.concatenate(parts)


def mean_interval(values: Sequence[float] | np.ndarray, *, times: int = TIMES, seed: int = 0) -> Estimate:
    """The mean with its percentile bootstrap interval (Efron 1979); NaN without values."""
    array = np.asarray(values, dtype=float)
    if not len(array):
        return Estimate(math.nan, math.nan, math.nan, 0)
    low, high = np.percentile(_resampled_means(array, times, seed), [2.5, 97.5])
    return Estimate(float(array.mean()), float(low), float(high), len(array))


@dataclass(frozen=True)
class Difference:
    """How two systems differ on the same questions."""

    value: float
    """Mean of a minus b."""
    low: float
    high: float
    p: float
    """Two-sided, from the bootstrap; at least 1 / (resamples + 1)."""
    effect: float
    """Mean difference over its standard deviation (Cohen's d_z); NaN where it does not vary."""
    wins: int
    ties: int
    losses: int

    @property
    def n(self) -> int:
        """Questions that both have."""
        return self.wins + self.ties + self.losses

    @property
    def win_rate(self) -> float:
        """Share of questions on which a is better, ties counted half; NaN without any."""
        return (self.wins + self.ties / 2) / self.n if self.n else math.nan


def paired_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, times: int = TIMES, seed: int = 0
) -> Difference:
    """Paired bootstrap of a minus b; p is that of the mean being 0, by shifting it there (Efron and Tibshirani 1993).

    Raises:
        ValueError: they are not of one length.
    """
    if len(a) != len(b):
        raise ValueError("paired values must be of one length")
    each = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    if not len(each):
        return Difference(math.nan, math.nan, math.nan, math.nan, math.nan, 0, 0, 0)
    mean, means = float(each.mean()), _resampled_means(each, times, seed)
    low, high = np.percentile(means, [2.5, 97.5])
    as_far = int((np.abs(means - mean) >= abs(mean) - 1e-12).sum())
    spread = float(each.std(ddof=1)) if len(each) > 1 else 0.0
    return Difference(
        mean,
        float(low),
        float(high),
        (1 + as_far) / (1 + times),
        mean / spread if spread > 0 else math.nan,
        int((each > 0).sum()),
        int((each == 0).sum()),
        int((each < 0).sum()),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = highest
    return corrected


def bonferroni(ps: Sequence[float]) -> list[float]:
    """p-values times their number, at most 1."""
    return [min(1.0, p * len(ps)) for p in ps]


def chi2_tail(x: float, df: int) -> float:
    """Probability that chi-squared with ``df`` (from 1 on) degrees of freedom is above ``x``."""
    half = x / 2
    a, tail = (0.5, math.erfc(math.sqrt(half))) if df % 2 else (1.0, math.exp(-half))
    while a < df / 2:  # Q(a + 1, x) = Q(a, x) + x^a e^-x / gamma(a + 1)
        if half > 0:
            tail += math.exp(a * math.log(half) - half - math.lgamma(a + 1))
        a += 1
    return min(1.0, tail)


def cochran_q(right: np.ndarray) -> tuple[float, float]:
    """Cochran's Q and its p for ``right`` [messages, systems], booleans: is any system better than another?

    NaN and 1 where all systems agree on every message.
    """
    right = np.asarray(right, dtype=float)
    k = right.shape[1]
    rows, columns = right.sum(axis=1), right.sum(axis=0)
    below = (k * rows - rows**2).sum()
    if below == 0:
        return math.nan, 1.0
    q = float((k - 1) * (k * (columns**2).sum() - columns.sum() ** 2) / below)
    return q, chi2_tail(q, k - 1)


def mcnemar(a: Sequence[bool] | np.ndarray, b: Sequence[bool] | np.ndarray) -> tuple[int, int, float]:
    """(only a is right, only b is right, exact two-sided p) for two systems on the same messages (McNemar 1947)."""
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
    n, few = only_a + only_b, min(only_a, only_b)
    # Whole numbers until the last step: no rounding, however many messages there are.
    tail = sum(math.comb(n, i) for i in range(few + 1))
    return only_a, only_b, min(1.0, _ratio(2 * tail, n))


def _ratio(numerator: int, power: int) -> float:
    """numerator / 2^power without overflow."""
    shift = max(0, numerator.bit_length() - 64)
    return math.ldexp(numerator >> shift, shift - power)


def pairwise_mcnemar(right: np.ndarray) -> list[tuple[int, int, int, int, float]]:
    """For every pair of columns (i, j, only i right, only j right, p with Bonferroni's correction)."""
    pairs = list(combinations(range(right.shape[1]), 2))
    tests = [mcnemar(right[:, i], right[:, j]) for i, j in pairs]
    corrected = bonferroni([p for *_, p in tests])
    return [(i, j, a, b, p) for (i, j), (a, b, _), p in zip(pairs, tests, corrected, strict=True)]


def krippendorff_alpha(ratings: np.ndarray, level: Literal["nominal", "ordinal", "interval"] = "ordinal") -> float:
    """Krippendorff's alpha of ``ratings`` [raters, items], NaN where a rater gave none (Krippendorff 2011).

    1 is agreement, 0 is chance. NaN where no item has two ratings, or where all ratings are the same value.
    """
    ratings = np.asarray(ratings, dtype=float)
    given = ~np.isnan(ratings)
    pairable = given.sum(axis=0) >= 2
    ratings, given = ratings[:, pairable], given[:, pairable]
    values = np.unique(ratings[given])
    if len(values) < 2:
        return math.nan
    counts = np.stack([(ratings == value).sum(axis=0) for value in values]).astype(float)  # [values, items]
    per_item = counts.sum(axis=0)
    weighted = counts / (per_item - 1)
    coincidence = weighted @ counts.T - np.diag(weighted.sum(axis=1))
    totals = coincidence.sum(axis=1)
    n = totals.sum()
    distance = _distance(values, totals, level)
    expected = (np.outer(totals, totals) * distance).sum()
    return float(1 - (n - 1) * (coincidence * distance).sum() / expected)


def alpha_interval(ratings: np.ndarray, *, times: int = 400, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the ordinal alpha, over items; NaN where alpha is."""
    rng, items = np.random.default_rng(seed), ratings.shape[1]
    found = [krippendorff_alpha(ratings[:, rng.integers(0, items, items)]) for _ in range(times)] if items else []
    known = [alpha for alpha in found if not math.isnan(alpha)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (math.nan, math.nan)
    return float(low), float(high)


def _distance(values: np.ndarray, totals: np.ndarray, level: str) -> np.ndarray:
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return (values[:, None] - values[None, :]) ** 2
    middle = np.cumsum(totals) - totals / 2  # ordinal: how many ratings lie between the middles of two values
    return (middle[:, None] - middle[None, :]) ** 2


def weighted_kappa(a: Sequence[float], b: Sequence[float], *, lowest: int = 1, highest: int = 10) -> float:
    """Quadratic-weighted kappa of two raters (Cohen 1968) on whole points; NaN where neither varies.

    Raises:
        ValueError: they are not of one length, or a rating lies outside.
    """
    if len(a) != len(b):
        raise ValueError("two raters must have rated the same items")
    size = highest - lowest + 1
    seen = np.zeros((size, size))
    for x, y in zip(a, b, strict=True):
        i, j = round(x) - lowest, round(y) - lowest
        if not (0 <= i < size and 0 <= j < size):
            raise ValueError(f"ratings go from {lowest} to {highest}")
        seen[i, j] += 1
    weight = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / max(1, len(a))
    expected = (weight * chance).sum()
    return float(1 - (weight * seen).sum() / expected) if expected else math.nan


def weighted_f1(truth: Sequence[Hashable], said: Sequence[Hashable | None]) -> float:
    """F1 of each true label, weighted by how often it is true; ``None`` (said nothing readable) is always wrong."""
    total = 0.0
    for label in set(truth):
        there = sum(t == label for t in truth)
        named = sum(s == label for s in said)
        both = sum(t == label and s == label for t, s in zip(truth, said, strict=True))
        total += there * 2 * both / (there + named)
    return total / len(truth) if truth else math.nan
