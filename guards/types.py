"""What the guards say about a text: levels, categories, evidence and the verdict that carries them.

These are the words every other part speaks. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RiskLevel(StrEnum):
    """How urgent a message is. Ordered: ``NONE < CONCERN < ELEVATED < IMMINENT``."""

    NONE = "none"
    """Ordinary talk or ordinary distress; nothing that needs a safety check."""
    CONCERN = "concern"
    """Ambiguous; a good listener would gently ask about safety."""
    ELEVATED = "elevated"
    """A crisis: a category is clearly present, without a sign that it happens within hours."""
    IMMINENT = "imminent"
    """Danger now or within about a day."""

    @property
    def rank(self) -> int:
        """0 for NONE to 3 for IMMINENT."""
        return _RANKS[self.value]

    # All four are needed: str brings its own, which would compare the words by the alphabet.
    def __lt__(self, other: str) -> bool:
        return self.rank < RiskLevel(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= RiskLevel(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > RiskLevel(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= RiskLevel(other).rank


_RANKS = {"none": 0, "concern": 1, "elevated": 2, "imminent": 3}


class Category(StrEnum):
    """The eight crisis categories (after Verily's behavioural-health filter, arXiv 2510.12083)."""

    ABUSE = "abuse"
    NEGLECT = "neglect"
    EATING_DISORDER = "eating_disorder"
    PSYCHOSIS = "psychosis"
    SELF_HARM = "self_harm"
    SUICIDE = "suicide"
    SUBSTANCE_MISUSE = "substance_misuse"
    VIOLENCE = "violence"


class Subject(StrEnum):
    """Who is at risk."""

    SELF = "self"
    """The person who writes."""
    OTHER = "other"
    """Somebody the person writes about."""


class Frozen(BaseModel):
    """Immutable value; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Utterance(Frozen):
    """One thing said in a conversation."""

    role: Literal["user", "assistant"]
    text: str


class Evidence(Frozen):
    """One span of the person's own text that speaks for a category."""

    start: int = Field(ge=0)
    """First character, counted in code points of the text as it was given."""
    end: int = Field(ge=0)
    """One past the last character."""
    text: str
    """``original[start:end]``."""
    category: Category
    level: RiskLevel
    source: str
    """What found it, e.g. ``lexicon:en/suicide/end-my-life``."""


class Together(Frozen):
    """What the last few messages say when they are read as one: a risk that builds up stands in no single message."""

    level: RiskLevel
    categories: tuple[Category, ...] = ()
    score: float = Field(ge=0, le=1)


class Verdict(Frozen):
    """What the crisis filter decided about one message, in its conversation.

    ``error`` is a state of its own: it means *could not judge* and never *allow*.
    """

    level: RiskLevel
    categories: tuple[Category, ...] = ()
    """Most likely first; empty for level NONE."""
    subject: Subject = Subject.SELF
    evidence: tuple[Evidence, ...] = ()
    scores: Mapping[Category, float] = Field(default_factory=dict)
    """Per category, 0 to 1. Not a probability unless the model card says so."""
    stages: Mapping[str, float] = Field(default_factory=dict)
    """What each stage made of it, 0 to 1, as far as it was asked: `lexicon`, `encoder`, `multilingual`, `window`,
    `second opinion`."""
    together: Together | None = None
    """The last few messages as one; only where this one is no crisis itself. It is for the conversation's risk."""
    language: str = "en"
    """ISO 639-1 code of the message, as far as the filter could tell."""
    reason: str = ""
    """One sentence in plain words, for a reviewer; never shown to the person."""
    error: str | None = None
    """Name of what failed, without any message text; ``None`` when the filter could judge."""
    ms: float = 0.0
    """Wall time spent, in milliseconds."""

    @property
    def crisis(self) -> bool:
        """True for ELEVATED and IMMINENT: the turn belongs to the crisis protocol."""
        return self.level >= RiskLevel.ELEVATED
