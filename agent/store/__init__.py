"""Conversations, kept: sessions, turns, verdicts, crisis events and an audit chain, in SQLite or PostgreSQL."""

from .errors import StoreError, TextSealed, TicketMoved, TurnPending, TurnRepeated, TurnSettled, UnknownSession
from .handoff import Handoff, HumanKind, HumanMessage, HumanSide, Mark, MarkedMessage, Note
from .keys import ApiKey, KeyRefused, Keys, Scope
from .outbox import Delivery, Outbox
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
from .sealing import TextKey
from .store import Store
from .tickets import Outcome, ServiceLevel, Span, Ticket, TicketState

__all__ = [
    "ApiKey",
    "AuditReport",
    "AuditRow",
    "CrisisEntry",
    "CrisisEvent",
    "Delivery",
    "Handoff",
    "HumanKind",
    "HumanMessage",
    "HumanSide",
    "JsonObject",
    "KeyRefused",
    "Keys",
    "Mark",
    "MarkedMessage",
    "Note",
    "Outbox",
    "Outcome",
    "Scope",
    "ServiceLevel",
    "SessionRecord",
    "Span",
    "Store",
    "StoreError",
    "TextKey",
    "TextSealed",
    "Ticket",
    "TicketMoved",
    "TicketState",
    "TurnPending",
    "TurnRecord",
    "TurnRepeated",
    "TurnSettled",
    "TurnStatus",
    "UnknownSession",
]
