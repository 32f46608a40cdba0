"""One conversation as a reviewer reads it: everything the store has about it, read at one go. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...agent.store import HumanMessage, Mark, Note, SessionRecord, Store, Ticket, TurnRecord
from ...guards.types import Verdict


@dataclass(frozen=True)
class Talk:
    """A ticket with its conversation."""

    ticket: Ticket
    session: SessionRecord
    turns: tuple[TurnRecord, ...]
    verdicts: Mapping[str, Verdict]
    """By turn."""
    messages: tuple[HumanMessage, ...]
    notes: tuple[Note, ...]
    marks: Mapping[str, Mark]
    """By turn."""

    @classmethod
    def load(cls, store: Store, ticket_id: str) -> Talk | None:
        """The talk of a ticket; None when it was deleted. Blocking.

        Raises:
            StoreError: the store cannot be read, or the conversation vanished meanwhile.
        """
        ticket = store.handoff.ticket(ticket_id)
        if ticket is None:
            return None
        session_id = ticket.session_id
        return cls(
            ticket=ticket,
            session=store.session(session_id),
            turns=store.turns(session_id),
            verdicts=store.verdicts(session_id),
            messages=store.handoff.of_session(session_id).messages,
            notes=store.handoff.notes(ticket_id),
            marks=store.handoff.marks(session_id),
        )
