"""The box a person writes in. It never loses text: what does not fit into one message waits and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from ...guards.clean import clean
from . import words

LONGEST = 20_000
"""Characters in one message: about ten pages. More would make the box slow and no reply better."""


class Prompt(TextArea):
    """Several lines; Enter sends, Ctrl+J or Shift+Enter starts a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter,alt+enter,ctrl+enter", "new_line", show=False),
        # The box is small: paging belongs to the conversation.
        Binding("pageup", "screen.page(-1)", show=False),
        Binding("pagedown", "screen.page(1)", show=False),
    ]

    @dataclass
    class Sent(Message):
        """The person pressed Enter on something that can be sent."""

        text: str

    @dataclass
    class Told(Message):
        """Something the person should know about the text in the box."""

        text: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, placeholder=words.PLACEHOLDER, highlight_cursor_line=False, compact=True)
        self.cursor_blink = False  # calm, and the same in every picture
        self._rest = ""

    @property
    def rest(self) -> str:
        """Text that was pasted, did not fit and waits for its turn."""
        return self._rest

    def action_new_line(self) -> None:
        """Break the line without sending."""
        self._replace_via_keyboard("\n", *self.selection)

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        """In the empty box ``?`` asks for help; anywhere else it is a letter like any other."""
        return super().check_consume_key(key, character) and not (key == "question_mark" and not self.text)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._send()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = clean(event.text)
        room = max(0, LONGEST - len(self.text) + len(self.selected_text))
        if len(text) > room:
            # Behind what already waits, so that two long pastes keep their order.
            text, self._rest = text[:room], self._rest + text[room:]
            self.post_message(self.Told(words.TOO_LONG.format(f"{len(self._rest):,}")))
        if result := self._replace_via_keyboard(text, *self.selection):
            self.move_cursor(result.end_location)
        self.focus()

    def give_back(self, text: str) -> bool:
        """Put ``text`` back, unless the person has begun to write something else. True when it is in the box."""
        if self.text.strip():
            return False
        self.load_text(text)
        self.move_cursor(self.document.end)
        return True

    def _send(self) -> None:
        text = self.text
        if not text.strip():
            return
        if len(text) > LONGEST:
            self.post_message(self.Told(words.TOO_LONG_TYPED.format(f"{len(text):,}", f"{LONGEST:,}")))
            return
        self.load_text("")
        self.post_message(self.Sent(text))
        if self._rest:
            part, self._rest = self._rest[:LONGEST], self._rest[LONGEST:]
            self.give_back(part)
            told = words.NEXT_PART.format(f"{len(self._rest):,}") if self._rest else words.LAST_PART
            self.post_message(self.Told(told))
