"""What a handoff ticket is, and what a turn and a reviewer may do to it. Pure: nothing here reads or writes anything.

A conversation has at most one ticket. It holds levels, categories, ids and offsets into the turns, and nobody's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

from ...guards.types import Category, RiskLevel, Verdict
from .records import CrisisEntry, TurnRecord

LEASE = timedelta(seconds=60)
"""A takeover whose reviewer has not been heard of for longer has ended: a closed laptop must not leave a person in
silence. The review screen is heard of every few seconds."""

KEPT = 200
"""Spans and moves a ticket keeps, the newest; the whole story stands with the turns."""


class TicketState(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    """Nobody is writing with the person."""
    TAKEN = "taken"
    """A reviewer writes, and the agent is silent."""
    RELEASED = "released"
    """The reviewer gave the talk back to the agent; the ticket waits for its outcome or for somebody else."""
    CLOSED = "closed"
    """Done, with an outcome. A new crisis opens it again."""


class Outcome(StrEnum):
    """How a ticket ended."""

    SAFER = "safer"
    """The person says that they are safer, or calmer."""
    CONNECTED = "connected"
    """The person is with, or in touch with, somebody who helps."""
    EMERGENCY = "emergency"
    """Emergency services are involved."""
    LEFT = "left"
    """The person stopped writing."""
    FALSE_ALARM = "false_alarm"
    """There was no crisis."""


@dataclass(frozen=True, slots=True)
class Span:
    """Evidence: where in which turn. The words themselves stay in the turn."""

    turn_id: str
    start: int
    end: int
    category: Category
    level: RiskLevel
    source: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A conversation that a human should look at. Moments are UTC."""

    id: str
    session_id: str
    state: TicketState
    level: RiskLevel
    """The highest level since it was opened."""
    categories: tuple[Category, ...]
    evidence: tuple[Span, ...]
    moves: tuple[str, ...]
    """Ids of what the protocol said so far."""
    created: datetime
    opened: datetime
    """When it was opened, or opened again; its age counts from here."""
    updated: datetime
    first_seen: datetime | None = None
    """When a reviewer first looked at it after ``opened``."""
    seen_by: str | None = None
    taken_by: str | None = None
    taken_at: datetime | None = None
    alive: datetime | None = None
    """When the reviewer who has it was last heard of."""
    released: datetime | None = None
    closed: datetime | None = None
    closed_by: str | None = None
    outcome: Outcome | None = None

    def lapsed(self, now: datetime) -> bool:
        """True when it is taken by a reviewer who is gone."""
        return self.state is TicketState.TAKEN and (self.alive is None or now - self.alive > LEASE)

    def free(self, now: datetime) -> bool:
        """True when a reviewer may take it."""
        return self.state in (TicketState.OPEN, TicketState.RELEASED) or self.lapsed(now)

    def held_by(self, reviewer: str) -> bool:
        """True when ``reviewer`` is the one who writes."""
        return self.state is TicketState.TAKEN and self.taken_by == reviewer


def after_turn(
    ticket: Ticket | None, turn: TurnRecord, verdict: Verdict, crisis: CrisisEntry, now: datetime, new_id: str
) -> tuple[Ticket, str | None]:
    """The ticket after a turn of the crisis path, and what happened to it: opened, reopened, raised or nothing new.

    A calm message while the risk is still up only adds to the ticket; it brings no released or closed one back.
    """
    spans = tuple(Span(turn.id, e.start, e.end, e.category, e.level, e.source) for e in verdict.evidence)
    fresh = Ticket(
        id=ticket.id if ticket else new_id,
        session_id=turn.session_id,
        state=TicketState.OPEN,
        level=crisis.level,
        categories=crisis.categories,
        evidence=spans[-KEPT:],
        moves=crisis.moves[-KEPT:],
        created=ticket.created if ticket else now,
        opened=now,
        updated=now,
    )
    if ticket is None:
        return fresh, "opened"
    calm = verdict.level is RiskLevel.NONE and verdict.error is None
    if ticket.state is TicketState.CLOSED and not calm:
        return fresh, "reopened"
    grown = replace(
        ticket,
        level=max(ticket.level, crisis.level),
        categories=tuple(dict.fromkeys((*ticket.categories, *crisis.categories))),
        evidence=(*ticket.evidence, *spans)[-KEPT:],
        moves=tuple(dict.fromkeys((*ticket.moves, *crisis.moves)))[-KEPT:],
        updated=now,
    )
    if ticket.state is TicketState.RELEASED and not calm:
        again = replace(grown, state=TicketState.OPEN, opened=now, first_seen=None, seen_by=None, taken_by=None)
        return again, "reopened"
    return grown, "raised" if grown.level > ticket.level else None


def by_urgency(tickets: Iterable[Ticket]) -> tuple[Ticket, ...]:
    """The most severe first; of the same severity the one that waits longest. What is in hand or given back comes after
    what nobody has."""
    order = (TicketState.OPEN, TicketState.TAKEN, TicketState.RELEASED, TicketState.CLOSED)
    return tuple(sorted(tickets, key=lambda t: (order.index(t.state), -t.level.rank, t.opened, t.id)))


AGES = (timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Borders between the groups of open tickets."""


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How quickly humans look. Counts open tickets only."""

    unseen: int
    """Open tickets that nobody has looked at."""
    oldest_unseen: timedelta | None
    """For how long the oldest of them has waited."""
    first_look: timedelta | None
    """Median time from opening to the first look, over the tickets given; None when nobody looked yet."""
    by_age: tuple[int, ...]
    """Open tickets younger than each of ``AGES``, and last those that are older."""

    @classmethod
    def of(cls, tickets: Iterable[Ticket], now: datetime) -> ServiceLevel:
        """The service level over ``tickets``, the closed ones included."""
        tickets = tuple(tickets)
        waiting = [now - t.opened for t in tickets if t.state is TicketState.OPEN]
        unseen = [now - t.opened for t in tickets if t.state is TicketState.OPEN and t.first_seen is None]
        looks = [(t.first_seen - t.opened).total_seconds() for t in tickets if t.first_seen]
        edges = (timedelta.min, *AGES, timedelta.max)
        ages = tuple(sum(low <= age < high for age in waiting) for low, high in pairwise(edges))
        return cls(
            unseen=len(unseen),
            oldest_unseen=max(unseen, default=None),
            first_look=timedelta(seconds=median(looks)) if looks else None,
            by_age=ages,
        )
