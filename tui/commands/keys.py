"""``warmline keys``: who may use the service."""

from __future__ import annotations

import json as jsonlib
from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from ._options import Json, load_settings


class ScopeName(StrEnum):
    """What a key may do, as the command line takes it: typer knows no list of literals."""

    CHAT = "chat"
    REVIEW = "review"
    ADMIN = "admin"
    EVAL = "eval"


app = typer.Typer(help="Make, list and revoke API keys of the service.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, e.g. my-app. A reviewer is known by it.")],
    scope: Annotated[list[ScopeName], typer.Option("--scope", "-s", help="What it may do; may be given again.")],
) -> None:
    """Make a key and print it, once: only its hash is kept.

    Example: warmline keys create my-app --scope chat
    """
    from ...agent.store import Scope

    with _store() as store:
        key, secret = store.keys.create(name, map(Scope, scope))
    typer.echo(secret)
    typer.echo(f"{key.name} may: {', '.join(key.scopes)}. Keep it now; it cannot be shown again.", err=True)


@app.command(name="list")
def list_(json: Json = False) -> None:
    """List the keys, without their secrets.

    Example: warmline keys list
    """
    with _store() as store:
        keys = store.keys.all()
    if json:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "created": key.created.isoformat(),
                "expires": key.expires.isoformat() if key.expires else None,
                "revoked": key.revoked.isoformat() if key.revoked else None,
            }
            for key in keys
        ]
        typer.echo(jsonlib.dumps(rows))
        return
    for key in keys:
        state = "revoked" if key.revoked else f"until {key.expires:%Y-%m-%d %H:%M}" if key.expires else "in use"
        typer.echo(f"{key.id}  {key.name:<24} {','.join(key.scopes):<24} {key.created:%Y-%m-%d}  {state}")


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name or id of the key.")]) -> None:
    """Take a key out of use, at once and for good. Its conversations stay.

    Example: warmline keys revoke my-app
    """
    with _store() as store:
        key = store.keys.revoke(name)
    typer.echo(f"{key.name} is revoked")


def _store():
    from ...agent.store import Store

    return closing(Store.from_settings(load_settings().store))
