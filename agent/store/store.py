"""The store: the one truth about every conversation.

It decides that a message is kept before anything is made of it, that a turn is answered at most once, and that a
deleted conversation is gone. It never decides what is said.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import Connection, Select, update

from ...guards.types import Verdict
from ..events import Route
from . import audit, handoff
from . import statements as sql
from .database import Database
from .errors import StoreError, TurnPending, TurnRepeated, TurnSettled, UnknownSession
from .handoff import Handoff
from .keys import Keys
from .outbox import Outbox
from .owner import Owner, uptime
from .records import AuditReport, AuditRow, CrisisEntry, CrisisEvent, SessionRecord, TurnRecord, TurnStatus
from .rows import (
    NOT_KEPT,
    AnyRow,
    audit_of,
    crisis_of,
    json_object,
    plain,
    session_of,
    settled_turn,
    storable,
    title_from,
    turn_of,
    verdict_of,
)
from .schema import SESSIONS_TABLE

ABANDONED_AFTER = timedelta(minutes=5)
"""A turn pending for longer has lost its owner, even when nobody can look at that process. Longer than any reply may
take with the default model settings (``total_s`` times its tries)."""

NAME_LENGTH = 200
"""A title that the person gave is at most this long, in characters."""

State = Mapping[str, Any] | BaseModel
"""Risk, protocol progress or a card: a pydantic model, or a JSON object."""


class Store:
    """Conversations in SQLite or PostgreSQL. Blocking; safe to call from several threads and processes.

    Every method raises ``StoreError`` when the database fails, after rolling back.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        uptime: Callable[[], float] = uptime,
        owner: Callable[[], Owner] = Owner.current,
        abandoned_after: timedelta = ABANDONED_AFTER,
        webhook: bool = False,
    ) -> None:
        self._database = database
        self.handoff = Handoff(database, clock, new_id, webhook=webhook)
        """Tickets, and what reviewers do."""
        self.outbox = Outbox(database, clock)
        """What the webhook still has to be told; stays empty without ``webhook``."""
        self.keys = Keys(database, clock, new_id)
        """API keys of the service, and whose conversation is whose."""
        self._clock, self._uptime = clock, uptime
        self._new_id = new_id
        self._owner = owner  # asked each time: after a fork the process is another one
        self._abandoned_after = abandoned_after

    @classmethod
    def open(cls, url: str, **options: Any) -> Store:
        """Open ``url`` (SQLAlchemy's form), create what is missing and bring the schema up to date.

        Folder and file are made for this user only. ``options`` are those of ``Store``.

        Raises:
            StoreError: the file is damaged, foreign, too new, locked or cannot be written; or the server is away. It
                is left exactly as it was.
        """
        return cls(Database(url), **options)

    @property
    def where(self) -> str:
        """The database in use, for people: a path, or a URL without its password."""
        return self._database.where

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Conversations

    def create_session(
        self, country: str | None = None, language: str = "en", title: str | None = None
    ) -> SessionRecord:
        """Begin a conversation."""
        now, session_id = self._clock(), self._new_id()
        row = {"id": session_id, "created": now, "updated": now, "country": country, "language": language}
        row["title"] = title_from(title or "", NAME_LENGTH)
        with self._database.writing() as connection:
            connection.execute(sql.NEW_SESSION, row)
            audit.append(connection, [audit.Entry("session_created", session_id, None, {"country": country})], now)
            return session_of(self._find(connection, session_id))

    def sessions(self, limit: int | None = None) -> tuple[SessionRecord, ...]:
        """Conversations, the last active first."""
        with self._database.reading() as connection:
            return tuple(map(session_of, connection.execute(sql.SESSIONS.limit(limit))))

    def session(self, session_id: str) -> SessionRecord:
        """One conversation.

        Raises:
            UnknownSession: there is none with this id.
        """
        with self._database.reading() as connection:
            return session_of(self._find(connection, session_id))

    def rename(self, session_id: str, title: str) -> SessionRecord:
        """Give a conversation a name; an empty one takes the name away."""
        return self._change(session_id, {"title": title_from(title, NAME_LENGTH)}, "session_renamed")

    def set_country(self, session_id: str, country: str | None) -> SessionRecord:
        """Change the country whose lines are offered."""
        return self._change(session_id, {"country": country}, "country_set", {"country": country})

    def end_session(self, session_id: str) -> SessionRecord:
        """Mark a conversation as ended. A new message opens it again: nobody is refused."""
        return self._change(session_id, {"ended": self._clock()}, "session_ended")

    def delete(self, session_id: str) -> bool:
        """Delete a conversation whole: turns, verdicts, crisis events, ticket and notes. Its audit rows stay, without
        words.

        Returns:
            True when its text is also gone from the files on disk; False when another process was still reading,
            in which case the rest goes with the next deletion or when the last process closes the database.
        """
        now = self._clock()
        with self._database.writing() as connection:
            if connection.execute(sql.DELETE_SESSION, {"session_id": session_id}).rowcount != 1:
                raise self._unknown()
            audit.append(connection, [audit.Entry("session_deleted", session_id)], now)
        try:
            return self._database.scrub()
        except StoreError:  # the deletion itself is committed; saying that it failed would be untrue
            return False

    # Turns

    def begin_turn(self, session_id: str, text: str, request: str | None = None) -> TurnRecord:
        """Keep a message before anything is made of it. When this returns, a power cut cannot take it away.

        A turn that its owner left behind is closed first: nobody has to wait for a process that is gone.

        Args:
            session_id: the conversation.
            text: the message.
            request: what the sender calls this request, at most 64 characters; one request begins one turn.

        Raises:
            TurnPending: the message before is still being answered.
            TurnRepeated: ``request`` began a turn before; nothing was written.
            UnknownSession: there is no such conversation.
        """
        now, key, text = self._clock(), {"session_id": session_id}, storable(text)
        entries: list[audit.Entry] = []
        with self._database.writing() as connection:
            session = connection.execute(sql.LOCK_SESSION, key).first()
            if session is None:
                raise self._unknown()
            self._refuse_repeated(connection, session_id, request)
            last = connection.execute(sql.LAST_TURN, key).first()
            if last and last.status == TurnStatus.PENDING:
                if not self._abandoned(last.owner):
                    raise TurnPending(self.where, last.id)
                self._settle(connection, last.id, _closed(TurnStatus.CLOSED, "", now))
                entries.append(audit.turn_closed(session_id, last.id, TurnStatus.CLOSED))
            turn = TurnRecord(self._new_id(), session_id, last.number + 1 if last else 1, text, created=now)
            row = {"id": turn.id, "session_id": session_id, "number": turn.number, "user_text": text, "created": now}
            row |= {"status": turn.status.value, "stopped": False, "owner": self._here().stored(), "request": request}
            connection.execute(sql.NEW_TURN, row)
            title = session.title or title_from(text)
            connection.execute(sql.TOUCH_SESSION, {"session": session_id, "now": now, "name": title})
            entries.append(audit.Entry("turn_begun", session_id, turn.id, {"number": turn.number}))
            audit.append(connection, entries, now)
        return turn

    def finish_turn(
        self,
        turn: TurnRecord,
        *,
        reply: str,
        verdict: Verdict,
        route: Route,
        language: str | None = None,
        risk: State | None = None,
        protocol: State | None = None,
        card: State | None = None,
        crisis: CrisisEntry | None = None,
        problems: Sequence[str] = (),
        stopped: bool = False,
        ms: float | None = None,
        first_sentence_ms: float | None = None,
    ) -> TurnRecord:
        """Write everything a turn came to, in one transaction: all of it is there afterwards, or nothing.

        Args:
            turn: as ``begin_turn`` or ``unfinished`` gave it.
            reply: the whole reply, exactly as shown.
            verdict: what the crisis filter decided about the message.
            route: which way the turn went.
            language: ISO 639-1, what the person writes in now; ``None`` leaves what is stored.
            risk: running risk after this turn; ``None`` leaves what is stored.
            protocol: protocol progress after this turn; ``None`` leaves what is stored.
            card: the crisis card that was shown.
            crisis: what the crisis protocol did, for the handoff queue.
            problems: names of what the output guard found; they go into the audit row.
            stopped: the person stopped the reply.
            ms: wall time of the turn.
            first_sentence_ms: wall time until the first sentence was shown.

        Raises:
            TurnSettled: the turn is not pending any more. Nothing was written, so there is never a second reply.
        """
        now = self._clock()
        outcome = {
            "reply": storable(reply),
            "status": TurnStatus.DONE.value,
            "route": route,
            "card": json_object(card),
            "stopped": stopped,
            "finished": now,
            "ms": ms,
            "first_sentence_ms": first_sentence_ms,
        }
        states = {"risk": json_object(risk), "protocol": json_object(protocol)}
        session = {"updated": now} | ({"language": language} if language else {})
        session |= {name: state for name, state in states.items() if state is not None}
        entries = [audit.turn_finished(turn, verdict, route=route, problems=problems, stopped=stopped, ms=ms)]
        with self._database.writing() as connection:
            self._settle(connection, turn.id, outcome)
            kept = verdict.model_dump(mode="json", exclude=set(NOT_KEPT))
            connection.execute(sql.NEW_VERDICT, {"turn_id": turn.id} | kept)
            connection.execute(update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == turn.session_id), session)
            if crisis:
                row = {"session_id": turn.session_id, "turn_id": turn.id, "time": now, "level": crisis.level.value}
                row["categories"] = [category.value for category in crisis.categories]
                connection.execute(sql.NEW_CRISIS, row | {"lines": list(crisis.lines), "moves": list(crisis.moves)})
                entries.append(audit.crisis_answered(turn, crisis))
            entries += self.handoff.after_turn(connection, turn, verdict, crisis, now)
            audit.append(connection, entries, now)
        return settled_turn(turn, outcome)

    def close_turn(
        self, turn: TurnRecord, status: Literal[TurnStatus.CLOSED, TurnStatus.FAILED], text: str = ""
    ) -> TurnRecord:
        """Settle a turn that got no reply, honestly; ``text`` is what the person was shown instead.

        Raises:
            TurnSettled: the turn is not pending any more; nothing was written.
        """
        now = self._clock()
        outcome = _closed(status, text, now)
        with self._database.writing() as connection:
            self._settle(connection, turn.id, outcome)
            audit.append(connection, [audit.turn_closed(turn.session_id, turn.id, status)], now)
        return settled_turn(turn, outcome)

    def unfinished(self, session_id: str | None = None) -> tuple[TurnRecord, ...]:
        """Pending turns whose owner is gone, oldest first: what a restart has to finish or close."""
        with self._database.reading() as connection:
            pending = connection.execute(_of(sql.PENDING, sql.TURN_SESSION, session_id)).all()
        return tuple(turn_of(row[:-1]) for row in pending if self._abandoned(row.owner))

    def adopt(self, turn: TurnRecord) -> bool:
        """Take over a turn whose owner is gone. Of several who try at once, one is told True: so nobody answers it
        twice."""
        key = {"turn_id": turn.id}
        with self._database.writing() as connection:
            row = connection.execute(sql.LOCK_TURN, key).first()
            if row is None or row.status != TurnStatus.PENDING or not self._abandoned(row.owner):
                return False
            connection.execute(sql.ADOPT_TURN, {"turn": turn.id, "owner": self._here().stored()})
        return True

    def answering(self, session_id: str) -> bool:
        """True while a message of this conversation is being answered, here or by another process."""
        with self._database.reading() as connection:
            last = connection.execute(sql.LAST_TURN, {"session_id": session_id}).first()
        if last is None or last.status != TurnStatus.PENDING:
            return False
        return not self._abandoned(last.owner)

    def refuse_repeated(self, session_id: str, request: str) -> None:
        """Look whether a request began a turn before.

        Raises:
            TurnRepeated: it did.
        """
        with self._database.reading() as connection:
            self._refuse_repeated(connection, session_id, request)

    def turn(self, turn_id: str) -> TurnRecord | None:
        """One turn, ``None`` when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(sql.TURN, {"turn_id": turn_id}).first()
        return turn_of(row) if row else None

    def turns(self, session_id: str) -> tuple[TurnRecord, ...]:
        """Every turn of a conversation in order, a pending one included."""
        with self._database.reading() as connection:
            return tuple(map(turn_of, connection.execute(sql.TURNS, {"session_id": session_id})))

    def history(self, session_id: str, limit: int) -> tuple[TurnRecord, ...]:
        """The latest ``limit`` settled turns, oldest first: what a new turn looks back on. Costs no more later on."""
        with self._database.reading() as connection:
            latest = connection.execute(sql.LATEST_TURNS, {"session_id": session_id, "limit": limit}).all()
        return tuple(map(turn_of, reversed(latest)))

    def verdict(self, turn_id: str) -> Verdict | None:
        """What the crisis filter decided about a turn; ``None`` while it is pending or when it was closed."""
        with self._database.reading() as connection:
            row = connection.execute(sql.VERDICT, {"turn_id": turn_id}).first()
        return verdict_of(row) if row else None

    def verdicts(self, session_id: str) -> dict[str, Verdict]:
        """Every verdict of a conversation, by turn."""
        with self._database.reading() as connection:
            rows = connection.execute(sql.VERDICTS, {"session_id": session_id})
            return {row.turn_id: verdict_of(row) for row in rows}

    def crisis_events(self, session_id: str | None = None) -> tuple[CrisisEvent, ...]:
        """What the crisis protocol did, oldest first; in all conversations without ``session_id``."""
        with self._database.reading() as connection:
            return tuple(map(crisis_of, connection.execute(_of(sql.CRISES, sql.CRISIS_SESSION, session_id))))

    # Leaving with everything, and proving what happened

    def export(self, session_id: str) -> dict[str, Any]:
        """A whole conversation as one JSON object: session, turns with verdicts, crisis events, what humans wrote and
        noted, audit rows.

        Raises:
            UnknownSession: there is none with this id.
        """
        now, key = self._clock(), {"session_id": session_id}
        with self._database.writing() as connection:  # one transaction: the parts belong to the same moment
            session = session_of(self._find(connection, session_id))
            audit.append(connection, [audit.Entry("session_exported", session_id)], now)
            verdicts = {row.turn_id: verdict_of(row) for row in connection.execute(sql.VERDICTS, key)}
            turns = []
            for turn in map(turn_of, connection.execute(sql.TURNS, key)):
                verdict = verdicts.get(turn.id)
                turns.append(plain(turn) | {"verdict": verdict.model_dump(mode="json") if verdict else None})
            crises = connection.execute(_of(sql.CRISES, sql.CRISIS_SESSION, session_id))
            chain = connection.execute(_of(sql.AUDIT, sql.AUDIT_SESSION, session_id))
            return {
                "format": "warmline/conversation/1",
                "session": plain(session),
                "turns": turns,
                "crisis_events": [plain(crisis_of(row)) for row in crises],
                "handoff": handoff.export(connection, session_id),
                "audit": [plain(audit_of(row)) for row in chain],
            }

    def export_all(self) -> Iterator[dict[str, Any]]:
        """``export`` of every conversation, one after the other, so that memory holds only one."""
        for session in self.sessions():
            try:
                yield self.export(session.id)
            except UnknownSession:  # deleted while this was running
                continue

    def record(
        self, kind: str, session_id: str | None = None, turn_id: str | None = None, **payload: audit.Value
    ) -> None:
        """Append an audit row of the caller's own. Payload strings are identifiers; sentences are withheld."""
        with self._database.writing() as connection:
            audit.append(connection, [audit.Entry(kind, session_id, turn_id, payload)], self._clock())

    def audit_rows(self, session_id: str | None = None) -> Iterator[AuditRow]:
        """The audit chain, or the part that speaks of one conversation, in order."""
        with self._database.reading() as connection:
            statement = _of(sql.AUDIT, sql.AUDIT_SESSION, session_id)
            yield from map(audit_of, connection.execution_options(yield_per=500).execute(statement))

    def verify_audit(self, seen: str | None = None) -> AuditReport:
        """Walk the whole audit chain. ``seen`` is a ``head`` noted earlier that must still be in it."""
        with self._database.reading() as connection:
            return audit.verify(connection, seen)

    # Parts

    def _here(self) -> Owner:
        return replace(self._owner(), at=self._clock().timestamp(), uptime=self._uptime())

    def _abandoned(self, owner: str) -> bool:
        process, here = Owner.read(owner), self._here()
        return process is None or process.age(here) > self._abandoned_after.total_seconds() or process.dead(here)

    def _refuse_repeated(self, connection: Connection, session_id: str, request: str | None) -> None:
        if request is None:
            return
        key = {"session_id": session_id, "request": request}
        if turn_id := connection.execute(sql.REPEATED, key).scalar():
            raise TurnRepeated(self.where, turn_id)

    def _find(self, connection: Connection, session_id: str) -> AnyRow:
        row = connection.execute(sql.SESSION, {"session_id": session_id}).first()
        if row is None:
            raise self._unknown()
        return row

    def _unknown(self) -> UnknownSession:
        return UnknownSession(self.where, "there is no such conversation", "It may have been deleted.")

    def _change(
        self, session_id: str, values: dict[str, Any], kind: str, payload: Mapping[str, audit.Value] | None = None
    ) -> SessionRecord:
        with self._database.writing() as connection:
            connection.execute(update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == session_id), values)
            row = self._find(connection, session_id)
            audit.append(connection, [audit.Entry(kind, session_id, None, payload or {})], self._clock())
        return session_of(row)

    def _settle(self, connection: Connection, turn_id: str, outcome: dict[str, Any]) -> None:
        if connection.execute(sql.SETTLE_TURN, {"turn": turn_id} | outcome).rowcount != 1:
            raise TurnSettled(
                self.where, "this turn was finished, closed or deleted meanwhile", "Load the conversation again."
            )


def _closed(status: TurnStatus, text: str, now: datetime) -> dict[str, Any]:
    empty = dict.fromkeys(("route", "card", "ms", "first_sentence_ms"))
    return empty | {"reply": storable(text), "status": status.value, "stopped": False, "finished": now}


def _of(statement: Select[Any], column: Any, session_id: str | None) -> Select[Any]:
    """The statement, narrowed to one conversation if one is named."""
    return statement if session_id is None else statement.where(column == session_id)
