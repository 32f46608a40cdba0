"""The statistics of the reports: shares with intervals, areas, thresholds, F1. Pure functions; intervals are 95 %."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def auc(scores: Sequence[float] | np.ndarray, positive: Sequence[bool] | np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN when one of the classes is empty."""
    scores, positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * n))


def auc_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % interval of an AUC (Hanley and McNeil 1982)."""
    if not positives or not negatives or math.isnan(area):
        return math.nan, math.nan
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    variance = (area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)) / (
        positives * negatives
    )
    half = 1.96 * math.sqrt(max(0.0, variance))
    return max(0.0, area - half), min(1.0, area + half)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (0, 1) when there is nothing to count."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def threshold_at_specificity(scores: np.ndarray, positive: np.ndarray, specificity: float) -> float:
    """Lowest threshold at which ``score >= threshold`` alarms on at most 1 - ``specificity`` of the rest."""
    rest = np.sort(scores[~positive])
    allowed = math.floor(len(rest) * (1 - specificity) + 1e-9)
    return float(np.nextafter(rest[len(rest) - allowed - 1], np.inf)) if allowed < len(rest) else float(rest[0])


def threshold_at_sensitivity(scores: np.ndarray, positive: np.ndarray, sensitivity: float) -> float:
    """Highest threshold, among the scores, that still finds that share of the crises."""
    found = np.sort(scores[positive])
    return float(found[math.floor(len(found) * (1 - sensitivity) + 1e-9)])


def f1(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F1 of each column of two boolean arrays [n, labels]; 0 where nothing was said and nothing is true."""
    both = np.logical_and(said, truth).sum(axis=0)
    return 2 * both / np.maximum(1, said.sum(axis=0) + truth.sum(axis=0))


def macro_f1_interval(said: np.ndarray, truth: np.ndarray, times: int = 1000) -> tuple[float, float]:
    """95 % percentile interval of the mean F1 over the columns, from resampled rows (seeded bootstrap)."""
    if not len(said):
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(said), size=(times, len(said)))
    means = [float(f1(said[some], truth[some]).mean()) for some in rows]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Share of alarms that are crises where ``prevalence`` of the messages are (Bayes); NaN without any alarm."""
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return true / (true + false) if true + false else math.nan


def share(hits: int, of: int) -> str:
    """``0.981 (0.972-0.988)``."""
    low, high = wilson(hits, of)
    return f"{hits / of:.3f} ({low:.3f}-{high:.3f})" if of else "-"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
