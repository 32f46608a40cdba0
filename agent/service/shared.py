"""What all requests of one replica share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from ...guards.types import Utterance
from ..settings import Settings
from ..store import ApiKey, Scope, Store, StoreError
from ..support import SupportAgent
from .access import Keyring, RateLimit
from .drain import Drain
from .errors import unknown
from .metrics import Metrics
from .sessionless import Sessionless
from .turns import RunningTurn, Turns

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """The agent and what stands around it. Nothing of a conversation is kept here beyond its turn."""

    settings: Settings
    agent: SupportAgent
    drain: Drain
    metrics: Metrics
    turns: Turns
    sessionless: Sessionless
    keyring: Keyring
    rates: RateLimit

    @property
    def store(self) -> Store:
        """The one truth."""
        return self.agent.store

    async def check_owner(self, session_id: str, key: ApiKey) -> None:
        """Let only those pass who may see this conversation.

        Raises:
            Refused: 404, so that nobody learns whether it exists.
        """
        if Scope.ADMIN in key.scopes:
            return
        if await asyncio.to_thread(self.store.keys.owner, session_id) != key.id:
            raise unknown("session")

    def held_turn(self, error: StoreError, said: Sequence[Utterance], country: str | None, key: ApiKey) -> RunningTurn:
        """The turn of a message that cannot be stored, because the store fails: a person in danger gets the lines,
        everyone else the safe reply, and no model is asked."""
        log.error("a message cannot be stored: %s", error)
        return self.turns.run(self.sessionless.turn(said, country, key.id, hold=True))


def shared(request: Request) -> Shared:
    """A dependency: what this replica's requests share."""
    return request.app.state.shared


SharedParts = Annotated[Shared, Depends(shared)]
