"""The rating screen: a question, an answer without its author, and a scale for each rubric."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ...eval.blind import Page, Sheet
from ...eval.lines import EvalError
from ...eval.rubrics import HIGHEST, Rubric
from ...guards.clean import clean
from ..chat.themes import THEMES
from . import words
from .scale import Scale


class RateApp(App[None]):
    """One rater at work. Every text on it is foreign and is read as nothing but text."""

    CSS_PATH = "rate.tcss"
    TITLE = "Warmline rating"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", show=False),
        Binding("n", "forward", show=False),
        Binding("b,backspace", "back", show=False),
        Binding("space,pagedown", "read(1)", show=False),
        Binding("pageup", "read(-1)", show=False),
        Binding("f1,question_mark", "help", show=False),
        Binding("ctrl+t", "theme", show=False, priority=True),
        Binding("q", "quit", show=False),
        Binding("ctrl+q,ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, sheet: Sheet, *, theme: str = "auto") -> None:
        super().__init__()
        self.sheet, self.at = sheet, sheet.next
        for colours in THEMES.values():
            self.register_theme(colours)
        self.theme = THEMES["light" if theme == "light" else "dark"].name

    @property
    def page(self) -> Page | None:
        """What is on the screen; None when there is nothing more to do."""
        return self.sheet.pages[self.at] if self.at < len(self.sheet.pages) else None

    @property
    def scale(self) -> Scale:
        """The rows with their points."""
        return self.query_one(Scale)

    def compose(self) -> ComposeResult:
        yield Static(id="top", markup=False)
        with Vertical(id="middle"):
            yield VerticalScroll(id="text", can_focus=False)
            with Vertical(id="panel"):
                yield Scale(id="scale")
                yield Static(id="anchor", markup=False)
        yield Static(id="footer", markup=False)

    async def on_mount(self) -> None:
        """Go on where the rater left off. A closed window keeps what is on the screen."""
        self.scale.focus()
        await self._show()
        if not self.is_headless:
            for name in ("SIGTERM", "SIGHUP"):
                with suppress(NotImplementedError, AttributeError, RuntimeError):
                    loop = asyncio.get_running_loop()
                    loop.add_signal_handler(getattr(signal, name), lambda: self.run_worker(self.action_quit()))

    # -- drawing ----------------------------------------------------------------------------------------------------

    async def _show(self) -> None:
        page, text = self.page, self.query_one("#text", VerticalScroll)
        with self.batch_update():
            await text.remove_children()
            if page is None:
                await text.mount(Static(words.DONE, markup=False, classes="note"))
                self.scale.show((), HIGHEST, {})
            else:
                await text.mount_all(list(_texts(page)))
                rows, most = self._rows(page)
                self.scale.show(rows, most, self.sheet.points(page))
            self.query_one("#footer", Static).update(words.FOOTER_RANK if _ranks(page) else words.FOOTER)
        text.scroll_home(animate=False)
        self._tell_top()

    def _rows(self, page: Page) -> tuple[list[tuple[str, str]], int]:
        if page.answer is None:
            return [(a.letter, f"{words.ANSWER} {a.letter}") for a in page.task.answers], len(page.task.answers)
        return [(rubric.id, rubric.name) for rubric in self.sheet.rubrics.rubrics], HIGHEST

    def _tell_top(self) -> None:
        page, place = self.page, ""
        if page:
            place = words.place(page.kind, page.answer.letter if page.answer else "", len(page.task.answers))
        told = words.top(self.sheet.rater, self.sheet.finished, len(self.sheet.pages), place)
        self.query_one("#top", Static).update(Content(told))

    def on_scale_changed(self) -> None:
        """Say what the points of the marked row mean; in a ranking, go to the marked answer."""
        page, scale = self.page, self.scale
        told = Content("")
        if page and page.answer is None:
            told = Content(words.RANK)
            if places := self.query(f"#said-{scale.chosen}"):
                places.first().scroll_visible(top=True, animate=False)
        elif page and (rubric := self._rubric(scale.chosen)):
            points = scale.points.get(rubric.id)
            means = f"{points}: {rubric.anchors[points]}" if points else words.NOTHING
            told = Content.assemble((rubric.asks, "bold"), "\n", (means, "$foreground" if points else "$quiet"))
        self.query_one("#anchor", Static).update(told)

    def _rubric(self, id: str) -> Rubric | None:
        return next((rubric for rubric in self.sheet.rubrics.rubrics if rubric.id == id), None)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _keep(self) -> bool:
        if self.page is None:
            return True
        try:
            self.sheet.write(self.page, self.scale.points)
        except EvalError as error:
            self.notify(clean(str(error)), markup=False, severity="error", timeout=10)
            return False
        return True

    async def _go(self, to: int) -> None:
        if self._keep() and 0 <= to <= len(self.sheet.pages):
            self.at = to
            await self._show()

    async def action_next(self) -> None:
        """Enter: on, when every row has its points. After the last page, to the first that was left open."""
        if self.page is None:
            return
        if unset := self.scale.unset:
            self.notify(words.still_open(unset), markup=False, timeout=4)
            self.scale.choose_unset()
        elif self.at + 1 < len(self.sheet.pages):
            await self._go(self.at + 1)
        elif self._keep():
            await self._go(self.sheet.next)

    async def action_forward(self) -> None:
        """N: on, whatever is missing."""
        await self._go(min(self.at + 1, len(self.sheet.pages)))

    async def action_back(self) -> None:
        """B: the page before."""
        await self._go(max(0, self.at - 1))

    def action_read(self, by: int) -> None:
        """Scroll the text; the keyboard stays on the scale."""
        text = self.query_one("#text", VerticalScroll)
        text.scroll_relative(y=by * max(1, text.size.height - 2), animate=False)

    def action_help(self) -> None:
        """F1: every anchor of the marked rubric, and the keys."""
        page = self.page
        self.push_screen(Help(self._rubric(self.scale.chosen) if page and page.answer else None))

    def action_theme(self) -> None:
        """Ctrl+T: light or dark."""
        self.theme = THEMES["light" if self.current_theme.dark else "dark"].name

    async def action_quit(self) -> None:
        """Leave; what is on the screen is kept."""
        if self._keep():
            self.exit()


def _ranks(page: Page | None) -> bool:
    return page is not None and page.answer is None


def _texts(page: Page) -> list[Static]:
    shown = (page.answer,) if page.answer else page.task.answers
    answers = [
        Static(_said(f"{words.ANSWER} {one.letter}", one.text), markup=False, classes="answer", id=f"said-{one.letter}")
        for one in shown
    ]
    return [Static(_said(words.QUESTION, page.task.text), markup=False, classes="question"), *answers]


def _said(head: str, text: str) -> Content:
    return Content.assemble((head, "bold $primary"), "\n", clean(text).strip("\n"))


class Help(ModalScreen[None]):
    """The anchors of one rubric and what the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,question_mark", "dismiss(None)", show=False),
    ]

    def __init__(self, rubric: Rubric | None) -> None:
        super().__init__()
        self._about = rubric

    def compose(self) -> ComposeResult:
        width = max(len(key) for key, _ in words.KEYS) + 2
        with VerticalScroll(classes="sheet"):
            if rubric := self._about:
                yield Static(Content.styled(rubric.name, "bold $primary"))
                yield Static(Content(rubric.asks), classes="keys")
                for point in sorted(rubric.anchors):
                    yield Static(Content.assemble((f"{point:>2}  ", "bold"), rubric.anchors[point]), classes="point")
            yield Static(Content(words.ABOUT), classes="keys")
            lines = [Content.assemble((key.ljust(width), "bold"), what) for key, what in words.KEYS]
            yield Static(Content("\n").join(lines), classes="keys")
            yield Static(words.HELP_KEYS, classes="keys", markup=False)

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one(VerticalScroll).focus()
