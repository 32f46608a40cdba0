"""The encoder alone: what its outputs are worth on writers it had not seen. Part of the encoder's card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..encoder import Calibration
from ..types import RiskLevel
from .corpus import CATEGORIES
from .held_out import Prediction
from .statistics import auc, auc_interval, share, table, threshold_at_sensitivity, threshold_at_specificity


def report(predictions: Sequence[Prediction], calibration: Calibration) -> str:
    """The tables for unseen writers, in Markdown."""
    scores = np.array([p.logits[0] for p in predictions])
    crisis = np.array([p.message.crisis for p in predictions])
    p, n = int(crisis.sum()), int((~crisis).sum())
    area = auc(scores, crisis)
    low, high = auc_interval(area, p, n)
    authors = ", ".join(sorted({one.message.author for one in predictions}))
    parts = [f"{len(predictions)} messages by authors unseen in training ({authors}): {p} crises, {n} others."]
    parts.append(
        f"Crisis AUC {area:.3f} ({low:.3f}-{high:.3f}); against level none only " + f"{_auc_none(predictions):.3f}."
    )
    curve = []
    for goal in (0.90, 0.95, 0.98, 0.99, 0.993):
        limit = threshold_at_specificity(scores, crisis, goal)
        curve.append([f"specificity {goal}", share(int((scores[crisis] >= limit).sum()), p)])
    for goal in (0.95, 0.98, 0.99, 0.995):
        limit = threshold_at_sensitivity(scores, crisis, goal)
        curve.append([f"sensitivity {goal}", share(int((scores[~crisis] < limit).sum()), n)])
    parts.append(table(["encoder alone, at", "the other one"], curve))
    parts.append(
        table(
            ["category", "crises", "AUC", "sensitivity at .98 specificity", "F1"], _categories(predictions, calibration)
        )
    )
    return "\n\n".join(parts)


def _auc_none(predictions: Sequence[Prediction]) -> float:
    clear = [p for p in predictions if p.message.level != RiskLevel.CONCERN]
    return auc([p.logits[0] for p in clear], [p.message.crisis for p in clear])


def _categories(predictions: Sequence[Prediction], calibration: Calibration) -> list[list[object]]:
    rows: list[list[object]] = []
    limit, f1s = calibration.thresholds.category, []
    for i, category in enumerate(CATEGORIES):
        scores = np.array([p.logits[1 + i] for p in predictions])
        truth = np.array([category in p.message.categories and p.message.crisis for p in predictions])
        if not truth.any():
            continue
        cut = threshold_at_specificity(scores, truth, 0.98)
        said = np.array(
            [
                calibration.categories[category](float(s)) >= limit
                and calibration.crisis(float(p.logits[0])) >= calibration.thresholds.crisis
                for p, s in zip(predictions, scores, strict=True)
            ]
        )
        f1 = 2 * int((said & truth).sum()) / max(1, int(said.sum() + truth.sum()))
        f1s.append(f1)
        found = int((scores[truth] >= cut).sum())
        rows.append(
            [category.value, int(truth.sum()), f"{auc(scores, truth):.3f}", share(found, int(truth.sum())), f"{f1:.3f}"]
        )
    rows.append(["macro", "", "", "", f"{sum(f1s) / max(1, len(f1s)):.3f}"])
    return rows
