"""The agent for code without an event loop: the same sessions and events, from plain generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .support import Session, SupportAgent

if TYPE_CHECKING:
    from .events import CrisisCard, Event
    from .store import SessionRecord, TurnRecord


class SyncSupportAgent:
    """``SupportAgent`` with blocking calls; runs its event loop in a thread of its own. Close it, or use ``with``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what ``SupportAgent`` takes."""
        self._agent = SupportAgent(*args, **kwargs)
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())

    @classmethod
    def from_settings(cls, settings: Any = None) -> Self:
        """An agent made of what the settings name."""
        return cls(settings=settings)

    def open_session(self, *, country: str | None = None, session_id: str | None = None) -> SyncSession:
        """See ``SupportAgent.open_session``."""
        session = self._portal.call(lambda: self._agent.open_session(country=country, session_id=session_id))
        return SyncSession(session, self._portal)

    def sessions(self) -> Sequence[SessionRecord]:
        """Stored conversations, the newest first."""
        return self._portal.call(self._agent.sessions)

    def hotlines(self, country: str | None) -> CrisisCard:
        """See ``SupportAgent.hotlines``."""
        return self._agent.hotlines(country)

    def close(self) -> None:
        """Close the store and end the thread."""
        self._portal.call(self._agent.aclose)
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SyncSession:
    """``Session`` with blocking calls."""

    def __init__(self, session: Session, portal: BlockingPortal) -> None:
        self._session, self._portal = session, portal
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

    def history(self) -> Sequence[TurnRecord]:
        """All turns, the oldest first."""
        return self._portal.call(self._session.history)

    def _pull(self, events: AsyncGenerator[Event]) -> Iterator[Event]:
        # One task reads the whole turn, since what runs below may not change tasks between two events. It goes on only
        # when the reader asks for more: what a reader who stops has not seen must not be stored as shown.
        handed: asyncio.Queue[Event | None] = asyncio.Queue()
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
            return asyncio.create_task(read())

        async def end() -> None:
            turn.cancel()  # does nothing to a turn that is over
            await asyncio.wait([turn])
            if not turn.cancelled():
                turn.result()

        turn = self._portal.call(start)
        try:
            while (event := self._portal.call(handed.get)) is not None:
                yield event
                self._portal.call(more.put, None)
        finally:
            self._portal.call(end)
