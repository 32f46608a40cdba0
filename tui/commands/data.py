"""``warmline data``: one person's conversation leaves or disappears whole."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from ._options import load_settings

app = typer.Typer(help="Export, delete and find stored conversations.", no_args_is_help=True)
SessionId = Annotated[str | None, typer.Argument(help="Session id; `warmline data list` shows them.")]


@app.command(name="list")
def list_() -> None:
    """List the stored conversations.

    Example: warmline data list
    """
    with _store() as store:
        for record in store.sessions():
            typer.echo(f"{record.id}  {record.updated:%Y-%m-%d %H:%M}  {record.title}")


@app.command()
def export(
    session: SessionId = None,
    everything: Annotated[bool, typer.Option("--all", help="Export every conversation.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; standard output otherwise.")] = None,
) -> None:
    """Write a conversation with its verdicts and audit rows as JSON lines.

    Example: warmline data export --all --out conversations.jsonl
    """
    with _store() as store:
        if not everything and session is None:
            raise typer.BadParameter("name a session, or say --all")
        rows = store.export_all() if everything else [store.export(session or "")]
        text = "".join(jsonlib.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if out is None:
        typer.echo(text, nl=False)
    else:
        partial = out.with_name(out.name + ".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(out)


@app.command()
def delete(
    session: SessionId = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete every conversation.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a conversation whole: messages, verdicts, crisis events.

    Example: warmline data delete 3f2a… --yes
    """
    with _store() as store:
        if not everything and session is None:
            raise typer.BadParameter("name a session, or say --all")
        ids = [record.id for record in store.sessions()] if everything else [store.session(session or "").id]
        if not yes:
            typer.confirm(f"Delete {len(ids)} conversation(s) for good?", abort=True)
        gone = [store.delete(id_) for id_ in ids]
    typer.echo(f"{len(ids)} deleted")
    if not all(gone):
        typer.echo(
            "Another program still reads the database: the last traces leave the disk when it closes it.", err=True
        )


@app.command()
def path() -> None:
    """Print where conversations are kept.

    Example: warmline data path
    """
    typer.echo(load_settings().store.resolved_url())


def _store():
    from contextlib import closing

    from ...agent.store import Store

    return closing(Store.open(load_settings().store.resolved_url()))
