"""``warmline audit``: the append-only record of what was decided, without message texts."""

from __future__ import annotations

import json as jsonlib
from contextlib import closing
from dataclasses import asdict

import typer

from ._options import Json, load_settings

app = typer.Typer(help="Verify the audit chain.", no_args_is_help=True)


@app.command()
def verify(json: Json = False) -> None:
    """Walk the hash chain; exit code 1 when a row was changed or is missing.

    Example: warmline audit verify
    """
    from ...agent.store import Store

    with closing(Store.open(load_settings().store.resolved_url())) as store:
        report = store.verify_audit()
    if json:
        typer.echo(jsonlib.dumps(asdict(report)))
    elif report.ok:
        typer.echo(f"{report.rows} rows, the chain holds")
    else:
        typer.echo(f"the chain breaks at row {report.broken}: {report.problem}", err=True)
    raise typer.Exit(int(not report.ok))
