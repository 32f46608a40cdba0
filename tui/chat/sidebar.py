"""The list of conversations. It shows titles and says what the person chose; others open, rename and delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ...guards.clean import clean
from . import words

if TYPE_CHECKING:
    from ...agent.store import SessionRecord

_NEW = "new"


class ConversationList(OptionList):
    """Enter opens, R renames, D deletes, N begins a new one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "wish('rename')", show=False),
        Binding("d,delete", "wish('delete')", show=False),
        Binding("n", "new", show=False),
    ]

    def action_wish(self, what: str) -> None:
        """Ask for something to be done with the chosen conversation."""
        option = self.highlighted_option
        if option and option.id and option.id != _NEW:
            self.post_message(Sidebar.Wished(what, option.id))

    def action_new(self) -> None:
        """Begin a new conversation."""
        self.post_message(Sidebar.Wished("new", ""))


class Sidebar(Vertical):
    """All conversations, the newest first."""

    @dataclass
    class Wished(Message):
        """The person wants ``what`` (open, new, rename, delete) for a conversation."""

        what: str
        session_id: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.titles: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Static(Content.styled("Conversations", "bold"), id="sidebar-title")
        yield ConversationList(Option(f"+ {words.NEW}", id=_NEW), markup=False, compact=True)
        yield Static(words.SIDEBAR_KEYS, id="sidebar-keys", markup=False)

    @property
    def choices(self) -> ConversationList:
        """The list itself."""
        return self.query_one(ConversationList)

    def show(self, sessions: Sequence[SessionRecord], current: str | None, now: datetime) -> None:
        """Draw the list again, keeping the chosen line where it was."""
        chosen = self.choices.highlighted_option
        keep = chosen.id if chosen else current
        self.titles = {record.id: clean(record.title or words.NEW) for record in sessions}
        options = [Option(f"+ {words.NEW}", id=_NEW)]
        for record in sessions:
            mark = "• " if record.id == current else "  "
            title = Content.assemble(mark, self.titles[record.id].replace("\n", " "))
            when = Content.styled(f"\n  {_when(record.updated, now)}", "$quiet")
            options.append(Option(Content.assemble(title, when), id=record.id))
        self.choices.clear_options()
        self.choices.add_options(options)
        ids = [option.id for option in options]
        self.choices.highlighted = ids.index(keep) if keep in ids else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        event.stop()
        if event.option_id == _NEW or event.option_id is None:
            self.post_message(self.Wished("new", ""))
        else:
            self.post_message(self.Wished("open", event.option_id))


def _when(moment: datetime, now: datetime) -> str:
    """A day a person would say: today, yesterday, or the date."""
    if moment.tzinfo is not None and now.tzinfo is not None:
        moment = moment.astimezone(now.tzinfo)
    days = (now.date() - moment.date()).days
    clock = f"{moment:%H:%M}"
    if days <= 0:
        return f"today, {clock}"
    return f"yesterday, {clock}" if days == 1 else f"{moment.day} {moment:%B %Y}"
