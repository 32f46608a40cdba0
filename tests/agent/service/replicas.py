"""Replicas of the service as processes of their own, for tests that kill them.

Run as ``python replicas.py``: everything is loaded once, then each line of JSON on standard input forks a replica, so
that a test waits for a fork and not for Python. Each answers with a line of JSON: its process id and its address.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

PR_SET_PDEATHSIG = 1


@dataclass
class Replica:
    """A process that listens."""

    pid: int
    url: str

    def kill(self) -> None:
        """kill -9."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """Starts replicas, and ends what is left of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._born: list[Replica] = []

    async def service(self, store: str, model: str) -> Replica:
        """A replica over the database ``store`` and the model server ``model``."""
        return await self._fork(kind="service", store=store, model=model)

    async def model(self, *modes: str) -> Replica:
        """A model server; ``modes`` are those of ``sse_server``."""
        return await self._fork(kind="model", modes=modes)

    async def _fork(self, **wanted: Any) -> Replica:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(json.dumps(wanted) + "\n")
        stdin.flush()
        born = Replica(**json.loads(await asyncio.to_thread(stdout.readline)))
        self._born.append(born)
        return born

    def end(self) -> None:
        """kill -9 to all that are left."""
        for replica in self._born:
            replica.kill()
        self._born.clear()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """The process that forks replicas."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        nursery = Nursery(process)
        try:
            yield nursery
        finally:
            nursery.end()
            process.kill()


async def _serve(wanted: dict[str, Any]) -> None:
    if wanted["kind"] == "model":
        async with sse_server(*wanted["modes"]) as upstream:
            _tell(upstream.base_url)
            await asyncio.Event().wait()
    model = ModelSettings(base_url=wanted["model"], retries=0, first_token_s=120, idle_s=120, total_s=600)
    guards = GuardSettings(encoder="off", timeout_s=30)
    settings = Settings(model=model, guards=guards, store=StoreSettings(url=wanted["store"]))
    app = create_app(settings, crisis_filter=the_filter(), directory=the_directory())
    agent = app.state.shared.agent
    agent._voices = the_voices()

    async def prepare_only() -> None:
        await asyncio.to_thread(agent.prepare)

    agent.warm_up = prepare_only
    listening = server(app, host="127.0.0.1", port=0)
    task = asyncio.create_task(listening._serve())
    while not (listening.started and agent.ready):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    _tell(f"http://127.0.0.1:{listening.servers[0].sockets[0].getsockname()[1]}")
    await task


def _tell(url: str) -> None:
    print(json.dumps({"pid": os.getpid(), "url": url}), flush=True)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to collect the dead
    the_filter()
    the_directory()
    the_voices()
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if sys.platform == "linux":  # nothing is left over when the tests are stopped
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            try:
                asyncio.run(_serve(json.loads(line)))
            finally:
                os._exit(1)


if __name__ == "__main__":
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[3]))
    from tests.agent.service.running import the_directory, the_filter, the_voices
    from tests.agent.sse_server import sse_server
    from warmline.agent import Settings
    from warmline.agent.service.app import create_app
    from warmline.agent.service.server import server
    from warmline.agent.settings import GuardSettings, ModelSettings, StoreSettings

    main()
