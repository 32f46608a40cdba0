"""Conversations, kept: sessions, turns, verdicts, crisis events and an audit chain, in SQLite or PostgreSQL."""

from .errors import StoreError, TurnPending, TurnSettled, UnknownSession
from .records import (
    AuditReport,
    AuditRow,
    CrisisEntry,
    CrisisEvent,
    JsonObject,
    SessionRecord,
    TurnRecord,
    TurnStatus,
)
from .store import Store

__all__ = [
    "AuditReport",
    "AuditRow",
    "CrisisEntry",
    "CrisisEvent",
    "JsonObject",
    "SessionRecord",
    "Store",
    "StoreError",
    "TurnPending",
    "TurnRecord",
    "TurnSettled",
    "TurnStatus",
    "UnknownSession",
]
