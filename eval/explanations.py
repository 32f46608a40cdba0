"""How good the explanation of a label is: rated by a judge, and by how near it is to the reference in meaning.

Neither is the truth: a judge is a language model, and GPT-3.5 wrote the references of IMHI (samples were checked).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ..guards.types import Frozen
from .judging import Mode, structured
from .lines import EvalError
from .rubrics import JudgeWords, Rubrics, read_data

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parent / "data" / "explanations.yaml"
MODE = "explanation"
BATCH = 32
_WEIGHTS, _TOKENIZER = "model.safetensors", "tokenizer.json"
_REASONING = re.compile(r"(?i)\breasoning\s*:\s*")
_FIRST = re.compile(r"[.!?](?=\s|$)|\n")


class Explanations(Frozen):
    """The file."""

    version: int = Field(ge=1)
    words: JudgeWords
    rubrics: Rubrics


@cache
def explanations() -> Explanations:
    """The shipped words and rubrics."""
    return read_data(DATA, Explanations)


def explanation_mode() -> Mode:
    """Judges in the way of ``structured``, by rubrics for explanations."""
    return replace(structured(explanations().rubrics, explanations().words), name=MODE)


def explanation(text: str) -> str:
    """What stands behind ``Reasoning:``, or behind the first sentence; empty where there is nothing."""
    parts = _REASONING.split(text, maxsplit=1)
    if len(parts) == 1:
        parts = _FIRST.split(text.strip(), maxsplit=1)
    return parts[1].strip() if len(parts) > 1 else ""


class SentenceEncoder:
    """A sentence encoder of a folder: mean over its last layer, as sentence-transformers pools the common ones.

    Args:
        folder: ``config.json``, ``model.safetensors`` and ``tokenizer.json``; ``warmline guards backbone`` leaves
            all-mpnet-base-v2 in such a folder.

    Raises:
        EvalError: files are missing or unusable, or torch and transformers are not installed.
    """

    def __init__(self, folder: Path) -> None:
        if missing := [name for name in ("config.json", _WEIGHTS, _TOKENIZER) if not (folder / name).is_file()]:
            raise EvalError(
                f"--encoder {folder}: no {', '.join(missing)}; `warmline guards backbone --to {folder}` fetches "
                "all-mpnet-base-v2"
            )
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError:
            raise EvalError("--encoder needs torch and transformers: pip install 'warmline[local]'") from None
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        except (OSError, ValueError, KeyError) as error:
            raise EvalError(f"--encoder {folder}: {error}") from None
        self._longest = min(512, int(getattr(self._model.config, "max_position_embeddings", 512)) - 2)
        self.name = folder.name

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors [texts, width]; of a text that is too long its beginning is read."""
        import torch

        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))  # alike in length: little padding
        made: dict[int, np.ndarray] = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            read = self._tokenizer(
                [texts[n] for n in places], padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
            )
            with torch.inference_mode():
                layer = self._model(**read).last_hidden_state
            mask = read["attention_mask"].unsqueeze(-1)
            pooled = torch.nn.functional.normalize((layer * mask).sum(1) / mask.sum(1), dim=1)
            made |= dict(zip(places, pooled.numpy(), strict=True))
        return np.array([made[n] for n in range(len(texts))])

    def similarities(self, said: Sequence[str], wanted: Sequence[str]) -> list[float]:
        """Cosine of each pair, -1 to 1; 0 where one of the two is empty."""
        both = [n for n, (a, b) in enumerate(zip(said, wanted, strict=True)) if a.strip() and b.strip()]
        found = [0.0] * len(said)
        if both:
            a, b = self.vectors([said[n] for n in both]), self.vectors([wanted[n] for n in both])
            for n, value in zip(both, (a * b).sum(axis=1), strict=True):
                found[n] = float(value)
        return found
