"""Tells another system of tickets: takes what waits in the outbox, signs it and posts it, again and again until it is
taken. It never blocks a turn, follows no redirect, reads no answer, and sends no words of any conversation.

A receiver checks, over the exact bytes of the body::

    Warmline-Signature: t=1767225600,v1=HEX     HEX = HMAC-SHA256(secret, f"{t}." + body)
    Warmline-Delivery: ID                       the same at every try: leave out what you already have

and refuses what is older than a few minutes. Any answer of 2xx counts as taken; everything else is tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from .settings import HandoffSettings
    from .store import Delivery, Outbox

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""Seconds between two looks into the outbox."""
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
"""The back-off doubles from the first to the longest, and then stays: a ticket is never given up."""


def signature(secret: str, body: bytes, now: int) -> str:
    """The value of ``Warmline-Signature``.

    Args:
        now: seconds since 1970, signed together with the body so that an old delivery cannot be played back.
    """
    digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def back_off(attempts: int) -> timedelta:
    """How long to wait after this many tries."""
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT)


class Webhook:
    """Delivers what waits in an outbox. Several processes may do so at once: each delivery is claimed first."""

    def __init__(
        self, outbox: Outbox, url: str, secret: str, *, timeout_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._outbox, self._url, self._secret, self._timeout_s, self._clock = outbox, url, secret, timeout_s, clock

    @classmethod
    def from_settings(cls, settings: HandoffSettings, outbox: Outbox) -> Webhook | None:
        """None when no webhook is set."""
        if settings.webhook_url is None or settings.webhook_secret is None:
            return None
        secret = settings.webhook_secret.get_secret_value()
        return cls(outbox, settings.webhook_url, secret, timeout_s=settings.webhook_timeout_s)

    async def run(self, *, every: float = LOOK_S) -> None:
        """Deliver what is due, for ever. Trouble is logged and never ends it."""
        while True:
            try:
                await self.deliver()
            except Exception as error:  # the store may be away for a while; what waits is safe in it
                log.warning("the webhook's outbox cannot be worked through: %s", type(error).__name__)
            await asyncio.sleep(every)

    async def deliver(self) -> int:
        """Try everything that is due now. Returns how many were taken.

        Raises:
            StoreError: the outbox cannot be read or written.
        """
        import httpx

        hold, taken = timedelta(seconds=self._timeout_s + 30), 0
        delivery = await asyncio.to_thread(self._outbox.claim, hold)
        if delivery is None:
            return 0
        async with httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False) as client:
            while delivery is not None:
                problem = await self._post(client, delivery)
                if problem is None:
                    await asyncio.to_thread(self._outbox.delivered, delivery.id)
                    taken += 1
                else:
                    log.warning("the webhook did not take a delivery (%s); try %d", problem, delivery.attempts)
                    wait = back_off(delivery.attempts)
                    await asyncio.to_thread(self._outbox.failed, delivery.id, problem, wait)
                delivery = await asyncio.to_thread(self._outbox.claim, hold)
        return taken

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery) -> str | None:
        """One try. Returns what went wrong in a word, or None."""
        import httpx

        body = json.dumps(delivery.payload, sort_keys=True, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "warmline",
            "Warmline-Delivery": delivery.id,
            "Warmline-Signature": signature(self._secret, body, int(self._clock())),
        }
        try:
            # One limit over everything: a receiver that drips a byte a second must not hold this for ever.
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                return None if answer.is_success else f"status {answer.status_code}"  # its body is never read
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return type(error).__name__
