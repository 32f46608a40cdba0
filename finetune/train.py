"""QLoRA: trains an adapter on made data, and goes on after a kill with the same data in the same order.

Runs TRL's ``SFTTrainer``; decides what the recipe leaves to the machine. Never judges an answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agent.model.adapter import CARD, AdapterCard, check_adapter, read_card
from ..agent.model.checkpoint import folder as cached
from ..agent.prompt import support_prompt
from .dataset import Conversation, Dataset, load_dataset
from .machine import (
    Device,
    MachineError,
    Quantization,
    check_memory,
    check_recipe,
    choose_device,
    faster,
    needed_bytes,
    size_of,
)
from .pairs import DataError
from .recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset as Rows  # pyright: ignore[reportMissingImports]

log = logging.getLogger(__name__)
ADAPTER = "adapter"
RUN = "run.json"


class TrainingError(RuntimeError):
    """Training cannot begin or go on. The message says what to do."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    adapter: Path
    first_loss: float
    """Validation loss before the first step."""
    best_loss: float
    """Validation loss of the adapter, which is the best checkpoint."""
    steps: int
    seconds: float
    """Of this call; a resumed run's earlier part is not in it."""
    peak_bytes: int
    """Most memory in use: of the process on a CPU, of the device on a GPU."""


def train(
    recipe: Recipe, data: Path, run: Path, device: str = "auto", quiet: bool = False, start_from: Path | None = None
) -> Trained:
    """Train the adapter of ``recipe`` on the folder ``data``; checkpoints and the result lie in ``run``.

    The same call goes on from the last checkpoint when an earlier one was killed.

    Args:
        start_from: an adapter to begin with, such as one trained on other data; its LoRA fields must be the recipe's.

    Raises:
        DataError, MachineError, TrainingError: before any weight is loaded, where that can be known.
    """
    made = load_dataset(data)
    chosen = choose_device(device)
    check_recipe(recipe, chosen)
    started = _started(start_from, recipe) if start_from else None
    _claim(run, recipe, made, started)
    _quieten()
    if missing := [name for name in ("transformers", "peft", "trl", "datasets") if not _has(name)]:
        raise TrainingError(f"training needs {', '.join(missing)}: pip install 'warmline[finetune]'")
    base = base_path(recipe.base)
    checkpointing = recipe.gradient_checkpointing == "on" or (
        recipe.gradient_checkpointing == "auto" and chosen == "cuda"
    )
    size = size_of(_config(base))
    check_memory(needed_bytes(size, recipe, "nf4" if recipe.quantization == "nf4" else "none", checkpointing), chosen)
    tokenizer = _tokenizer(base)
    _check_lengths(made, tokenizer, recipe.max_tokens)
    quantization = _quantization(recipe, chosen, base, tokenizer, made, run)
    return _run(recipe, made, run, chosen, quantization, base, tokenizer, checkpointing, quiet, start_from, started)


def base_path(base: str) -> str:
    """Where the weights of ``base`` are: Warmline's own cache first, else what transformers makes of the name."""
    return str(cached(base)) if (cached(base) / "config.json").is_file() else base


def _run(
    recipe: Recipe,
    made: Dataset,
    run: Path,
    device: Device,
    quantization: Quantization,
    base: str,
    tokenizer: Any,
    checkpointing: bool,
    quiet: bool,
    start_from: Path | None,
    started: dict[str, Any] | None,
) -> Trained:
    import torch
    from transformers import EarlyStoppingCallback, set_seed
    from trl import SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

    from .metrics import Metrics, Progress

    set_seed(recipe.seed)
    callbacks: list[Any] = [EarlyStoppingCallback(early_stopping_patience=recipe.patience), Metrics(run)]
    if not quiet and int(os.environ.get("RANK", "0")) == 0:
        callbacks.append(Progress())
    model = load_base(base, device, quantization)
    if start_from is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(start_from), is_trainable=True)
    trainer = _in_fixed_order(SFTTrainer, recipe.seed)(
        model=model,
        args=_arguments(recipe, run, device, checkpointing),
        train_dataset=rows(made.train),
        eval_dataset=rows(made.validation[: recipe.validation_rows or None]),
        processing_class=tokenizer,
        peft_config=_lora(recipe) if start_from is None else None,
        callbacks=callbacks,
    )
    trainer.remove_callback(_printer())
    began, last = time.monotonic(), _last_checkpoint(run)
    first = _first_loss(run, trainer)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    seconds = time.monotonic() - began
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else _peak_of_this_process()
    done = Trained(run / ADAPTER, first, float(trainer.state.best_metric), trainer.state.global_step, seconds, peak)
    if trainer.is_world_process_zero():
        _keep(trainer.model, done, recipe, made, base, quantization, started)
    return done


def _in_fixed_order(trainer: Any, seed: int) -> Any:
    """The trainer class with data in an order that a resumed run finds again."""
    from .order import EpochOrder

    class InFixedOrder(trainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
            found = self.train_dataset if train_dataset is None else train_dataset
            by_length = self.args.train_sampling_strategy == "group_by_length"
            return EpochOrder(
                [len(ids) for ids in found["input_ids"]], self.args.train_batch_size, seed, by_length=by_length
            )

    return InFixedOrder


def _arguments(recipe: Recipe, run: Path, device: Device, checkpointing: bool) -> Any:
    from trl import SFTConfig  # pyright: ignore[reportPrivateImportUsage]

    world = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.effective_batch % (recipe.batch * world):
        raise MachineError(
            f"effective_batch {recipe.effective_batch} is no multiple of batch {recipe.batch} x {world} devices"
        )
    packing = recipe.packing == "auto" and device == "cuda" and _has_flash_attention()
    return SFTConfig(
        output_dir=str(run),
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.effective_batch // (recipe.batch * world),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(recipe.schedule, recipe.schedule),
        warmup_steps=recipe.warmup,  # below 1 it is a share of the steps (transformers 5)
        optim=recipe.optimizer,
        adam_beta2=recipe.beta2,
        max_grad_norm=recipe.grad_clip,
        weight_decay=recipe.weight_decay,
        gradient_checkpointing=checkpointing,
        max_length=recipe.max_tokens,
        completion_only_loss=True,
        packing=packing,
        train_sampling_strategy="random" if packing else "group_by_length",
        bf16=True,
        use_cpu=device == "cpu",
        eval_strategy="steps",
        eval_steps=recipe.evaluate_every,
        save_strategy="steps",
        save_steps=recipe.evaluate_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to=["tensorboard"] if _has("tensorboard") else [],
        disable_tqdm=True,
    )


def _lora(recipe: Recipe) -> Any:
    from peft import LoraConfig

    targets = recipe.targets if recipe.targets == "all-linear" else [one.strip() for one in recipe.targets.split(",")]
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,  # pyright: ignore[reportArgumentType]  # a float scales as well
        lora_dropout=recipe.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def load_base(base: str, device: Device, quantization: Quantization) -> Any:
    """The base model in bf16, or in 4 bits with double quantisation and bf16 arithmetic."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = None
    if quantization == "nf4":
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_quant_storage=torch.bfloat16,  # FSDP shards only what is stored in the type of the rest
        )
    try:
        return AutoModelForCausalLM.from_pretrained(
            base,
            dtype=torch.bfloat16,
            quantization_config=config,
            device_map={"": int(os.environ.get("LOCAL_RANK", "0"))} if device == "cuda" else None,
            attn_implementation=_attention(device),
        )
    except OSError as error:
        raise TrainingError(_not_there(base, error)) from None


def _config(base: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise TrainingError(_not_there(base, error)) from None


def _not_there(base: str, error: Exception) -> str:
    return (
        f"the base model {base} cannot be loaded: {str(error).splitlines()[0]} "
        "A good value of --base is a folder, or a name that `warmline models pull` or the hub can fetch"
    )


def _tokenizer(base: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise TrainingError(f"no tokenizer at {base}: {str(error).splitlines()[0]}") from None
    if tokenizer.chat_template is None:
        raise TrainingError(f"{base} has no chat template; choose the variant that is tuned for chat (-Instruct, -it)")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def rows(conversations: Sequence[Conversation]) -> Rows:
    """What TRL trains on: prompts and completions in chat format, so that the loss counts the answer alone."""
    from datasets import Dataset as Rows  # pyright: ignore[reportMissingImports]

    return Rows.from_list(
        [
            {"prompt": list(one.prompt), "completion": [{"role": "assistant", "content": one.answer}]}
            for one in conversations
        ]
    )


def _check_lengths(made: Dataset, tokenizer: Any, limit: int) -> None:
    long = []
    for one in (*made.train, *made.validation):
        chat = [*one.prompt, {"role": "assistant", "content": one.answer}]
        if len(tokenizer.apply_chat_template(chat, return_dict=False)) > limit:
            long.append(one.id)
    if long:
        raise DataError(
            f"{made.folder}: {len(long)} conversations are longer than max_tokens={limit} (first: {long[0]}) and would "
            f"be cut; make the data with `--max-tokens {limit}`, or train with more"
        )


def _quantization(recipe: Recipe, device: Device, base: str, tokenizer: Any, made: Dataset, run: Path) -> Quantization:
    """As the recipe says; on a CPU, what two measured steps say. Written down, so that a resumed run does the same."""
    if recipe.quantization != "auto":
        return recipe.quantization
    if device == "cuda":
        return "nf4"
    note = run / "quantization.json"
    if note.is_file():
        return json.loads(note.read_text())["chosen"]
    times: dict[str, list[float]] = {}
    chosen = faster(_timed_step(recipe, base, tokenizer, made, times))
    note.write_text(json.dumps({"chosen": chosen, "why": "the faster of two on this CPU", "seconds": times}) + "\n")
    log.info("quantization auto: %s, from steps of %s s", chosen, times)
    return chosen


def _timed_step(recipe: Recipe, base: str, tokenizer: Any, made: Dataset, times: dict[str, list[float]]) -> Any:
    from peft import get_peft_model

    models: dict[str, Any] = {}
    chats = [[*one.prompt, {"role": "assistant", "content": one.answer}] for one in made.train[: recipe.batch]]
    batch = tokenizer.apply_chat_template(chats, return_dict=True, padding=True, return_tensors="pt")

    def step(kind: Quantization) -> None:
        if kind not in models:
            models.clear()  # one at a time in memory
            models[kind] = get_peft_model(load_base(base, "cpu", kind), _lora(recipe))
        began = time.perf_counter()
        models[kind](**batch, labels=batch["input_ids"]).loss.backward()
        times.setdefault(kind, []).append(round(time.perf_counter() - began, 3))

    return step


def _started(adapter: Path, recipe: Recipe) -> dict[str, Any]:
    """How the adapter to begin with was made.

    Raises:
        AdapterError: it is not whole, or made for another base or prompt.
        TrainingError: its matrices have another shape than the recipe's.
    """
    check_adapter(adapter, recipe.base, contents=True)
    card = read_card(adapter)
    if card is None:
        raise TrainingError(f"--start-from {adapter}: only what `warmline finetune train` made can be gone on with")
    if other := [name for name in ("rank", "alpha", "targets") if card.recipe.get(name) != getattr(recipe, name)]:
        good = ", ".join(f"--{name} {card.recipe.get(name)}" for name in other)
        raise TrainingError(f"--start-from {adapter}: it was made with {good}; say the same")
    return card.model_dump(exclude={"sha256", "format"})


def _claim(run: Path, recipe: Recipe, made: Dataset, started: dict[str, Any] | None) -> None:
    """Make ``run`` this recipe's folder; refuse a folder where another one, or other data, began."""
    this = {
        "started_from": started,
        "recipe": recipe.model_dump(),
        "data": made.manifest.get("sha256"),
        "prompt_version": support_prompt().version,
    }
    note = run / RUN
    if note.is_file():
        before = json.loads(note.read_text(encoding="utf-8"))
        if different := [key for key in this if before.get(key) != json.loads(json.dumps(this[key]))]:
            raise TrainingError(
                f"{run} holds a run with another {' and '.join(different)}; choose another --run, or delete that folder"
            )
        return
    if run.is_dir() and any(run.iterdir()):
        raise TrainingError(f"{run} is not empty and holds no run; choose another --run")
    run.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(this, indent=2) + "\n", encoding="utf-8")


def _last_checkpoint(run: Path) -> Path | None:
    """The newest whole checkpoint; the trainer's state is what is written last."""
    whole = [one for one in run.glob("checkpoint-*") if (one / "trainer_state.json").is_file()]
    return max(whole, key=lambda one: int(one.name.rsplit("-", 1)[1]), default=None)


def _first_loss(run: Path, trainer: Any) -> float:
    """Validation loss of the untouched base (LoRA begins at nothing), measured once a run."""
    note = run / "base_loss.json"
    if not note.is_file():
        loss = trainer.evaluate()["eval_loss"]
        note.write_text(json.dumps({"eval_loss": loss}) + "\n")
    return float(json.loads(note.read_text())["eval_loss"])


def _keep(
    model: Any,
    done: Trained,
    recipe: Recipe,
    made: Dataset,
    base: str,
    quantization: str,
    started: dict[str, Any] | None,
) -> None:
    """Write the adapter with its card, and the drawing of the losses."""
    from .metrics import draw_losses, read_metrics

    model.to("cpu") if quantization == "none" else None
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    model.save_pretrained(done.adapter)
    (done.adapter / "losses.svg").write_text(draw_losses(read_metrics(done.adapter.parent)), encoding="utf-8")
    (done.adapter / "README.md").unlink(missing_ok=True)  # peft's empty card; ours is written by `export`
    config = done.adapter / "adapter_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = recipe.base  # not this machine's folder
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    base_config = Path(base) / "config.json"
    card = AdapterCard(
        base=recipe.base,
        base_sha256=hashlib.sha256(base_config.read_bytes()).hexdigest() if base_config.is_file() else None,
        prompt_version=support_prompt().version,
        recipe={**recipe.model_dump(), "quantization": quantization},
        data=made.manifest,
        started_from=started,
        figures={
            "base_validation_loss": round(done.first_loss, 4),
            "validation_loss": round(done.best_loss, 4),
            "steps": done.steps,
            "peak_gb": round(done.peak_bytes / 1e9, 2),
        },
        sha256={
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(done.adapter.iterdir())
            if file.name != CARD
        },
    )
    (done.adapter / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback


def _peak_of_this_process() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _attention(device: Device) -> str | None:
    if device == "cpu":
        return "eager"  # torch's fused attention took 12 % longer a step here (4 x 277 tokens, one thread)
    return "flash_attention_2" if _has_flash_attention() else None


def _has_flash_attention() -> bool:
    return _has("flash_attn")


def _quieten() -> None:
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    random.seed(0)
