"""The picture of the chat in the README: ``python -m warmline.tui.chat.picture docs/chat.svg``.

The real app with a real agent, a store that is thrown away, and a scripted model.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

SIZE = (96, 53)
MORNING = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
ORDINARY = "I've been so anxious about work that I can't sleep"
REPLY = (
    "That sounds exhausting. Lying awake while work goes round in your head is hard, and it wears a person down. "
    "Is there one thought that keeps coming back at night?"
)
CRISIS = "honestly i don't want to be here anymore"


async def picture() -> str:
    """One ordinary turn and one crisis turn, as SVG."""
    from ...agent.model import ScriptedModel
    from ...agent.settings import Settings
    from ...agent.store import Store
    from ...agent.support import SupportAgent
    from .app import ChatApp
    from .remembered import Remembered

    with tempfile.TemporaryDirectory() as folder:
        state, ids = Path(folder) / "state.toml", count()
        Remembered(welcomed=True, country="US", theme="dark").write(state)
        url = f"sqlite:///{folder}/warmline.db"
        # Fixed ids and a fixed clock: the same picture every time.
        store = Store.open(url, clock=lambda: MORNING, new_id=lambda: f"picture-{next(ids)}")
        model = ScriptedModel(replies=[REPLY], chunk_size=8)
        agent = SupportAgent(model, settings=Settings.load(store={"url": url}), store=store)
        app = ChatApp(agent, country="US", state=state, now=lambda: MORNING)
        async with app.run_test(size=SIZE) as pilot:
            while not app.ready:
                await pilot.pause(0.05)
            for message in (ORDINARY, CRISIS):
                app.conversation.prompt.insert(message)
                await pilot.press("enter")
                while app.conversation.busy:
                    await pilot.pause(0.05)
            await pilot.pause()
            svg = app.export_screenshot(title="warmline chat", simplify=True)
            await app.action_quit()
    return svg


def main() -> int:
    """Write the picture to the file named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -m warmline.tui.chat.picture FILE.svg", file=sys.stderr)
        return 2
    Path(sys.argv[1]).write_text(asyncio.run(picture()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
