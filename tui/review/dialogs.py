"""The small questions over the desk. Each hands back an answer and changes nothing by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, SelectionList, Static
from textual.widgets.option_list import Option
from textual.widgets.selection_list import Selection

from ...guards.types import Category
from . import words


class Choice(ModalScreen[str | None]):
    """One of several; gives back its id, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str, choices: Iterable[tuple[str, str]], chosen: str | None = None) -> None:
        super().__init__()
        self._title, self._choices, self._chosen = title, list(choices), chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Content.styled(self._title, "bold"))
            yield OptionList(
                *(Option(Content(text), id=id_) for id_, text in self._choices), markup=False, compact=True
            )
            yield Static(words.CHOICE_KEYS, classes="keys", markup=False)

    def on_mount(self) -> None:
        """Start where things stand."""
        ids = [id_ for id_, _ in self._choices]
        self.query_one(OptionList).highlighted = ids.index(self._chosen) if self._chosen in ids else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        event.stop()
        self.dismiss(event.option_id)


class Categories(ModalScreen[tuple[Category, ...] | None]):
    """Any number of the eight categories."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("enter", "take", show=False, priority=True),
    ]

    def __init__(self, chosen: Sequence[Category]) -> None:
        super().__init__()
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Content.styled(words.CATEGORIES, "bold"))
            yield SelectionList[Category](
                *(Selection(words.names((c,)), c, initial_state=c in self._chosen) for c in Category), compact=True
            )
            yield Static(words.CATEGORIES_KEYS, classes="keys", markup=False)

    def action_take(self) -> None:
        """Hand them back in their own order."""
        chosen = set(self.query_one(SelectionList).selected)
        self.dismiss(tuple(category for category in Category if category in chosen))


class Ask(ModalScreen[str | None]):
    """A line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str, keys: str) -> None:
        super().__init__()
        self._title, self._keys = title, keys

    def compose(self) -> ComposeResult:
        with Vertical(classes="sheet"):
            yield Static(Content.styled(self._title, "bold"))
            line = Input(max_length=2000, compact=True)
            line.cursor_blink = False
            yield line
            yield Static(self._keys, classes="keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand it back, unless it is empty."""
        event.stop()
        self.dismiss(event.value.strip() or None)


class Keys(ModalScreen[None]):
    """What the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,enter,question_mark", "dismiss(None)", show=False)]

    def compose(self) -> ComposeResult:
        width = max(len(key) for key, _ in words.KEYS) + 2
        lines = [Content.assemble((key.ljust(width), "bold"), what, "\n") for key, what in words.KEYS]
        with VerticalScroll(classes="sheet"):
            yield Static(Content.assemble(("Keys\n\n", "bold $primary"), *lines))
            yield Static("Esc goes back.", classes="keys", markup=False)
