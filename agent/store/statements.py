"""Every SQL statement of the store. Built once: putting one together anew costs more CPU than running it."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import bindparam, delete, func, insert, literal, select, update

from .records import SessionRecord, TurnRecord, TurnStatus
from .schema import (
    AUDIT_TABLE,
    CRISES_TABLE,
    SESSIONS_TABLE,
    TURNS_TABLE,
    VERDICTS_TABLE,
    Audit,
    Session,
    Turn,
)

TURN_COLUMNS = [TURNS_TABLE.c[field.name] for field in fields(TurnRecord)]
SESSION_COLUMNS = [
    *(SESSIONS_TABLE.c[field.name] for field in fields(SessionRecord) if field.name != "turns"),
    func.coalesce(select(func.max(Turn.number)).where(Turn.session_id == Session.id).scalar_subquery(), 0).label(
        "turns"
    ),
]
OF_SESSION = TURNS_TABLE.c.session_id == bindparam("session_id")

SESSION = select(*SESSION_COLUMNS).where(Session.id == bindparam("session_id"))
SESSIONS = select(*SESSION_COLUMNS).order_by(Session.updated.desc(), Session.id)
LOCK_SESSION = select(Session.title).where(Session.id == bindparam("session_id")).with_for_update()
NEW_SESSION = insert(SESSIONS_TABLE)
TURN = select(*TURN_COLUMNS).where(Turn.id == bindparam("turn_id"))
TURNS = select(*TURN_COLUMNS).where(OF_SESSION).order_by(Turn.number)
LAST_TURN = (
    select(Turn.id, Turn.number, Turn.status, Turn.owner, Turn.created)
    .where(OF_SESSION)
    .order_by(Turn.number.desc())
    .limit(1)
)
LATEST_TURNS = (
    select(*TURN_COLUMNS)
    .where(OF_SESSION, Turn.status != TurnStatus.PENDING.value)
    .order_by(Turn.number.desc())
    .limit(bindparam("limit"))
)
# A literal, not a parameter: only so does SQLite see that the small index of open turns is enough.
_OPEN = literal(TurnStatus.PENDING.value, literal_execute=True)
PENDING = select(*TURN_COLUMNS, Turn.owner).where(Turn.status == _OPEN).order_by(Turn.created)
REPEATED = select(Turn.id).where(OF_SESSION, Turn.request == bindparam("request"))
NEW_TURN = insert(TURNS_TABLE)
TOUCH_SESSION = (
    update(SESSIONS_TABLE)
    .where(SESSIONS_TABLE.c.id == bindparam("session"))
    .values(updated=bindparam("now"), title=bindparam("name"), ended=None)
)
LOCK_TURN = select(Turn.status, Turn.owner).where(Turn.id == bindparam("turn_id")).with_for_update()
ADOPT_TURN = update(TURNS_TABLE).where(TURNS_TABLE.c.id == bindparam("turn")).values(owner=bindparam("owner"))
RENEW_TURN = ADOPT_TURN.where(TURNS_TABLE.c.status == TurnStatus.PENDING.value)
# The guard against a second reply: whoever comes later finds no pending row.
SETTLE_TURN = (
    update(TURNS_TABLE)
    .where(TURNS_TABLE.c.id == bindparam("turn"), TURNS_TABLE.c.status == TurnStatus.PENDING.value)
    .values({name: bindparam(name) for name in ("reply", "status", "route", "card", "stopped", "finished", "ms")})
    .values(first_sentence_ms=bindparam("first_sentence_ms"))
)
NEW_VERDICT = insert(VERDICTS_TABLE)
NEW_CRISIS = insert(CRISES_TABLE)
VERDICT = select(VERDICTS_TABLE).where(VERDICTS_TABLE.c.turn_id == bindparam("turn_id"))
VERDICTS = select(VERDICTS_TABLE).join(TURNS_TABLE).where(OF_SESSION)
CRISES = select(CRISES_TABLE).order_by(CRISES_TABLE.c.id)
AUDIT = select(AUDIT_TABLE).order_by(Audit.seq)

DELETE_SESSION = delete(SESSIONS_TABLE).where(SESSIONS_TABLE.c.id == bindparam("session_id"))
EXPIRED = select(Session.id).where(Session.updated < bindparam("before")).order_by(Session.updated, Session.id)
DELETE_EXPIRED = DELETE_SESSION.where(SESSIONS_TABLE.c.updated < bindparam("before"))

TURN_SESSION = TURNS_TABLE.c.session_id
CRISIS_SESSION = CRISES_TABLE.c.session_id
AUDIT_SESSION = AUDIT_TABLE.c.session_id
