"""The talk on the reviewer's screen: who said what, the evidence marked, notes beside. Nothing is read as markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ...guards.clean import clean
from ...guards.types import Evidence, RiskLevel
from . import words
from .talk import Talk

SHOWN = 60
"""Turns drawn; a reviewer who needs more exports the conversation."""


class Heard(Static, can_focus=True):
    """One message of the person; can be chosen, to mark its verdict."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
    ]

    def __init__(self, turn_id: str, content: Content, *, classes: str) -> None:
        super().__init__(content, classes=classes)
        self.turn_id = turn_id

    def action_step(self, by: int) -> None:
        """Go to the next or the previous message of the person."""
        heard = list(self.query_ancestor(Transcript).query(Heard))
        index = heard.index(self) + by
        if 0 <= index < len(heard):
            heard[index].focus()


class Transcript(VerticalScroll, can_focus=False):
    """A whole talk; it follows the newest message until the reviewer scrolls up."""

    def __init__(self, reviewer: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._reviewer = reviewer
        self._shown: tuple[object, ...] = ()

    @property
    def chosen(self) -> str | None:
        """The turn to mark: the chosen message, else the last one."""
        focused = self.screen.focused
        if isinstance(focused, Heard):
            return focused.turn_id
        heard = self.query(Heard)
        return heard.last().turn_id if heard else None

    async def show(self, talk: Talk) -> None:
        """Draw the talk again if anything in it is new."""
        marks = tuple((turn_id, mark.time) for turn_id, mark in talk.marks.items())
        turns = tuple((turn.id, turn.status, len(turn.reply or "")) for turn in talk.turns)
        shown = (talk.ticket.id, turns, len(talk.messages), len(talk.notes), marks)
        if shown == self._shown:
            return
        other = not self._shown or self._shown[0] != talk.ticket.id
        self._shown = shown
        focused = self.screen.focused
        chosen = focused.turn_id if isinstance(focused, Heard) else None
        with self.app.batch_update():
            await self.remove_children()
            await self.mount_all(list(self._drawn(talk)))
        for heard in self.query(Heard):
            if heard.turn_id == chosen:
                heard.focus(scroll_visible=False)
        if other or self.is_vertical_scroll_end or self._anchored:
            self.anchor()

    async def clear(self, told: str) -> None:
        """Nothing to show but a sentence."""
        self._shown = ()
        await self.remove_children()
        await self.mount(Static(told, markup=False, classes="note"))

    def choose_last(self) -> None:
        """The keyboard goes to the newest message of the person."""
        if heard := self.query(Heard):
            heard.last().focus(scroll_visible=False)

    def _drawn(self, talk: Talk) -> Iterable[Widget]:
        left_out = max(0, len(talk.turns) - SHOWN)
        if left_out:
            yield Static(f"{left_out} earlier messages are not shown.", markup=False, classes="note")
        for turn in talk.turns[left_out:]:
            verdict, mark = talk.verdicts.get(turn.id), talk.marks.get(turn.id)
            head = _head(words.PERSON, f"{turn.created.astimezone():%H:%M}", words.judged(verdict, mark))
            text = highlighted(turn.user_text, verdict.evidence if verdict else ())
            yield Heard(turn.id, Content.assemble(head, text), classes="heard")
            if turn.reply:
                yield _said(words.AGENT, turn.reply, "said")
            for message in talk.messages:
                if message.after == turn.number:
                    name = words.who(message.kind, message.author, self._reviewer)
                    yield _said(name, message.text, "human" if message.kind == "message" else "said")
        for note in talk.notes:
            yield _said(f"Note of {note.author}, {note.time.astimezone():%H:%M}", note.text, "note")


def highlighted(text: str, evidence: Iterable[Evidence]) -> Content:
    """The text with its evidence marked; spans that overlap become one, spans that do not fit are left out."""
    spans = sorted((e.start, e.end, e.level) for e in evidence if 0 <= e.start < e.end <= len(text))
    pieces: list[str | tuple[str, str]] = []
    at = 0
    for start, end, level in spans:
        start = max(at, start)
        if start >= end:
            continue
        style = "$evidence-imminent" if level is RiskLevel.IMMINENT else "$evidence"
        pieces += [clean(text[at:start]), (clean(text[start:end]), f"bold underline {style}")]
        at = end
    return Content.assemble(*pieces, clean(text[at:]))


def _head(name: str, *more: str) -> Content:
    rest = "  ".join(filter(None, map(clean, more)))
    return Content.assemble((clean(name), "bold $primary"), (f"  {rest}", "$quiet"), "\n")


def _said(name: str, text: str, classes: str) -> Static:
    return Static(Content.assemble(_head(name), clean(text).strip("\n")), markup=False, classes=classes)
