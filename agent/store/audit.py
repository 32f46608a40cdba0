"""The audit chain: what happened, when, to which turn. Never what anybody wrote.

Each row's hash covers the row and the hash before it, so a changed, removed or inserted row breaks every later one.
Cutting rows off the end leaves a shorter chain that still fits; a noted ``AuditReport.head`` shows that, and so do
turns that have no row (``verify``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, except_, func, insert, select

from ...guards.types import Verdict
from ..events import Route
from .records import AuditReport, CrisisEntry, TurnRecord, TurnStatus
from .schema import AUDIT_TABLE, Audit, Turn

FIRST = "0" * 64
"""``prev_hash`` of the first row."""

# Any constant: it keeps two writers on PostgreSQL from reading the same head. SQLite has one writer by nature.
_LOCK = 0x5741524D

# Ids, levels, rule names and class names fit; sentences do not. What does not fit is not written.
_IDENTIFIER = re.compile(r"[\w./:+-]{0,160}", re.ASCII)

Value = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to append. Strings in ``payload`` are identifiers; anything else is written as ``[withheld]``."""

    kind: str
    session_id: str | None = None
    turn_id: str | None = None
    payload: Mapping[str, Value] = field(default_factory=dict)


_HEAD = select(Audit.seq, Audit.hash).order_by(Audit.seq.desc()).limit(1)
_ALL = select(AUDIT_TABLE).order_by(Audit.seq)
_APPEND = insert(AUDIT_TABLE)
_TURNS_WITHOUT_ROW = select(func.count()).select_from(
    except_(select(Turn.id), select(Audit.turn_id).where(Audit.kind == "turn_begun")).subquery()
)


def turn_finished(
    turn: TurnRecord, verdict: Verdict, *, route: Route, problems: Sequence[str], stopped: bool, ms: float | None
) -> Entry:
    """What the chain keeps of an answered turn: which rules spoke, never the words they spoke about."""
    payload: dict[str, Value] = {
        "route": route,
        "level": verdict.level.value,
        "categories": tuple(category.value for category in verdict.categories),
        "subject": verdict.subject.value,
        "sources": tuple(dict.fromkeys(evidence.source for evidence in verdict.evidence)),
        "error": verdict.error,
        "problems": tuple(problems),
        "stopped": stopped,
        "ms": ms,
    }
    return Entry("turn_finished", turn.session_id, turn.id, payload)


def turn_closed(session_id: str, turn_id: str, status: TurnStatus) -> Entry:
    """What the chain keeps of a turn that got no reply."""
    return Entry("turn_closed", session_id, turn_id, {"status": status.value})


def crisis_answered(turn: TurnRecord, crisis: CrisisEntry) -> Entry:
    """What the chain keeps of the crisis protocol's part in a turn."""
    payload: dict[str, Value] = {
        "level": crisis.level.value,
        "categories": tuple(category.value for category in crisis.categories),
        "lines": crisis.lines,
        "moves": crisis.moves,
    }
    return Entry("crisis_answered", turn.session_id, turn.id, payload)


def append(connection: Connection, entries: Iterable[Entry], now: datetime) -> None:
    """Append rows inside the caller's write transaction, which decides together whether they stay."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    head = connection.execute(_HEAD).first()
    seq, previous = (head.seq, head.hash) if head else (0, FIRST)
    time = now.astimezone(UTC).isoformat(timespec="microseconds")
    rows: list[dict[str, object]] = []
    for entry in entries:
        seq += 1
        row: dict[str, object] = {
            "seq": seq,
            "time": time,
            "kind": entry.kind,
            "session_id": entry.session_id,
            "turn_id": entry.turn_id,
            "payload": _canonical({key: _withhold(value) for key, value in entry.payload.items()}),
            "prev_hash": previous,
        }
        previous = row["hash"] = digest(row)
        rows.append(row)
    connection.execute(_APPEND, rows)


def digest(row: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON of a row without its own hash."""
    return hashlib.sha256(_canonical({key: value for key, value in row.items() if key != "hash"}).encode()).hexdigest()


def verify(connection: Connection, seen: str | None = None) -> AuditReport:
    """Walk the chain from its first row. ``seen`` is a head noted earlier, which must still be part of it."""
    previous, rows, found = FIRST, 0, seen in (None, FIRST)
    for row in connection.execution_options(yield_per=500).execute(_ALL):
        expected = rows + 1
        if row.seq != expected:
            return AuditReport(False, rows, previous, expected, f"row {expected} is missing")
        if row.prev_hash != previous:
            return AuditReport(False, rows, previous, expected, f"row {expected} does not follow the row before it")
        if row.hash != digest(row._asdict()):
            return AuditReport(False, rows, previous, expected, f"row {expected} was changed after it was written")
        previous, rows = row.hash, expected
        found = found or previous == seen
    if not found:
        return AuditReport(False, rows, previous, rows + 1, "the head that was noted earlier is not in the chain")
    if lost := connection.execute(_TURNS_WITHOUT_ROW).scalar_one():
        return AuditReport(False, rows, previous, rows + 1, f"{lost} stored turns have no row; the end was cut off")
    return AuditReport(True, rows, previous)


def _canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _withhold(value: Value) -> object:
    if isinstance(value, str):
        return value if _IDENTIFIER.fullmatch(value) else "[withheld]"
    if isinstance(value, tuple):
        return [_withhold(item) for item in value]
    if isinstance(value, float) and not -1e300 < value < 1e300:  # nan and infinities are no JSON
        return None
    return value
