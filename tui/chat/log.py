"""The conversation on the screen: who said what, and the cards between. It shows texts exactly as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import AwaitMount, Widget
from textual.widgets import Button, Static

from ...agent.events import CrisisCard
from ...guards.clean import clean
from . import words
from .card import CardView

if TYPE_CHECKING:
    from ...agent.events import HumanEvent
    from ...agent.store import HumanMessage, TurnRecord

W = TypeVar("W", bound=Widget)

PAGE = 30
"""Turns drawn at once; older ones come on demand, so that a long conversation opens as fast as a short one."""

FIRST_NUMBERS = 9
"""Rows of a card that are always in sight when it comes: frame, title, emergency number and the first line."""


class Said(Static):
    """One message with the name of who said it. Never reads the text as markup."""

    def __init__(self, who: str, text: str, *, mark: str = "", classes: str) -> None:
        super().__init__(markup=False, classes=classes)
        self._who, self._text, self._mark = who, clean(text), mark

    @property
    def text(self) -> str:
        """The message, as shown."""
        return self._text

    @property
    def mark(self) -> str:
        """What happened to the message, in words: stopped, not sent."""
        return self._mark

    def add(self, text: str) -> None:
        """Append the next sentence."""
        self._text += clean(text)
        self.refresh(layout=True)

    def set_mark(self, mark: str) -> None:
        """Say what happened to the message."""
        self._mark = mark
        self.refresh(layout=True)

    def render(self) -> Content:
        """The name, the words, and the mark on a line of its own."""
        mark = ("\n" + self._mark, "italic $quiet") if self._mark else ""
        return Content.assemble((self._who, "bold $primary"), "\n", self._text.strip("\n"), mark)


class ConversationLog(VerticalScroll, can_focus=False):
    """Messages, the newest at the bottom. It follows the newest until the person scrolls up."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._earlier: list[TurnRecord] = []
        self._humans: dict[int, list[HumanMessage]] = {}

    @property
    def last_card(self) -> CardView | None:
        """The newest card, if there is one."""
        cards = self.query(CardView)
        return cards.last() if cards else None

    def yours(self, text: str) -> Said:
        """Show what the person wrote."""
        return self._put(Said(words.YOU, text, classes="yours"))

    def reply(self) -> Said:
        """Begin a reply of the agent."""
        return self._put(Said(words.AGENT, "", classes="reply"))

    def human(self, event: HumanEvent) -> Said:
        """Show what a human wrote, or the agent's words about their coming and leaving."""
        return self._put(_human(event))

    def greet(self) -> Said:
        """The first words on an empty page; they are not part of the conversation."""
        return self._put(Said(words.AGENT, words.GREETING, classes="reply greeting"))

    def note(self, text: str) -> Said:
        """Say something about the chat itself."""
        return self._put(Said(words.NOTE, text, classes="note"))

    def card(self, card: CrisisCard) -> CardView:
        """Show a card, with its first number in sight."""
        view = CardView(card)
        self.call_later(self._bring, view, self.mount(view))
        return view

    def follow(self) -> None:
        """Go to the newest message and stay there."""
        self.anchor()

    async def show(self, turns: Sequence[TurnRecord], humans: Sequence[HumanMessage] = ()) -> None:
        """Replace everything by a stored conversation; what humans wrote stands behind its turn."""
        await self.remove_children()
        self._humans = {}
        for message in humans:
            self._humans.setdefault(message.after, []).append(message)
        self._earlier = list(turns[:-PAGE])
        if self._earlier:
            await self.mount(Button("Show earlier messages", id="earlier"))
        with self.app.batch_update():
            await self.mount_all(_drawn(turns[-PAGE:], self._humans))
        self.follow()

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Draw one more page of older turns above."""
        event.stop()
        page, self._earlier = self._earlier[-PAGE:], self._earlier[:-PAGE]
        self.anchor(False)
        await self.mount_all(_drawn(page, self._humans), after=event.button)
        if not self._earlier:
            await event.button.remove()

    def _put(self, widget: W) -> W:
        self.mount(widget)
        return widget

    async def _bring(self, view: CardView, mounted: AwaitMount) -> None:
        await mounted  # its rows too: before that its height is not known
        self.call_after_refresh(self._show_numbers, view)

    def _show_numbers(self, view: CardView) -> None:
        """Where reply and card do not fit together, the first numbers come first, then as much of the reply as fits."""
        if not view.is_attached:
            return
        before = self.children[max(0, self.children.index(view) - 1)]
        top, card = before.virtual_region.y, view.virtual_region
        if card.bottom - top > self.size.height:
            self.release_anchor()
            self.scroll_to(y=max(top, card.y + FIRST_NUMBERS - self.size.height), animate=False)


def _human(said: HumanEvent | HumanMessage) -> Said:
    if said.kind == "message":
        return Said(words.HUMAN, said.text, classes="human")
    return Said(words.AGENT, said.text, classes="reply")


def _drawn(turns: Sequence[TurnRecord], humans: Mapping[int, Sequence[HumanMessage]]) -> list[Widget]:
    drawn: list[Widget] = []
    for turn in turns:
        drawn.append(Said(words.YOU, turn.user_text, classes="yours"))
        if turn.reply:
            mark = words.MARK_STOPPED if turn.stopped else ""
            drawn.append(Said(words.AGENT, turn.reply, mark=mark, classes="reply"))
        elif turn.stopped:
            drawn.append(Said(words.NOTE, words.MARK_STOPPED, classes="note"))
        if turn.card:
            with suppress(ValidationError):  # a card of an earlier version; its words stand in the reply
                drawn.append(CardView(CrisisCard.model_validate(turn.card)))
        drawn += [_human(message) for message in humans.get(turn.number, ())]
    return drawn
