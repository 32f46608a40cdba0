"""A service of its own process that stands still in the middle of its first reply, for its parent to kill.

Run as ``python victim.py DATABASE``; prints its address, then ``here`` once it stands.
"""

from __future__ import annotations

import asyncio
import sys

from warmline.agent import ScriptedModel, Settings, Store
from warmline.agent.service.app import create_app
from warmline.agent.service.server import server
from warmline.agent.settings import GuardSettings

REPLY = "That sounds heavy. I am glad you told me. What would help tonight?"


async def stand_still() -> None:
    print("here", flush=True)
    await asyncio.Event().wait()


async def main(database: str) -> None:
    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand_still() if n == 5 else None)
    settings = Settings(guards=GuardSettings(encoder="off"))
    app = create_app(settings, model=model, store=Store.open(f"sqlite:///{database}"))
    listening = server(app, host="127.0.0.1", port=0)
    task = asyncio.create_task(listening._serve())
    while not listening.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{listening.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await task


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
