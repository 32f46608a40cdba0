"""The review screen as an app: who is at the desk, what they have in hand, and a way out that leaves nobody in
silence."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from ...agent.store import StoreError
from ..chat.themes import THEMES
from .desk import Desk
from .snippets import load_snippets

if TYPE_CHECKING:
    from ...agent.copy import Copy
    from ...agent.store import Store
    from ...agent.voice import Voices
    from ...agent.webhook import Webhook


class ReviewApp(App[None]):
    """The desk of one reviewer.

    Args:
        store: where the tickets are; shared with the chats.
        voices: the words that tell a person of a human coming and leaving, by language.
        reviewer: who is at the desk.
        now: the clock for ages.
        every: seconds between two looks into the store.
        webhook: delivers what the steps at this desk tell another system.
    """

    CSS_PATH = "review.tcss"
    TITLE = "Warmline review"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-medium"), (110, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "theme", show=False, priority=True),
        Binding("ctrl+q,ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        store: Store,
        voices: Voices,
        reviewer: str,
        *,
        theme: str = "auto",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        every: float = 1.0,
        webhook: Webhook | None = None,
    ) -> None:
        super().__init__()
        self.store, self.voices, self.reviewer = store, voices, reviewer
        self.now, self.monotonic, self.every = now, monotonic, every
        self._webhook = webhook
        self.snippets = load_snippets()
        self.mine: set[str] = set()
        """Tickets that were taken at this desk."""
        self.desk = Desk()
        for colours in THEMES.values():
            self.register_theme(colours)
        self.theme = THEMES["light" if theme == "light" else "dark"].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours that only this screen has."""
        dark = self.current_theme.dark
        return {
            "evidence": "#f2d49b" if dark else "#7a4d0b",
            "evidence-imminent": "#f5b8ae" if dark else "#8f2f22",
        }

    def get_default_screen(self) -> Screen[Any]:
        """The desk."""
        return self.desk

    def on_mount(self) -> None:
        """A closed window gives back what is in hand, as the key does."""
        if self._webhook is not None:
            self.run_worker(self._webhook.run(), group="webhook", exit_on_error=False)
        if not self.is_headless:
            for name in ("SIGTERM", "SIGHUP"):
                with suppress(NotImplementedError, AttributeError, RuntimeError):
                    loop = asyncio.get_running_loop()
                    loop.add_signal_handler(getattr(signal, name), lambda: self.run_worker(self.action_quit()))

    def action_theme(self) -> None:
        """Ctrl+T: light or dark."""
        self.theme = THEMES["light" if self.current_theme.dark else "dark"].name

    def words_of(self, ticket_id: str) -> Copy:
        """The agent's words in the language of a ticket's conversation. Blocking."""
        ticket = self.store.handoff.ticket(ticket_id)
        return self.voices.of(self.store.session(ticket.session_id).language if ticket else "en").copy

    def release(self, ticket_id: str) -> None:
        """Give a talk back to the agent. Blocking."""
        left = self.words_of(ticket_id).human_left(seed=crc32(ticket_id.encode()))
        self.store.handoff.release(ticket_id, self.reviewer, left)
        self.mine.discard(ticket_id)

    async def action_quit(self) -> None:
        """Leave: talks in hand go back to the agent, and the person is told."""
        for ticket_id in tuple(self.mine):
            with suppress(StoreError):  # it is in other hands already, or its lease ends it in a minute
                await asyncio.to_thread(self.release, ticket_id)
        self.exit()
