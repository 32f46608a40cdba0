"""``warmline audit``: the append-only record of what was decided, without message texts."""

from __future__ import annotations

import json as jsonlib
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from ._options import Json, load_settings

app = typer.Typer(help="Verify the audit chain.", no_args_is_help=True)


@app.command()
def verify(
    json: Json = False,
    seen: Annotated[str | None, typer.Option(help="A head noted earlier, which must still be in the chain.")] = None,
) -> None:
    """Walk the hash chain; exit code 1 when a row was changed or is missing.

    Note the head that is printed somewhere else: given back with --seen, it proves that nothing before it is gone.

    Example: warmline audit verify
    """
    from ...agent.store import Store

    with closing(Store.from_settings(load_settings().store)) as store:
        report = store.verify_audit(seen)
    if json:
        typer.echo(jsonlib.dumps(asdict(report)))
    elif report.ok:
        typer.echo(f"{report.rows} rows, the chain holds; head {report.head}")
    else:
        typer.echo(f"the chain breaks at row {report.broken}: {report.problem}", err=True)
    raise typer.Exit(int(not report.ok))
