"""Runs turns for the service: one at a time in each conversation, each in a task of its own.

It decides what becomes of a turn whose reader went away: a message is always judged and stored, a crisis reply is
written to its end, and only a model's reply is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...guards.types import RiskLevel
from ..events import DoneEvent, Event, FailedEvent, VerdictEvent
from ..nodes import LAST_WORDS
from ..support import Session, SupportAgent
from .errors import busy, stopping

if TYPE_CHECKING:
    from .drain import Drain
    from .metrics import Metrics

log = logging.getLogger(__name__)

Source = Callable[[], AsyncGenerator[Event]]
"""Begins a turn: ``Session.send`` or ``Session.recover``, or a turn of a conversation that is not stored."""


class RunningTurn:
    """A turn on its way. Read ``events`` once, or ``leave``."""

    def __init__(self, source: Source, metrics: Metrics, ended: Callable[[Event | None], None]) -> None:
        self._source, self._metrics, self._ended = source, metrics, ended
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._left = self._calm = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        last: Event | None = None
        with self._metrics.turn() as measured:
            try:
                async with aclosing(self._source()) as events:
                    async for event in events:
                        last = event
                        measured.see(event)
                        stop = self._left and self._calm
                        self._note(event)
                        self._queue.put_nowait(event)
                        if stop:
                            break
            except asyncio.CancelledError:
                pass  # nobody reads it any more; the agent stored what was shown
            except Exception as error:  # the agent answers for its own faults; this is the floor under it
                log.critical("a turn broke outside the agent: %s", type(error).__name__, exc_info=True)
                last = FailedEvent(turn_id="", text=LAST_WORDS, detail=type(error).__name__)
                self._queue.put_nowait(last)
            finally:
                self._ended(last)
                self._queue.put_nowait(None)

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


class Turns:
    """The running turns of this replica. Another replica's are seen in the store."""

    def __init__(self, agent: SupportAgent, drain: Drain, metrics: Metrics) -> None:
        self._agent, self._drain, self._metrics = agent, drain, metrics
        self._running: dict[str, RunningTurn | None] = {}
        self._unsettled: dict[str, Session] = {}
        """Conversations whose last reply could not be stored; they remember it, and settle it with the next turn."""
        self._loose: set[RunningTurn] = set()

    async def send(self, session_id: str, text: str) -> RunningTurn:
        """Answer a message.

        Raises:
            Refused: the turn before is still running, or the service stops.
            StoreError: the conversation cannot be loaded.
        """
        return await self._begin(session_id, lambda session: session.send(text))

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
            if isinstance(last, FailedEvent) and last.turn_id:
                self._unsettled[session_id] = session
            elif isinstance(last, DoneEvent):
                self._unsettled.pop(session_id, None)

        turn = self._running[session_id] = RunningTurn(lambda: source(session), self._metrics, ended)
        return turn

    async def _session(self, session_id: str) -> Session:
        return self._unsettled.get(session_id) or await self._agent.open_session(session_id=session_id)

    async def all_ended(self) -> None:
        """Wait for every running turn."""
        for turn in [*self._running.values(), *self._loose]:
            if turn is not None:
                await turn.ended()
