"""What this machine can train: which device, how much memory a run needs, and whether 4 bits pay.

Looks and measures; never trains.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .recipe import Recipe

Device = Literal["cpu", "cuda"]
Quantization = Literal["nf4", "none"]
_GPU_ONLY = ("paged_", "_8bit", "bnb_8bit")


class MachineError(ValueError):
    """This machine cannot do what was asked. The message names the flag and a good value."""


def choose_device(wanted: str) -> Device:
    """``wanted`` (auto, cpu, cuda) as a device that is there.

    Raises:
        MachineError: cuda was asked for and there is none.
    """
    import torch

    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise MachineError("--device cuda: no GPU is visible to torch; a good value here is cpu or auto")
    return "cpu"


def check_recipe(recipe: Recipe, device: Device) -> None:
    """Pass when ``device`` can run ``recipe``.

    Raises:
        MachineError: naming the field and a good value.
    """
    if device == "cpu" and any(part in recipe.optimizer for part in _GPU_ONLY):
        raise MachineError(f"optimizer: {recipe.optimizer} wants a GPU; on a CPU a good value is adamw_torch")


@dataclass(frozen=True)
class Size:
    """What of a model's shape decides its memory."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


def size_of(config: Any) -> Size:
    """The size of the causal language model that ``config`` (transformers) describes; allocates nothing."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        parameters = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    text = config.get_text_config()
    return Size(parameters, text.hidden_size, text.num_hidden_layers, text.vocab_size)


def needed_bytes(size: Size, recipe: Recipe, quantization: Quantization, checkpointing: bool) -> int:
    """About how much memory training takes at its peak, in bytes.

    Weights; 16 bytes for each LoRA parameter (weight, gradient, two moments in fp32); for each token, layer and unit of
    width 140 bytes of activations, 4 with checkpointing; the scores of a batch over the vocabulary in fp32, twice. The
    140 were measured: SmolLM2-135M, 4 x 512 tokens on a CPU, 7 GB at the peak.
    """
    weights = size.parameters * (0.6 if quantization == "nf4" else 2)
    lora = 16 * recipe.rank * 2 * 7 * size.hidden * 2 * size.layers
    tokens = recipe.batch * recipe.max_tokens
    activations = tokens * size.hidden * size.layers * (4 if checkpointing else 140)
    logits = tokens * size.vocabulary * 4 * 2
    return int(weights + lora + activations + logits + 1e9)


def free_bytes(device: Device) -> int:
    """Memory that a run could take now."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    import psutil

    return psutil.virtual_memory().available


def check_memory(needed: int, device: Device, free: int | None = None) -> None:
    """Pass when ``needed`` bytes are free.

    Raises:
        MachineError: with both figures and what to lower.
    """
    free = free_bytes(device) if free is None else free
    if needed > free:
        raise MachineError(
            f"training needs about {needed / 1e9:.1f} GB on the {device} and {free / 1e9:.1f} GB are free; lower "
            "--batch or --max-tokens, set --gradient-checkpointing on or --quantization nf4, or take a smaller --base"
        )


def faster(step: Callable[[Quantization], None], clock: Callable[[], float] = time.perf_counter) -> Quantization:
    """Which of both makes ``step`` quicker: each is run twice, and the second time counts.

    4 bits must win by a tenth: on a CPU they save little memory and bring rounding that is not there when serving.
    """
    times: dict[Quantization, float] = {}
    for kind in ("none", "nf4"):
        step(kind)
        began = clock()
        step(kind)
        times[kind] = clock() - began
    return "nf4" if times["nf4"] < 0.9 * times["none"] else "none"
