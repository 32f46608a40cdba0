"""Runs the service with uvicorn until a signal, then stops it without cutting a reply."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ..settings import Settings
from .app import create_app
from .connections import connections
from .logs import write_json_lines
from .shared import Shared

log = logging.getLogger(__name__)

LAST_WORDS_S = 10
"""Seconds for the honest endings to be said and stored, once ``service.drain_s`` is over."""
HEAD_BYTES = 32 * 1024
"""Largest request line and headers."""
SPARE_FILES = 512
"""Open files beside those of clients: the store, the model server, refused connections that still read why."""


class Server(uvicorn.Server):
    """uvicorn, which tells the app of the stop signal before it closes anything."""

    def __init__(self, config: uvicorn.Config, shared: Shared) -> None:
        super().__init__(config)
        self._shared = shared

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """No new turns from now on."""
        self._shared.drain.begin()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Running turns go on for a while, then end with honest words."""
        drain = self._shared.drain
        drain.begin()
        cut = asyncio.get_running_loop().call_later(self._shared.settings.service.drain_s, drain.cut)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()


def server(app: FastAPI, *, host: str, port: int) -> Server:
    """A server for ``app``, not yet started."""
    shared: Shared = app.state.shared
    settings = shared.settings.service
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="on",
        ws="none",
        http=connections(settings.max_connections, settings.head_s),
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) + LAST_WORDS_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    return Server(config, shared)


def serve(settings: Settings) -> int:
    """Listen until SIGINT or SIGTERM. Returns the exit code."""
    write_json_lines()
    service = settings.service
    _make_room(service.max_connections)
    running = server(create_app(settings), host=service.host, port=service.port)
    try:
        running.run()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0 if running.started else 1


def _make_room(most: int) -> None:
    """Let the process open as many files as it may have connections: the usual limit of 1024 is less."""
    try:
        import resource
    except ModuleNotFoundError:  # not on POSIX
        return
    wanted = most + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning("%d connections need %d open files, and the limit is %d (ulimit -n)", most, wanted, soft)
