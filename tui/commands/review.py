"""``warmline review``: the desk of a human reviewer, on the database that the chats write to."""

from __future__ import annotations

import getpass
import json as jsonlib
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Json, load_settings

if TYPE_CHECKING:
    from ...agent.store import MarkedMessage, Ticket

app = typer.Typer(help="The queue of a human reviewer: read, take over, write, close.", invoke_without_command=True)


@app.callback()
def review(
    context: typer.Context,
    name: Annotated[str | None, typer.Option("--as", help="Your name at the desk, e.g. sam.")] = None,
) -> None:
    """Open the review screen, in another terminal than the chat.

    Example: warmline review --as sam
    """
    if context.invoked_subcommand is not None:
        return
    from ..review import run

    settings = load_settings()
    reviewer = name or settings.handoff.reviewer or _login()
    if not re.fullmatch(r"[\w.:+-]{1,64}", reviewer, re.ASCII):
        raise typer.BadParameter("a reviewer's name is 1 to 64 letters, digits or . : + - _, e.g. --as sam")
    raise typer.Exit(run(settings, reviewer))


@app.command("list")
def list_(json: Json = False) -> None:
    """Print the open tickets, the most urgent first: since when, how severe, about what, and who has it. No words.

    Example: warmline review list --json
    """
    from ...agent.store import Store

    with closing(Store.from_settings(load_settings().store)) as store:
        tickets = store.handoff.queue()
    if json:
        for ticket in tickets:
            typer.echo(jsonlib.dumps(_row(ticket)))
        return
    if not tickets:
        typer.echo("No tickets.")
    for row in map(_row, tickets):
        about = ", ".join(row["categories"]) or "not named"
        typer.echo(f"{row['opened']}  {row['level']:<9} {row['state']:<9} {row['taken_by'] or '-':<12} {about}")
        typer.echo(f"  conversation {row['session']}")


def _row(ticket: Ticket) -> dict[str, Any]:
    return {
        "ticket": ticket.id,
        "session": ticket.session_id,
        "opened": ticket.opened.isoformat(timespec="seconds"),
        "level": ticket.level.value,
        "categories": [category.value for category in ticket.categories],
        "state": ticket.state.value,
        "taken_by": ticket.taken_by,
        "first_seen": ticket.first_seen.isoformat(timespec="seconds") if ticket.first_seen else None,
    }


@app.command()
def export(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; standard output otherwise.")] = None,
) -> None:
    """Write the messages whose verdict a reviewer marked, as labelled JSON lines for the filter.

    They hold what people wrote: treat the file as you treat the database.

    Example: warmline review export --out marks.jsonl
    """
    from ...agent.store import Store

    with closing(Store.from_settings(load_settings().store)) as store:
        rows = [labelled(marked) for marked in store.handoff.marked_messages()]
    text = "".join(jsonlib.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if out is None:
        typer.echo(text, nl=False)
    else:
        partial = out.with_name(out.name + ".part")
        partial.touch(mode=0o600)
        partial.write_text(text, encoding="utf-8")
        partial.replace(out)
        typer.echo(f"{len(rows)} messages written to {out}", err=True)


def labelled(marked: MarkedMessage) -> dict[str, object]:
    """One line of the corpus."""
    mark = marked.mark
    return {
        "id": f"review-{mark.turn_id}",
        "author": "review",
        "text": marked.text,
        "lang": marked.language,
        "level": mark.level.value,
        "categories": [category.value for category in mark.categories],
        "kind": marked.kind,
        "style": [],
    }


def _login() -> str:
    """The name this person is logged in with, as far as it fits."""
    try:
        return re.sub(r"[^\w.:+-]", "", getpass.getuser(), flags=re.ASCII) or "reviewer"
    except (OSError, KeyError):  # nobody is logged in, as in some containers
        return "reviewer"
