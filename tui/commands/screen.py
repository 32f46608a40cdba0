"""``warmline screen``: what the crisis filter says about a text."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from ._options import Json, load_settings


def screen(
    text: Annotated[str | None, typer.Argument(help="The text; left out, standard input is read.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="JSON lines with `text` and, if given, `id`.")] = None,
    json: Json = False,
) -> None:
    """Judge a text, or every line of a file, without a model.

    Exit code 0 whatever the verdict; 1 when a text could not be judged.

    Example: warmline screen "this exam is killing me" --json
    """
    from ...guards.filter import CrisisFilter
    from ...guards.lexicon import load_lexicon
    from ...guards.types import Verdict

    crisis_filter = CrisisFilter(load_lexicon(extra=tuple(load_settings().guards.lexicons)))
    failed = False

    def show(verdict: Verdict, number: str | int | None = None) -> None:
        nonlocal failed
        failed |= verdict.error is not None
        if json or file:
            row = {"id": number} if number is not None else {}
            row |= verdict.model_dump(mode="json") | {"crisis": verdict.crisis}
            print(jsonlib.dumps(row, ensure_ascii=False))
            return
        print(f"{verdict.level.value}: {verdict.reason}" if not verdict.error else f"not judged: {verdict.error}")
        for span in verdict.evidence:
            print(f"  {span.start}-{span.end} {span.category.value}/{span.level.value} {span.text!r} ({span.source})")

    if file:
        with file.open(encoding="utf-8") as rows:
            for number, row in enumerate(rows, 1):
                if row.strip():
                    line = _line(file, number, row)
                    show(crisis_filter.screen(line["text"]), line.get("id"))
    else:
        show(crisis_filter.screen(text if text is not None else sys.stdin.read()))
    raise typer.Exit(int(failed))


def _line(file: Path, number: int, row: str) -> dict[str, str]:
    try:
        line = jsonlib.loads(row)
    except ValueError as error:
        raise typer.BadParameter(f"{file}, line {number}: not JSON ({error})") from None
    if not isinstance(line, dict) or not isinstance(line.get("text"), str):
        raise typer.BadParameter(f'{file}, line {number}: wants an object with "text", e.g. {{"text": "hello"}}')
    return line
