"""The chat with a real agent, a real SQLite store and the scripted model: nothing else is stood in for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from warmline.agent.model import ScriptedModel
from warmline.agent.settings import Settings
from warmline.agent.store import Store
from warmline.agent.support import SupportAgent
from warmline.tui.chat.app import ChatApp
from warmline.tui.chat.card import CardView
from warmline.tui.chat.log import Said
from warmline.tui.chat.prompt import Prompt
from warmline.tui.chat.remembered import Remembered

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Hold:
    """Holds a scripted reply before its chunk ``at`` until it is let go."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.reached = asyncio.Event()
        self._go = asyncio.Event()

    def __call__(self, number: int) -> Awaitable[object] | None:
        if number != self.at:
            return None
        self.reached.set()
        return self._go.wait()

    def let_go(self) -> None:
        self._go.set()


class SlowStart(SupportAgent):
    """A real agent whose model is not loaded before ``loaded``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loaded = asyncio.Event()

    async def warm_up(self) -> None:
        """Wait, then load."""
        await self.loaded.wait()
        await super().warm_up()


@dataclass
class Chat:
    """A running chat, as a person uses and sees it."""

    app: ChatApp
    pilot: Pilot[None]
    room: Room

    async def until(self, true: Callable[[], Any], what: str = "what was waited for") -> None:
        """Let the app run until ``true()``; fails after about ten seconds."""
        for _ in range(1000):
            if true():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"{what} did not happen; on the screen:\n{self.screen}")

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Put ``text`` into the box, as typing does."""
        self.prompt.focus()
        self.prompt.insert(text)
        await self.pilot.pause()

    async def send(self, text: str, *, wait: bool = True) -> None:
        """Write ``text`` and press Enter; with ``wait``, until the turn has ended."""
        await self.write(text)
        await self.press("enter")
        if wait:
            await self.answered()

    async def answered(self) -> None:
        """Wait until no turn is running."""
        await self.until(lambda: not self.app.conversation.busy, "the end of the turn")

    async def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        await self.pilot.resize_terminal(width, height)
        await self.pilot.pause()

    @property
    def screen(self) -> str:
        """What stands on the screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def text(self) -> str:
        """The same without line breaks and frames."""
        return " ".join(self.screen.translate(dict.fromkeys(map(ord, "│╭╮╰╯─▃▅▁▂▄▆▇"), " ")).split())

    @property
    def prompt(self) -> Prompt:
        return self.app.conversation.prompt

    @property
    def status(self) -> str:
        """The line above the box."""
        return str(self.app.conversation.query_one("#status").render())

    def said(self, kind: str) -> list[str]:
        """The messages in the log of one kind: yours, reply or note. Without the greeting."""
        messages = self.app.conversation.log_view.query(Said)
        return [message.text for message in messages if message.has_class(kind) and not message.has_class("greeting")]

    @property
    def marks(self) -> list[str]:
        """What was noted on messages."""
        return [message.mark for message in self.app.conversation.log_view.query(Said) if message.mark]

    @property
    def cards(self) -> list[CardView]:
        """The cards on the current screen."""
        return list(self.app.screen.query(CardView))

    @property
    def notices(self) -> list[str]:
        """What popped up."""
        return [notification.message for notification in self.app._notifications]

    def one(self, kind: type[Widget] | str) -> Any:
        """The only widget of a kind on the current screen."""
        return self.app.screen.query_one(kind)


@dataclass
class Room:
    """Where one test's chat keeps its things."""

    path: Path
    model: ScriptedModel = field(default_factory=ScriptedModel)
    Hold = Hold
    SlowStart = SlowStart
    Chat = Chat
    NOON = NOON

    @property
    def state(self) -> Path:
        return self.path / "state.toml"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path / 'warmline.db'}"

    def remember(self, **choices: Any) -> None:
        """Write down choices of an earlier run."""
        Remembered(**{"welcomed": True, "country": "US", "theme": "dark", **choices}).write(self.state)

    def remembered(self) -> Remembered:
        return Remembered.read(self.state)

    def store(self, **options: Any) -> Store:
        return Store.open(self.url, **options)

    def crash(self, text: str) -> None:
        """Another run stored ``text`` and was killed before it was answered."""
        code = (
            "import os, sys; from warmline.agent.store import Store; store = Store.open(sys.argv[1]); "
            "session = store.create_session(country='US', language='en'); "
            "store.begin_turn(session.id, sys.argv[2]); os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", code, self.url, text], check=False)

    def hold(self, at: int) -> Hold:
        """The model stops before chunk ``at`` of its next reply."""
        hold = Hold(at)
        self.model.before_chunk = hold
        return hold

    def app(
        self,
        *,
        agent: type[SupportAgent] = SupportAgent,
        country: str | None = None,
        first_run: bool = False,
        parts: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> ChatApp:
        """A chat; its first screen was read before, unless ``first_run``."""
        if not first_run and not self.state.exists():
            self.remember()
        made = agent(self.model, settings=Settings.load(**{"store": {"url": self.url}, **settings}), **(parts or {}))
        return ChatApp(made, country=country, state=self.state, now=lambda: NOON)

    @asynccontextmanager
    async def open(
        self, app: ChatApp | None = None, *, size: tuple[int, int] = (80, 24), wait: bool = True, **made: Any
    ) -> AsyncIterator[Chat]:
        """The chat on a screen of ``size``; with ``wait``, once everything has loaded."""
        app = app or self.app(**made)
        async with app.run_test(size=size) as pilot:
            chat = Chat(app, pilot, self)
            if wait:
                await chat.until(lambda: app.ready, "loading")
            yield chat


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A place of its own for one test; nothing of this computer's settings reaches it."""
    monkeypatch.setenv("WARMLINE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.delenv("WARMLINE_COUNTRY", raising=False)
    yield Room(tmp_path)
