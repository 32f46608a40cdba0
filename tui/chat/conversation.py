"""The conversation screen: what is sent goes to the agent, what the agent says appears, and states are told in words.

It decides nothing about a message and shows only what the agent's events carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static, TextArea
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from ...agent.events import (
    CrisisCardEvent,
    DoneEvent,
    Event,
    FailedEvent,
    HumanEvent,
    ReplacedEvent,
    SentenceEvent,
    VerdictEvent,
)
from ...guards.clean import clean
from ...guards.types import RiskLevel
from . import words
from .card import ContactRow
from .log import ConversationLog, Said
from .prompt import Prompt
from .screens import ConfirmDelete, Rename
from .sidebar import ConversationList, Sidebar

if TYPE_CHECKING:
    from ...agent.support import Session
    from .app import ChatApp


@dataclass(eq=False)
class Turn:
    """One message on its way: what the person may still stop."""

    text: str = ""
    said: Said | None = None
    """The person's message on the screen; None when a cut-off turn is finished."""
    reply: Said | None = None
    worker: Worker[None] | None = None
    reached: bool = False
    """True once the agent has the message."""
    ordinary: bool = False
    """True once the crisis filter let the message through; only then a stop takes effect at once."""
    unwanted: bool = False
    """True once the person stopped it or wrote again."""

    def stop(self) -> None:
        """Stop the reply. A message that is not judged yet is judged first, and a crisis reply is always finished:
        both take milliseconds. A second stop does not wait."""
        if (self.ordinary or self.unwanted) and self.worker:
            self.worker.cancel()
        self.unwanted = True


class Conversation(Screen[None]):
    """The log, the box to write in, and the list of conversations."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("f2", "sidebar", show=False),
        Binding("f3", "numbers", show=False),
        Binding("ctrl+n", "new", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._session: Session | None = None
        self._title = words.NEW
        self._turn: Turn | None = None
        self._opening = asyncio.Lock()

    # -- what is on it ----------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static(id="top", markup=False)
        with Horizontal(id="middle"):
            yield Sidebar(id="sidebar")
            with Vertical(id="main"):
                yield ConversationLog(id="log")
                yield Static(words.GETTING_READY, id="status", markup=False)
                yield Prompt(id="prompt")
        yield Static(words.FOOTER, id="footer", markup=False)

    def on_mount(self) -> None:
        """An empty page and the keyboard in the box."""
        self.prompt.focus()
        self.log_view.greet()
        self.log_view.follow()
        self._draw_top()

    @property
    def chat(self) -> ChatApp:
        """The app this screen belongs to."""
        return cast("ChatApp", self.app)

    @property
    def prompt(self) -> Prompt:
        """The box to write in."""
        return self.query_one(Prompt)

    @property
    def log_view(self) -> ConversationLog:
        """The messages."""
        return self.query_one(ConversationLog)

    @property
    def sidebar(self) -> Sidebar:
        """The list of conversations."""
        return self.query_one(Sidebar)

    @property
    def busy(self) -> bool:
        """True while a reply is on its way."""
        return self._turn is not None

    @property
    def language(self) -> str:
        """ISO 639-1 code of the language of the conversation."""
        return self._session.language if self._session else "en"

    @property
    def with_human(self) -> bool:
        """True while a human reviewer writes here."""
        return self._session is not None and self._session.with_human

    def tell(self, text: str) -> None:
        """Put the state of things, in words, above the box."""
        self.query_one("#status", Static).update(Content(text))

    def tell_idle(self) -> None:
        """Nothing is going on."""
        if not self.chat.ready:
            self.tell(words.GETTING_READY)
        elif self.with_human:
            self.tell(words.WITH_HUMAN)
        elif self.chat.trouble:
            self.tell(words.NOT_LOADED)
        else:
            self.tell(words.HINT_NARROW if self.size.width < 60 else words.HINT)

    def on_resize(self, event: events.Resize) -> None:
        """Choose the words that fit; the text itself wraps by itself."""
        self._draw_footer()
        if not self.busy:
            self.call_after_refresh(self.tell_idle)

    def on_key(self, event: events.Key) -> None:
        """Typing always reaches the box, wherever the keyboard was."""
        if event.is_printable and event.character and not isinstance(self.focused, (Input, TextArea, ConversationList)):
            event.stop()
            self.prompt.focus()
            self.prompt.insert(event.character)

    def _draw_footer(self) -> None:
        """Who is at the other end: never anything but the truth."""
        wide, narrow = words.FOOTER, words.FOOTER_NARROW
        if self.with_human:
            wide, narrow = words.FOOTER_HUMAN, words.FOOTER_HUMAN_NARROW
        self.query_one("#footer", Static).update(narrow if self.size.width < len(wide) + 2 else wide)

    def _draw_top(self) -> None:
        country = self.chat.country_name
        told = f"Warmline    {self._title}" + (f"    {country}" if country else "")
        self.query_one("#top", Static).update(Content(clean(told).replace("\n", " ")))

    # -- one turn ---------------------------------------------------------------------------------------------------

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """Show the message at once, then give it to the agent. A reply that is still coming makes way."""
        log = self.log_view
        turn = Turn(event.text, log.yours(event.text))
        log.follow()
        self._begin(turn)

    def on_prompt_told(self, event: Prompt.Told) -> None:
        """Something about the text in the box."""
        self.call_after_refresh(self.tell, event.text)

    def _begin(self, turn: Turn) -> None:
        before, self._turn = self._turn, turn
        if before:
            before.stop()
        self.tell(words.WORKING if self.chat.ready else words.GETTING_READY)
        turn.worker = self.run_worker(self._run(turn, before), exit_on_error=False)

    async def _run(self, turn: Turn, before: Turn | None) -> None:
        """Follow one turn to its end, whatever the end is."""
        told = ""
        try:
            if before and before.worker:
                with suppress(WorkerCancelled, WorkerFailed):
                    await before.worker.wait()
            session = await self._current_session()
            turn.reached = True
            stream = session.send(turn.text) if turn.said else session.recover()
            told = await self._follow(turn, stream)
        except asyncio.CancelledError:
            told = self._stopped(turn)
            raise
        except Exception as error:  # the agent tells what fails inside; this is what fails around it
            self.log_view.note(f"{words.FAILED}\n({_reason(error)})")
            told = self._not_sent(turn, words.MARK_NOT_SENT)
            self._offer_people()
        finally:
            if self._turn is turn:
                self._turn = None
                if told:
                    self.tell(told)
                else:
                    self.tell_idle()
        await self.refresh_list()

    async def _follow(self, turn: Turn, stream: AsyncGenerator[Event]) -> str:
        """Show each event as it comes. Returns what to tell at the end; empty when nothing."""
        log, told, broken = self.log_view, "", False

        def say(text: str) -> None:
            if turn.reply is None:
                turn.reply = log.reply()
            turn.reply.add(text)

        async with aclosing(stream) as events_:
            async for event in events_:
                match event:
                    case VerdictEvent():
                        turn.ordinary = event.level < RiskLevel.ELEVATED and event.verdict.error is None
                        if turn.ordinary and turn.unwanted:
                            return self._stopped(turn)
                        if self._turn is turn:
                            self.tell(words.WORKING if self.chat.ready else words.WAITING_FOR_MODEL)
                    case SentenceEvent():
                        say(event.text)
                        if self._turn is turn:
                            self.tell(words.WORKING)
                    case ReplacedEvent():
                        say(event.text)
                        if turn.reply:
                            turn.reply.set_mark(why := _why_replaced(event.problems))
                            broken = why == words.MARK_PART_FAILED
                    case CrisisCardEvent():
                        self.chat.last_card = event.card
                        log.card(event.card)
                    case HumanEvent():
                        self._human(event)
                    case DoneEvent():
                        if event.stopped:
                            told = self._stopped(turn)
                    case FailedEvent():
                        log.note(event.text)
                        self.chat.log.error(event.detail)
                        told = self._not_sent(turn, words.MARK_NOT_KEPT)
        if broken:
            self._offer_people()
        return told

    def _stopped(self, turn: Turn) -> str:
        """What was shown stays. A message that never reached the agent goes back into the box."""
        if turn.reply:
            turn.reply.set_mark(words.MARK_STOPPED)
        elif turn.said and turn.reached:
            turn.said.set_mark(words.MARK_STOPPED)
        elif turn.said:
            return self._not_sent(turn, words.MARK_NOT_SENT)
        return words.STOPPED

    def _not_sent(self, turn: Turn, mark: str) -> str:
        if turn.said is None:
            return ""
        turn.said.set_mark(mark)
        return words.TEXT_IS_BACK if self.prompt.give_back(turn.text) else ""

    def _offer_people(self) -> None:
        """Nobody could judge the message: people to talk to, in case it was meant for one."""
        if self.log_view.last_card is None and (card := self.chat.help_card()):
            self.log_view.card(card)

    async def stop(self) -> None:
        """End what is running, and wait until what was shown is stored."""
        self.workers.cancel_group(self, "human")
        turn = self._turn
        if turn and turn.worker:
            turn.worker.cancel()
            with suppress(WorkerCancelled, WorkerFailed):
                await turn.worker.wait()

    # -- which conversation -----------------------------------------------------------------------------------------

    async def _current_session(self) -> Session:
        """The open conversation; a new one begins with its first message, so that empty ones never pile up."""
        async with self._opening:
            if self._session is None:
                self._session = await self.chat.agent.open_session(country=self.chat.country)
                self._watch(self._session)
            return self._session

    async def set_country(self, code: str | None) -> None:
        """Use another country's lines from the next message on."""
        self._draw_top()
        if self._session is not None:
            await self._session.set_country(code)

    async def resume(self) -> None:
        """Take up the newest conversation if a crash cut its last reply off; otherwise leave the empty page."""
        sessions = await self.chat.agent.sessions()
        if not sessions or self._session or self._turn:
            return
        session = await self.chat.agent.open_session(session_id=sessions[0].id)
        turns = await session.history()
        if turns and turns[-1].status == "pending" and not self._turn:
            await self._enter(session, sessions[0].title or words.NEW)
            self._begin(Turn())
            self.tell(words.RECOVERING)

    async def open(self, session_id: str) -> None:
        """Show a stored conversation."""
        if self._session is None or self._session.id != session_id:
            await self.stop()
            session = await self.chat.agent.open_session(session_id=session_id)
            await self._enter(session, self.sidebar.titles.get(session_id, words.NEW))
            await self.refresh_list()
        self._leave_sidebar()

    async def _enter(self, session: Session, title: str) -> None:
        self._session, self._title = session, title
        turns = await session.history()
        await self.log_view.show(turns, await session.human_messages())
        self._watch(session)
        self._draw_footer()
        self._draw_top()

    async def action_new(self) -> None:
        """Begin with an empty page. What stands in the box stays."""
        await self.stop()
        self._session, self._title = None, words.NEW
        self._draw_footer()
        await self.log_view.show(())
        self.log_view.greet()
        self._draw_top()
        await self.refresh_list()
        self._leave_sidebar()
        self.tell_idle()

    async def refresh_list(self) -> None:
        """Read the list again."""
        try:
            sessions = await self.chat.agent.sessions()
        except Exception as error:
            self.chat.notify(words.LIST_FAILED.format(_reason(error)), markup=False)
            return
        current = self._session.id if self._session else None
        self.sidebar.show(sessions, current, self.chat.now())
        if current in self.sidebar.titles:
            self._title = self.sidebar.titles[current]
            self._draw_top()

    def on_sidebar_wished(self, event: Sidebar.Wished) -> None:
        """Open, begin, rename or delete."""
        self.run_worker(self._grant(event.what, event.session_id), group="list", exit_on_error=False)

    async def _grant(self, what: str, session_id: str) -> None:
        agent, title = self.chat.agent, self.sidebar.titles.get(session_id, words.NEW)
        try:
            match what:
                case "open":
                    await self.open(session_id)
                case "new":
                    await self.action_new()
                case "rename":
                    if new := await self.chat.push_screen_wait(Rename(title)):
                        await agent.rename_session(session_id, clean(new))
                        await self.refresh_list()
                case "delete":
                    more = words.DELETE_MORE if words.kept_here(agent.settings) else words.DELETE_MORE_SHARED
                    if await self.chat.push_screen_wait(ConfirmDelete(title, more)):
                        if self._session and self._session.id == session_id:
                            await self.action_new()
                        await agent.delete_session(session_id)
                        await self.refresh_list()
        except Exception as error:
            self.chat.notify(f"{words.FAILED}\n({_reason(error)})", markup=False)

    # -- a human at the other end -----------------------------------------------------------------------------------

    def _watch(self, session: Session) -> None:
        """Show what a reviewer does, also while nobody writes here."""
        self.run_worker(self._follow_humans(session), group="human", exclusive=True, exit_on_error=False)

    async def _follow_humans(self, session: Session) -> None:
        async with aclosing(session.watch()) as events_:
            async for event in events_:
                if session is not self._session:
                    return
                self._human(event)
                if not self.busy:
                    self.tell_idle()

    def _human(self, event: HumanEvent) -> None:
        self.log_view.human(event)
        self._draw_footer()

    # -- keys -------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Esc: stop a reply; else close the list; the keyboard goes back to the box."""
        if self._turn:
            self._turn.stop()
            self.prompt.focus()
        else:
            self._leave_sidebar()

    def action_sidebar(self) -> None:
        """F2: to the list; from the list, close it."""
        if self.sidebar.display and self.sidebar.has_focus_within:
            self._show_sidebar(False)
            self.prompt.focus()
        else:
            self._show_sidebar(True)
            self.sidebar.choices.focus()

    def _show_sidebar(self, shown: bool) -> None:
        self.set_class(shown, "sidebar-open")
        self.set_class(not shown, "sidebar-closed")

    def _leave_sidebar(self) -> None:
        """Where it covers or crowds the conversation, it closes; on a wide screen it stays."""
        if not self.has_class("-wide"):
            self._show_sidebar(False)
        self.prompt.focus()

    def action_numbers(self) -> None:
        """F3: the numbers on the last card; from there, back to the box."""
        card = self.log_view.last_card
        if card is None:
            self.chat.action_help()
        elif isinstance(self.focused, ContactRow):
            self.prompt.focus()
        else:
            card.focus_first()

    def action_page(self, by: int) -> None:
        """Scroll the conversation, wherever the keyboard is."""
        log = self.log_view
        if not log.max_scroll_y:
            return
        log.release_anchor()
        log.scroll_relative(y=by * max(1, log.size.height - 2), animate=False)


def _reason(error: BaseException) -> str:
    return clean(str(error)) or type(error).__name__


def _why_replaced(problems: tuple[str, ...]) -> str:
    kinds = {problem.partition(":")[0] for problem in problems}
    if "human" in kinds:  # the words themselves say why
        return ""
    if "output" in kinds:
        return words.MARK_REPLACED
    return words.MARK_MODEL_DOWN if "model" in kinds else words.MARK_PART_FAILED
