"""The screens over the conversation: the first one, help, the country, and two small questions.

Each hands back an answer and changes nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from ...agent.events import CrisisCard
from . import words
from .card import CardView

Countries = Sequence[tuple[str, str]]
"""Code and English name."""

_NOWHERE = "nowhere"


class CountryFilter(Input):
    """The first letters of a country."""

    def __init__(self) -> None:
        super().__init__(placeholder=words.COUNTRY_FILTER, id="filter", compact=True)
        self.cursor_blink = False

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """While it is empty, ``?`` asks for help."""
        return super().check_consume_key(key, character) and not (key == "question_mark" and not self.value)


class CountryChoice(Vertical):
    """Type to filter, Up and Down to choose, Enter to take."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step('cursor_up')", show=False),
        Binding("down", "step('cursor_down')", show=False),
    ]

    def __init__(self, chosen: str | None) -> None:
        super().__init__()
        self._chosen = chosen or ""
        self._countries: Countries = ()

    def compose(self) -> ComposeResult:
        yield CountryFilter()
        choices = OptionList(markup=False, compact=True, id="countries")
        choices.can_focus = False  # the keyboard stays in the filter
        yield choices

    def on_mount(self) -> None:
        """Start with what is known, which may be nothing yet."""
        self._draw()

    def offer(self, countries: Countries) -> None:
        """The countries to choose from; they may come after the first paint."""
        self._countries = sorted(countries, key=lambda country: country[1])
        self._draw()

    @property
    def code(self) -> str:
        """The country that Enter would take; empty for none."""
        option = self.query_one(OptionList).highlighted_option
        return option.id if option and option.id and option.id != _NOWHERE else ""

    def action_step(self, action: str) -> None:
        """Move in the list while the keyboard stays in the filter."""
        getattr(self.query_one(OptionList), f"action_{action}")()
        self.scroll_visible(animate=False)

    def on_input_changed(self) -> None:
        """Narrow the list."""
        self._draw()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click takes the line at once, as Enter does."""
        event.stop()
        self.query_one(Input).post_message(Input.Submitted(self.query_one(Input), ""))

    def _draw(self) -> None:
        typed = self.query_one(Input).value.strip().casefold()
        fits = [(code, name) for code, name in self._countries if _fits(typed, code, name)]
        fits.sort(key=lambda country: (country[0].casefold() != typed, not country[1].casefold().startswith(typed)))
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options([Option(Content(name), id=code) for code, name in fits])
        choices.add_option(Option(Content(words.NOWHERE), id=_NOWHERE))
        codes = [code for code, _ in fits]
        if not typed:
            choices.highlighted = codes.index(self._chosen) if self._chosen in codes else len(codes)
        else:
            choices.highlighted = 0


def _fits(typed: str, code: str, name: str) -> bool:
    folded = name.casefold()
    return not typed or typed == code.casefold() or any(part.startswith(typed) for part in (folded, *folded.split()))


class Welcome(Screen[str]):
    """The first screen: what this is and is not, what is kept where, and the country. Gives back a code or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self, *, is_: str, kept: str, chosen: str | None) -> None:
        super().__init__()
        self._texts = (is_, kept)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="welcome", can_focus=False):
            yield Static(Content.styled(words.WELCOME_TITLE, "bold $primary"), id="welcome-title")
            for text in self._texts:
                yield Static(text, classes="welcome-text", markup=False)
            yield Static(Content.styled(words.COUNTRY_QUESTION, "bold"), id="welcome-question")
            yield CountryChoice(self._chosen)
        yield Static(words.WELCOME_KEYS, id="footer", markup=False)

    def on_mount(self) -> None:
        """On a small terminal, what this is comes before the question."""
        self.query_one("#welcome").call_after_refresh(self._top)

    def on_resize(self, event: events.Resize) -> None:
        """Choose the words that fit."""
        narrow = event.size.width < len(words.WELCOME_KEYS) + 4
        self.query_one("#footer", Static).update(words.WELCOME_KEYS_NARROW if narrow else words.WELCOME_KEYS)

    def offer(self, countries: Countries) -> None:
        """Fill the list of countries."""
        self.query_one(CountryChoice).offer(countries)

    def on_input_changed(self) -> None:
        """Whoever types wants to see it."""
        self.query_one(CountryChoice).scroll_visible(animate=False)

    def action_page(self, by: int) -> None:
        """Scroll by a page."""
        page = self.query_one("#welcome")
        page.scroll_relative(y=by * max(1, page.size.height - 1), animate=False)

    def _top(self) -> None:
        self.query_one("#welcome").scroll_home(animate=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the chosen country and go on."""
        event.stop()
        self.dismiss(self.query_one(CountryChoice).code)


class CountryScreen(ModalScreen[str | None]):
    """Choose the country again; Esc changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, countries: Countries, chosen: str | None) -> None:
        super().__init__()
        self._countries, self._chosen = countries, chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Content.styled(words.COUNTRY_QUESTION, "bold"))
            yield CountryChoice(self._chosen)
            yield Static(words.COUNTRY_KEYS, classes="keys", markup=False)

    def on_mount(self) -> None:
        """The list is known by now."""
        self.query_one(CountryChoice).offer(self._countries)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the chosen country."""
        event.stop()
        self.dismiss(self.query_one(CountryChoice).code)


class Help(ModalScreen[None]):
    """People to talk to, at once; below them, the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss(None)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self, card: CrisisCard | None, keys: Iterable[tuple[str, str]] = words.HELP_KEYS) -> None:
        super().__init__()
        self._card = card
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="sheet", id="help"):
            yield Static(words.HELP_KEYS_SHORT, id="help-keys", markup=False)
            if self._card is None:
                yield Static(words.LINES_FAILED, id="no-lines", markup=False)
            else:
                yield CardView(self._card, hint=words.COPY_HINT_HELP)
            width = max(len(key) for key, _ in self._keys) + 2
            lines = [Content.assemble((key.ljust(width), "bold"), what, "\n") for key, what in self._keys]
            yield Static(Content.assemble(("Keys\n", "bold $primary"), *lines), id="key-list")

    def on_mount(self) -> None:
        """The first number has the keyboard; the top is in sight."""
        for view in self.query(CardView):
            view.focus_first()
        self.call_after_refresh(self.query_one("#help").scroll_home, animate=False)

    def action_page(self, by: int) -> None:
        """Scroll by a page."""
        sheet = self.query_one("#help", VerticalScroll)
        sheet.scroll_relative(y=by * max(1, sheet.size.height - 1), animate=False)


class Rename(ModalScreen[str | None]):
    """A new title; Esc keeps the old one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet small"):
            yield Static(Content.styled(words.RENAME, "bold"))
            title = Input(self._title, max_length=80, id="title", compact=True)
            title.cursor_blink = False
            yield title
            yield Static("Enter saves. Esc keeps the old name.", classes="keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand the title back, unless it is empty."""
        event.stop()
        self.dismiss(event.value.strip() or None)


class ConfirmDelete(ModalScreen[bool]):
    """Asks once; the answer at hand is No."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", show=False),
        Binding("y", "dismiss(True)", show=False),
        Binding("left,right,up,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, more: str = words.DELETE_MORE) -> None:
        super().__init__()
        self._title, self._more = title, more

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet small"):
            yield Static(Content.styled(words.DELETE.format(self._title), "bold"))
            yield Static(self._more, markup=False)
            with Horizontal(classes="buttons"):
                yield Button(words.KEEP_IT, id="keep", compact=True)
                yield Button(words.DELETE_IT, id="delete", compact=True)
            yield Static("Y deletes. N or Esc keeps it.", classes="keys", markup=False)

    def on_mount(self) -> None:
        """No is the answer that Enter gives."""
        self.query_one("#keep", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Hand the answer back."""
        event.stop()
        self.dismiss(event.button.id == "delete")
