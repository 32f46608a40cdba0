"""The human side of the store: tickets, who has them, what reviewers write, note and mark.

It decides that a ticket is in one pair of hands at most, and that every step leaves an audit row without words. It
never decides what is said: the words that tell a person of a reviewer coming or leaving are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from ...guards.types import Category, RiskLevel, Verdict
from . import audit, outbox
from .database import Database
from .errors import StoreError, TicketMoved
from .records import CrisisEntry, TurnRecord
from .rows import AnyRow, storable
from .schema import (
    HUMANS_TABLE,
    MARKS_TABLE,
    NOTES_TABLE,
    SESSIONS_TABLE,
    TICKETS_TABLE,
    TURNS_TABLE,
    VERDICTS_TABLE,
    StoredHuman,
    StoredNote,
    StoredTicket,
    Turn,
)
from .sealing import Sealer
from .tickets import Outcome, Span, Ticket, TicketState, after_turn, by_urgency

REVIEWER = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
"""A reviewer's name: an identifier, so that the audit may hold it."""


class HumanKind(StrEnum):
    """What stands between the turns."""

    ARRIVED = "arrived"
    """Fixed words: a human writes from here on."""
    MESSAGE = "message"
    """A human wrote."""
    LEFT = "left"
    """Fixed words: the agent is back."""


@dataclass(frozen=True, slots=True)
class HumanMessage:
    """Something a human wrote to the person, or the fixed words around it."""

    id: int
    """Grows with time."""
    session_id: str
    kind: HumanKind
    text: str
    author: str
    """The reviewer; never shown to the person."""
    after: int
    """Number of the turn behind which it stands; 0 before the first."""
    time: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """What a reviewer wrote down for other reviewers."""

    id: int
    ticket_id: str
    author: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reviewer says the verdict on a message should have been."""

    turn_id: str
    author: str
    level: RiskLevel
    categories: tuple[Category, ...]
    time: datetime


@dataclass(frozen=True, slots=True)
class MarkedMessage:
    """A marked message with what the filter had said: a labelled example."""

    mark: Mark
    text: str
    language: str
    said: RiskLevel
    """The filter's own level."""

    @property
    def kind(self) -> str:
        """false_alarm, missed, or category when only that was wrong."""
        if self.mark.level == self.said:
            return "category"
        return "missed" if self.mark.level > self.said else "false_alarm"


@dataclass(frozen=True, slots=True)
class HumanSide:
    """What a running conversation has to know of its reviewer."""

    ticket: Ticket | None
    messages: tuple[HumanMessage, ...]


_T = TICKETS_TABLE.c
_TICKETS = select(*(_T[field.name] for field in fields(Ticket)))
_HUMANS = select(*(HUMANS_TABLE.c[field.name] for field in fields(HumanMessage))).order_by(StoredHuman.id)
_NOTES = select(*(NOTES_TABLE.c[field.name] for field in fields(Note))).order_by(StoredNote.id)
_MARKS = select(*(MARKS_TABLE.c[field.name] for field in fields(Mark)))
_LAST_NUMBER = select(func.coalesce(func.max(Turn.number), 0))


class Handoff:
    """Tickets and what reviewers do. Blocking, like the store it belongs to; every method may raise ``StoreError``."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        sealer: Sealer,
        *,
        webhook: bool = False,
    ) -> None:
        self._database, self._clock, self._new_id, self._webhook = database, clock, new_id, webhook
        self._sealer = sealer

    # Looking

    def queue(self, *, closed_for: timedelta = timedelta(0)) -> tuple[Ticket, ...]:
        """Tickets that are not closed, or were closed less than ``closed_for`` ago; the most urgent first."""
        wanted = (StoredTicket.state != TicketState.CLOSED.value) | (StoredTicket.closed > self._clock() - closed_for)
        with self._database.reading() as connection:
            return by_urgency(map(_ticket, connection.execute(_TICKETS.where(wanted))))

    def ticket(self, ticket_id: str) -> Ticket | None:
        """One ticket."""
        with self._database.reading() as connection:
            return _first(connection, _TICKETS.where(StoredTicket.id == ticket_id))

    def of_session(self, session_id: str, after: int = 0) -> HumanSide:
        """The ticket of a conversation, and what was written to it by humans since message ``after``. One look costs
        two indexed reads."""
        with self._database.reading() as connection:
            ticket = _first(connection, _TICKETS.where(StoredTicket.session_id == session_id))
            new = _HUMANS.where(StoredHuman.session_id == session_id, StoredHuman.id > after)
            return HumanSide(ticket, tuple(_human(row, self._sealer) for row in connection.execute(new)))

    def notes(self, ticket_id: str) -> tuple[Note, ...]:
        """What reviewers wrote down, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(_NOTES.where(StoredNote.ticket_id == ticket_id))
            return tuple(Note(**self._sealer.opened("ticket_notes", row.id, row._mapping)) for row in rows)

    # What a turn does

    def after_turn(
        self, connection: Connection, turn: TurnRecord, verdict: Verdict, crisis: CrisisEntry | None, now: datetime
    ) -> list[audit.Entry]:
        """Open or update the conversation's ticket inside the transaction that writes the turn."""
        of_session = StoredTicket.session_id == turn.session_id
        if crisis is None:
            connection.execute(update(TICKETS_TABLE).where(of_session, _T.state == "taken").values(updated=now))
            return []
        before = _first(connection, _TICKETS.where(of_session).with_for_update())
        ticket, what = after_turn(before, turn, verdict, crisis, now, self._new_id())
        if before is None:
            connection.execute(insert(TICKETS_TABLE), _row(ticket))
        else:
            connection.execute(update(TICKETS_TABLE).where(_T.id == ticket.id), _row(ticket))
        return [self._tell(connection, ticket, what, now, turn.id)] if what else []

    # What a reviewer does

    def see(self, ticket_id: str, reviewer: str) -> Ticket:
        """A reviewer looks at a ticket. The first look counts; later ones change nothing."""

        def seen(ticket: Ticket, now: datetime) -> Ticket | None:
            return None if ticket.first_seen else replace(ticket, first_seen=now, seen_by=reviewer)

        return self._step(ticket_id, reviewer, seen, "seen")

    def take(self, ticket_id: str, reviewer: str, words: str) -> Ticket:
        """Take a ticket over: from now on the agent is silent, and ``words`` tell the person so.

        Raises:
            TicketMoved: somebody else has it, or it is closed.
        """

        def taken(ticket: Ticket, now: datetime) -> Ticket | None:
            if ticket.held_by(reviewer):  # the same reviewer at another terminal, or after a crash
                return replace(ticket, alive=now)
            if not ticket.free(now):
                raise self._moved(ticket)
            seen, by = (ticket.first_seen, ticket.seen_by) if ticket.first_seen else (now, reviewer)
            return replace(
                ticket,
                state=TicketState.TAKEN,
                taken_by=reviewer,
                taken_at=now,
                alive=now,
                first_seen=seen,
                seen_by=by,
            )

        return self._step(ticket_id, reviewer, taken, "taken", (HumanKind.ARRIVED, words))

    def renew(self, ticket_id: str, reviewer: str) -> bool:
        """Say that the reviewer is still there. False when the ticket is not theirs any more."""
        mine = (_T.id == ticket_id, _T.state == TicketState.TAKEN.value, _T.taken_by == reviewer)
        with self._database.writing() as connection:
            return connection.execute(update(TICKETS_TABLE).where(*mine).values(alive=self._clock())).rowcount == 1

    def release(self, ticket_id: str, reviewer: str, words: str) -> Ticket:
        """Give the talk back to the agent; ``words`` tell the person so.

        Raises:
            TicketMoved: the ticket is not this reviewer's.
        """

        def released(ticket: Ticket, now: datetime) -> Ticket | None:
            if not ticket.held_by(reviewer):
                raise self._moved(ticket)
            return replace(ticket, state=TicketState.RELEASED, released=now)

        return self._step(ticket_id, reviewer, released, "released", (HumanKind.LEFT, words))

    def lapse(self, session_id: str, words: str) -> bool:
        """Give the talk back to the agent when its reviewer is gone. True when that was so."""
        ticket = self.of_session(session_id).ticket
        if ticket is None or not ticket.lapsed(self._clock()):
            return False

        def released(ticket: Ticket, now: datetime) -> Ticket | None:
            return replace(ticket, state=TicketState.RELEASED, released=now) if ticket.lapsed(now) else None

        gone = self._step(ticket.id, ticket.taken_by or "", released, "lapsed", (HumanKind.LEFT, words))
        return gone.state is TicketState.RELEASED

    def close(self, ticket_id: str, reviewer: str, outcome: Outcome, words: str) -> Ticket:
        """Close a ticket with its outcome. ``words`` reach the person only when the reviewer was writing with them.

        Raises:
            TicketMoved: somebody else is writing with the person, or it is closed.
        """

        def closed(ticket: Ticket, now: datetime) -> Ticket | None:
            if not ticket.held_by(reviewer) and not ticket.free(now):
                raise self._moved(ticket)
            return replace(ticket, state=TicketState.CLOSED, closed=now, closed_by=reviewer, outcome=outcome)

        return self._step(ticket_id, reviewer, closed, "closed", (HumanKind.LEFT, words), {"outcome": outcome.value})

    def say(self, ticket_id: str, reviewer: str, text: str) -> HumanMessage:
        """Write to the person, as a human.

        Raises:
            TicketMoved: the ticket is not this reviewer's.
        """
        now = self._clock()
        with self._database.writing() as connection:
            ticket = self._locked(connection, ticket_id)
            if not ticket.held_by(reviewer):
                raise self._moved(ticket)
            connection.execute(update(TICKETS_TABLE).where(_T.id == ticket_id).values(alive=now, updated=now))
            said = self._write(connection, ticket, HumanKind.MESSAGE, text, reviewer, now)
            payload: dict[str, audit.Value] = {"ticket": ticket_id, "reviewer": reviewer, "message": said.id}
            audit.append(connection, [audit.Entry("human_wrote", ticket.session_id, None, payload)], now)
        return said

    def note(self, ticket_id: str, reviewer: str, text: str) -> Note:
        """Write something down for other reviewers. The person never sees it."""
        now = self._clock()
        with self._database.writing() as connection:
            ticket = self._locked(connection, ticket_id)
            row = {"ticket_id": ticket_id, "author": reviewer, "text": storable(text), "time": now}
            number = self._put(connection, NOTES_TABLE, row)
            payload: dict[str, audit.Value] = {"ticket": ticket_id, "reviewer": reviewer, "note": number}
            audit.append(connection, [audit.Entry("ticket_noted", ticket.session_id, None, payload)], now)
        return Note(id=number, **row)

    # Marks

    def mark(self, turn_id: str, reviewer: str, level: RiskLevel, categories: Sequence[Category] = ()) -> Mark:
        """Say what the verdict on a message should have been. A later mark takes the place of the one before.

        Raises:
            StoreError: there is no such message, or it has no verdict.
        """
        mark = Mark(turn_id, reviewer, level, tuple(categories), self._clock())
        with self._database.writing() as connection:
            turn = select(Turn.session_id).join(VERDICTS_TABLE).where(Turn.id == turn_id)
            session_id = connection.execute(turn).scalar()
            if session_id is None:
                raise StoreError(self._database.where, "there is no judged message with this id")
            connection.execute(delete(MARKS_TABLE).where(MARKS_TABLE.c.turn_id == turn_id))
            named = [category.value for category in mark.categories]
            row = {"turn_id": turn_id, "author": reviewer, "level": level.value, "categories": named}
            connection.execute(insert(MARKS_TABLE), row | {"time": mark.time})
            payload: dict[str, audit.Value] = {"reviewer": reviewer, "level": level.value, "categories": tuple(named)}
            audit.append(connection, [audit.Entry("verdict_marked", session_id, turn_id, payload)], mark.time)
        return mark

    def marks(self, session_id: str) -> dict[str, Mark]:
        """The marks in a conversation, by turn."""
        of_session = _MARKS.join(TURNS_TABLE).where(Turn.session_id == session_id)
        with self._database.reading() as connection:
            return {row.turn_id: _mark(row) for row in connection.execute(of_session)}

    def marked_messages(self) -> tuple[MarkedMessage, ...]:
        """Every marked message, oldest mark first."""
        verdict = VERDICTS_TABLE.c
        found = (
            select(*MARKS_TABLE.c, Turn.user_text, verdict.language, verdict.level.label("said"))
            .join_from(MARKS_TABLE, TURNS_TABLE)
            .join(VERDICTS_TABLE, verdict.turn_id == Turn.id)
            .order_by(MARKS_TABLE.c.time, MARKS_TABLE.c.turn_id)
        )
        with self._database.reading() as connection:
            return tuple(
                MarkedMessage(_mark(row), self._said(row), row.language, RiskLevel(row.said))
                for row in connection.execute(found)
            )

    # Parts

    def _step(
        self,
        ticket_id: str,
        reviewer: str,
        change: Callable[[Ticket, datetime], Ticket | None],
        what: str,
        announcement: tuple[HumanKind, str] | None = None,
        payload: dict[str, audit.Value] | None = None,
    ) -> Ticket:
        """One step of a ticket: its row is locked, looked at and changed in one transaction, so that of two reviewers
        the second sees what the first did."""
        now = self._clock()
        with self._database.writing() as connection:
            before = self._locked(connection, ticket_id)
            ticket = change(before, now)
            if ticket is None:
                return before
            connection.execute(update(TICKETS_TABLE).where(_T.id == ticket_id), _row(ticket))
            writing = (before.state is TicketState.TAKEN, ticket.state is TicketState.TAKEN)
            if announcement and writing in ((False, True), (True, False)):  # the person is told once
                self._write(connection, ticket, *announcement, reviewer, now)
            entry = self._tell(connection, ticket, what, now)
            entry = replace(entry, payload=dict(entry.payload) | {"reviewer": reviewer} | (payload or {}))
            audit.append(connection, [entry], now)
        return ticket

    def _tell(
        self, connection: Connection, ticket: Ticket, what: str, now: datetime, turn_id: str | None = None
    ) -> audit.Entry:
        """The audit row of a step; the webhook hears of it too, if there is one."""
        if self._webhook:
            outbox.put(connection, self._new_id(), what, ticket, now)
        payload: dict[str, audit.Value] = {
            "ticket": ticket.id,
            "level": ticket.level.value,
            "categories": tuple(category.value for category in ticket.categories),
        }
        return audit.Entry(f"ticket_{what}", ticket.session_id, turn_id, payload)

    def _write(
        self, connection: Connection, ticket: Ticket, kind: HumanKind, text: str, author: str, now: datetime
    ) -> HumanMessage:
        after = connection.execute(_LAST_NUMBER.where(Turn.session_id == ticket.session_id)).scalar_one()
        row = {"session_id": ticket.session_id, "kind": kind.value, "text": storable(text), "author": author}
        row |= {"after": after, "time": now}
        number = self._put(connection, HUMANS_TABLE, row)
        session = update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == ticket.session_id)
        connection.execute(session.values(updated=now))
        return HumanMessage(number, ticket.session_id, kind, storable(text), author, after, now)

    def _put(self, connection: Connection, table: Table, row: dict[str, Any]) -> int:
        """Insert a row whose text is bound to the id that it gets; both in the caller's transaction."""
        number = connection.execute(insert(table).returning(table.c.id), row | {"text": ""}).scalar_one()
        sealed = self._sealer.sealed(table.name, number, {"text": row["text"]})
        connection.execute(update(table).where(table.c.id == number), sealed)
        return number

    def _locked(self, connection: Connection, ticket_id: str) -> Ticket:
        ticket = _first(connection, _TICKETS.where(StoredTicket.id == ticket_id).with_for_update())
        if ticket is None:
            raise TicketMoved(self._database.where, "this ticket is gone", "Its conversation was deleted.")
        return ticket

    def _said(self, row: AnyRow) -> str:
        return self._sealer.opened("turns", row.turn_id, {"user_text": row.user_text})["user_text"]

    def _moved(self, ticket: Ticket) -> TicketMoved:
        if ticket.state is TicketState.TAKEN:
            return TicketMoved(self._database.where, f"{ticket.taken_by} has taken this ticket")
        return TicketMoved(self._database.where, f"this ticket is {ticket.state.value}")


def export(connection: Connection, session_id: str, sealer: Sealer) -> dict[str, Any]:
    """What the human side keeps of a conversation, as JSON can hold it."""
    ticket = connection.execute(select(TICKETS_TABLE).where(_T.session_id == session_id)).first()
    notes = select(NOTES_TABLE).join(TICKETS_TABLE).where(_T.session_id == session_id).order_by(NOTES_TABLE.c.id)
    humans = select(HUMANS_TABLE).where(HUMANS_TABLE.c.session_id == session_id).order_by(HUMANS_TABLE.c.id)
    marks = select(MARKS_TABLE).join(TURNS_TABLE).where(TURNS_TABLE.c.session_id == session_id)
    return {
        "ticket": _json(ticket, sealer) if ticket else None,
        "human_messages": [_json(row, sealer, "human_messages") for row in connection.execute(humans)],
        "notes": [_json(row, sealer, "ticket_notes") for row in connection.execute(notes)],
        "marks": [_json(row, sealer) for row in connection.execute(marks)],
    }


def _json(row: AnyRow, sealer: Sealer, table: str = "") -> dict[str, Any]:
    values = sealer.opened(table, row._mapping.get("id"), row._mapping)
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _first(connection: Connection, statement: Any) -> Ticket | None:
    row = connection.execute(statement).first()
    return _ticket(row) if row else None


def _ticket(row: AnyRow) -> Ticket:
    ticket = Ticket(*row)
    spans = (
        Span(s["turn_id"], s["start"], s["end"], Category(s["category"]), RiskLevel(s["level"]), s["source"])
        for s in row.evidence
    )
    return replace(
        ticket,
        state=TicketState(row.state),
        level=RiskLevel(row.level),
        categories=tuple(map(Category, row.categories)),
        evidence=tuple(spans),
        moves=tuple(row.moves),
        outcome=Outcome(row.outcome) if row.outcome else None,
    )


def _row(ticket: Ticket) -> dict[str, Any]:
    row = {field.name: getattr(ticket, field.name) for field in fields(Ticket)}
    row |= {"state": ticket.state.value, "level": ticket.level.value, "moves": list(ticket.moves)}
    row["categories"] = [category.value for category in ticket.categories]
    row["outcome"] = ticket.outcome.value if ticket.outcome else None
    row["evidence"] = [
        {field.name: _value(getattr(span, field.name)) for field in fields(Span)} for span in ticket.evidence
    ]
    return row


def _value(value: object) -> object:
    return value.value if isinstance(value, StrEnum) else value


def _human(row: AnyRow, sealer: Sealer) -> HumanMessage:
    message = HumanMessage(**sealer.opened("human_messages", row.id, row._mapping))
    return replace(message, kind=HumanKind(message.kind))


def _mark(row: AnyRow) -> Mark:
    return Mark(row.turn_id, row.author, RiskLevel(row.level), tuple(map(Category, row.categories)), row.time)
