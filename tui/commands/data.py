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
def expire(
    days: Annotated[
        float | None, typer.Option(help="Days after the last message.", min=0, show_default="store.retain_days")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete every conversation whose time is over. The service does so by itself, once an hour.

    Example: warmline data expire --days 90 --yes
    """
    from datetime import UTC, datetime, timedelta

    days = load_settings().store.retain_days if days is None else days
    if days is None:
        raise typer.BadParameter("say --days, or set WARMLINE_STORE__RETAIN_DAYS")
    before = datetime.now(UTC) - timedelta(days=days)
    with _store() as store:
        if not yes and (due := len(store.expired(before))):
            typer.confirm(f"Delete {due} conversation(s) for good?", abort=True)
        gone = store.expire(before)
    typer.echo(f"{gone} deleted")


@app.command(name="rotate-key")
def rotate_key() -> None:
    """Encrypt every stored text anew with the key in use; without one, write them as they are.

    Set WARMLINE_STORE__KEY to the new key and put the old one into WARMLINE_STORE__OTHER_KEYS. Afterwards the old one
    is not needed any more. The service may run meanwhile, once every replica has both keys.

    Example: warmline data rotate-key
    """
    settings = load_settings().store
    with _store() as store:
        rows = store.reseal()
    how = f"encrypted with the key {settings.text_key.id}" if settings.text_key else "stored without encryption"
    typer.echo(f"{rows} rows written; every text is {how}")


@app.command()
def migrate() -> None:
    """Bring the store's tables up to this version, as every start does; for a job that runs before the replicas start.

    Example: warmline data migrate
    """
    with _store():
        typer.echo("the store's tables are those of this version")


@app.command()
def path() -> None:
    """Print where conversations are kept.

    Example: warmline data path
    """
    typer.echo(load_settings().store.resolved_url())


def _store():
    from contextlib import closing

    from ...agent.store import Store

    return closing(Store.from_settings(load_settings().store))
