"""What a machine can do is known before a model is loaded, and told with a good value."""

from __future__ import annotations

import pytest

from warmline.finetune.machine import (
    MachineError,
    Size,
    check_memory,
    check_recipe,
    choose_device,
    faster,
    needed_bytes,
)
from warmline.finetune.recipe import Recipe

SEVEN_BILLION = Size(7_240_000_000, 4096, 32, 32_000)


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(MachineError, match="--device cuda"):
        choose_device("cuda")


def test_auto_takes_the_cpu_where_no_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == "cpu"


def test_an_optimizer_for_gpus_is_refused_on_a_cpu() -> None:
    with pytest.raises(MachineError, match="adamw_torch"):
        check_recipe(Recipe(optimizer="paged_adamw_32bit"), "cpu")


def test_seven_billion_weights_in_four_bits_need_less_than_in_sixteen() -> None:
    four, sixteen = (needed_bytes(SEVEN_BILLION, Recipe(), kind, True) for kind in ("nf4", "none"))
    assert four < sixteen


def test_the_estimate_for_the_embedded_model_covers_what_was_measured() -> None:
    """The peak of a run at batch 4 x 512 tokens was 7 GB."""
    size = Size(134_515_008, 576, 30, 49_152)
    assert 6.5e9 < needed_bytes(size, Recipe(max_tokens=512), "none", False) < 9e9


def test_too_little_memory_is_told_with_what_to_lower() -> None:
    with pytest.raises(MachineError, match=r"14\.0 GB.*8\.0 GB are free.*--batch"):
        check_memory(14_000_000_000, "cpu", free=8_000_000_000)


@pytest.mark.parametrize(("nf4", "chosen"), [(0.5, "nf4"), (0.95, "none"), (1.0, "none"), (2.0, "none")])
def test_four_bits_are_taken_only_when_clearly_faster(nf4: float, chosen: str) -> None:
    now = [0.0]

    def step(kind: str) -> None:
        now[0] += {"none": 1.0, "nf4": nf4}[kind]

    assert faster(step, lambda: now[0]) == chosen
