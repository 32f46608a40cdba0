"""Who may do what: the key behind a request, its scopes, and how often it may ask."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ..store import ApiKey, Scope, Store, StoreError
from ..store.keys import digest
from .errors import Refused

log = logging.getLogger(__name__)

bearer = HTTPBearer(auto_error=False, description="A key made by `warmline keys create NAME --scope chat`.")
REMEMBERED_S = 600.0
"""How long a key that was seen is still taken while the store fails, so that nobody in danger is shut out by it."""
REMEMBERED = 10_000


K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A dictionary that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        self._size, self._items = size, OrderedDict[K, V]()

    def get(self, key: K) -> V | None:
        """What is kept, or None."""
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._items.pop(key, None)


class RateLimit:
    """A bucket for each who asks: full at first, one request a drop, filled again evenly over a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._buckets = clock, Recent[str, tuple[float, float]](REMEMBERED)

    def take(self, who: str, per_minute: int) -> float:
        """Count one request. Returns 0, or the seconds to wait when there were too many."""
        now = self._clock()
        left, seen = self._buckets.get(who) or (float(per_minute), now)
        left = min(float(per_minute), left + (now - seen) * per_minute / 60)
        if left < 1:
            self._buckets.put(who, (left, now))
            return (1 - left) * 60 / per_minute
        self._buckets.put(who, (left - 1, now))
        return 0.0


class Keyring:
    """Finds the key behind a secret; remembers it for the time in which the store fails."""

    def __init__(self, store: Callable[[], Store], clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock, self._seen = store, clock, Recent[str, tuple[ApiKey, float]](REMEMBERED)

    async def find(self, secret: str) -> ApiKey | None:
        """The key, or None. A store that fails lets in only who was let in lately.

        Raises:
            StoreError: the store fails, and the key was not seen lately.
        """
        hashed = digest(secret)
        try:
            key = await asyncio.to_thread(lambda: self._store().keys.find(secret))
        except StoreError as error:
            seen = self._seen.get(hashed)
            if seen is None or self._clock() - seen[1] > REMEMBERED_S:
                raise
            log.error("keys cannot be read, a remembered one is taken: %s", error)
            return seen[0]
        if key is None:
            self._seen.drop(hashed)
        else:
            self._seen.put(hashed, (key, self._clock()))
        return key


def needs(*scopes: Scope) -> Callable[..., Awaitable[ApiKey]]:
    """A dependency: the key of the request, which must have one of ``scopes``."""

    async def check(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> ApiKey:
        from .shared import shared

        service = shared(request)
        key = await service.keyring.find(sent.credentials) if sent else None
        if key is None:
            raise Refused(401, "invalid_api_key", "this needs a valid API key", headers={"WWW-Authenticate": "Bearer"})
        request.scope["warmline.key"] = key.id
        settings = service.settings.service
        visitor = key.expires is not None
        wait = service.rates.take(key.id, settings.visitor_rate_per_minute if visitor else settings.rate_per_minute)
        if wait:
            raise too_many(wait)
        if not set(scopes) & set(key.scopes):
            wanted = " or ".join(scope.value for scope in scopes)
            raise Refused(403, "missing_scope", f"this key lacks the scope {wanted}")
        return key

    return check


def too_many(wait: float) -> Refused:
    """The rate limit has run out."""
    headers = {"Retry-After": str(math.ceil(wait))}
    return Refused(429, "rate_limit_exceeded", "too many requests with this key", headers=headers)


ChatKey = Annotated[ApiKey, Depends(needs(Scope.CHAT))]
OwnerKey = Annotated[ApiKey, Depends(needs(Scope.CHAT, Scope.ADMIN))]
ReviewKey = Annotated[ApiKey, Depends(needs(Scope.REVIEW))]
EvalKey = Annotated[ApiKey, Depends(needs(Scope.EVAL, Scope.ADMIN))]
