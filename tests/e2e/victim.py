"""A child process that answers one message and stands still at a chosen step, for its parent to kill.

Run as ``python victim.py DATABASE STEP MESSAGE``; prints the session id, then ``here`` once it stands at the step.
"""

import asyncio
import sys
import time
from typing import Any

from warmline.agent import ScriptedModel, Settings, Store, SupportAgent
from warmline.guards import CrisisFilter

REPLY = "That sounds heavy. I am glad you told me. What would help tonight?"


def stand_still() -> None:
    print("here", flush=True)
    time.sleep(3600)


class SlowFilter(CrisisFilter):
    """Stands still before it judges: the message is stored, nothing else has happened."""

    def screen(self, *args: Any, **kwargs: Any) -> Any:
        stand_still()


class SlowStore(Store):
    """Stands still just before or just after the turn is written."""

    step = ""

    def finish_turn(self, *args: Any, **kwargs: Any) -> Any:
        if self.step == "before-finish":
            stand_still()
        done = super().finish_turn(*args, **kwargs)
        if self.step == "after-finish":
            stand_still()
        return done


async def main(database: str, step: str, message: str) -> None:
    store = SlowStore.open(f"sqlite:///{database}")
    assert isinstance(store, SlowStore)
    store.step = step
    model = ScriptedModel(
        replies=[REPLY], before_chunk=lambda n: stand_still() if (step, n) == ("streaming", 4) else None
    )
    crisis_filter = SlowFilter() if step == "stored" else None
    agent = SupportAgent(model=model, settings=Settings(), store=store, crisis_filter=crisis_filter)
    session = await agent.open_session(country="US")
    print(session.id, flush=True)
    async for _ in session.send(message):
        pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
