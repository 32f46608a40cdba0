"""The cascade's second stage: a small fine-tuned network, run by onnxruntime on one thread.

It scores a text. Which score means what is decided by thresholds, in ``filter``; it never sees a conversation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from .canonical import canonical
from .filter import EncoderScores, Thresholds
from .foreign import own_spelling, symbols_named
from .network_files import EncoderError, Network, open_network, read_calibration
from .types import Category, Frozen, RiskLevel

if TYPE_CHECKING:
    import numpy as np

SHIPPED = Path(__file__).parent / "data" / "encoder"
"""Folder of the weights that ship: ``model.onnx``, ``tokenizer.json``, ``calibration.json``."""

MULTILINGUAL = Path(__file__).parent / "data" / "encoder_multilingual"
"""The same for messages that are not in English."""

_MARKS = frozenset({"Mn", "Me"})
"""Accents on their own: canonical text has none that count."""
_LONGEST = 20_000
"""Characters up to which a text is cut into tokens as a whole; of a longer one, pieces spread over it are read."""
_SLICE = 1_200
"""Characters of such a piece: about one window."""


_NOTHING = {level: float(level == RiskLevel.NONE) for level in RiskLevel}


class Scale(Frozen):
    """``probability = sigmoid(slope * logit + shift)`` (Platt scaling), fitted on writers the network had not seen."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, logit: float) -> float:
        """0 to 1; never overflows."""
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, self.slope * logit + self.shift))))


Spelling = Literal["canonical", "own"]
"""How a network reads a text: see ``encoder_text`` and ``own_spelling``."""


class Calibration(Frozen):
    """How the logits of one set of weights are read."""

    outputs: tuple[str, ...]
    """Names of the logits in order: ``crisis``, the categories, then the levels as ``level:none``."""
    crisis: Scale
    categories: dict[Category, Scale]
    level_temperature: float = Field(1.0, gt=0)
    spelling: Spelling = "canonical"
    window: int = Field(ge=16, le=512)
    """Tokens of a window, the two marks at its ends included."""
    pad: int = Field(0, ge=0)
    """Token that fills up a batch."""
    stride: int = Field(ge=8)
    """Tokens from the start of a window to the start of the next."""
    most_windows: int = Field(ge=2)
    """Windows of a text at most, so that the work is bounded."""
    thresholds: Thresholds
    weights_sha256: str
    """Of ``model.onnx``: a calibration is worth nothing with other weights."""
    note: str = ""
    """What it was fitted on."""


class WindowedScores(EncoderScores):
    """Scores of a text read window by window: ``crisis`` and ``categories`` are the highest of all windows."""

    mean: float = Field(ge=0, le=1)
    """Crisis score on average over the windows: high where the whole text speaks of it, low for one clause."""
    windows: int = Field(ge=0)
    complete: bool
    """False when a text was too long to be read in full, and only windows spread over it were read."""
    span: tuple[int, int] | None = None
    """Words that spoke most for a crisis, ``[start, end)`` in the text as the network spells it; None when empty."""


@dataclass(frozen=True, slots=True)
class _Window:
    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]


def encoder_text(text: str) -> str:
    """The text as the encoder reads it: canonical spelling, emoji by their names (its vocabulary has no emoji)."""
    return symbols_named(canonical(text).text, _MARKS)


SPELLINGS: Mapping[Spelling, Callable[[str], str]] = {"canonical": encoder_text, "own": own_spelling}


class OnnxEncoder:
    """The shipped encoder. Thread-safe: a session may run in many threads at once, and nothing else is kept."""

    def __init__(self, network: Network, calibration: Calibration) -> None:
        self._network = network
        self.calibration = calibration

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds these weights were calibrated for, for ``CrisisFilter(thresholds=...)``."""
        return self.calibration.thresholds

    @classmethod
    def load(cls, folder: Path = SHIPPED) -> OnnxEncoder:
        """The encoder of a folder; nothing is downloaded.

        Raises:
            EncoderError: when a file is missing or unusable, or the calibration belongs to other weights.
        """
        calibration = read_calibration(folder, Calibration)
        expected = ("crisis", *Category, *(f"level:{level}" for level in RiskLevel))
        if calibration.outputs != expected:
            raise EncoderError(f"{folder / 'calibration.json'}: outputs are {calibration.outputs}, not {expected}")
        return cls(open_network(folder, calibration.weights_sha256), calibration)

    def scores(self, text: str) -> WindowedScores:
        """Scores for one message of any length, the empty one included."""
        plain = SPELLINGS[self.calibration.spelling](text)
        windows, complete = self._windows(plain)
        if not windows:
            return WindowedScores(crisis=0.0, levels=_NOTHING, mean=0.0, windows=0, complete=True)
        logits, said = self._run(windows)
        return self._read(plain, windows, logits, said, complete)

    def scores_batch(self, texts: Iterable[str]) -> list[WindowedScores]:
        """``scores`` for texts that have nothing to do with each other."""
        return [self.scores(text) for text in texts]

    def logits(self, text: str) -> np.ndarray:
        """Raw outputs [windows, 13], for calibration and reports."""
        import numpy as np

        windows, _ = self._windows(SPELLINGS[self.calibration.spelling](text))
        return self._run(windows)[0] if windows else np.zeros((0, len(self.calibration.outputs)), dtype=np.float32)

    def _windows(self, text: str) -> tuple[list[_Window], bool]:
        """The windows to read, and whether they cover all of the text; a huge text is sampled from end to end."""
        if len(text) > _LONGEST:
            step = (len(text) - _SLICE) / (self.calibration.most_windows - 1)
            slices = (text[round(i * step) :][:_SLICE] for i in range(self.calibration.most_windows))
            starts = (round(i * step) for i in range(self.calibration.most_windows))
            windows = [w for at, piece in zip(starts, slices, strict=True) for w in self._cut(piece, at)[:1]]
            return windows, False
        windows = self._cut(text, 0)
        most = self.calibration.most_windows
        if len(windows) <= most:
            return windows, True
        return [windows[round(i * (len(windows) - 1) / (most - 1))] for i in range(most)], False

    def _cut(self, text: str, at: int) -> list[_Window]:
        """Overlapping windows over a piece of text that begins at ``at``, the last one flush with its end."""
        encoded = self._network.tokenizer.encode(text)
        first, *ids, last = encoded.ids
        if not ids:
            return []
        offsets = [(at + start, at + end) for start, end in encoded.offsets[1:-1]]
        inside, stride = self.calibration.window - 2, self.calibration.stride
        starts = list(range(0, max(1, len(ids) - inside + stride), stride))
        starts[-1] = max(0, len(ids) - inside)
        return [_Window([first, *ids[s : s + inside], last], offsets[s : s + inside]) for s in starts]

    def _run(self, windows: Sequence[_Window]) -> tuple[np.ndarray, np.ndarray]:
        """(logits [windows, 13], crisis evidence per token [windows, tokens])."""
        import numpy as np

        longest = max(len(window.ids) for window in windows)
        ids = np.full((len(windows), longest), self.calibration.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = window.ids
            mask[row, : len(window.ids)] = 1
        return self._network.run(ids, mask)

    def _read(
        self, text: str, windows: Sequence[_Window], logits: np.ndarray, said: np.ndarray, complete: bool
    ) -> WindowedScores:
        import numpy as np

        scale = self.calibration
        n = 1 + len(Category)
        crisis = [scale.crisis(float(logit)) for logit in logits[:, 0]]
        top = int(np.argmax(logits[:, 0]))
        highest = logits.max(axis=0)
        levels = np.exp((logits[top, n:] - logits[top, n:].max()) / scale.level_temperature)
        levels = levels / levels.sum()
        return WindowedScores(
            crisis=crisis[top],
            categories={
                category: scale.categories.get(category, Scale())(float(highest[1 + i]))
                for i, category in enumerate(Category)
            },
            levels={level: min(1.0, float(share)) for level, share in zip(RiskLevel, levels, strict=True)},
            mean=sum(crisis) / len(crisis),
            windows=len(windows),
            complete=complete,
            span=_strongest(text, windows[top].offsets, said[top, 1 : 1 + len(windows[top].offsets)]),
        )


@lru_cache(maxsize=1)
def shipped_encoder() -> OnnxEncoder:
    """The encoder that ships, loaded once in a process: 82 MB, a third of a second."""
    return OnnxEncoder.load()


@lru_cache(maxsize=1)
def shipped_multilingual() -> OnnxEncoder:
    """The encoder for other languages, loaded with the first message that needs it: 37 MB."""
    return OnnxEncoder.load(MULTILINGUAL)


def _strongest(text: str, offsets: Sequence[tuple[int, int]], said: np.ndarray) -> tuple[int, int]:
    """The run of tokens with the most evidence for a crisis, widened to whole words; tokens below the average count
    against the run."""
    best, best_sum, start, total = (0, 0), 0.0, 0, 0.0
    level = float(said.mean())
    for i, value in enumerate(said):
        if total <= 0:
            start, total = i, 0.0
        total += float(value) - level
        if total > best_sum:
            best, best_sum = (start, i), total
    first, last = offsets[best[0]][0], offsets[best[1]][1]
    # A word has an end; a megabyte without spaces has none worth the search.
    first = next((i for i in range(first, max(0, first - 60), -1) if text[i - 1].isspace()), max(0, first - 60))
    last = next((i for i in range(last, min(len(text), last + 60)) if text[i].isspace()), min(len(text), last + 60))
    return first, last


def save_calibration(calibration: Calibration, folder: Path = SHIPPED) -> None:
    """Writes ``calibration.json`` in a form that shows in a diff what changed."""
    text = json.dumps(json.loads(calibration.model_dump_json()), indent=1) + "\n"
    (folder / "calibration.json").write_text(text, encoding="utf-8")
