"""Server-Sent Events: how events travel, and what keeps a quiet stream open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from fastapi.responses import StreamingResponse

from ..events import Event, FailedEvent

KEEP_ALIVE_S = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy takes the stream for dead."""


class Stream(StreamingResponse):
    """A response of Server-Sent Events. Closes its source when the client goes away."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[str], headers: Mapping[str, str] | None = None) -> None:
        quiet = {"X-Accel-Buffering": "no"}  # nginx would collect the events otherwise
        super().__init__(_kept_alive(frames), headers=quiet | dict(headers or {}))


def frame(event: Event) -> str:
    """One event of a turn as a frame: its type, and its JSON."""
    return f"event: {event.type}\ndata: {public(event).model_dump_json()}\n\n"


def public(event: Event) -> Event:
    """The event for a reader outside: what the operator has to know stands in the log."""
    if isinstance(event, FailedEvent):
        return event.model_copy(update={"detail": "the service's log tells what failed"})
    return event


async def _kept_alive(frames: AsyncGenerator[str]) -> AsyncIterator[str]:
    async with aclosing(frames):
        waiting: asyncio.Task[str | None] | None = None
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(frames, None))
                done, _ = await asyncio.wait([waiting], timeout=KEEP_ALIVE_S)
                if not done:
                    yield ": still here\n\n"
                    continue
                given, waiting = waiting.result(), None
                if given is None:
                    return
                yield given
        finally:
            if waiting is not None:  # the client went away: let go of the source before it is closed
                waiting.cancel()
                await asyncio.wait([waiting])
