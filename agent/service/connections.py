"""Connections: how many there may be, and how long one may say nothing.

uvicorn counts connections only when a request is there, and waits for the head of a request for ever. Here one that is
too many is told so at once, and one that does not get its head together is let go.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from .errors import Refused, body_of

LINGER_S = 2.0
"""How long a refused client has to read why: closing at once would take the answer away from one still sending."""
LINGERING = 200
"""Refused connections that are given this time; under a flood the rest is closed at once."""


class Connection(H11Protocol):
    """One connection. ``connections`` makes the class with its limits."""

    most: ClassVar[int]
    head_s: ClassVar[float]
    lingering: ClassVar[set[Connection]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refused = self._heard = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: take it, or tell it to come back."""
        if len(self.connections) >= self.most:
            self._refuse(transport)
            return
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request. More of them buy a head no more time."""
        if self._refused:
            return
        self._heard = True
        super().data_received(data)
        if not self._between_requests:
            self._stop_timer()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        if self._between_requests and not self.transport.is_closing():
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_timer()
        if self._refused:
            self.lingering.discard(self)
            return
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._stop_timer()
        self._heard = False
        self._timer = self.loop.call_later(self.head_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._between_requests and not self.transport.is_closing():
            if self._heard:  # a client that never said anything expects nothing either
                late = Refused(408, "head_too_slow", "the request did not come in time")
                self.transport.write(_answer(late, "Request Timeout"))
            self.transport.close()

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._refused, self.transport = True, transport
        full = Refused(503, "too_many_connections", "too many connections; try again", headers={"Retry-After": "5"})
        transport.write(_answer(full, "Service Unavailable"))
        if len(self.lingering) >= LINGERING or not transport.can_write_eof():
            transport.close()
            return
        self.lingering.add(self)
        transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, transport.abort)


def connections(most: int, head_s: float) -> type[Connection]:
    """The protocol of a server that serves ``most`` connections, each with ``head_s`` seconds for a request's head."""
    return type("Connection", (Connection,), {"most": most, "head_s": head_s, "lingering": set()})


def _answer(refused: Refused, phrase: str) -> bytes:
    """A refusal before any request was read."""
    body = json.dumps(body_of(refused, "")).encode()
    headers = refused.headers | {"Connection": "close", "Content-Type": "application/json"}
    lines = [f"HTTP/1.1 {refused.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
