"""What the webhook still has to be told. A row is written in the transaction of the change that it tells of, so that
neither can be lost without the other; its id is the idempotency key. It holds no words of any conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from .database import Database
from .schema import OUTBOX_TABLE, StoredDelivery
from .tickets import Ticket

FORMAT = "warmline/handoff/1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell."""

    id: str
    """The same at every try, so that a receiver can leave out what it already has."""
    payload: dict[str, Any]
    attempts: int
    """Tries so far, this one included."""


def put(connection: Connection, key: str, what: str, ticket: Ticket, now: datetime) -> None:
    """Write down that ``what`` happened to ``ticket``, inside the caller's transaction."""
    payload = {
        "format": FORMAT,
        "id": key,
        "event": f"ticket.{what}",
        "time": now.isoformat(),
        "ticket": {
            "id": ticket.id,
            "session_id": ticket.session_id,
            "state": ticket.state.value,
            "level": ticket.level.value,
            "categories": [category.value for category in ticket.categories],
            "opened": ticket.opened.isoformat(),
            "taken_by": ticket.taken_by,
            "outcome": ticket.outcome.value if ticket.outcome else None,
        },
    }
    row = {"id": key, "session_id": ticket.session_id, "payload": payload, "created": now, "attempts": 0, "due": now}
    connection.execute(insert(OUTBOX_TABLE), row | {"delivered": None, "error": None})


class Outbox:
    """The rows that wait. Blocking, like the store it belongs to; every method may raise ``StoreError``."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    def claim(self, hold: timedelta) -> Delivery | None:
        """The next delivery that is due. Nobody else gets it for ``hold``; after that it is due again, so that a
        killed process loses nothing."""
        now, row = self._clock(), OUTBOX_TABLE.c
        waiting = (
            select(row.id, row.payload, row.attempts)
            .where(StoredDelivery.delivered.is_(None), row.due <= now)
            .order_by(row.due, row.created, row.id)
            .limit(1)
        )
        with self._database.reading() as connection:  # most looks find nothing, and should not lock anybody out
            if connection.execute(waiting).first() is None:
                return None
        with self._database.writing() as connection:
            found = connection.execute(waiting.with_for_update(skip_locked=True)).first()
            if found is None:
                return None
            tried = found.attempts + 1
            connection.execute(update(OUTBOX_TABLE).where(row.id == found.id).values(due=now + hold, attempts=tried))
        return Delivery(found.id, found.payload, tried)

    def delivered(self, key: str) -> None:
        """The receiver has it."""
        self._note(key, delivered=self._clock(), error=None)

    def failed(self, key: str, error: str, again_in: timedelta) -> None:
        """The receiver does not have it, or we cannot know; ``error`` names the reason in a word."""
        self._note(key, error=error[:64], due=self._clock() + again_in)

    def waiting(self) -> int:
        """How many are not delivered yet."""
        with self._database.reading() as connection:
            rows = select(OUTBOX_TABLE.c.id).where(StoredDelivery.delivered.is_(None))
            return len(connection.execute(rows).all())

    def _note(self, key: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(OUTBOX_TABLE).where(OUTBOX_TABLE.c.id == key).values(**values))
