"""What every evaluation leaves behind: its report in three forms, and what it says in short."""

from __future__ import annotations

import json as jsonlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ...eval.report import Report
    from ...eval.run import Progress


def slug(text: str) -> str:
    """A system's name as folders have it."""
    return re.sub(r"[^\w.-]+", "-", Path(text).stem if text.endswith(".jsonl") else text.partition("@")[0]).strip("-")


def finish(found: Report, folder: Path, title: str, progress: Progress | None) -> int:
    """Write the report into ``folder`` and say what it says. 1 when calls failed, else 0."""
    from importlib.util import find_spec

    from ...eval.lines import write_whole
    from ...eval.page import as_html
    from ...eval.report import as_data, as_markdown, summary

    made = {"title": title, "made": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(folder / "report.json", jsonlib.dumps(made | as_data(found), indent=1, ensure_ascii=False))
    write_whole(folder / "report.md", as_markdown(found, title))
    written = ["report.json", "report.md"]
    if find_spec("plotly"):
        write_whole(folder / "report.html", as_html(found, title))
        written.insert(0, "report.html")
    for line in summary(found):
        typer.echo(line)
    without = "" if find_spec("plotly") else " The HTML page needs plotly: pip install 'warmline[eval]'."
    typer.echo(f"{folder}: {', '.join(written)}.{without}")
    if progress and progress.failed:
        typer.echo(f"{len(progress.failed)} calls failed, such as: {progress.failed[0]}", err=True)
        typer.echo("The same command makes them again and pays for nothing twice.", err=True)
        return 1
    return 0
