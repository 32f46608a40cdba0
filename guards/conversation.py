"""Risk through a conversation: pure bookkeeping over verdicts. It reads no mind and judges no text on its own.

Rules (DESIGN.md, "Risk through a conversation"):

- A level rises at once to that of the newest verdict.
- It falls slowly, one step at a time: by an explicit denial to a question about safety, or by ``CALM_TURNS`` calm turns
  in a row.
- ``BUILD_UP`` turns of concern, with no long calm between them, make an elevated risk. After a crisis one is enough.
- A retraction ("jk", "forget it") lowers nothing and counts as no calm turn.
- A verdict with an error changes nothing.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from .types import Category, Frozen, RiskLevel, Subject, Verdict

CALM_TURNS = 3
"""Calm turns in a row that lower the level by one step."""
BUILD_UP = 3
"""Turns of concern that together make an elevated risk."""

_DENIAL = re.compile(
    r"^\W*(?:no|nope|nah|never|not at all|not really|of course not|god no|absolutely not|definitely not)\b"
    r"|\b(?:i'?m|i am) (?:safe|not (?:suicidal|thinking|planning|going to|gonna))\b"
    r"|\bi (?:don'?t|do not|wouldn'?t|would not|would never|won'?t) (?:want to|wanna|plan to|feel like) (?:die|hurt|harm|kill)",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
    r"\b(?:jk|just kidding|kidding|joking|only a joke|forget (?:it|i said|that|what)|never ?mind|nvm|ignore (?:me|that)"
    r"|didn'?t mean (?:it|that)|don'?t mean it)\b",
    re.IGNORECASE,
)
_SHORT = 25
"""Words up to which a denial or a retraction is taken as one: in a long message the words may be about anything."""


class RiskState(Frozen):
    """The running risk of one conversation; travels as JSON with the session."""

    level: RiskLevel = RiskLevel.NONE
    peak: RiskLevel = RiskLevel.NONE
    """The highest level so far."""
    trend: Literal["rising", "steady", "falling"] = "steady"
    """How the level moved with the newest turn."""
    subject: Subject = Subject.SELF
    """Who was at risk in the newest verdict that found any."""
    categories: tuple[Category, ...] = ()
    """All categories found so far, in the order they came."""
    concerns: int = Field(default=0, ge=0)
    """Turns of concern since the last long calm."""
    calm_turns: int = Field(default=0, ge=0)
    """Calm turns in a row."""
    turn: int = Field(default=0, ge=0)
    """Turns judged so far."""

    @property
    def watchful(self) -> bool:
        """True once there was a crisis in this conversation: then one concern re-opens it."""
        return self.peak >= RiskLevel.ELEVATED


def advance(state: RiskState, verdict: Verdict, text: str, *, asked: bool = False) -> RiskState:
    """The risk after one more message.

    Args:
        state: the risk before it.
        verdict: what the filter decided about it, in its conversation.
        text: the message; read only for a denial or a retraction.
        asked: whether the turn before asked a question about safety.
    """
    if verdict.error:
        return state
    level, concerns, calm = state.level, state.concerns, 0
    if verdict.level >= RiskLevel.CONCERN:
        level = max(level, verdict.level)
        if verdict.level is RiskLevel.CONCERN:
            concerns += 1
            if concerns >= (1 if state.watchful else BUILD_UP):
                level = max(level, RiskLevel.ELEVATED)
    elif asked and _says(_DENIAL, text):
        level, concerns = _one_lower(level), 0
    elif not _says(_RETRACTION, text):
        calm = state.calm_turns + 1
        if calm >= CALM_TURNS:
            level, concerns, calm = _one_lower(level), 0, 0
    found = verdict.level >= RiskLevel.CONCERN
    return RiskState(
        level=level,
        peak=max(state.peak, level),
        trend="rising" if level > state.level else "falling" if level < state.level else "steady",
        subject=verdict.subject if found else state.subject,
        categories=tuple(dict.fromkeys((*state.categories, *(verdict.categories if found else ())))),
        concerns=concerns,
        calm_turns=calm,
        turn=state.turn + 1,
    )


def _one_lower(level: RiskLevel) -> RiskLevel:
    return list(RiskLevel)[max(0, level.rank - 1)]


def _says(pattern: re.Pattern[str], text: str) -> bool:
    return len(text.split(maxsplit=_SHORT)) <= _SHORT and pattern.search(text) is not None
