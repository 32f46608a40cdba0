"""The lines a person can reach, drawn as a card. It shows what it is given and copies numbers; it never dials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...agent.events import CrisisCard
from ...guards.clean import clean
from ...guards.hotlines import ROUND_THE_CLOCK, Contact, Hotline, Method
from ...guards.types import RiskLevel
from . import words

VERBS = {
    Method.CALL: "Call",
    Method.TEXT: "Text",
    Method.WHATSAPP: "WhatsApp",
    Method.CHAT: "Chat",
    Method.WEB: "Web",
    Method.EMAIL: "Email",
}


class ContactRow(Static, can_focus=True):
    """One way to reach a line. Enter or a click copies it; the mouse can also select it as text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "copy", show=False),
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
    ]

    @dataclass
    class Copied(Message):
        """The person copied ``value``."""

        value: str

    def __init__(self, verb: str, value: str, extra: str = "", *, classes: str | None = None) -> None:
        super().__init__(markup=False, classes=classes)
        self.value = clean(value)
        self._verb, self._extra = clean(verb), clean(extra)

    def render(self) -> Content:
        """A mark before the chosen row, so that colour is not the only sign."""
        extra = f"  {self._extra}" if self._extra else ""
        return Content.assemble("› " if self.has_focus else "  ", f"{self._verb}  ", (self.value, "bold"), extra)

    def action_copy(self) -> None:
        """Put the bare number or address on the clipboard."""
        self.app.copy_to_clipboard(self.value)
        self.post_message(self.Copied(self.value))

    def action_step(self, by: int) -> None:
        """Go to the next or the previous row of the same card."""
        rows = list(self.query_ancestor(CardView).query(ContactRow))
        index = rows.index(self) + by
        if 0 <= index < len(rows):
            rows[index].focus()

    def on_click(self, event: events.Click) -> None:
        """A click copies; dragging over the text selects it and does not."""
        event.stop()
        if not self.screen.get_selected_text():
            self.action_copy()


class CardView(Vertical):
    """A crisis or help card."""

    def __init__(self, card: CrisisCard, *, hint: str = words.COPY_HINT, id: str | None = None) -> None:
        super().__init__(id=id)
        self.card = card
        self._hint = hint

    def compose(self) -> ComposeResult:
        card = self.card
        yield Static(Content.styled(clean(card.title), "bold"), classes="card-title")
        if card.emergency:
            yield ContactRow(words.EMERGENCY, card.emergency, classes="emergency")
        for line in card.lines:
            yield Static(_heading(line), classes="line-name")
            yield from _rows(line)
            if line.note:
                yield Static(clean(line.note), classes="line-note", markup=False)
        foot = [words.UNCHECKED] if any(not line.checked for line in card.lines) else []
        yield Static("\n".join((*foot, clean(card.notice), self._hint)), classes="card-foot", markup=False)

    def focus_first(self) -> None:
        """Put the keyboard on the first line; on the emergency number when life is in danger."""
        urgent = self.card.level is RiskLevel.IMMINENT
        rows = list(self.query(ContactRow) if urgent else self.query("ContactRow").exclude(".emergency"))
        if rows:
            rows[0].focus()


def _heading(line: Hotline) -> Content:
    name = line.name if not line.local_name or line.local_name == line.name else f"{line.name} / {line.local_name}"
    facts = [words.ANY_HOUR if line.hours == ROUND_THE_CLOCK else line.hours or "", words.FREE if line.free else ""]
    if not line.checked:
        facts.append(words.UNCHECKED_MARK)
    told = ", ".join(clean(fact) for fact in facts if fact)
    return Content.assemble(clean(name), (f"  ({told})", "$quiet") if told else "")


def _rows(line: Hotline) -> Iterator[ContactRow]:
    """One row for each number or address; the ways that share a number share a row."""
    shared: dict[tuple[str, str | None, str | None], list[Contact]] = {}
    for contact in line.contacts:
        shared.setdefault((contact.value, contact.keyword, contact.hours), []).append(contact)
    for (value, keyword, hours), contacts in shared.items():
        verb = " or ".join([VERBS[contacts[0].method], *(VERBS[c.method].lower() for c in contacts[1:])])
        yield ContactRow(f"{verb} {keyword} to" if keyword else verb, value, f"({hours})" if hours else "")
