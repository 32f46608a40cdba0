"""The service on a real socket, with a scripted model behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from warmline.agent import ScriptedModel, Settings, Store
from warmline.agent.parts import crisis_filter
from warmline.agent.service.app import create_app
from warmline.agent.service.server import Server, server
from warmline.agent.service.shared import Shared
from warmline.agent.settings import GuardSettings
from warmline.agent.store import Scope
from warmline.agent.voice import Voices
from warmline.guards.filter import CrisisFilter
from warmline.guards.hotlines import Directory

REPLY = "That sounds exhausting. Lying awake with work on your mind is hard. What keeps coming back at night?"


@dataclass
class Running:
    """A service that listens."""

    url: str
    server: Server
    store: Store
    model: ScriptedModel

    @property
    def shared(self) -> Shared:
        return self.server._shared

    def key(self, name: str = "my-app", *scopes: Scope) -> str:
        return self.store.keys.create(name, scopes or [Scope.CHAT])[1]

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=300)


@cache
def the_filter() -> CrisisFilter:
    """The shipped filter without its encoder, loaded once: what the service does hangs on no model's score."""
    return crisis_filter(GuardSettings(encoder="off"))


@cache
def the_voices() -> Voices:
    """The shipped words, read once for all tests."""
    return Voices()


@cache
def the_directory() -> Directory:
    """The shipped hotlines, loaded once for all tests."""
    return Directory.load()


@asynccontextmanager
async def running(path: Path, *replies: str, **options: Any) -> AsyncIterator[Running]:
    """A service on a free port, with its own database."""
    service = {"port": 0, **options.pop("service", {})}
    # A busy machine must not turn a test about something else into one about the guards' time limit.
    guards = GuardSettings(encoder="off", timeout_s=30)
    settings = Settings(service=service, guards=guards, **options.pop("settings", {}))  # pyright: ignore[reportArgumentType]
    store = options.pop("store", None) or Store.open(f"sqlite:///{path / 'w.db'}")
    model = options.pop("model", None) or ScriptedModel(replies=list(replies))
    shared_parts = {"crisis_filter": the_filter(), "directory": the_directory()} | options
    app = create_app(settings, model=model, store=store, **shared_parts)
    agent = app.state.shared.agent
    agent._voices = the_voices()

    async def prepare_only() -> None:  # what else is loaded at the start is loaded and tested elsewhere
        await asyncio.to_thread(agent.prepare)

    agent.warm_up = prepare_only
    listening = server(app, host="127.0.0.1", port=0)
    task = asyncio.create_task(listening._serve())
    while not listening.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    port = listening.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", listening, store, model)
    finally:
        listening.should_exit = True
        listening.force_exit = True
        with suppress(asyncio.CancelledError):
            await task
        await app.state.shared.turns.all_ended()
        store.close()


Start = Callable[..., Any]
"""``await start(\"a reply\", …)`` gives a running service."""
