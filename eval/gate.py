"""Whether figures are good enough to release: thresholds from a TOML file against the JSON of a report.

A figure that is missing or not a number fails its threshold: what was not measured was not passed.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from ..guards.types import Frozen
from .lines import EvalError


class Threshold(Frozen):
    """One demand."""

    figure: str = Field(min_length=1)
    """Where it stands in the report's JSON, with dots and numbers: ``crisis.systems.0.sensitivity.low``."""
    at_least: float | None = None
    at_most: float | None = None
    why: str = ""

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("wants at_least or at_most")
        return self


class Gate(Frozen):
    """A file of demands."""

    report: Path
    """The report's JSON; relative to the gate's file."""
    threshold: tuple[Threshold, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Check:
    """A demand and what was there."""

    threshold: Threshold
    value: float | None
    """``None`` where the report has no such figure."""

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        low, high = self.threshold.at_least, self.threshold.at_most
        return (
            self.value is not None
            and not math.isnan(self.value)
            and (low is None or self.value >= low)
            and (high is None or self.value <= high)
        )

    def told(self) -> str:
        """In one line."""
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">=", self.threshold.at_least), ("<=", self.threshold.at_most))
            if bound is not None
        ]
        found = "not measured" if self.value is None else f"{self.value:.4g}"
        why = f"  ({self.threshold.why})" if self.threshold.why and not self.passed else ""
        return (
            f"{'pass' if self.passed else 'FAIL'}  {self.threshold.figure}: {found}, wants {' and '.join(bounds)}{why}"
        )


def checks(config: Path) -> list[Check]:
    """Every threshold of the file against its report.

    Raises:
        EvalError: the gate or the report cannot be read.
    """
    try:
        gate = Gate.model_validate(tomllib.loads(config.read_text("utf-8")))
        report = json.loads((config.parent / gate.report).read_text("utf-8"))
    except OSError as error:
        raise EvalError(f"{error.filename}: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise EvalError(f"{config}: {'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}") from None
    except ValueError as error:
        raise EvalError(f"{config}: not TOML, or its report is not JSON: {error}") from None
    return [Check(threshold, _at(report, threshold.figure)) for threshold in gate.threshold]


def _at(report: Any, path: str) -> float | None:
    for part in path.split("."):
        if isinstance(report, Mapping):
            report = report.get(part)
        elif isinstance(report, list) and part.isdigit() and int(part) < len(report):
            report = report[int(part)]
        else:
            return None
    return float(report) if isinstance(report, int | float) and not isinstance(report, bool) else None
