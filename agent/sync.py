"""The agent for code without an event loop: the same sessions and events, from plain generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .support import WATCH_S, Session, SupportAgent

if TYPE_CHECKING:
    from .events import CrisisCard, Event, HumanEvent
    from .store import HumanMessage, SessionRecord, TurnRecord

E = TypeVar("E")
R = TypeVar("R")


class SyncSupportAgent:
    """``SupportAgent`` with blocking calls; runs its event loop in a thread of its own. Close it, or use ``with``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what ``SupportAgent`` takes."""
        self._agent = SupportAgent(*args, **kwargs)
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        self._reading: set[asyncio.Task[None]] = set()
        self.closed = False
        """True from ``close`` on."""

    @classmethod
    def from_settings(cls, settings: Any = None) -> Self:
        """An agent made of what the settings name."""
        return cls(settings=settings)

    def open_session(self, *, country: str | None = None, session_id: str | None = None) -> SyncSession:
        """See ``SupportAgent.open_session``."""
        session = self._portal.call(lambda: self._agent.open_session(country=country, session_id=session_id))
        return SyncSession(session, self._portal, self)

    def sessions(self) -> Sequence[SessionRecord]:
        """Stored conversations, the newest first."""
        return self._portal.call(self._agent.sessions)

    def hotlines(self, country: str | None, *, language: str | None = None) -> CrisisCard:
        """See ``SupportAgent.hotlines``."""
        return self._agent.hotlines(country, language=language)

    def close(self) -> None:
        """End what is still being read in other threads, close the store and end the thread. Safe to repeat."""
        if not self.closed:
            self.closed = True
            self._portal.call(self._end)
            self._stack.close()

    async def _end(self) -> None:
        for task in self._reading:
            task.cancel()
        if self._reading:
            await asyncio.wait(self._reading)
        await self._agent.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SyncSession:
    """``Session`` with blocking calls."""

    def __init__(self, session: Session, portal: BlockingPortal, agent: SyncSupportAgent) -> None:
        self._session, self._portal, self._agent = session, portal, agent
        self.id = session.id

    @property
    def country(self) -> str | None:
        """ISO 3166-1 alpha-2, or None."""
        return self._session.country

    def send(self, text: str) -> Iterator[Event]:
        """One turn; closing the generator stops the reply."""
        yield from self._pull(self._session.send(text))

    def recover(self) -> Iterator[Event]:
        """Answer the message that a crash left unanswered, if there is one."""
        yield from self._pull(self._session.recover())

    def watch(self, *, every: float = WATCH_S) -> Iterator[HumanEvent]:
        """What reviewers do, as it comes; never ends by itself. Read it in a thread of its own, beside ``send``.

        Closing the generator ends it, and so does closing the agent.
        """
        yield from self._pull(self._session.watch(every=every))

    @property
    def with_human(self) -> bool:
        """True while a reviewer writes with the person, as far as was last seen."""
        return self._session.with_human

    def human_messages(self) -> Sequence[HumanMessage]:
        """See ``Session.human_messages``."""
        return self._portal.call(self._session.human_messages)

    def history(self) -> Sequence[TurnRecord]:
        """All turns, the oldest first."""
        return self._portal.call(self._session.history)

    def _pull(self, events: AsyncGenerator[E]) -> Iterator[E]:
        # One task reads the whole turn, since what runs below may not change tasks between two events. It goes on only
        # when the reader asks for more: what a reader who stops has not seen must not be stored as shown.
        handed: asyncio.Queue[E | None] = asyncio.Queue()
        more: asyncio.Queue[None] = asyncio.Queue()

        async def read() -> None:
            try:
                async with aclosing(events):
                    async for event in events:
                        handed.put_nowait(event)
                        await more.get()
            finally:
                handed.put_nowait(None)

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(read())
            self._agent._reading.add(task)
            task.add_done_callback(self._agent._reading.discard)
            return task

        async def end() -> None:
            turn.cancel()  # does nothing to a turn that is over
            await asyncio.wait([turn])
            if not turn.cancelled():
                turn.result()

        turn = self._portal.call(start)
        try:
            while (event := self._unless_closed(handed.get)) is not None:
                yield event
                self._unless_closed(partial(more.put, None))
        finally:
            self._unless_closed(end)

    def _unless_closed(self, call: Callable[[], Awaitable[R]]) -> R | None:
        """A call into the event loop; None once the agent was closed, which ended everything already."""
        try:
            return self._portal.call(call)
        except (RuntimeError, CancelledError):
            if self._agent.closed:
                return None
            raise
