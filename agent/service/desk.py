"""The handoff queue over HTTP: what ``warmline review`` does at a terminal, for a desk of one's own.

The reviewer is the key: each person at the desk has a key, and its name stands in the audit. The store decides who
may do which step; the words that tell the person of it are the agent's.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from ...guards.clean import clean
from ...guards.types import Category, RiskLevel
from ..copy import Copy
from ..store import Outcome, Ticket, TicketState
from .access import ReviewKey
from .errors import Refused, unknown
from .sessions import Body, History, HumanOut, history_of
from .shared import Shared, SharedParts

router = APIRouter(prefix="/v1/tickets", tags=["handoff"])

R = TypeVar("R")
LONGEST = 8_000
"""Characters a reviewer may write at once."""


class SpanOut(BaseModel):
    """Evidence: where in which turn."""

    turn_id: str
    start: int
    end: int
    category: Category
    level: RiskLevel
    source: str


class TicketOut(BaseModel):
    """A conversation that a human should look at."""

    id: str
    session_id: str
    state: TicketState
    level: RiskLevel
    categories: tuple[Category, ...]
    evidence: tuple[SpanOut, ...]
    opened: datetime
    updated: datetime
    first_seen: datetime | None
    taken_by: str | None
    alive: datetime | None = Field(description="When the reviewer was last heard of; after a minute the agent is back.")
    closed: datetime | None
    outcome: Outcome | None


class NoteOut(BaseModel):
    """What a reviewer wrote down for others."""

    author: str
    text: str
    time: datetime


class TalkOut(BaseModel):
    """A ticket with its conversation."""

    ticket: TicketOut
    history: History
    notes: list[NoteOut]


class Words(Body):
    """What a reviewer writes."""

    text: str = Field(min_length=1, max_length=LONGEST)


class Closing(Body):
    """How a ticket ended."""

    outcome: Outcome


class Marking(Body):
    """What the verdict on a message should have been."""

    turn_id: str = Field(max_length=32)
    level: RiskLevel
    categories: tuple[Category, ...] = ()


@router.get("")
async def queue(
    service: SharedParts, key: ReviewKey, closed_hours: Annotated[float, Query(ge=0, le=24 * 90)] = 0
) -> list[TicketOut]:
    """Tickets that are not closed, the most urgent first; with ``closed_hours`` those closed since then, too."""
    since = timedelta(hours=closed_hours)
    return [_out(t) for t in await asyncio.to_thread(lambda: service.store.handoff.queue(closed_for=since))]


@router.get("/{ticket_id}")
async def talk(service: SharedParts, key: ReviewKey, ticket_id: str) -> TalkOut:
    """A ticket with everything that was said. The first look is noted."""

    def read() -> TalkOut:
        ticket = service.store.handoff.see(_ticket(service, ticket_id).id, key.name)
        notes = [NoteOut.model_validate(note, from_attributes=True) for note in service.store.handoff.notes(ticket_id)]
        return TalkOut(ticket=_out(ticket), history=history_of(service, ticket.session_id), notes=notes)

    return await asyncio.to_thread(read)


@router.post("/{ticket_id}/take")
async def take(service: SharedParts, key: ReviewKey, ticket_id: str) -> TicketOut:
    """Take the talk over: the agent is silent from now on, and the person is told. Say ``renew`` at least twice a
    minute, or the agent comes back."""

    def step(ticket: Ticket, copy: Copy) -> Ticket:
        return service.store.handoff.take(ticket.id, key.name, copy.human_arrived(seed=_seed(ticket)))

    return _out(await _step(service, ticket_id, step))


@router.post("/{ticket_id}/renew", status_code=204)
async def renew(service: SharedParts, key: ReviewKey, ticket_id: str) -> Response:
    """The reviewer is still there. 409 when the talk is not theirs any more."""
    if not await asyncio.to_thread(service.store.handoff.renew, ticket_id, key.name):
        raise Refused(409, "ticket_moved", "this ticket is in other hands, closed or gone")
    return Response(status_code=204)


@router.post("/{ticket_id}/messages", status_code=201)
async def write(service: SharedParts, key: ReviewKey, ticket_id: str, body: Words) -> HumanOut:
    """Write to the person, as a human. Only with the talk in hand."""
    said = await _step(service, ticket_id, lambda t, _: service.store.handoff.say(t.id, key.name, _readable(body)))
    return HumanOut(id=said.id, kind=said.kind.value, text=said.text, after=said.after, time=said.time)


@router.post("/{ticket_id}/release")
async def release(service: SharedParts, key: ReviewKey, ticket_id: str) -> TicketOut:
    """Give the talk back to the agent; the person is told."""

    def step(ticket: Ticket, copy: Copy) -> Ticket:
        return service.store.handoff.release(ticket.id, key.name, copy.human_left(seed=_seed(ticket)))

    return _out(await _step(service, ticket_id, step))


@router.post("/{ticket_id}/close")
async def close(service: SharedParts, key: ReviewKey, ticket_id: str, body: Closing) -> TicketOut:
    """Close the ticket with its outcome. A new crisis opens it again."""

    def step(ticket: Ticket, copy: Copy) -> Ticket:
        words = copy.human_left(seed=_seed(ticket))
        return service.store.handoff.close(ticket.id, key.name, body.outcome, words)

    return _out(await _step(service, ticket_id, step))


@router.post("/{ticket_id}/notes", status_code=201)
async def note(service: SharedParts, key: ReviewKey, ticket_id: str, body: Words) -> NoteOut:
    """Write something down for other reviewers. The person never sees it."""
    kept = await _step(service, ticket_id, lambda t, _: service.store.handoff.note(t.id, key.name, _readable(body)))
    return NoteOut.model_validate(kept, from_attributes=True)


@router.post("/{ticket_id}/marks", status_code=204)
async def mark(service: SharedParts, key: ReviewKey, ticket_id: str, body: Marking) -> Response:
    """Say what the verdict on a message should have been."""

    def step(ticket: Ticket, copy: Copy) -> None:
        turn = service.store.turn(body.turn_id)
        if turn is None or turn.session_id != ticket.session_id:
            raise unknown("turn")
        if service.store.verdict(turn.id) is None:
            raise Refused(409, "not_judged", "this message has no verdict")
        service.store.handoff.mark(turn.id, key.name, body.level, body.categories)

    await _step(service, ticket_id, step)
    return Response(status_code=204)


async def _step(service: Shared, ticket_id: str, step: Callable[[Ticket, Copy], R]) -> R:
    """One step of a ticket, with the agent's words in the language of the conversation."""

    def run() -> R:
        ticket = _ticket(service, ticket_id)
        language = service.store.session(ticket.session_id).language
        return step(ticket, service.agent.voices.of(language).copy)

    return await asyncio.to_thread(run)


def _ticket(service: Shared, ticket_id: str) -> Ticket:
    ticket = service.store.handoff.ticket(ticket_id)
    if ticket is None:
        raise unknown("ticket")
    return ticket


def _readable(body: Words) -> str:
    text = clean(body.text).strip()
    if not text:
        raise Refused(422, "invalid_request", "there is no readable character in it", param="text")
    return text


def _seed(ticket: Ticket) -> int:
    return zlib.crc32(ticket.id.encode())


def _out(ticket: Ticket) -> TicketOut:
    return TicketOut.model_validate(asdict(ticket))
