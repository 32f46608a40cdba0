"""A table of a report, before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table with its heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""
