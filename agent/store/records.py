"""What the store gives back: frozen values, never rows that still hang on a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ...guards.types import Category, RiskLevel
from ..events import Route

JsonObject = Mapping[str, Any]
"""A JSON object as it was stored. Its owner (events, risk, protocol) turns it back into its own model, so that a
conversation written by an earlier version still opens here."""


class TurnStatus(StrEnum):
    """Where a turn stands."""

    PENDING = "pending"
    """The message is stored; no reply yet."""
    DONE = "done"
    """Answered."""
    CLOSED = "closed"
    """Never answered in its time; ``reply`` says so, or is empty."""
    FAILED = "failed"
    """Could not be answered; ``reply`` is the safe text that was shown."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One conversation, without its turns."""

    id: str
    created: datetime
    updated: datetime
    """Last activity, UTC."""
    title: str | None
    """From the first message, or given by the person; ``None`` before the first message."""
    country: str | None
    """ISO 3166-1 alpha-2."""
    language: str
    """ISO 639-1."""
    risk: JsonObject | None
    """Running risk, as the agent left it after the last finished turn."""
    protocol: JsonObject | None
    """Progress of the crisis protocol, as the agent left it."""
    ended: datetime | None
    turns: int
    """Number of turns so far."""


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One message and its reply."""

    id: str
    session_id: str
    number: int
    """1 for the first turn of a session."""
    user_text: str
    created: datetime
    status: TurnStatus = TurnStatus.PENDING
    reply: str | None = None
    """The whole reply, exactly as shown; ``None`` while the turn is pending."""
    route: Route | None = None
    card: JsonObject | None = None
    """The crisis card that was shown (``CrisisCard.model_validate`` reads it)."""
    stopped: bool = False
    """True when the person stopped the reply."""
    finished: datetime | None = None
    ms: float | None = None
    """Wall time of the turn, in milliseconds."""
    first_sentence_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CrisisEntry:
    """What the crisis protocol did in one turn; written with the turn."""

    level: RiskLevel
    categories: tuple[Category, ...]
    lines: tuple[str, ...]
    """Ids of the hotlines that were offered."""
    moves: tuple[str, ...] = ()
    """Ids of the protocol's moves, such as ``ask_directly``."""


@dataclass(frozen=True, slots=True)
class CrisisEvent(CrisisEntry):
    """A stored ``CrisisEntry``: the queue of a handoff is built on these."""

    id: int = 0
    session_id: str = ""
    turn_id: str = ""
    time: datetime = datetime.min


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One link of the audit chain."""

    seq: int
    """1, 2, 3, … without a gap."""
    time: str
    """ISO 8601, UTC; kept as text because the hash covers it."""
    kind: str
    session_id: str | None
    turn_id: str | None
    payload: str
    """Canonical JSON; holds ids, levels and counts, never text that a person or the model wrote."""
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What walking the whole audit chain found."""

    ok: bool
    rows: int
    """Rows that were read and found whole, up to the first broken one."""
    head: str
    """Hash of the last whole row. Noted somewhere else, it proves later that no row before it was changed."""
    broken: int | None = None
    """``seq`` of the first row that does not fit, or of the first that is missing."""
    problem: str | None = None
