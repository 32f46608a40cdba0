"""Between records and rows: what goes into a column, and what comes out of it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row

from ...guards.types import Category, RiskLevel, Verdict
from .records import AuditRow, CrisisEvent, SessionRecord, TurnRecord, TurnStatus
from .sealing import Sealer

AnyRow = Row[*tuple[Any, ...]]

TITLE_LENGTH = 40
"""A title made from the first message is at most this long, in characters."""

_UNSTORABLE = re.compile("[\x00\x02\ud800-\udfff]")
# Control characters, and format characters that reorder or hide the text around them in a list.
_UNTITLED = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffd]+")


def storable(text: str) -> str:
    """Lone surrogates cannot be encoded, NULs end a string on PostgreSQL, and U+0002 marks an encrypted text; one for
    one, so that offsets stay true."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def title_from(text: str, length: int = TITLE_LENGTH) -> str | None:
    """The beginning of a text as one clean line, cut at a word where there is one; ``None`` when nothing is left."""
    # A megabyte is not looked through for a title.
    line = " ".join(_UNTITLED.sub(" ", storable(text[: length * 8])).split())
    if len(line) <= length:
        return line or None
    cut = line[: length - 1]
    head = cut.rpartition(" ")[0]
    return (head if len(head) > length // 2 else cut).rstrip(" ,;:.-") + "…"


def json_object(state: Mapping[str, Any] | BaseModel | None) -> dict[str, Any] | None:
    """A model or mapping as the JSON object that is stored."""
    if state is None:
        return None
    return state.model_dump(mode="json") if isinstance(state, BaseModel) else dict(state)


def session_of(row: AnyRow, sealer: Sealer) -> SessionRecord:
    """A row of ``statements.SESSION_COLUMNS``."""
    return SessionRecord(**sealer.opened("sessions", row.id, row._mapping))


def turn_of(row: AnyRow, sealer: Sealer) -> TurnRecord:
    """A row that holds ``statements.TURN_COLUMNS``."""
    columns = {field.name: row._mapping[field.name] for field in fields(TurnRecord)}
    record = TurnRecord(**sealer.opened("turns", row.id, columns))
    return replace(record, status=TurnStatus(record.status))


def settled_turn(record: TurnRecord, values: Mapping[str, Any]) -> TurnRecord:
    """The record of a turn after its row was given these values."""
    return replace(record, **{**values, "status": TurnStatus(values["status"])})


NOT_KEPT = frozenset({"stages", "together"})
"""Fields of a verdict that serve the turn they were made in, and are not stored."""


def verdict_of(row: AnyRow, sealer: Sealer) -> Verdict:
    """A row of the verdicts table."""
    opened = sealer.opened("verdicts", row.turn_id, row._mapping)
    return Verdict.model_validate({key: value for key, value in opened.items() if key != "turn_id"})


def crisis_of(row: AnyRow) -> CrisisEvent:
    """A row of the crisis events table."""
    return CrisisEvent(
        level=RiskLevel(row.level),
        categories=tuple(map(Category, row.categories)),
        lines=tuple(row.lines),
        moves=tuple(row.moves),
        id=row.id,
        session_id=row.session_id,
        turn_id=row.turn_id,
        time=row.time,
    )


def audit_of(row: AnyRow) -> AuditRow:
    """A row of the audit table."""
    return AuditRow(*row)


def plain(record: SessionRecord | TurnRecord | CrisisEvent | AuditRow) -> dict[str, Any]:
    """A record as JSON can hold it."""
    return {field.name: _plain(getattr(record, field.name)) for field in fields(record)}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
