"""``warmline hotlines``: the directory, without the model."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from ._options import Country, Json, load_settings

app = typer.Typer(help="Show and check the hotline directory.", no_args_is_help=True)


@app.command(name="list")
def list_(country: Country = None, json: Json = False) -> None:
    """List the lines of a country, or the countries there are.

    Example: warmline hotlines list --country IE
    """
    from ...guards.hotlines import Directory

    settings = load_settings(country)
    directory = Directory.load(settings.guards.hotlines)
    if settings.country is None:
        rows = {code: directory.country_name(code) for code in directory.countries()}
        typer.echo(jsonlib.dumps(rows, ensure_ascii=False) if json else "\n".join(map("  ".join, rows.items())))
        return
    lines = directory.all_lines(settings.country)
    if json:
        typer.echo(jsonlib.dumps([line.model_dump(mode="json") for line in lines], ensure_ascii=False))
        return
    emergency = directory.emergency(settings.country)
    typer.echo(f"{directory.country_name(settings.country)}: emergency {emergency or 'number not known here'}")
    for line in lines:
        typer.echo("\n".join(line.rows()))


@app.command()
def check(
    file: Annotated[
        list[Path] | None, typer.Argument(help="Further hotline files to check with the shipped ones.")
    ] = None,
) -> None:
    """Check the directory, and files of your own, without starting anything.

    Example: warmline hotlines check our-lines.yaml
    """
    from ...guards.hotlines import Directory

    directory = Directory.load([*load_settings().guards.hotlines, *(file or [])])
    lines = [line for code in directory.countries() for line in directory.all_lines(code)]
    checked = sum(line.confidence == "checked" for line in lines)
    typer.echo(f"{len(lines)} lines in {len(directory.countries())} countries are well formed; {checked} are checked.")
