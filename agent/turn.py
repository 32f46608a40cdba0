"""What travels through one turn: the state that the nodes read and write, and the parts they work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NotRequired, Required, TypedDict

from langchain_core.language_models.chat_models import BaseChatModel

from ..guards.conversation import RiskState
from ..guards.filter import CrisisFilter
from ..guards.hotlines import Directory
from ..guards.output import OutputGuard
from ..guards.types import Utterance, Verdict
from .events import CrisisCard, Route
from .model.stream import Limits
from .protocol.state import Progress
from .traces import UNTRACED, Trace
from .voice import ENGLISH, Voice, Voices

HISTORY = 12
"""Utterances kept in the state: what the model and the filter see of the conversation. Keeps a turn's cost flat."""


class TurnState(TypedDict, total=False):
    """Channels of the graph. ``history``, ``language``, ``risk`` and ``progress`` live on from turn to turn."""

    text: Required[str]
    """What the person wrote; cleaned by ``receive``."""
    history: NotRequired[list[Utterance]]
    """Oldest first, without ``text``; at most ``HISTORY``."""
    language: NotRequired[str]
    """ISO 639-1 code of the language the person writes in; English before the first message."""
    risk: NotRequired[RiskState]
    progress: NotRequired[Progress]
    verdict: NotRequired[Verdict | None]
    route: NotRequired[Route]
    reply: NotRequired[str]
    """What was shown so far; after ``deliver`` the whole reply."""
    pending: NotRequired[str]
    """Fixed text that ``deliver`` still has to show."""
    card: NotRequired[CrisisCard | None]
    problems: NotRequired[tuple[str, ...]]
    """Why the model's words were stopped or the turn is held; names only, never message text."""
    moves: NotRequired[tuple[str, ...]]
    """Ids of the copy that was said, for the audit."""


@dataclass(frozen=True)
class Parts:
    """What a turn works with; shared by all sessions of an agent."""

    filter: CrisisFilter
    output_guard: OutputGuard
    model: BaseChatModel
    directory: Directory
    voices: Voices = field(default_factory=Voices)
    """All vetted words, by language: the fixed copy and the crisis protocol's playbooks."""
    limits: Limits = field(default_factory=Limits)
    model_meets_concern: bool = True
    """False for a model too weak to be let near a person who may be in danger: vetted words then stand in its place."""


@dataclass(frozen=True)
class TurnContext:
    """The run-scoped context of the graph (``context_schema``)."""

    parts: Parts
    turn_id: str
    country: str | None = None
    """ISO 3166-1 alpha-2, for the hotlines."""
    seed: int = 0
    """Picks among copy variants; the same seed gives the same words."""
    hold: bool = False
    """The message could not be stored: answer a crisis, hold everything else, ask no model."""
    human: bool = False
    """A human reviewer writes with the person: judge the message and say nothing."""
    trace: Trace = UNTRACED
    """What the operator sees of this turn: names and times."""

    def voice(self, state: TurnState) -> Voice:
        """The words of the person's language."""
        return self.parts.voices.of(state.get("language", ENGLISH))


@dataclass(frozen=True)
class TurnLimits:
    """Seconds each kind of node may take before the turn falls to the safe reply."""

    check_s: float = 2.0
    reply_s: float = 100.0
    """Above the model's own total, so that the model's limits speak first."""
