"""Deletes conversations whose time is over, while the service runs.

It never trusts a clock that jumped: a wrong date would take every conversation with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..store import StoreError

if TYPE_CHECKING:
    from ..store import Store

log = logging.getLogger(__name__)

EVERY_S = 3600.0
"""Seconds between two rounds."""
FIRST_S = 60.0
"""Seconds before the first round: a service that starts has people waiting."""
JUMP_S = 3600.0
"""A clock that went this much faster or slower than time itself is not trusted. Daylight saving moves no UTC clock."""


class Retention:
    """Keeps conversations for ``days`` after their last activity."""

    def __init__(
        self,
        store: Callable[[], Store],
        days: float,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._age = store, timedelta(days=days)
        self._clock, self._steady = clock, steady
        self._began = (clock(), steady())

    async def run(self) -> None:
        """Round after round; never ends by itself."""
        await asyncio.sleep(FIRST_S)
        while True:
            try:
                await asyncio.to_thread(self.once)
            except StoreError as error:
                log.error("conversations whose time is over could not be deleted: %s", error)
            await asyncio.sleep(EVERY_S)

    def once(self) -> int:
        """Delete what is due. Returns how many conversations that were. Blocking.

        Raises:
            StoreError: the store fails; what was deleted before stays deleted.
        """
        began, steady = self._began
        now = self._clock()
        drift = (now - began).total_seconds() - (self._steady() - steady)
        if abs(drift) > JUMP_S:
            log.error("the clock jumped by %.0f s: nothing is deleted until the service is started again", drift)
            return 0
        gone = self._store().expire(now - self._age)
        if gone:
            log.info("%d conversations deleted, whose time was over", gone)
        return gone
