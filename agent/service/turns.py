"""Runs turns for the service: one at a time in each conversation, each in a task of its own.

It decides what becomes of a turn whose reader went away: a message is always judged and stored, a crisis reply is
written to its end, and only a model's reply is stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from ...guards.clean import clean
from ...guards.types import RiskLevel
from ..events import CrisisCard, CrisisCardEvent, DoneEvent, Event, FailedEvent, SentenceEvent, VerdictEvent
from ..nodes import LAST_WORDS
from ..store import StoreError, TurnPending, TurnRepeated, TurnStatus
from ..support import Session, SupportAgent
from .access import REMEMBERED, Recent
from .errors import busy, reused_key, stopping

if TYPE_CHECKING:
    from .drain import Drain
    from .metrics import Metrics

log = logging.getLogger(__name__)

Source = Callable[[], AsyncGenerator[Event]]
"""Begins a turn: ``Session.send`` or ``Session.recover``, or a turn of a conversation that is not stored."""


LEASE = timedelta(seconds=60)
"""How long a replica may be silent before one on another machine takes its turns over."""
RENEW_S = 15.0
SETTLE_S = 3.0
"""Seconds between two tries to write what could not be stored when it was shown."""


class Turn(Protocol):
    """Something to read the events of, once."""

    def events(self) -> AsyncGenerator[Event]:
        """The events as they come."""
        ...


class RunningTurn:
    """A turn on its way. Read ``events`` once, or ``leave``."""

    def __init__(self, source: Source, metrics: Metrics, ended: Callable[[Event | None], None]) -> None:
        self._source, self._metrics, self._ended = source, metrics, ended
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._left = self._calm = False
        self._begun = asyncio.get_running_loop().create_future()
        self.silent = True
        """True while nothing was said; once it has begun and this is still so, there was nothing to answer."""
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        last: Event | None = None
        with self._metrics.turn() as measured:
            try:
                async with aclosing(self._source()) as events:
                    async for event in events:
                        last = event
                        self.silent = False
                        self._begins()
                        measured.see(event)
                        stop = self._left and self._calm
                        self._note(event)
                        self._queue.put_nowait(event)
                        if stop:
                            break
            except (TurnPending, TurnRepeated) as error:
                self._begins(error)
            except asyncio.CancelledError:
                pass  # nobody reads it any more; the agent stored what was shown
            except Exception as error:  # the agent answers for its own faults; this is the floor under it
                log.critical("a turn broke outside the agent: %s", type(error).__name__, exc_info=True)
                last = FailedEvent(turn_id="", text=LAST_WORDS, detail=type(error).__name__)
                self._queue.put_nowait(last)
            finally:
                self._begins()
                self._ended(last)
                self._queue.put_nowait(None)

    def _begins(self, error: StoreError | None = None) -> None:
        if not self._begun.done():
            if error is None:
                self._begun.set_result(None)
            else:
                self._begun.set_exception(error)

    async def begun(self) -> None:
        """Wait until the message is kept and judged, or cannot be.

        Raises:
            TurnPending, TurnRepeated: the message began no turn.
        """
        await asyncio.shield(self._begun)

    def _note(self, event: Event) -> None:
        if isinstance(event, VerdictEvent):
            self._calm = event.verdict.error is None and max(event.level, event.verdict.level) < RiskLevel.ELEVATED

    async def events(self) -> AsyncGenerator[Event]:
        """The events as they come. Who stops reading leaves the turn."""
        done = False
        try:
            while (event := await self._queue.get()) is not None:
                yield event
            done = True
        finally:
            if not done:
                self.leave()

    def leave(self) -> None:
        """Nobody reads any more. Before the verdict the turn goes on: whoever wrote may be in danger."""
        if self._calm:
            self._task.cancel()
        self._left = True

    async def ended(self) -> None:
        """Wait until everything is stored."""
        await asyncio.wait([self._task])


class StoredTurn:
    """A turn that was answered before, told again."""

    def __init__(self, *events: Event) -> None:
        self._events = events

    async def events(self) -> AsyncGenerator[Event]:
        """What was shown then."""
        for event in self._events:
            yield event


class Turns:
    """The running turns of this replica. Another replica's are seen in the store."""

    def __init__(self, agent: SupportAgent, drain: Drain, metrics: Metrics) -> None:
        self._agent, self._drain, self._metrics = agent, drain, metrics
        self._running: dict[str, RunningTurn | None] = {}
        self._unsettled: dict[str, Session] = {}
        """Conversations whose last reply could not be stored; they remember it, and settle it with the next turn."""
        self._loose: set[RunningTurn] = set()
        self.countries = Recent[str, str](REMEMBERED)
        """Of conversations seen lately: a person in danger gets the right lines while the store fails."""

    async def send(self, session_id: str, text: str, key: str | None = None) -> Turn:
        """Answer a message.

        Args:
            session_id: the conversation.
            text: the message.
            key: the idempotency key. The turn that it began before is answered, or told again.

        Raises:
            Refused: the turn before is still running, the service stops, or the key came with another message.
            StoreError: the conversation cannot be loaded.
        """
        request = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest() if key else None
        try:
            return await self._begin(session_id, lambda s: s.send(text, request=request, raises=True))
        except TurnRepeated as repeated:
            return await self._again(session_id, repeated.turn_id, text)

    async def _again(self, session_id: str, turn_id: str, text: str) -> Turn:
        await self.settle()  # its reply may be waiting here
        store = self._agent.store
        turn, verdict = await asyncio.to_thread(lambda: (store.turn(turn_id), store.verdict(turn_id)))
        said = clean(text)
        if turn is None:
            raise busy()  # deleted between two looks
        if turn.user_text != said and not turn.user_text.endswith(f"\n\n{said}"):
            raise reused_key()
        if turn.status is TurnStatus.PENDING:  # whoever answered it is gone, or `_begin` says that they are not
            recovered = await self.recover(session_id)
            if recovered.silent:
                raise busy()
            return recovered
        events: list[Event] = []
        card = CrisisCard.model_validate(turn.card) if turn.card else None
        if verdict:
            level = max(verdict.level, card.level) if card else verdict.level
            events.append(VerdictEvent(turn_id=turn.id, verdict=verdict, level=level))
        if turn.status is not TurnStatus.DONE or turn.route is None:
            words = turn.reply or self._agent.copy.interrupted()
            return StoredTurn(*events, FailedEvent(turn_id=turn.id, text=words, detail="it was not answered"))
        if turn.reply:
            events.append(SentenceEvent(turn_id=turn.id, text=turn.reply))
        if card:
            events.append(CrisisCardEvent(turn_id=turn.id, card=card))
        return StoredTurn(
            *events,
            DoneEvent(
                turn_id=turn.id,
                reply=turn.reply or "",
                route=turn.route,
                stopped=turn.stopped,
                ms=turn.ms or 0.0,
                first_sentence_ms=turn.first_sentence_ms,
            ),
        )

    async def recover(self, session_id: str) -> RunningTurn:
        """Answer the message that a crash left unanswered, if there is one. Raises what ``send`` raises."""
        return await self._begin(session_id, lambda session: session.recover())

    def run(self, source: Source) -> RunningTurn:
        """A turn that belongs to no stored conversation."""
        if self._drain.begun.is_set():
            raise stopping()

        def ended(_: Event | None) -> None:
            self._loose.discard(turn)

        turn = RunningTurn(source, self._metrics, ended)
        self._loose.add(turn)
        return turn

    async def _begin(self, session_id: str, source: Callable[[Session], AsyncGenerator[Event]]) -> RunningTurn:
        if self._drain.begun.is_set():
            raise stopping()
        if session_id in self._running:
            raise busy()
        self._running[session_id] = None
        try:
            session = await self._session(session_id)
            if session is not self._unsettled.get(session_id) and await asyncio.to_thread(
                self._agent.store.answering, session_id
            ):
                raise busy()
        except BaseException:
            del self._running[session_id]
            raise

        def ended(last: Event | None) -> None:
            del self._running[session_id]
            self.remember(session_id, session.country)
            if isinstance(last, FailedEvent) and last.turn_id:
                self._unsettled[session_id] = session
            elif isinstance(last, DoneEvent):
                self._unsettled.pop(session_id, None)

        turn = self._running[session_id] = RunningTurn(lambda: source(session), self._metrics, ended)
        try:
            await turn.begun()
        except TurnPending:  # another replica was quicker, between our look and our write
            raise busy() from None
        return turn

    async def _session(self, session_id: str) -> Session:
        return self._unsettled.get(session_id) or await self._agent.open_session(session_id=session_id)

    def remember(self, session_id: str, country: str | None) -> None:
        """Keep the country of a conversation for the time in which the store fails."""
        if country:
            self.countries.put(session_id, country)

    def forget(self, session_id: str) -> None:
        """Let go of what is remembered of a conversation that was deleted."""
        self._unsettled.pop(session_id, None)
        self.countries.drop(session_id)

    async def renewing(self) -> None:
        """Say every few seconds that this replica is at work, so that others wait for it and no longer. Never ends by
        itself."""
        self._agent.store.lease = LEASE
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await asyncio.to_thread(self._agent.store.renew)
            except StoreError as error:
                log.error("turns could not be renewed: %s", error)

    async def settling(self) -> None:
        """Write what could not be stored, as soon as the store answers again: the conversation is free then for every
        replica, and a crisis gets its ticket. Never ends by itself."""
        while True:
            await asyncio.sleep(SETTLE_S)
            await self.settle()

    async def settle(self) -> None:
        """Try once to write what could not be stored."""
        for session_id, session in list(self._unsettled.items()):
            if session_id in self._running:
                continue
            try:
                await asyncio.to_thread(session.settle)
            except StoreError:
                return
            if self._unsettled.get(session_id) is session and session_id not in self._running:
                del self._unsettled[session_id]

    async def all_ended(self) -> None:
        """Wait for every running turn."""
        for turn in [*self._running.values(), *self._loose]:
            if turn is not None:
                await turn.ended()
