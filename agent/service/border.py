"""The outermost layer: bodies within limits, headers that protect, one log line a request, and no fault that shows.

It reads the whole body before the app sees the request, so that a body too large or too slow costs nothing further in.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Refused, response_to
from .logs import FIELDS

if TYPE_CHECKING:
    from ..settings import ServiceSettings
    from ..traces import Traces
    from .metrics import Metrics

log = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every response that does not set them itself."""
UNKNOWN = "unmatched"


class Border:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics, traces: Traces) -> None:
        self.app, self._settings, self._metrics, self._traces = app, settings, metrics, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 0, uuid.uuid4().hex

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            body = await self._body(scope, receive)
            with self._traces.joined(Headers(scope=scope)):
                await self.app(scope, _given(body, receive), answer)
        except Refused as refused:
            if not status:
                await response_to(refused, scope["path"])(scope, receive, answer)
        except _Gone:
            status = 499
        except Exception as error:  # never a trace, and never words, to anybody
            log.critical("a request broke: %s", type(error).__name__, exc_info=True)
            if not status:
                broke = Refused(500, "internal_error", "something broke on this side")
                await response_to(broke, scope["path"])(scope, receive, answer)
        finally:
            self._tell(scope, status, began, request_id)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.max_body_bytes
        said = Headers(scope=scope).get("content-length", "0")
        too_large = Refused(
            413, "body_too_large", f"a body may have {limit} bytes at most", headers={"Connection": "close"}
        )
        if not said.isdigit() or int(said) > limit:
            raise too_large
        parts, size = list[bytes](), 0
        try:
            async with asyncio.timeout(self._settings.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        raise too_large
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            slow = {"Connection": "close"}
            raise Refused(408, "body_too_slow", "the body did not come in time", headers=slow) from None

    def _tell(self, scope: Scope, status: int, began: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", UNKNOWN)
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT") else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        fields = {
            "request": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round((time.perf_counter() - began) * 1000, 1),
            "key": scope.get("warmline.key"),
            "session": scope.get("path_params", {}).get("session_id"),
        }
        log.info("request", extra={FIELDS: {name: value for name, value in fields.items() if value is not None}})


class _Gone(Exception):
    """The client went away before its body was here."""


def _given(body: bytes, receive: Receive) -> Receive:
    """Hands the body out once; after that, what happens to the connection."""
    handed = False

    async def give() -> Message:
        nonlocal handed
        if handed:
            return await receive()
        handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
