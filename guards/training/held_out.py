"""What networks said about messages of writers they had not seen, and the filter as it would have judged them.

The predictions are kept in the repository, a file a fold; ``calibrate`` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..encoder import Calibration, Scale
from ..filter import CrisisFilter, EncoderScores
from ..types import RiskLevel
from .corpus import CATEGORIES, HERE, LEVELS, Message, read_corpus, read_every_language

HELD_OUT = HERE / "held_out"
"""Predictions for held-out authors, one file a fold, written by ``calibrate``."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the int8 network of one fold said about a message of a writer it had not seen."""

    message: Message
    logits: np.ndarray
    """[13], the highest over the windows for the crisis and the categories, levels of the highest window."""
    lexicon: RiskLevel
    """What the lexicon, as it is now, says alone."""
    fold: str


def read_held_out(folder: Path = HELD_OUT, corpus: Path = HERE) -> list[Prediction]:
    """The predictions of every fold. A prediction for a message that is no longer in the corpus is left out."""
    messages = {(m.author, m.id): m for m in [*read_every_language(corpus), *read_corpus(corpus)]}
    lexicon = CrisisFilter(encoder=None)
    made = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if message := messages.get((row["author"], row["id"])):
                logits = np.array(row["logits"], dtype=np.float32)
                made.append(Prediction(message, logits, lexicon.screen(message.text).level, path.stem))
    return made


class Replay:
    """An encoder that says again what the held-out networks said, read with a calibration.

    A text they were not asked about is the message with its idioms cut out; it answers with the last message's scores,
    so what the shipped filter gains by reading such a rest again is not counted. One thread only.
    """

    def __init__(self, predictions: Sequence[Prediction], calibration: Calibration) -> None:
        self._said = {p.message.text: _read(p.logits, calibration) for p in predictions}
        self._last = EncoderScores(crisis=0.0)

    def scores(self, text: str) -> EncoderScores:
        """What was said about ``text``."""
        self._last = self._said.get(text, self._last)
        return self._last


def _read(logits: np.ndarray, calibration: Calibration) -> EncoderScores:
    n = 1 + len(CATEGORIES)
    levels = np.exp((logits[n:] - logits[n:].max()) / calibration.level_temperature)
    levels = levels / levels.sum()
    return EncoderScores(
        crisis=calibration.crisis(float(logits[0])),
        categories={
            c: calibration.categories.get(c, Scale())(float(x)) for c, x in zip(CATEGORIES, logits[1:n], strict=True)
        },
        levels={level: min(1.0, float(s)) for level, s in zip(LEVELS, levels, strict=True)},
    )
