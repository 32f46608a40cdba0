"""The tables. Migrations are the history that leads here; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. SQLite keeps no time zone, so UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Stored(DeclarativeBase):
    """Every table of the store."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it off the class)
        str: Text(),
        datetime: UtcDateTime(),
        # none_as_null: "no value" is SQL NULL, not the JSON word null.
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        float: Float(),
        bool: Boolean(),
        int: Integer(),
    }


ID = String(32)


class Session(Stored):
    """A conversation."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    created: Mapped[datetime]
    updated: Mapped[datetime] = mapped_column(index=True)
    title: Mapped[str | None]
    country: Mapped[str | None] = mapped_column(String(2))
    language: Mapped[str] = mapped_column(String(16))
    risk: Mapped[dict[str, Any] | None]
    protocol: Mapped[dict[str, Any] | None]
    ended: Mapped[datetime | None]


class Turn(Stored):
    """A message and its reply."""

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("session_id", "number", name="uq_turns_session_number"),
        # The rule "one open turn a session" holds even between replicas that share a PostgreSQL.
        Index(
            "uq_turns_one_pending",
            "session_id",
            unique=True,
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        # And so does "one request, one turn".
        Index("uq_turns_request", "session_id", "request", unique=True),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"))
    number: Mapped[int]
    user_text: Mapped[str]
    reply: Mapped[str | None]
    status: Mapped[str] = mapped_column(String(16))
    route: Mapped[str | None] = mapped_column(String(16))
    card: Mapped[dict[str, Any] | None]
    stopped: Mapped[bool]
    owner: Mapped[str]
    created: Mapped[datetime]
    finished: Mapped[datetime | None]
    ms: Mapped[float | None]
    first_sentence_ms: Mapped[float | None]
    request: Mapped[str | None] = mapped_column(String(64))
    """Digest of the idempotency key that the message came with."""


class StoredVerdict(Stored):
    """What the crisis filter decided about a turn's message."""

    __tablename__ = "verdicts"

    turn_id: Mapped[str] = mapped_column(ID, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True)
    level: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[Any]]
    subject: Mapped[str] = mapped_column(String(16))
    evidence: Mapped[list[Any]]
    scores: Mapped[dict[str, Any]]
    language: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    error: Mapped[str | None]
    ms: Mapped[float]


class StoredCrisis(Stored):
    """What the crisis protocol did in a turn."""

    __tablename__ = "crisis_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    turn_id: Mapped[str] = mapped_column(ID, ForeignKey("turns.id", ondelete="CASCADE"), index=True)
    time: Mapped[datetime] = mapped_column(index=True)
    level: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[Any]]
    lines: Mapped[list[Any]]
    moves: Mapped[list[Any]]


NAME = String(64)


class StoredTicket(Stored):
    """A conversation that a human should look at: one row a conversation, opened again when a new crisis comes."""

    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("session_id", name="uq_tickets_session"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16), index=True)
    level: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[Any]]
    evidence: Mapped[list[Any]]
    moves: Mapped[list[Any]]
    created: Mapped[datetime]
    opened: Mapped[datetime]
    updated: Mapped[datetime]
    first_seen: Mapped[datetime | None]
    seen_by: Mapped[str | None] = mapped_column(NAME)
    taken_by: Mapped[str | None] = mapped_column(NAME)
    taken_at: Mapped[datetime | None]
    alive: Mapped[datetime | None]
    released: Mapped[datetime | None]
    closed: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(NAME)
    outcome: Mapped[str | None] = mapped_column(String(32))


class StoredNote(Stored):
    """What a reviewer wrote down about a ticket, for other reviewers."""

    __tablename__ = "ticket_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ID, ForeignKey("tickets.id", ondelete="CASCADE"), index=True)
    author: Mapped[str] = mapped_column(NAME)
    text: Mapped[str]
    time: Mapped[datetime]


class StoredHuman(Stored):
    """What a reviewer wrote to the person, and the fixed words that told of a reviewer coming and leaving."""

    __tablename__ = "human_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str]
    author: Mapped[str] = mapped_column(NAME)
    after: Mapped[int]
    time: Mapped[datetime]


class StoredMark(Stored):
    """What a reviewer says the verdict on a message should have been."""

    __tablename__ = "verdict_marks"

    turn_id: Mapped[str] = mapped_column(ID, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True)
    author: Mapped[str] = mapped_column(NAME)
    level: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[Any]]
    time: Mapped[datetime]


class StoredDelivery(Stored):
    """What the webhook still has to be told, written with the change it tells of."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_waiting",
            "due",
            sqlite_where=text("delivered IS NULL"),
            postgresql_where=text("delivered IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    payload: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    attempts: Mapped[int]
    due: Mapped[datetime]
    delivered: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(NAME)


class ApiKeyRow(Stored):
    """A key of the service; of its secret only the hash."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("hash", name="uq_api_keys_hash"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[Any]]
    created: Mapped[datetime]
    expires: Mapped[datetime | None] = mapped_column(index=True)
    revoked: Mapped[datetime | None]


class SessionKey(Stored):
    """Which key a conversation belongs to. Conversations of the terminal belong to none."""

    __tablename__ = "session_keys"
    __table_args__ = (UniqueConstraint("key_id", "reference", name="uq_session_keys_reference"),)

    session_id: Mapped[str] = mapped_column(ID, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[str] = mapped_column(ID, ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    reference: Mapped[str | None] = mapped_column(String(64))


class TextKeyRow(Stored):
    """A key that texts may be encrypted with: its fingerprint, never the key."""

    __tablename__ = "text_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    created: Mapped[datetime]


class Audit(Stored):
    """The chain. No foreign keys: a row outlives the conversation it speaks of. Triggers refuse every change."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    session_id: Mapped[str | None] = mapped_column(ID, index=True)
    turn_id: Mapped[str | None] = mapped_column(ID)
    payload: Mapped[str]
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


def _table(entity: type[Stored]) -> Table:
    return cast(Table, entity.__table__)


SESSIONS_TABLE = _table(Session)
TURNS_TABLE = _table(Turn)
VERDICTS_TABLE = _table(StoredVerdict)
CRISES_TABLE = _table(StoredCrisis)
TICKETS_TABLE = _table(StoredTicket)
NOTES_TABLE = _table(StoredNote)
HUMANS_TABLE = _table(StoredHuman)
MARKS_TABLE = _table(StoredMark)
OUTBOX_TABLE = _table(StoredDelivery)
API_KEYS_TABLE = _table(ApiKeyRow)
SESSION_KEYS_TABLE = _table(SessionKey)
TEXT_KEYS_TABLE = _table(TextKeyRow)
AUDIT_TABLE = _table(Audit)
