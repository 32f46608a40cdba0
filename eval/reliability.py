"""Whether a system's scores can be read as probabilities: bins, expected calibration error, Brier score.

It holds for the share of crises in the file at hand: with another one, the same scores mean something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..guards.training.statistics import wilson
from .statistics import Estimate

BINS = 10
TIMES = 1000


@dataclass(frozen=True)
class Bin:
    """The messages with a score from ``low`` to ``high``."""

    low: float
    high: float
    said: float
    """Their mean score."""
    true: Estimate
    """The share of them that are crises."""


@dataclass(frozen=True)
class Reliability:
    """How far scores are from shares."""

    bins: tuple[Bin, ...]
    """Those that hold a message, the lowest first."""
    ece: Estimate
    """Expected calibration error (Naeini and others 2015): the mean distance of a bin's score from its share, weighted
    by messages. With few messages it is too high, as chance alone parts the two."""
    brier: float
    """Mean squared distance of the score from the truth; 0 is best."""


def reliability(
    scores: Sequence[float] | np.ndarray, truth: Sequence[bool] | np.ndarray, *, seed: int = 0
) -> Reliability:
    """Of at least one score from 0 to 1, in ten bins of one width.

    Raises:
        ValueError: there is no score, or one lies outside.
    """
    p, t = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("wants scores from 0 to 1")
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    rng = np.random.default_rng(seed)
    picks = (rng.integers(0, len(p), len(p)) for _ in range(TIMES))
    low, high = np.percentile([_ece(p[i], t[i], place[i]) for i in picks], [2.5, 97.5])
    bins = []
    for number in np.unique(place):
        inside = place == number
        hits, n = int(t[inside].sum()), int(inside.sum())
        share = Estimate(hits / n, *wilson(hits, n), n)
        bins.append(Bin(number / BINS, (number + 1) / BINS, float(p[inside].mean()), share))
    ece = Estimate(_ece(p, t, place), float(low), float(high), len(p))
    return Reliability(tuple(bins), ece, float(((p - t) ** 2).mean()))


def _ece(p: np.ndarray, t: np.ndarray, place: np.ndarray) -> float:
    return float(np.abs(np.bincount(place, p - t, BINS)).sum() / len(p))
