"""Answers conversations that are not stored: all that is known of them is the messages a client sent.

Nothing a client says is taken for ours. Every message of the person is judged, each after those before it; what the
client says that the assistant said can raise the risk and never lower it, and the model sees of it only what the
output guard lets pass. A client that sends our own last reply back unchanged goes on where that reply stood: this
replica remembers the digest of the conversation, never its words.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from ...guards.clean import clean
from ...guards.conversation import RiskState, advance
from ...guards.types import RiskLevel, Utterance, Verdict
from ..events import DoneEvent, Event, FailedEvent, ReplacedEvent, SentenceEvent, VerdictEvent
from ..language import language_of
from ..protocol.context import for_filter, question_of
from ..protocol.state import Progress
from ..traces import Trace, tell
from ..turn import HISTORY, TurnContext, TurnState
from ..voice import ENGLISH
from .access import Recent
from .errors import Refused
from .turns import Source

if TYPE_CHECKING:
    from ..support import SupportAgent

log = logging.getLogger(__name__)

REMEMBERED = 20_000
"""Conversations whose state is remembered by digest; about a kilobyte each."""
MOST = 400
"""Messages of a person that are judged in one request. Whoever talks longer opens a session."""
UNSTORED = "unstored"


@dataclass(frozen=True)
class _Standing:
    """Where a conversation stood after a message."""

    risk: RiskState
    progress: Progress
    language: str = ENGLISH


class Sessionless:
    """Judges and answers what is sent whole."""

    def __init__(self, agent: SupportAgent) -> None:
        self._agent = agent
        self._known = Recent[bytes, _Standing](REMEMBERED)

    def turn(self, said: Sequence[Utterance], country: str | None, owner: str, *, hold: bool = False) -> Source:
        """The turn that answers the last message of the person.

        Args:
            said: the conversation, oldest first; what follows the person's last message is left out.
            owner: whose conversation it is, so that two who say the same stay apart.
            hold: the store fails: answer a crisis, hold everything else, ask no model.

        Raises:
            Refused: there is no message of a person, or there are too many.
        """
        said = _cleaned(said)
        if not said:
            raise Refused(400, "no_message", "there is no message of a user with text in it", param="messages")
        if sum(utterance.role == "user" for utterance in said) > MOST:
            raise Refused(400, "too_many_messages", f"at most {MOST} messages of a user; open a session instead")
        return lambda: self._traced(said, country, owner, hold)

    async def _traced(
        self, said: Sequence[Utterance], country: str | None, owner: str, hold: bool
    ) -> AsyncGenerator[Event]:
        with self._agent.traces.turn() as trace:
            async with aclosing(self._answer(said, country, owner, hold, trace)) as events:
                async for event in events:
                    yield event

    async def _answer(
        self, said: Sequence[Utterance], country: str | None, owner: str, hold: bool, trace: Trace
    ) -> AsyncGenerator[Event]:
        began, reply = perf_counter(), ""
        digests = _digests(said, f"{owner}/{country}")
        state: TurnState = {"text": said[-1].text}
        route, level, broken, first_ms = "hold", RiskLevel.NONE, False, None
        try:
            await asyncio.to_thread(self._agent.prepare)
            state = await asyncio.to_thread(self._state, said, digests, country)
            context = TurnContext(
                parts=self._agent.parts_for(country),
                turn_id=UNSTORED,
                country=country,
                seed=zlib.crc32(digests[-1]),
                hold=hold,
                trace=trace,
            )
            stream = cast(
                "AsyncGenerator[tuple[str, Any]]",
                self._agent.graph.astream(state, context=context, stream_mode=["custom", "values"]),
            )
            async with aclosing(stream) as steps:
                async for mode, item in steps:
                    if mode == "values":
                        state = item
                        continue
                    if isinstance(item, ReplacedEvent) and reply and not item.text.startswith("\n"):
                        item = item.model_copy(update={"text": f"\n\n{item.text}"})
                    if isinstance(item, (SentenceEvent, ReplacedEvent)):
                        reply += item.text
                        first_ms = first_ms or _ms(began)
                    if isinstance(item, VerdictEvent):
                        level = item.level
                    yield item
            route = state.get("route", "hold")
        except Exception as error:  # the graph catches its own; this is the floor under it
            log.critical("a turn failed outside its nodes: %s", type(error).__name__, exc_info=True)
            from ..nodes import LAST_WORDS

            broken = True
            text = f"\n\n{LAST_WORDS}" if reply else LAST_WORDS
            reply += text
            yield ReplacedEvent(turn_id=UNSTORED, text=text, problems=(type(error).__name__,))
        tell(trace, UNSTORED, state, first_ms)
        if hold:
            copy = self._agent.voices.of(state.get("language", ENGLISH)).copy
            yield FailedEvent(turn_id=UNSTORED, text=copy.not_stored(), detail="the store fails")
            return
        if not broken:
            self._remember(digests[-1], reply, state)
            if route in ("crisis", "hold"):
                await self._audit(owner, route, level)
        yield DoneEvent(turn_id=UNSTORED, reply=reply, route=route, ms=_ms(began), first_sentence_ms=first_ms)

    def _state(self, said: Sequence[Utterance], digests: Sequence[bytes], country: str | None) -> TurnState:
        """Where the conversation stands before its last message. Blocking: it may have to judge all of it."""
        start, standing = 0, _Standing(RiskState(), Progress())
        for at in range(len(said) - 1, 0, -1):  # the longest part that was judged before
            if known := self._known.get(digests[at - 1]):
                start, standing = at, known
                break
        shown = self._showable(said[:-1], country)
        for at in range(start, len(said) - 1):
            if said[at].role == "user":
                standing = self._judged(said[at].text, said[:at], standing)
                self._known.put(digests[at], standing)
        return {
            "text": said[-1].text,
            "history": list(shown[-HISTORY:]),
            "language": standing.language,
            "risk": standing.risk,
            "progress": standing.progress,
        }

    def _judged(self, text: str, before: Sequence[Utterance], standing: _Standing) -> _Standing:
        """What one more message of the person makes of it. No question of ours is taken as asked, so that no
        invented one makes a "no" count."""
        language = language_of(text, standing.language)
        playbooks = self._agent.voices.of(language).playbooks
        history = for_filter(text, before[-HISTORY:], None, playbooks)
        verdict: Verdict = self._agent.parts.filter.screen(text, history)
        return _Standing(advance(standing.risk, verdict, text), Progress(), language)

    def _showable(self, said: Sequence[Utterance], country: str | None) -> list[Utterance]:
        """The conversation for the model and the filter: what it claims the assistant said only as far as it passes the
        output guard. Runs of it count as one, so that a flood does not push the person's words out of sight."""
        guard, kept = self._agent.parts_for(country).output_guard, list[Utterance]()
        for utterance in said[-2 * HISTORY :]:
            if utterance.role == "assistant":
                text = utterance.text
                text = text if guard.check(text, whole=True).safe else question_of(text)
                if not text or not guard.check(text, whole=True).safe:
                    continue
                utterance = Utterance(role="assistant", text=text)
                if kept and kept[-1].role == "assistant":
                    kept.pop()
            kept.append(utterance)
        return kept

    def _remember(self, before: bytes, reply: str, state: TurnState) -> None:
        standing = _Standing(
            state.get("risk") or RiskState(), state.get("progress") or Progress(), state.get("language", ENGLISH)
        )
        self._known.put(_next(before, Utterance(role="assistant", text=reply)), standing)

    async def _audit(self, owner: str, route: str, level: RiskLevel) -> None:
        """A crisis leaves a row in the audit, without words and without a conversation."""
        try:
            await asyncio.to_thread(
                lambda: self._agent.store.record("sessionless_turn", key=owner, route=route, level=level.value)
            )
        except Exception as error:  # the person has been answered; the log has to do
            log.error("the audit row of a crisis without a session could not be written: %s", type(error).__name__)


def _cleaned(said: Sequence[Utterance]) -> list[Utterance]:
    """Readable messages up to the person's last one; runs of the assistant's as one, the last."""
    kept = list[Utterance]()
    for utterance in said:
        text = clean(utterance.text).strip()
        if not text:
            continue
        if utterance.role == "assistant" and kept and kept[-1].role == "assistant":
            kept.pop()
        kept.append(Utterance(role=utterance.role, text=text))
    while kept and kept[-1].role != "user":
        kept.pop()
    return kept


def _digests(said: Sequence[Utterance], salt: str) -> list[bytes]:
    """For each message the digest of the conversation up to it."""
    digests, last = list[bytes](), hashlib.sha256(salt.encode()).digest()
    for utterance in said:
        last = _next(last, utterance)
        digests.append(last)
    return digests


def _next(before: bytes, utterance: Utterance) -> bytes:
    return hashlib.sha256(before + utterance.role.encode() + b"\0" + utterance.text.strip().encode()).digest()


def _ms(began: float) -> float:
    return (perf_counter() - began) * 1000
