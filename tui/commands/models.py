"""``warmline models``: the embedded model on this machine."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from ._options import Json, load_settings

app = typer.Typer(help="Fetch, list and find the embedded model.", no_args_is_help=True)


@app.command()
def pull(quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is new.")] = False) -> None:
    """Fetch the embedded model once; safe to repeat.

    Example: warmline models pull
    """
    from ...agent.model.pull import locate
    from ...agent.model.pull import pull as fetch

    settings = load_settings().model
    here = locate(settings)
    told: list[str] = []

    def progress(step: str, done: float | None) -> None:
        if step not in told:  # a step tells its share many times; the terminal hears of it once
            told.append(step)
            typer.echo(step, err=True)

    path = here or fetch(settings, progress)
    if not (quiet and here):
        typer.echo(path)


@app.command(name="list")
def list_(json: Json = False) -> None:
    """List the models on this machine.

    Example: warmline models list --json
    """
    from ...agent.model.pull import installed

    for model in installed():
        typer.echo(model.model_dump_json() if json else f"{model.name}  {model.bytes / 1e6:.0f} MB  {model.path}")


@app.command()
def path(json: Json = False) -> None:
    """Print where the embedded model is; exit code 1 when it was not fetched yet.

    Example: warmline models path
    """
    from ...agent.model.pull import locate

    found = locate(load_settings().model)
    if found is None:
        typer.echo("not fetched yet; run: warmline models pull", err=True)
        raise typer.Exit(1)
    typer.echo(jsonlib.dumps(str(found)) if json else found)
