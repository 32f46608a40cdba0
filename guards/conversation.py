"""Risk through a conversation: what one more message does to it.

Levels rise at once and fall slowly.

1. A crisis verdict (elevated, imminent) sets the level at once; a lower verdict afterwards never pulls it down.
2. Concern adds up: the third concern signal makes it elevated. Two steps of calm forget one signal.
3. After a crisis the conversation stays watchful: however calm it has become, one concern re-opens it as elevated.
4. A retraction ("jk", "forget it", "nvm") lowers nothing and is no calm turn: people take back what frightened them.
5. An explicit denial to a direct question of ours (``asked``) lowers one step; without the question it does not count.
6. Four calm turns in a row lower one step, then the count begins again; a level from today never falls in one go.
7. A message that could not be judged (``verdict.error``) lowers nothing, raises to concern at least, is no calm turn.
8. A message whose verdict is none, such as an idiom, changes nothing else in a calm conversation.
9. Where there has been no crisis yet, the last few messages that read as one as a crisis (``verdict.together``) make it
   elevated: what builds up stands in no single message. After a crisis they would only repeat what is known.

Decides nothing about a single message: that is the filter's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from .canonical import canonical
from .filter import HISTORY, CrisisFilter
from .lexicon import Lexicon, load_lexicon
from .types import Category, Frozen, RiskLevel, Subject, Utterance, Verdict

CONCERNS_TO_ELEVATED = 3
"""Concern signals that together are a crisis. A judgement, not a fit: an ordinary bad evening often brings two."""
CALM_TURNS_TO_STEP = 4
"""Calm turns in a row that lower one step: long enough for a person who changes the subject to come back to it."""


class Pace(Frozen):
    """How quickly concern adds up and calm lowers. The numbers are chosen by ``warmline guards evaluate``."""

    concerns: int = Field(default=CONCERNS_TO_ELEVATED, ge=1)
    calm_turns: int = Field(default=CALM_TURNS_TO_STEP, ge=1)


_PACE = Pace()
_LEVELS = tuple(RiskLevel)


class RiskState(Frozen):
    """The running risk of one conversation. Begin with ``RiskState()``; goes through JSON and back unchanged."""

    level: RiskLevel = RiskLevel.NONE
    peak: RiskLevel = RiskLevel.NONE
    """The highest level there ever was."""
    trend: Literal["rising", "steady", "falling"] = "steady"
    """What the last message did."""
    subject: Subject = Subject.SELF
    """Who is at risk; once the writer is, it stays the writer."""
    categories: tuple[Category, ...] = ()
    """Newest first; empty again when the level has fallen to none."""
    concern_count: int = Field(default=0, ge=0)
    """Concern signals that have not been forgotten."""
    calm_turns: int = Field(default=0, ge=0)
    """Calm messages in a row."""
    turn: int = Field(default=0, ge=0)
    """Messages judged so far."""

    @property
    def watchful(self) -> bool:
        """There was a crisis before: one concern re-opens it."""
        return self.peak >= RiskLevel.ELEVATED


def advance(
    state: RiskState,
    verdict: Verdict,
    text: str,
    asked: bool = False,
    *,
    lexicon: Lexicon | None = None,
    pace: Pace = _PACE,
) -> RiskState:
    """The state after one more message of the person.

    Args:
        verdict: the filter's verdict on ``text``.
        asked: whether our last reply asked directly about safety or suicide.
        lexicon: whose wording of denials and retractions counts; the shipped English one by default.
        pace: how many concerns make a crisis, and how many calm turns a step down.
    """
    level, concerns, calm = state.level, state.concern_count, state.calm_turns
    together = verdict.together
    built = together is not None and together.level >= RiskLevel.ELEVATED and not state.watchful
    if verdict.error is not None:
        level, calm = max(level, verdict.level, RiskLevel.CONCERN), 0
    elif verdict.crisis:
        level, calm = max(level, verdict.level), 0
    elif verdict.level is RiskLevel.CONCERN:
        concerns, calm = concerns + 1, 0
        opened = state.watchful or built or concerns >= pace.concerns
        level = max(level, RiskLevel.ELEVATED if opened else RiskLevel.CONCERN)
    else:
        reply = (lexicon or load_lexicon()).reply(canonical(text[:2_000]).text)
        if built and reply is None:
            level, calm = RiskLevel.ELEVATED, 0
        elif reply == "denial" and asked:
            level, calm = _step_down(level), 0
        elif reply != "retraction":
            calm += 1
            if level > RiskLevel.NONE and calm >= pace.calm_turns:
                level, calm, concerns = _step_down(level), 0, max(0, concerns - 1)
            elif level is RiskLevel.NONE and concerns and calm >= 2 * pace.calm_turns:
                calm, concerns = 0, concerns - 1
    new = verdict.categories if verdict.level > RiskLevel.NONE else ()
    if built and together is not None and level > state.level:
        new = (*new, *together.categories)
    kept = tuple(dict.fromkeys((*new, *state.categories))) if level > RiskLevel.NONE else ()
    return RiskState(
        level=level,
        peak=max(state.peak, level),
        trend="rising" if level > state.level else "falling" if level < state.level else "steady",
        subject=_subject(state, verdict),
        categories=kept,
        concern_count=concerns,
        calm_turns=calm,
        turn=state.turn + 1,
    )


def _step_down(level: RiskLevel) -> RiskLevel:
    return _LEVELS[max(0, level.rank - 1)]


def _subject(state: RiskState, verdict: Verdict) -> Subject:
    if verdict.level is RiskLevel.NONE:
        return state.subject
    if state.level > RiskLevel.NONE and state.subject is Subject.SELF:
        return Subject.SELF
    return verdict.subject


def follow(texts: Iterable[str], crisis_filter: CrisisFilter) -> Iterator[tuple[Verdict, RiskState]]:
    """Screen the messages of one person, each after those before it: the verdict and the risk after every message."""
    state, history = RiskState(), []
    for text in texts:
        verdict = crisis_filter.screen(text, history)
        state = advance(state, verdict, text, lexicon=crisis_filter.lexicon)
        history = [*history, Utterance(role="user", text=text)][-HISTORY:]
        yield verdict, state
