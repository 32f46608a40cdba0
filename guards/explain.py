"""Why a verdict is what it is: the words that speak for it, the score of each stage, and labelled examples like it.

For a reviewer's eyes. It explains a verdict and never makes or changes one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .filter import CrisisFilter, Encoder
from .types import Category, Frozen, RiskLevel, Utterance, Verdict

if TYPE_CHECKING:
    import numpy as np

    from .encoder import OnnxEncoder

EXAMPLES = Path(__file__).parent / "data" / "examples.json"
"""Labelled messages of the corpus, with what the shipped encoder says about each (``warmline guards examples``)."""
MOST_CLAUSES = 12
"""Clauses that are left out one after the other: each costs one run of the encoder."""
_LEAST_DROP = 0.05
_LONGEST = 4_000


class Clause(Frozen):
    """A clause of the text and what the encoder says without it."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    text: str
    without: float = Field(ge=0, le=1)
    """Crisis score of the text without this clause."""
    drop: float
    """How far the score falls without it."""


class Example(Frozen):
    """A labelled message like the one in question."""

    text: str
    level: RiskLevel
    categories: tuple[Category, ...] = ()
    distance: float = Field(ge=0)
    """Between what the encoder says about the two, in standard deviations of the examples; 0 is the same."""


class Explanation(Frozen):
    """A verdict and what speaks for it."""

    verdict: Verdict
    clauses: tuple[Clause, ...] = ()
    """Strongest first; only asked for where the lexicon has no words to show and the encoder is there."""
    examples: tuple[Example, ...] = ()
    """Nearest first."""


def explain(
    text: str, crisis_filter: CrisisFilter, history: Sequence[Utterance] = (), *, nearest: int = 0
) -> Explanation:
    """The verdict on ``text`` and what speaks for it. At most ``MOST_CLAUSES`` + 2 runs of the encoder."""
    verdict = crisis_filter.screen(text, history)
    clauses: tuple[Clause, ...] = ()
    encoder = crisis_filter.encoder_of(verdict) if verdict.error is None else None
    if encoder is not None and not verdict.evidence and verdict.level > RiskLevel.NONE:
        clauses = left_out(text, encoder)
    return Explanation(verdict=verdict, clauses=clauses, examples=tuple(_nearest(text, crisis_filter.encoder, nearest)))


_BORDER = re.compile(r"(?<=[.!?;,:…\n])\s+|\s+(?=(?:and|but|because|so|or|then|when|if|that)\b)", re.IGNORECASE)


def clauses_of(text: str, most: int = MOST_CLAUSES) -> list[tuple[int, int]]:
    """Where the clauses of a text stand; neighbours are joined until there are at most ``most``."""
    borders = [0, *(m.end() for m in _BORDER.finditer(text)), len(text)]
    if len(borders) - 1 > most:
        borders = [borders[round(i * (len(borders) - 1) / most)] for i in range(most + 1)]
    spans = []
    for start, end in pairwise(borders):
        piece = text[start:end]
        if piece.strip():
            lead = len(piece) - len(piece.lstrip())
            spans.append((start + lead, start + len(piece.rstrip())))
    return spans


def left_out(text: str, encoder: Encoder) -> tuple[Clause, ...]:
    """The clauses without which the encoder is less sure of a crisis, strongest first (occlusion).

    Of a text of one clause, or one where no single clause makes the difference, nothing: the whole of it speaks.
    """
    text = text[:_LONGEST]
    spans = clauses_of(text)
    if len(spans) < 2:
        return ()
    whole = encoder.scores(text).crisis
    found = []
    for start, end in spans:
        without = encoder.scores(f"{text[:start]}{text[end:]}").crisis
        if whole - without >= _LEAST_DROP:
            drop = whole - without
            found.append(Clause(start=start, end=end, text=text[start:end], without=without, drop=drop))
    return tuple(sorted(found, key=lambda clause: -clause.drop))


class _Stored(Frozen):
    text: str
    level: RiskLevel
    categories: tuple[Category, ...] = ()
    said: tuple[float, ...]


class ExampleSet(Frozen):
    """The file of examples."""

    weights_sha256: str
    """Of the encoder whose outputs are kept; other weights are asked again."""
    examples: tuple[_Stored, ...]


def said_by(encoder: OnnxEncoder, text: str) -> list[float]:
    """The encoder's outputs for a text, highest over its windows: its own idea of what the text is about."""
    logits = encoder.logits(text)
    return [round(float(x), 2) for x in logits.max(axis=0)] if len(logits) else [0.0] * logits.shape[1]


@cache
def _stored() -> ExampleSet:
    return ExampleSet.model_validate(json.loads(EXAMPLES.read_text("utf-8")))


@cache
def _outputs(encoder: OnnxEncoder) -> np.ndarray:
    import numpy as np

    stored = _stored()
    if stored.weights_sha256 == encoder.calibration.weights_sha256:
        return np.array([example.said for example in stored.examples])
    return np.array([said_by(encoder, example.text) for example in stored.examples])


def _nearest(text: str, encoder: Encoder | None, most: int) -> list[Example]:
    from .encoder import OnnxEncoder

    if most < 1 or not isinstance(encoder, OnnxEncoder):
        return []
    import numpy as np

    outputs = _outputs(encoder)
    spread = outputs.std(axis=0) + 1e-6
    away = np.sqrt((((outputs - np.array(said_by(encoder, text))) / spread) ** 2).mean(axis=1))
    chosen = [(_stored().examples[i], float(away[i])) for i in np.argsort(away, kind="stable")[:most]]
    return [Example(text=e.text, level=e.level, categories=e.categories, distance=d) for e, d in chosen]
