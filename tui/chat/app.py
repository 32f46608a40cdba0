"""The chat as an app: the agent behind it, the colours, the country, and help that is always one key away."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from . import words
from .card import ContactRow
from .conversation import Conversation
from .remembered import Remembered, state_file
from .screens import Countries, CountryScreen, Help, Welcome
from .themes import THEMES

if TYPE_CHECKING:
    from ...agent.events import CrisisCard
    from ...agent.support import SupportAgent

LEAVE_S = 4.0
"""Seconds in which the second Ctrl+C leaves."""


def _local_now() -> datetime:
    return datetime.now().astimezone()


class ChatApp(App[None]):
    """The terminal chat.

    Args:
        agent: answers; nothing heavy of it is loaded before the first paint.
        country: ISO 3166-1 alpha-2 from the command line; wins over the settings and over what is remembered.
        state: where the person's choices are remembered.
        now: the clock, for "today" and "yesterday" in the list.
    """

    CSS_PATH = "chat.tcss"
    TITLE = "Warmline"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        # A field that is being written in takes the question mark for itself.
        Binding("f1,question_mark", "help", show=False, priority=True),
        Binding("f4", "country", show=False, priority=True),
        Binding("ctrl+t", "theme", show=False, priority=True),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("ctrl+q", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        agent: SupportAgent,
        *,
        country: str | None = None,
        state: Path | None = None,
        now: Callable[[], datetime] = _local_now,
    ) -> None:
        super().__init__()
        self.agent = agent
        self.now = now
        self.ready = False
        """True once the agent has loaded, or failed to load, what a reply needs."""
        self.trouble = ""
        """What could not be loaded; empty when all is well."""
        self.last_card: CrisisCard | None = None
        """The newest crisis card of this run."""
        self._state = state or state_file()
        self._remembered = Remembered.read(self._state)
        self.country: str | None = country or agent.settings.country or self._remembered.country or None
        """ISO 3166-1 alpha-2, or None when the person did not say."""
        self._countries: Countries = ()
        self._lines: Callable[[str | None, str], CrisisCard] | None = None
        self._leaving = False
        self.conversation = Conversation()
        for theme in THEMES.values():
            self.register_theme(theme)
        chosen = agent.settings.chat.theme
        self.theme = THEMES[self._remembered.theme or "dark" if chosen == "auto" else chosen].name

    def get_default_screen(self) -> Screen[Any]:
        """The conversation; the first screen lies over it once."""
        return self.conversation

    def on_mount(self) -> None:
        """Paint first; everything heavy comes after."""
        if not self._remembered.welcomed:
            is_, kept = words.what_this_is(), words.what_is_kept(self.agent.settings)
            self.push_screen(Welcome(is_=is_, kept=kept, chosen=self.country), self._welcomed)
        if not self.is_headless:
            for name in ("SIGTERM", "SIGHUP"):  # a closed window leaves as cleanly as the key does
                with suppress(NotImplementedError, AttributeError, RuntimeError):
                    loop = asyncio.get_running_loop()
                    loop.add_signal_handler(getattr(signal, name), lambda: self.run_worker(self.action_quit()))
        self.call_after_refresh(self._load)

    @property
    def country_name(self) -> str:
        """English name of the country in use; the code while the names are not read yet."""
        return dict(self._countries).get(self.country or "", self.country or "")

    # -- loading, behind the first screen ---------------------------------------------------------------------------

    def _load(self) -> None:
        self.run_worker(self._get_ready(), group="loading", exit_on_error=False)

    async def _get_ready(self) -> None:
        await self._read_countries()
        try:
            await self.conversation.resume()
        except Exception as error:
            self.conversation.log_view.note(words.LIST_FAILED.format(str(error) or type(error).__name__))
        else:
            await self.conversation.refresh_list()
        try:
            await self.agent.warm_up()
        except Exception as error:
            self.trouble = str(error) or type(error).__name__
            self.conversation.log_view.note(words.NOT_LOADED_WHY.format(self.trouble))
        self.ready = True
        if not self.conversation.busy:
            self.conversation.tell_idle()

    async def _read_countries(self) -> None:
        """The directory before all else: help must never wait for a model."""

        def read() -> Countries:
            from ...agent.protocol.say import help_card

            # Kept here, because the agent locks itself while it loads, and help waits for nothing.
            directory, voices = self.agent.directory, self.agent.voices
            voices.of("en")
            self._lines = lambda country, language: help_card(country, directory, voices.of(language).copy)
            return [(code, directory.country_name(code)) for code in directory.countries(with_emergency=True)]

        try:
            self._countries = await asyncio.to_thread(read)
        except Exception as error:
            self.conversation.log_view.note(f"{words.LINES_FAILED}\n({error})")
            return
        for screen in self.screen_stack:
            if isinstance(screen, Welcome):
                screen.offer(self._countries)
        self.call_later(self.conversation.set_country, self.country)

    # -- choices ----------------------------------------------------------------------------------------------------

    def _welcomed(self, code: str | None) -> None:
        self._remember(replace(self._remembered, welcomed=True))
        self._choose_country(code)

    def _choose_country(self, code: str | None) -> None:
        if code is None:  # nothing was chosen, nothing changes
            return
        self.country = code or None
        self._remember(replace(self._remembered, country=code))
        self.run_worker(self.conversation.set_country(self.country), exit_on_error=False)

    def _remember(self, choices: Remembered) -> None:
        self._remembered = choices
        try:
            choices.write(self._state)
        except OSError as error:
            self.notify(words.NOT_REMEMBERED.format(error.strerror or error), markup=False)

    def action_country(self) -> None:
        """F4: choose the country again."""
        if isinstance(self.screen, Help):
            self.pop_screen()
        if not isinstance(self.screen, (Welcome, CountryScreen)):
            self.push_screen(CountryScreen(self._countries, self.country), self._choose_country)

    def action_theme(self) -> None:
        """Ctrl+T: light or dark."""
        theme = "light" if self.current_theme.dark else "dark"
        self.theme = THEMES[theme].name
        self._remember(replace(self._remembered, theme=theme))

    # -- help and leaving -------------------------------------------------------------------------------------------

    def action_help(self) -> None:
        """F1: people to talk to, at once, without the model."""
        if isinstance(self.screen, Help):
            self.pop_screen()
            return
        self.push_screen(Help(self.help_card()))

    def help_card(self) -> CrisisCard | None:
        """The lines of the country; None when the directory cannot be read."""
        try:
            if self._lines is None:
                return self.agent.hotlines(self.country)
            return self._lines(self.country, self.conversation.language)
        except Exception as error:
            self.log.error(f"the hotline directory cannot be read: {error}")
            return None

    def on_contact_row_copied(self, event: ContactRow.Copied) -> None:
        """Say what lies on the clipboard now."""
        self.notify(words.COPIED.format(event.value), markup=False, timeout=3)

    async def action_interrupt(self) -> None:
        """Ctrl+C: stop a reply; else copy what is selected; else ask once, then leave."""
        focused = self.focused
        if self.conversation.busy:
            self.conversation.action_back()
        elif selected := getattr(focused, "selected_text", "") or self.screen.get_selected_text():
            self.copy_to_clipboard(selected)
            self.notify("Copied.", timeout=2)
        elif self._leaving:
            await self.action_quit()
        else:
            self._leaving = True
            draft = self.conversation.prompt.text.strip()
            self.notify(words.LEAVE_DRAFT if draft else words.LEAVE, markup=False, timeout=LEAVE_S)
            self.set_timer(LEAVE_S, self._stay)

    def _stay(self) -> None:
        self._leaving = False

    async def action_quit(self) -> None:
        """Leave: what was shown is stored, the store is closed, the terminal is put back."""
        await self.conversation.stop()
        with suppress(Exception):  # nothing can be told any more; the messages were committed when they came
            await self.agent.aclose()
        self.exit()

    @property
    def parting_words(self) -> str:
        """One line for the terminal after leaving, when a crisis card was shown; else empty."""
        if self.last_card is None or not self.last_card.lines:
            return ""
        line = self.last_card.lines[0]
        return f"Warmline is closed. You can talk to a person: {line.name}, {line.contacts[0].value}"
