"""``warmline ask``: one turn on standard output, for people and for programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Country, Json, load_settings

if TYPE_CHECKING:
    from ...agent import Session, SupportAgent
    from ...agent.events import CrisisCard, Event
    from ...agent.settings import Settings


def ask(
    text: Annotated[str | None, typer.Argument(help="What to say; left out, standard input is read.")] = None,
    country: Country = None,
    json: Json = False,
    lines: Annotated[bool, typer.Option("--lines", help="Take every line of standard input as a turn.")] = False,
) -> None:
    """Say one thing and print the answer.

    With --json: the typed events, one JSON object a line.

    Example: warmline ask "I can't sleep since the funeral" --country US
    """
    settings = load_settings(country)
    if text is not None:
        turns: Iterable[str] = [text]
    elif lines:
        turns = sys.stdin
    else:
        turns = [sys.stdin.read()]
    raise typer.Exit(converse(settings, turns, as_json=json))


def converse(settings: Settings, turns: Iterable[str], *, as_json: bool) -> int:
    """Run ``turns`` as one conversation and print it. Returns the exit code: 1 when a turn failed."""
    return asyncio.run(_converse(settings, turns, as_json=as_json))


async def _converse(settings: Settings, turns: Iterable[str], *, as_json: bool) -> int:
    from ...agent import SupportAgent

    failed = False
    agent = SupportAgent.from_settings(settings)
    try:
        session = await _open(agent)
        for text in turns:
            async for event in session.send(text.rstrip("\n")):
                failed |= event.type == "failed"
                print(event.model_dump_json() if as_json else as_text(event), end="\n" if as_json else "", flush=True)
    finally:
        await agent.aclose()
    return int(failed)


async def _open(agent: SupportAgent) -> Session:
    """A new session; where it cannot be stored, whoever asks still sees who to talk to before the error is told."""
    from ...agent import StoreError

    try:
        return await agent.open_session()
    except StoreError:
        print(card_text(agent.hotlines(None)), file=sys.stderr)
        raise


def as_text(event: Event) -> str:
    """What a person reads of one event."""
    match event.type:
        case "sentence" | "replaced":
            return event.text
        case "crisis_card":
            return f"\n\n{card_text(event.card)}\n"
        case "human":
            who = "A person: " if event.kind == "message" else ""
            return f"\n{who}{event.text}\n"
        case "done":
            return "\n"
        case "failed":
            return f"{event.text}\n"
        case "verdict":
            return ""


def card_text(card: CrisisCard) -> str:
    """A crisis card in plain lines. The notice stays away: the words beside it have said it once."""
    rows = [card.title, *(f"  {row}" for line in card.lines for row in line.rows())]
    if card.emergency:
        rows.append(f"  Emergency: {card.emergency}")
    return "\n".join(rows)
