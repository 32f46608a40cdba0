"""``warmline bench``: speed and memory on this machine, as a table."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import Annotated

import typer

from ._options import Json


def bench(
    json: Json = False,
    model: Annotated[bool, typer.Option("--model/--no-model", help="Also time the embedded model.")] = True,
    vllm: Annotated[
        str | None,
        typer.Option(help="Base URL of a vLLM server: time what the agent adds to it, alone.", show_default=False),
    ] = None,
    soak: Annotated[
        float | None,
        typer.Option(
            help="Time what the HTTP service adds to its model, with 200 people at once for this many seconds, alone.",
            show_default=False,
            min=0,
        ),
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Store of the service with --soak, in place of SQLite.", show_default=False)
    ] = None,
) -> None:
    """Measure speed and memory here. Figures on a busy machine are noisy: compare ratios.

    Example: warmline bench --no-model
    """
    from ...eval.load import rows as service_rows
    from ...eval.speed import rows

    for row in rows(with_model=model, vllm=vllm) if soak is None else service_rows(soak_s=soak, store=store):
        typer.echo(jsonlib.dumps(asdict(row)) if json else f"{row.what:<56} {row.value:>12}  {row.target}")
