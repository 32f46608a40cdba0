"""The progress bar of an evaluation: calls, rate, cost in tokens, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ...eval.run import Progress


def told(progress: Progress) -> tuple[str, str, str]:
    """Rate, cost and time left in words; the last is empty while nothing was done that could tell."""
    unscored = f", {progress.unscored} unscored" if progress.unscored else ""
    failed = f", {len(progress.failed)} failed" if progress.failed else ""
    cost = f"{progress.tokens_in:,} tokens in, {progress.tokens_out:,} out{unscored}{failed}"
    left = progress.seconds_left
    rate = f"{progress.rate:.1f}/s" if progress.rate >= 1 else f"{60 * progress.rate:.1f}/min"
    if left is None or progress.done >= progress.total:
        return rate, cost, ""
    return rate, cost, f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left"


class Bar:
    """Shows how far a run is, on standard error, so that output can be piped."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._rich = RichProgress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}  {task.fields[cost]}  {task.fields[left]}"),
            console=console or Console(stderr=True),
        )
        self._task = self._rich.add_task("", total=None, rate="", cost="", left="")

    def __enter__(self) -> Bar:
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def tell(self, progress: Progress) -> None:
        """Show how far it is."""
        rate, cost, left = told(progress)
        self._rich.update(self._task, total=progress.total, completed=progress.done, rate=rate, cost=cost, left=left)
