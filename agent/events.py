"""What a turn says while it runs: the typed events that Python, HTTP and ``warmline ask --json`` share.

Order within a turn: one ``verdict``; then any of ``human``, ``sentence``, ``crisis_card``, ``replaced``; then exactly
one ``done`` or ``failed``. Every text in an event has passed the checks and may be shown as it is; only what a human
reviewer wrote (``human``) is theirs to answer for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ..guards.hotlines import Hotline
from ..guards.types import Category, Frozen, RiskLevel, Verdict

Route = Literal["support", "concern", "crisis", "hold", "human"]
"""Which way a turn went: the model; the model plus a safety question; the crisis reply; the fixed safe reply; to a
human reviewer, while the agent is silent."""


class VerdictEvent(Frozen):
    """The crisis filter has judged the message. Always the first event of a turn."""

    type: Literal["verdict"] = "verdict"
    turn_id: str
    verdict: Verdict
    level: RiskLevel
    """Risk of the conversation after this message; may stand above ``verdict.level``."""


class SentenceEvent(Frozen):
    """One checked piece of the reply; joining all ``text`` gives the reply, spaces and line breaks included."""

    type: Literal["sentence"] = "sentence"
    turn_id: str
    text: str


class CrisisCard(Frozen):
    """The lines that fit this person now, ready to be drawn by an app."""

    level: RiskLevel
    categories: tuple[Category, ...]
    country: str | None
    """ISO 3166-1 alpha-2, or ``None`` when the country is not known."""
    title: str
    lines: tuple[Hotline, ...]
    emergency: str | None
    """Emergency number of the country, when known."""
    notice: str
    """Says plainly that this is an AI and cannot call anyone."""


class CrisisCardEvent(Frozen):
    """Show this card beside the reply."""

    type: Literal["crisis_card"] = "crisis_card"
    turn_id: str
    card: CrisisCard


class ReplacedEvent(Frozen):
    """The model's next words did not pass, or a human reviewer came; ``text`` stands in their place, ends the reply."""

    type: Literal["replaced"] = "replaced"
    turn_id: str
    text: str
    problems: tuple[str, ...]
    """What the output guard found in the words that were never shown; ``human:took_over`` when a reviewer came."""


class HumanEvent(Frozen):
    """A human reviewer came, wrote or left. May come between turns (``Session.watch``) and within one."""

    type: Literal["human"] = "human"
    id: int
    """Grows with time; the same id is the same thing said."""
    kind: Literal["arrived", "message", "left"]
    """Fixed words that a human writes from here on; what the human wrote; fixed words that the agent is back."""
    text: str
    after: int
    """Number of the turn behind which it stands."""
    time: datetime


class DoneEvent(Frozen):
    """The turn is stored."""

    type: Literal["done"] = "done"
    turn_id: str
    reply: str
    """The whole reply, exactly as shown."""
    route: Route
    stopped: bool = False
    """True when the person stopped the reply."""
    ms: float
    first_sentence_ms: float | None = None


class FailedEvent(Frozen):
    """The turn could not be stored or run; ``text`` is safe to show and tells what to do."""

    type: Literal["failed"] = "failed"
    turn_id: str
    text: str
    detail: str
    """For the operator: what failed and which setting to look at; never message text."""


Event = Annotated[
    VerdictEvent | SentenceEvent | CrisisCardEvent | ReplacedEvent | HumanEvent | DoneEvent | FailedEvent,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads and writes any event: ``EVENT.validate_json(line)``."""
