"""Training runs for real on a tiny base: it learns, goes on after a kill as it would have, refuses what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="the extra `finetune` is not installed")

from warmline.agent.model.adapter import AdapterError, check_adapter, read_card
from warmline.finetune.evaluate import compare
from warmline.finetune.export import ExportError, export
from warmline.finetune.machine import MachineError
from warmline.finetune.merge import merge
from warmline.finetune.metrics import read_metrics
from warmline.finetune.pairs import DataError
from warmline.finetune.push import push
from warmline.finetune.recipe import Recipe
from warmline.finetune.train import TrainingError, train

pytestmark = pytest.mark.timeout(300)


def recipe(base: Path, **changes: Any) -> Recipe:
    small = {
        "rank": 4, "alpha": 8, "dropout": 0.1, "quantization": "none", "learning_rate": 0.02, "schedule": "linear",
        "epochs": 3, "batch": 2, "effective_batch": 4, "max_tokens": 1024, "evaluate_every": 3, "grad_clip": 1.0,
    }  # fmt: skip
    return Recipe(base=str(base), **{**small, **changes})


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a finished adapter, and its data beside it."""
    from .conftest import write_dataset  # pyright: ignore[reportAttributeAccessIssue]

    folder = tmp_path_factory.mktemp("trained")
    train(recipe(tiny_base), write_dataset(folder / "data"), folder / "run", device="cpu", quiet=True)
    return folder


def losses(run: Path) -> list[tuple[float, float]]:
    return [(one["step"], one["loss"]) for one in read_metrics(run) if "loss" in one]


def test_it_learns(trained: Path) -> None:
    card = read_card(trained / "run" / "adapter")
    assert card is not None
    assert card.figures["validation_loss"] < card.figures["base_validation_loss"] - 0.05


def test_the_card_says_what_it_was_made_from(trained: Path, tiny_base: Path) -> None:
    card = read_card(trained / "run" / "adapter")
    assert card is not None
    assert (card.base, card.recipe["rank"], card.data["counts"]) == (str(tiny_base), 4, {"train": 16})


def test_the_losses_are_drawn(trained: Path) -> None:
    assert "validation loss" in (trained / "run" / "adapter" / "losses.svg").read_text()


def test_a_finished_run_is_not_trained_again(trained: Path, tiny_base: Path) -> None:
    before = losses(trained / "run")
    train(recipe(tiny_base), trained / "data", trained / "run", device="cpu", quiet=True)
    assert losses(trained / "run") == before


def test_a_killed_run_goes_on_with_the_same_data_and_the_same_losses(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe(tiny_base).model_dump()))
    command = [sys.executable, "-m", "warmline.finetune", "--config", str(tmp_path / "recipe.yaml"), "--device", "cpu",
               "--data", str(trained / "data"), "--run", str(run), "--quiet"]  # fmt: skip
    child = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    while not list(run.glob("checkpoint-*/trainer_state.json")):
        assert child.poll() is None, child.stderr and child.stderr.read().decode()[-2000:]
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    killed_at = max((step for step, _ in losses(run)), default=0)
    train(recipe(tiny_base), trained / "data", run, device="cpu", quiet=True)
    whole, resumed = dict(losses(trained / "run")), dict(losses(run))
    assert killed_at < max(whole)
    assert resumed == pytest.approx(whole, abs=1e-4)


def test_another_recipe_in_the_same_folder_is_refused(trained: Path, tiny_base: Path) -> None:
    with pytest.raises(TrainingError, match="another recipe"):
        train(recipe(tiny_base, rank=8), trained / "data", trained / "run", device="cpu", quiet=True)


def test_a_folder_with_other_things_is_left_alone(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="not empty"):
        train(recipe(tiny_base), trained / "data", tmp_path, device="cpu", quiet=True)


def test_a_conversation_that_would_be_cut_is_refused(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--max-tokens 64"):
        train(recipe(tiny_base, max_tokens=64), trained / "data", tmp_path / "run", device="cpu", quiet=True)


def test_an_optimizer_that_wants_a_gpu_is_refused_before_anything_is_written(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(MachineError, match="adamw_torch"):
        train(recipe(tiny_base, optimizer="paged_adamw_32bit"), trained / "data", tmp_path / "run", "cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_base_that_is_not_there_is_told(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="base model"):
        train(recipe(tmp_path / "nowhere"), trained / "data", tmp_path / "run", device="cpu", quiet=True)


def test_four_bits_train_on_a_cpu_too(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    one_step = recipe(tiny_base, quantization="nf4", max_steps=2, evaluate_every=2)
    assert train(one_step, trained / "data", tmp_path / "run", device="cpu", quiet=True).steps == 2


def test_what_the_machine_chose_is_written_down(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    quick = recipe(tiny_base, quantization="auto", max_steps=1, evaluate_every=1)
    train(quick, trained / "data", tmp_path / "run", device="cpu", quiet=True)
    assert json.loads((tmp_path / "run" / "quantization.json").read_text())["chosen"] in ("nf4", "none")


def test_training_goes_on_from_an_adapter_on_other_data(
    trained: Path, tiny_base: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    first = trained / "run" / "adapter"
    more = make_dataset(train=8)
    run = tmp_path / "run"
    done = train(recipe(tiny_base, max_steps=2), more, run, device="cpu", quiet=True, start_from=first)
    card = read_card(done.adapter)
    assert card is not None
    assert card.started_from is not None
    assert done.first_loss < card.started_from["figures"]["base_validation_loss"]


def test_base_and_tuned_are_compared_on_the_held_back_answers(trained: Path) -> None:
    done = compare(trained / "run" / "adapter", trained / "data")
    assert done.tuned.mean < done.base.mean
    assert done.tuned.low <= done.tuned.mean <= done.tuned.high


def test_a_merged_checkpoint_answers_as_base_and_adapter_do(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = AutoModelForCausalLM.from_pretrained(merge(trained / "run" / "adapter", tmp_path / "merged"))
    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    tuned = PeftModel.from_pretrained(base, str(trained / "run" / "adapter"))
    ids = torch.arange(2, 30)[None]
    with torch.inference_mode():
        assert torch.allclose(merged(ids).logits.float(), tuned(ids).logits.float(), atol=0.05)


def test_an_export_is_whole_and_says_so(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    out = export(trained / "run" / "adapter", tmp_path / "export", data=trained / "data")
    check_adapter(out, str(tiny_base), contents=True)
    assert (out / "README.md").is_file()
    assert (out / "DATA.md").is_file()


def test_an_export_that_was_changed_is_told(trained: Path, tiny_base: Path, tmp_path: Path) -> None:
    out = export(trained / "run" / "adapter", tmp_path / "export")
    (out / "README.md").write_text("better than it is")
    with pytest.raises(AdapterError, match=r"README\.md"):
        check_adapter(out, str(tiny_base), contents=True)


def test_weights_above_the_limit_are_not_exported(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="lower rank"):
        export(trained / "run" / "adapter", tmp_path / "export", limit_mb=0.001)


class Hub:
    """Takes what it is given and remembers it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, repository: str, **how: Any) -> None:
        self.calls.append(("create", {"id": repository, **how}))

    def upload_folder(self, **how: Any) -> Any:
        self.calls.append(("upload", how))
        return type("Commit", (), {"commit_url": "https://hub/commit"})()


def test_an_export_is_pushed_privately_and_nothing_else_with_it(trained: Path, tmp_path: Path) -> None:
    hub, out = Hub(), export(trained / "run" / "adapter", tmp_path / "export")
    (out / "notes.txt").write_text("mine")
    push(out, "me/adapter", hub=hub)
    assert hub.calls[0] == ("create", {"id": "me/adapter", "private": True, "exist_ok": True})
    assert "notes.txt" not in hub.calls[1][1]["allow_patterns"]


def test_only_an_export_is_pushed(trained: Path) -> None:
    with pytest.raises(ExportError, match="warmline finetune export"):
        push(trained / "run" / "adapter", "me/adapter", hub=Hub())
