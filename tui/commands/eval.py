"""``warmline eval``: what the parts are worth, measured and printed."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import Annotated

import typer

from ._options import Json

app = typer.Typer(help="Measure what the parts are worth.", no_args_is_help=True)


@app.command()
def protocol(
    json: Json = False,
    failures: Annotated[bool, typer.Option("--failures", help="Name the dialogues that failed.")] = False,
) -> None:
    """Check the crisis protocol against the public VERA-MH dimensions, over scripted dialogues. No judge, no model.

    Exit code 1 when a dimension passes in fewer than 90 of 100 dialogues.

    Example: warmline eval protocol --failures
    """
    from ...eval.protocol import rows

    low = False
    for row in rows():
        whole = row.question == "all of it"
        low |= whole and row.percent < 90
        if json:
            typer.echo(jsonlib.dumps(asdict(row) | {"percent": round(row.percent, 1)}))
            continue
        what = row.dimension if whole else f"  {row.question}"
        typer.echo(f"{what:<70} {row.percent:6.1f} %  n={row.n}")
        if failures and row.failed:
            typer.echo(f"      failed: {', '.join(row.failed)}")
    raise typer.Exit(int(low))
