"""Models that adapters can be trained on, with their licences. Data; loads no model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).parent / "data" / "bases.yaml"
CHAT_TEMPLATE = Path(__file__).parent / "data" / "plain.jinja"
"""How turns are written for a base that brings no chat template of its own."""


class Base(BaseModel):
    """A model to start from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Hugging Face id."""
    parameters: float = Field(gt=0)
    """In billions."""
    licence: str
    gated: bool
    """The hub gives it only to accounts that accepted its terms."""
    chat_template: bool
    """Its tokenizer knows how to write a conversation; else ours does (``plain.jinja``)."""

    @property
    def gpu_gb(self) -> float:
        """Rough memory of a GPU that trains it in 4 bits: .7 byte a weight and 4 GB of activations, rounded up."""
        return float(round(self.parameters * 0.7 + 4.5))


@cache
def bases() -> dict[str, tuple[Base, ...]]:
    """The presets by group: those of the MentalChat16K paper, and small ones of today."""
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {group: tuple(Base.model_validate(one) for one in members) for group, members in raw.items()}
