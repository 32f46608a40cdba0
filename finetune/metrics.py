"""What a training run tells while it goes and when it is over: a line of JSON a step, a progress bar, a drawing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

FILE = "metrics.jsonl"


class Metrics(TrainerCallback):
    """Appends every figure that the trainer logs to ``metrics.jsonl``; a resumed run goes on in the same file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        if state.is_world_process_zero and logs:
            figures = {key: value for key, value in logs.items() if isinstance(value, int | float)}
            with self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.global_step, **figures}) + "\n")


class Progress(TrainerCallback):
    """A bar with the time left and the newest losses."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("time left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=Console(stderr=True),
        )
        self.train, self.validation = "", ""
        self.task = self.bar.add_task("train", total=None, losses="")

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.bar.update(self.task, total=state.max_steps, completed=state.global_step)
        self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        if logs and "loss" in logs:
            self.train = f"loss {float(logs['loss']):.3f}"
        if logs and "eval_loss" in logs:
            self.validation = f"validation {float(logs['eval_loss']):.3f}"
        self.bar.update(self.task, losses="  ".join(filter(None, (self.train, self.validation))))

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.bar.stop()


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The figures of a run, in the order of their steps; of a step that was run twice, the last time counts."""
    file = folder / FILE
    if not file.is_file():
        return []
    steps: dict[tuple[float, bool], dict[str, float]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            figures = json.loads(line)
        except ValueError:  # the line that a kill cut in half
            continue
        steps[figures["step"], "eval_loss" in figures] = figures
    return [steps[key] for key in sorted(steps)]


def draw_losses(metrics: Sequence[dict[str, float]]) -> str:
    """Training and validation loss over the steps, as SVG; empty when there is nothing to draw."""
    train = [(one["step"], one["loss"]) for one in metrics if "loss" in one]
    validation = [(one["step"], one["eval_loss"]) for one in metrics if "eval_loss" in one]
    points = train + validation
    if len(points) < 2:
        return ""
    width, height, left, top = 640, 280, 48, 16
    last = max(step for step, _ in points) or 1
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    span = (high - low) or 1

    def at(step: float, loss: float) -> tuple[float, float]:
        return left + (width - left - 16) * step / last, top + (height - top - 32) * (high - loss) / span

    def line(values: Sequence[tuple[float, float]], colour: str) -> str:
        path = " ".join("{:.1f},{:.1f}".format(*at(*value)) for value in values)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'

    marks = "".join(
        f'<text x="{left - 6}" y="{at(0, loss)[1] + 4:.1f}" text-anchor="end">{loss:.2f}</text>'
        for loss in (low, low + span / 2, high)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height}" fill="white"/>{marks}'
        f'<text x="{left}" y="{height - 8}">step 0</text>'
        f'<text x="{width - 16}" y="{height - 8}" text-anchor="end">step {last:.0f}</text>'
        f"{line(train, '#888888')}{line(validation, '#0b6e99')}"
        f'<text x="{width - 16}" y="{top + 4}" text-anchor="end" fill="#888888">training loss</text>'
        f'<text x="{width - 16}" y="{top + 18}" text-anchor="end" fill="#0b6e99">validation loss</text></svg>\n'
    )
