"""Fine-tunes a network on labelled texts: the loop that the crisis encoder and the reply encoder share.

Seeded; every epoch leaves a checkpoint in the run folder, and the same command goes on from the last one.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .network import build, parameter_groups
from .statistics import auc

if TYPE_CHECKING:
    import numpy as np
    import torch

MAX_TOKENS = 256
"""Longest training text; the runtime's windows are no longer."""

T = TypeVar("T")


class Task(Protocol[T]):
    """What a network learns. Its first output says whether a text is ``bad``."""

    outputs: int

    def encode(self, examples: Sequence[T], tokenizer: Any) -> list[list[int]]:
        """Token ids of each example, as the runtime will see them, at most ``MAX_TOKENS``."""
        ...

    def epoch(self, examples: Sequence[T], seed: int, number: int) -> list[T]:
        """What one epoch shows of the examples, in which forms; the same every time."""
        ...

    def loss(self, examples: Sequence[T]) -> Callable[[torch.Tensor, Sequence[T]], torch.Tensor]:
        """The loss of logits for some examples, with weights taken from all of ``examples``."""
        ...

    def bad(self, example: T) -> bool:
        """What the first output should say."""
        ...


def options_of_a_run(options: argparse.ArgumentParser, run: Path) -> None:
    """The options that ``fit`` reads."""
    options.add_argument("--run", type=Path, default=run, help="checkpoints and results")
    options.add_argument("--backbone", type=Path, required=True, help="folder of the pre-trained model to start from")
    options.add_argument("--layers", type=int, help="how many of its layers, from the lowest (default: all)")
    options.add_argument("--frozen", type=int, default=0, help="how many of them stay as they are")
    options.add_argument("--start-from", type=Path, help="network.pt of an earlier run with the same layers")
    options.add_argument("--epochs", type=int, default=3, help="epochs that the learning rate falls over")
    options.add_argument("--stop-after", type=int, help="epochs to train of them (default: all)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--rate", type=float, default=5e-5, help="learning rate of the top layer")
    options.add_argument("--head-rate", type=float, default=1e-3)
    options.add_argument("--device", default="cpu", help="cpu or cuda")
    options.add_argument("--threads", type=int, default=1)


def batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """Indices in batches of similar length and about the same work, in random order."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i] + rng.random() * 6)
    made: list[list[int]] = [[]]
    for index in order:
        if len(made[-1]) >= size or (len(made[-1]) + 1) * lengths[index] > size * 80:
            made.append([])
        made[-1].append(index)
    rng.shuffle(made)
    return made


def tokenizer_of(folder: Path) -> Any:
    """The backbone's fast tokenizer, which neither pads nor cuts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def pad_of(tokenizer: Any) -> int:
    """The id that fills up a batch; some backbones count positions by it."""
    for name in ("[PAD]", "<pad>"):
        if (number := tokenizer.token_to_id(name)) is not None:
            return number
    return 0


def padded(ids: Sequence[list[int]], pad: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(input_ids, attention_mask), right-padded."""
    import torch

    longest = max(map(len, ids))
    rows = torch.full((len(ids), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(rows)
    for i, row in enumerate(ids):
        rows[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return rows, mask


def predict(task: Task[T], network: Any, examples: Sequence[T], tokenizer: Any, size: int = 32) -> np.ndarray:
    """Logits [n, outputs] of the network for whole texts."""
    import numpy as np
    import torch

    ids, pad = task.encode(examples, tokenizer), pad_of(tokenizer)
    out = np.zeros((len(ids), network.read.out_features), dtype=np.float32)
    device = network.read.weight.device
    network.eval()
    with torch.inference_mode():
        for batch in batches([len(row) for row in ids], size, random.Random(0)):
            rows, mask = padded([ids[i] for i in batch], pad)
            out[batch] = network(rows.to(device), mask.to(device))[0].float().cpu().numpy()
    return out


def _steps(task: Task[T], examples: Sequence[T], tokenizer: Any, size: int, seed: str) -> Iterator[tuple[list[T], Any]]:
    ids, pad = task.encode(examples, tokenizer), pad_of(tokenizer)
    for batch in batches([len(row) for row in ids], size, random.Random(seed)):
        yield [examples[i] for i in batch], padded([ids[i] for i in batch], pad)


def fit(task: Task[T], examples: Sequence[T], arguments: argparse.Namespace, held: Sequence[T] = ()) -> torch.nn.Module:
    """The network fine-tuned on ``examples``, its weights averaged over the last part of training.

    Checkpoints in ``arguments.run``; a run with other settings in the same folder raises ValueError.
    """
    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    run: Path = arguments.run
    run.mkdir(parents=True, exist_ok=True)
    free = ("run", "threads", "device", "stop_after")
    settings = {key: str(value) for key, value in sorted(vars(arguments).items()) if key not in free}
    settings["examples"] = str(len(examples))
    tokenizer, device = tokenizer_of(arguments.backbone), torch.device(arguments.device)
    network = build(arguments.backbone, arguments.layers, task.outputs).to(device)
    if arguments.start_from:
        network.load_state_dict(torch.load(arguments.start_from, weights_only=True, map_location=device))
    loss_of = task.loss(examples)
    optimizer = torch.optim.AdamW(
        parameter_groups(network, arguments.rate, arguments.head_rate, arguments.frozen), fused=True
    )
    per_epoch = sum(
        1 for _ in _steps(task, task.epoch(examples, arguments.seed, 0), tokenizer, arguments.batch, "count")
    )
    total = per_epoch * arguments.epochs
    warmup = max(1, total // 16)

    def pace(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, pace)
    # An average over about the last 200 steps generalises to other writers better than the last step does.
    moving = torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=moving)
    checkpoint, first = run / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        if state["settings"] != settings:
            raise ValueError(f"{checkpoint} is of a run with other settings or data: choose another --run or remove it")
        first = state["epoch"] + 1
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    for number in range(first, min(arguments.stop_after or arguments.epochs, arguments.epochs)):
        torch.manual_seed(arguments.seed * 1000 + number)
        started, losses = time.monotonic(), []
        network.train()
        shown = task.epoch(examples, arguments.seed, number)
        steps = _steps(task, shown, tokenizer, arguments.batch, f"{arguments.seed}/{number}")
        for step, (batch, (ids, mask)) in enumerate(steps):
            with torch.autocast(device.type, dtype=torch.bfloat16):
                logits, _ = network(ids.to(device), mask.to(device))
            # On the CPU: the weights of the loss are there, and a few numbers a text cost nothing.
            loss = loss_of(logits.float().cpu(), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(float(loss.detach()))
            if step % 50 == 0:
                recent, spent = sum(losses[-50:]) / len(losses[-50:]), time.monotonic() - started
                print(f"epoch {number + 1} step {step} of {per_epoch} loss {recent:.4f} {spent:.0f} s", flush=True)
        state = {
            "settings": settings,
            "epoch": number,
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)
        print(f"epoch {number + 1} done in {time.monotonic() - started:.0f} s", flush=True)
        torch.save(average.module.state_dict(), run / "network.pt")
        if held:
            area = auc(predict(task, average.module, held, tokenizer)[:, 0], [task.bad(one) for one in held])
            print(f"held out: {len(held)} texts, AUC {area:.4f}", flush=True)
    return average.module
