"""A recipe: everything that decides how an adapter is trained, as data that a file or a flag can set.

Validates; never loads a model and never looks at the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

RECIPES = Path(__file__).parent / "data" / "recipes"


class RecipeError(ValueError):
    """A recipe cannot be used. The message names the file and the field."""


class Recipe(BaseModel):
    """How to train. Each field is a key of a recipe file and a flag of ``warmline finetune train``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(default="HuggingFaceTB/SmolLM2-135M-Instruct", min_length=1)
    """Hugging Face id or folder of the model to tune; see `warmline finetune bases`."""
    rank: int = Field(default=16, ge=1, le=512)
    """Rank of the LoRA matrices."""
    alpha: float = Field(default=16, gt=0)
    """Their scale: what they add is multiplied by alpha / rank."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout before the LoRA matrices."""
    targets: str = Field(default="all-linear", min_length=1)
    """Layers that get them: `all-linear`, or names with commas between."""
    quantization: Literal["nf4", "none", "auto"] = "auto"
    """`nf4`: the base in 4 bits with double quantisation (QLoRA). `auto`: nf4 on a GPU, the faster of both on a CPU."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Highest learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How it goes on after the warm-up."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps over which it rises."""
    optimizer: str = Field(default="adamw_torch", min_length=1)
    """One of transformers' names. The paged and 8-bit ones of bitsandbytes want a GPU."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Adam's second beta."""
    grad_clip: float = Field(default=0.3, ge=0)
    """Longest gradient; 0 is off."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    epochs: float = Field(default=3, gt=0, le=100)
    """Times that the data are seen."""
    max_steps: int = Field(default=0, ge=0)
    """Ends after so many optimizer steps; 0: when the epochs are over."""
    batch: int = Field(default=4, ge=1)
    """Conversations in memory at once, on each device."""
    effective_batch: int = Field(default=16, ge=1)
    """Conversations in one optimizer step, over all devices."""
    max_tokens: int = Field(default=768, ge=64)
    """Longest conversation, prompt and all; a longer one is refused, never cut: cut answers teach to break off."""
    packing: Literal["auto", "off"] = "auto"
    """`auto`: several conversations in a row where flash attention keeps them apart (GPU); else rows of like length."""
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    """Saves memory for a third more time. `auto`: on a GPU only."""
    evaluate_every: int = Field(default=25, ge=1)
    """Optimizer steps between validation losses and checkpoints."""
    validation_rows: int = Field(default=0, ge=0)
    """Validation losses on the way are taken from so many conversations, the first ones; 0: from all."""
    patience: int = Field(default=3, ge=1)
    """Validation losses in a row that may be no better before training ends."""
    seed: int = Field(default=0, ge=0)
    """Of the order of the data, the LoRA matrices and the dropout."""

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if self.effective_batch % self.batch:
            raise ValueError(f"effective_batch ({self.effective_batch}) must be a multiple of batch ({self.batch})")
        return self


def shipped() -> list[str]:
    """Names of the recipes that come with Warmline."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str, changes: dict[str, Any] | None = None) -> Recipe:
    """The recipe of a shipped name (`paper`, `warmline`) or a YAML file, with ``changes`` to single fields.

    Raises:
        RecipeError: naming the file and the field.
    """
    path = RECIPES / f"{name_or_path}.yaml" if name_or_path in shipped() else Path(name_or_path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise RecipeError(f"no recipe {name_or_path!r}: a YAML file, or one of {', '.join(shipped())}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a list of `field: value` lines, such as `rank: 16`")
    try:
        return Recipe.model_validate({**raw, **(changes or {})})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'recipe'}: {p['msg']}" for p in error.errors())
        raise RecipeError(f"{path}: {problems}") from None
