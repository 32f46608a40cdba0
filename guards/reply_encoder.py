"""The learned part of the output guard: a small network that scores a sentence of a reply for twenty problems.

A ``ReplyScorer`` for ``OutputGuard(scorer=..., limits=...)``. It reads the sentence after the message that it answers.
No weights ship: those trained so far stopped one ordinary good sentence in seven (docs/crisis-filter-card.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from .canonical import canonical
from .encoder import Scale
from .network_files import EncoderError, Network, open_network, read_calibration
from .output_rules import Problem
from .sentences import sentences
from .types import Frozen

PROBLEMS: tuple[Problem, ...] = tuple(Problem)[:20]
"""Order of the outputs after the first: the labels of the reply corpus."""

_CONTEXT = 240
"""Characters of the person's message that are read: its end."""
_PIECE = 700
"""Characters of a whole reply that are read at once; about 150 tokens."""


class ReplyCalibration(Frozen):
    """How the logits of one set of weights are read."""

    outputs: tuple[str, ...]
    """Names of the logits in order: ``unsafe``, then the problems."""
    unsafe: Scale
    threshold: float = Field(ge=0, le=1)
    """Probability of "unsafe" from which a text is stopped."""
    tokens: int = Field(ge=32, le=512)
    """Tokens that are read at most."""
    weights_sha256: str
    note: str = ""
    """What it was fitted on."""


def pair_of(text: str, context: str) -> tuple[str, str]:
    """A reply as the network reads it: the end of what the person said, then the reply."""
    return canonical(context[-_CONTEXT:]).text, canonical(text).text


class ReplyEncoder:
    """A trained network. Thread-safe, and keeps nothing."""

    def __init__(self, network: Network, calibration: ReplyCalibration) -> None:
        self._network = network
        self.calibration = calibration

    @classmethod
    def load(cls, folder: Path) -> ReplyEncoder:
        """The network of a folder.

        Raises:
            EncoderError: when a file is missing or unusable, or the calibration belongs to other weights.
        """
        calibration = read_calibration(folder, ReplyCalibration)
        if calibration.outputs != ("unsafe", *PROBLEMS):
            raise EncoderError(f"{folder / 'calibration.json'}: outputs are {calibration.outputs}")
        return cls(open_network(folder, calibration.weights_sha256), calibration)

    @property
    def limits(self) -> Mapping[Problem, float]:
        """From which score on a problem stops a text, for ``OutputGuard(limits=...)``."""
        return dict.fromkeys(PROBLEMS, self.calibration.threshold)

    def scores(self, sentence: str, before: str = "", context: str = "") -> Mapping[Problem, float]:
        """How unsafe a sentence or a whole reply is, under its likeliest problem; of a long one, its worst piece."""
        worst = max((self.logits(piece, context) for piece in pieces(sentence)), key=lambda row: float(row[0]))
        return {PROBLEMS[int(worst[1:].argmax())]: self.calibration.unsafe(float(worst[0]))}

    def logits(self, text: str, context: str) -> Any:
        """Raw outputs [21] for one piece of text."""
        import numpy as np

        ids = self._network.tokenizer.encode(*pair_of(text, context)).ids
        if len(ids) > self.calibration.tokens:
            ids = [*ids[: self.calibration.tokens - 1], ids[-1]]
        row = np.array([ids], dtype=np.int64)
        return self._network.run(row, np.ones_like(row))[0][0]


def pieces(text: str) -> list[str]:
    """Runs of sentences of at most ``_PIECE`` characters, as long as no single sentence is longer."""
    made = [""]
    for sentence in sentences(text):
        if made[-1] and len(made[-1]) + len(sentence) > _PIECE:
            made.append("")
        made[-1] += sentence
    return made
