"""What the protocol remembers of a crisis: asked, answered, offered, named, told. Values only; nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from ...guards.types import Category, Frozen, RiskLevel, Subject

REMEMBERED = 90
"""Copy ids kept in `Progress.said`: no wording comes back within a long crisis, and a turn stays small."""
SAFER = frozenset({"means:no", "away:yes", "with_someone:yes", "reached:yes", "safe:yes", "thoughts:no"})
"""What somebody tells who is getting safer."""
HISTORY = 30
"""Risk levels kept in `Progress.history`."""


class Answer(StrEnum):
    """What a person said to a question."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"
    """Neither yes nor no, or something else was told instead: not denied."""
    REFUSED = "refused"
    """They do not want to answer."""


class Progress(Frozen):
    """The protocol's memory of one crisis; travels as JSON with the session. Keys of other versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pending: str | None = None
    """Topic of the question that the last turn ended with."""
    asked: tuple[str, ...] = ()
    """Topics asked since the risk last rose."""
    turn: int = 0
    """Turns of this crisis so far."""
    asked_at: Mapping[str, int] = Field(default_factory=dict)
    """When a topic that may come back was last asked, in turns."""
    answers: Mapping[str, Answer] = Field(default_factory=dict)
    """What was answered, or told without being asked, by topic."""
    done: tuple[str, ...] = ()
    """Moves made since the risk last rose."""
    said: tuple[str, ...] = ()
    """Ids of the copy that was said, the newest last; kept beyond the crisis so that the next one has other words."""
    offered: tuple[str, ...] = ()
    """Ids of the hotlines that were shown."""
    barriers: tuple[str, ...] = ()
    """What the person said stands in the way of help."""
    flags: tuple[str, ...] = ()
    """What lines and words must fit: ``minor``, ``alone``, ``deaf``, ``cannot_speak``, ``watched``."""
    plan: Mapping[str, str] = Field(default_factory=dict)
    """The safety plan so far: by step, in the person's own words."""
    level: RiskLevel = RiskLevel.NONE
    """The level the protocol stands at; NONE while no crisis is open."""
    peak: RiskLevel = RiskLevel.NONE
    history: tuple[RiskLevel, ...] = ()
    """The level after each turn, the newest last."""
    steady: int = 0
    """Calm turns in a row."""
    denied: bool = False
    """The person said, asked or not, that the danger is not there, and has not taken that back."""
    subject: Subject = Subject.SELF
    who: str | None = None
    """Whom a worried person writes about: ``your son``. From a fixed list, never free text."""
    categories: tuple[Category, ...] = ()
    """Categories that were answered, in the order they came."""
    country: str | None = None
    """The country the last card was made for."""
    told_country: str | None = None
    """The country the person named when asked."""
    asked_country: bool = False
    disclosed_ai: bool = False
    """The person was told that this is an AI."""
    off_topic: int = 0
    """Times the person changed the subject since they were last brought back."""
    watchful: bool = False
    """There was a crisis in this conversation before."""

    @property
    def open(self) -> bool:
        """True from the first crisis reply until the protocol has stepped down."""
        return self.level > RiskLevel.NONE

    def closed(self) -> Progress:
        """The state after the crisis: the next one starts afresh, with its lines and its AI notice, in other words."""
        return Progress(
            said=self.said,
            plan=self.plan,
            flags=self.flags,
            told_country=self.told_country,
            history=self.history,
            watchful=True,
        )

    @model_validator(mode="before")
    @classmethod
    def _first_version(cls, value: Any) -> Any:
        """Reads what the first version stored: ``asked`` was a flag, and the peak said whether a crisis was open."""
        if isinstance(value, dict) and isinstance(value.get("asked"), bool):
            value = dict(value)
            value["pending"] = "safe" if value.pop("asked") else None
            if value.get("peak") in (None, "none"):
                value["level"] = "none"
            value.pop("asked", None)
        return value
