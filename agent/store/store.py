"""The store: the one truth about every conversation.

It decides that a message is kept before anything is made of it, that a turn is answered at most once, and that a
deleted conversation is gone. It never decides what is said.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel
from sqlalchemy import Connection, Select, delete, insert, select, update

from ...guards.types import Verdict
from ..events import Route
from . import audit, handoff
from . import statements as sql
from .database import Database, Server
from .errors import StoreError, TextSealed, TurnPending, TurnRepeated, TurnSettled, UnknownSession
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
from .schema import SESSIONS_TABLE, TEXT_KEYS_TABLE, Stored
from .sealing import KEY_OF, SEALED, Sealer, TextKey

if TYPE_CHECKING:
    from ..settings import StoreSettings

ABANDONED_AFTER = timedelta(minutes=5)
"""A turn pending for longer has lost its owner, even when nobody can look at that process. Longer than any reply may
take with the default model settings (``total_s`` times its tries)."""

NAME_LENGTH = 200
"""A title that the person gave is at most this long, in characters."""

_AT_WORK: set[str] = set()
"""Turns that this process began or adopted and knows of. Any other that bears its name was begun by a transaction whose
end was never heard: its server died."""

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
        key: TextKey | None = None,
        other_keys: Iterable[TextKey] = (),
    ) -> None:
        self._database = database
        self._sealer = Sealer(key, other_keys, database.where)
        self.handoff = Handoff(database, clock, new_id, self._sealer, webhook=webhook)
        """Tickets, and what reviewers do."""
        self.outbox = Outbox(database, clock)
        """What the webhook still has to be told; stays empty without ``webhook``."""
        self.keys = Keys(database, clock, new_id)
        """API keys of the service, and whose conversation is whose."""
        self._clock, self._uptime = clock, uptime
        self._new_id = new_id
        self._owner = owner  # asked each time: after a fork the process is another one
        self._abandoned_after = abandoned_after
        self.lease = timedelta(0)
        """For how long this process may be silent about a turn it answers. Whoever sets it calls ``renew`` more often:
        on another machine its turns are taken over soon after it died."""
        self._agree_on_keys()

    @classmethod
    def from_settings(cls, settings: StoreSettings, **options: Any) -> Store:
        """Open what the settings name. Raises what ``open`` raises."""
        server = Server(settings.pool_size, settings.pool_wait_s, settings.statement_s)
        keys = {"key": settings.text_key, "other_keys": settings.other_text_keys}
        return cls.open(settings.resolved_url(), server=server, **keys, **options)

    @classmethod
    def open(cls, url: str, *, server: Server | None = None, **options: Any) -> Store:
        """Open ``url`` (SQLAlchemy's form), create what is missing and bring the schema up to date.

        Folder and file are made for this user only. ``options`` are those of ``Store``.

        Raises:
            StoreError: the file is damaged, foreign, too new, locked or cannot be written; or the server is away. It
                is left exactly as it was.
            TextSealed: its texts are encrypted with a key that was not handed in.
        """
        database = Database(url, server or Server())
        try:
            return cls(database, **options)
        except BaseException:
            database.close()
            raise

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
            connection.execute(sql.NEW_SESSION, self._sealer.sealed("sessions", session_id, row))
            audit.append(connection, [audit.Entry("session_created", session_id, None, {"country": country})], now)
            return session_of(self._find(connection, session_id), self._sealer)

    def sessions(self, limit: int | None = None) -> tuple[SessionRecord, ...]:
        """Conversations, the last active first."""
        with self._database.reading() as connection:
            return tuple(session_of(row, self._sealer) for row in connection.execute(sql.SESSIONS.limit(limit)))

    def session(self, session_id: str) -> SessionRecord:
        """One conversation.

        Raises:
            UnknownSession: there is none with this id.
        """
        with self._database.reading() as connection:
            return session_of(self._find(connection, session_id), self._sealer)

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

    def expired(self, before: datetime) -> tuple[str, ...]:
        """Conversations without any activity since ``before``, the oldest first."""
        with self._database.reading() as connection:
            return tuple(connection.execute(sql.EXPIRED, {"before": before}).scalars())

    def expire(self, before: datetime) -> int:
        """Delete every conversation without any activity since ``before``, as ``delete`` does. Safe beside running
        conversations: one that goes on meanwhile stays.

        Returns:
            How many were deleted.
        """
        gone = 0
        for session_id in self.expired(before):
            with self._database.writing() as connection:  # one after the other: nobody's turn waits for all of them
                key = {"session_id": session_id, "before": before}
                if connection.execute(sql.DELETE_EXPIRED, key).rowcount == 1:
                    audit.append(connection, [audit.Entry("session_expired", session_id)], self._clock())
                    gone += 1
        if gone:
            with suppress(StoreError):
                self._database.scrub()
        return gone

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
        with _at_work() as at_work, self._database.writing() as connection:
            session = connection.execute(sql.LOCK_SESSION, key).first()
            if session is None:
                raise self._unknown()
            self._refuse_repeated(connection, session_id, request)
            last = connection.execute(sql.LAST_TURN, key).first()
            if last and last.status == TurnStatus.PENDING:
                if not self._abandoned(last.id, last.owner):
                    raise TurnPending(self.where, last.id)
                self._settle(connection, last.id, _closed(TurnStatus.CLOSED, "", now))
                entries.append(audit.turn_closed(session_id, last.id, TurnStatus.CLOSED))
            turn = TurnRecord(self._new_id(), session_id, last.number + 1 if last else 1, text, created=now)
            row = {"id": turn.id, "session_id": session_id, "number": turn.number, "user_text": text, "created": now}
            row |= {"status": turn.status.value, "stopped": False, "owner": self._here().stored(), "request": request}
            at_work(turn.id)
            connection.execute(sql.NEW_TURN, self._sealer.sealed("turns", turn.id, row))
            title = session.title or self._sealer.sealed("sessions", session_id, {"title": title_from(text)})["title"]
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
        session = self._sealer.sealed("sessions", turn.session_id, session)
        entries = [audit.turn_finished(turn, verdict, route=route, problems=problems, stopped=stopped, ms=ms)]
        with self._database.writing() as connection:
            self._settle(connection, turn.id, outcome)
            kept = verdict.model_dump(mode="json", exclude=set(NOT_KEPT))
            kept = self._sealer.sealed("verdicts", turn.id, kept)
            connection.execute(sql.NEW_VERDICT, {"turn_id": turn.id} | kept)
            connection.execute(update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == turn.session_id), session)
            if crisis:
                row = {"session_id": turn.session_id, "turn_id": turn.id, "time": now, "level": crisis.level.value}
                row["categories"] = [category.value for category in crisis.categories]
                connection.execute(sql.NEW_CRISIS, row | {"lines": list(crisis.lines), "moves": list(crisis.moves)})
                entries.append(audit.crisis_answered(turn, crisis))
            entries += self.handoff.after_turn(connection, turn, verdict, crisis, now)
            audit.append(connection, entries, now)
        _AT_WORK.discard(turn.id)
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
        _AT_WORK.discard(turn.id)
        return settled_turn(turn, outcome)

    def unfinished(self, session_id: str | None = None) -> tuple[TurnRecord, ...]:
        """Pending turns whose owner is gone, oldest first: what a restart has to finish or close."""
        with self._database.reading() as connection:
            pending = connection.execute(_of(sql.PENDING, sql.TURN_SESSION, session_id)).all()
        return tuple(turn_of(row, self._sealer) for row in pending if self._abandoned(row.id, row.owner))

    def adopt(self, turn: TurnRecord) -> bool:
        """Take over a turn whose owner is gone. Of several who try at once, one is told True: so nobody answers it
        twice."""
        key = {"turn_id": turn.id}
        with _at_work() as at_work, self._database.writing() as connection:
            row = connection.execute(sql.LOCK_TURN, key).first()
            if row is None or row.status != TurnStatus.PENDING or not self._abandoned(turn.id, row.owner):
                return False
            at_work(turn.id)
            connection.execute(sql.ADOPT_TURN, {"turn": turn.id, "owner": self._here().stored()})
        return True

    def answering(self, session_id: str) -> bool:
        """True while a message of this conversation is being answered, here or by another process."""
        with self._database.reading() as connection:
            last = connection.execute(sql.LAST_TURN, {"session_id": session_id}).first()
        if last is None or last.status != TurnStatus.PENDING:
            return False
        return not self._abandoned(last.id, last.owner)

    def renew(self) -> None:
        """Say that this process is still at work on its turns."""
        self._database.read_clock()
        here = self._here().stored()
        at_work = tuple(_AT_WORK)  # other threads begin and end turns meanwhile
        if rows := [{"turn": turn_id, "owner": here} for turn_id in at_work]:
            with self._database.writing() as connection:
                connection.execute(sql.RENEW_TURN, rows)

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
        return turn_of(row, self._sealer) if row else None

    def turns(self, session_id: str) -> tuple[TurnRecord, ...]:
        """Every turn of a conversation in order, a pending one included."""
        with self._database.reading() as connection:
            return tuple(
                turn_of(row, self._sealer) for row in connection.execute(sql.TURNS, {"session_id": session_id})
            )

    def history(self, session_id: str, limit: int) -> tuple[TurnRecord, ...]:
        """The latest ``limit`` settled turns, oldest first: what a new turn looks back on. Costs no more later on."""
        with self._database.reading() as connection:
            latest = connection.execute(sql.LATEST_TURNS, {"session_id": session_id, "limit": limit}).all()
        return tuple(turn_of(row, self._sealer) for row in reversed(latest))

    def verdict(self, turn_id: str) -> Verdict | None:
        """What the crisis filter decided about a turn; ``None`` while it is pending or when it was closed."""
        with self._database.reading() as connection:
            row = connection.execute(sql.VERDICT, {"turn_id": turn_id}).first()
        return verdict_of(row, self._sealer) if row else None

    def verdicts(self, session_id: str) -> dict[str, Verdict]:
        """Every verdict of a conversation, by turn."""
        with self._database.reading() as connection:
            rows = connection.execute(sql.VERDICTS, {"session_id": session_id})
            return {row.turn_id: verdict_of(row, self._sealer) for row in rows}

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
            session = session_of(self._find(connection, session_id), self._sealer)
            audit.append(connection, [audit.Entry("session_exported", session_id)], now)
            verdicts = {row.turn_id: verdict_of(row, self._sealer) for row in connection.execute(sql.VERDICTS, key)}
            turns = []
            for turn in (turn_of(row, self._sealer) for row in connection.execute(sql.TURNS, key)):
                verdict = verdicts.get(turn.id)
                turns.append(plain(turn) | {"verdict": verdict.model_dump(mode="json") if verdict else None})
            crises = connection.execute(_of(sql.CRISES, sql.CRISIS_SESSION, session_id))
            chain = connection.execute(_of(sql.AUDIT, sql.AUDIT_SESSION, session_id))
            return {
                "format": "warmline/conversation/1",
                "session": plain(session),
                "turns": turns,
                "crisis_events": [plain(crisis_of(row)) for row in crises],
                "handoff": handoff.export(connection, session_id, self._sealer),
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

    # Encrypted texts

    def reseal(self, batch: int = 200) -> int:
        """Write every text anew with the key in use, or as it is when there is none. Safe beside running conversations,
        and safe to stop: what is left is done by the next call.

        Returns:
            How many rows were written.

        Raises:
            TextSealed: a text is encrypted with a key that is not known; it is left as it is.
        """
        written = sum(self._reseal(table, batch) for table in SEALED)
        now, current = self._clock(), self._sealer.current
        with self._database.writing() as connection:
            connection.execute(delete(TEXT_KEYS_TABLE).where(TEXT_KEYS_TABLE.c.id.is_distinct_from(current)))
            audit.append(connection, [audit.Entry("texts_resealed", payload={"key": current, "rows": written})], now)
        with suppress(StoreError):  # the old forms go from the files with the next deletion
            self._database.scrub()
        return written

    def _reseal(self, name: str, batch: int) -> int:
        table = Stored.metadata.tables[name]
        key = table.c[KEY_OF.get(name, "id")]
        columns = [table.c[column] for column in SEALED[name]]
        last, written = None, 0
        while True:
            rows = select(key.label("key"), *columns).order_by(key).limit(batch).with_for_update()
            with self._database.writing() as connection:
                found = connection.execute(rows if last is None else rows.where(key > last)).all()
                for row in found:
                    values = {column.name: row._mapping[column.name] for column in columns}
                    if self._sealer.stale(name, values):
                        values = self._sealer.sealed(name, row.key, self._sealer.opened(name, row.key, values))
                        connection.execute(update(table).where(key == row.key), values)
                        written += 1
            if not found:
                return written
            last = found[-1].key

    def _agree_on_keys(self) -> None:
        """Refuse a database whose texts cannot all be read, before a conversation begins."""
        with self._database.reading() as connection:
            used = frozenset(connection.execute(select(TEXT_KEYS_TABLE.c.id)).scalars())
        if missing := used - self._sealer.known:
            raise TextSealed(self.where, missing)
        current = self._sealer.current
        if current is None or current in used:
            return
        with self._database.writing() as connection:
            known = connection.execute(select(TEXT_KEYS_TABLE.c.id).where(TEXT_KEYS_TABLE.c.id == current)).first()
            if known is None:
                connection.execute(insert(TEXT_KEYS_TABLE), {"id": current, "created": self._clock()})

    # Parts

    def _here(self) -> Owner:
        at = self._database.now or self._clock().timestamp()
        return replace(self._owner(), at=at, uptime=self._uptime(), lease=self.lease.total_seconds())

    def _abandoned(self, turn_id: str, owner: str) -> bool:
        process, here = Owner.read(owner), self._here()
        if process is not None and process.same(here) and turn_id not in _AT_WORK:
            return True  # begun here, and the database never told us so: its server died while it was being written
        if process is None or process.dead(here):
            return True
        longest = self._abandoned_after.total_seconds()
        # A silence tells something only to one who could have heard: not while the database itself was away.
        if process.lease and not process.visible(here) and self._database.in_touch_for > process.lease:
            longest = min(longest, process.lease)
        return process.age(here) > longest

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
        values = self._sealer.sealed("sessions", session_id, values)
        with self._database.writing() as connection:
            connection.execute(update(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == session_id), values)
            row = self._find(connection, session_id)
            audit.append(connection, [audit.Entry(kind, session_id, None, payload or {})], self._clock())
        return session_of(row, self._sealer)

    def _settle(self, connection: Connection, turn_id: str, outcome: dict[str, Any]) -> None:
        values = {"turn": turn_id} | self._sealer.sealed("turns", turn_id, outcome)
        if connection.execute(sql.SETTLE_TURN, values).rowcount != 1:
            _AT_WORK.discard(turn_id)
            raise TurnSettled(
                self.where, "this turn was finished, closed or deleted meanwhile", "Load the conversation again."
            )


@contextmanager
def _at_work() -> Generator[Callable[[str], None]]:
    """Notes the turn that is begun within, unless the transaction fails."""
    begun = list[str]()

    def note(turn_id: str) -> None:
        _AT_WORK.add(turn_id)
        begun.append(turn_id)

    try:
        yield note
    except BaseException:
        _AT_WORK.difference_update(begun)
        raise


def _closed(status: TurnStatus, text: str, now: datetime) -> dict[str, Any]:
    empty = dict.fromkeys(("route", "card", "ms", "first_sentence_ms"))
    return empty | {"reply": storable(text), "status": status.value, "stopped": False, "finished": now}


def _of(statement: Select[Any], column: Any, session_id: str | None) -> Select[Any]:
    """The statement, narrowed to one conversation if one is named."""
    return statement if session_id is None else statement.where(column == session_id)
