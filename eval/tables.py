"""A table of a report and the figures in its cells, before they are Markdown or HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .statistics import Estimate


@dataclass(frozen=True)
class Table:
    """A table with its heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


def told(estimate: Estimate, digits: int = 2) -> str:
    """``7.31 (7.20-7.42)``, ``0.11 (-0.20 to 0.31)``; a dash where there is nothing."""
    if math.isnan(estimate.value):
        return "-"
    between = " to " if estimate.low < 0 else "-"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f}{between}{estimate.high:.{digits}f})"


def or_dash(value: float, digits: int = 3) -> str:
    """The number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
