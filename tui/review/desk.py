"""The desk: the queue on one side, the talk on the other, and one key for each step.

It looks into the store every second and asks the store for every step; who may do what is decided there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast
from zlib import crc32

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ...agent.store import Outcome, ServiceLevel, StoreError, Ticket, TicketState
from ...guards.clean import clean
from ...guards.types import RiskLevel
from ..chat.prompt import Prompt
from . import words
from .dialogs import Ask, Categories, Choice, Keys
from .talk import Talk
from .transcript import Heard, Transcript

if TYPE_CHECKING:
    from .app import ReviewApp

DAY = timedelta(days=1)
RENEW_S = 10.0
"""Seconds between two signs of life for the talks in hand; well below the store's lease."""


class Desk(Screen[None]):
    """Queue, talk, and the box to write in."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "take", show=False),
        Binding("r", "release", show=False),
        Binding("c", "close", show=False),
        Binding("n", "note", show=False),
        Binding("m", "mark", show=False),
        Binding("s,f2", "snippets", show=False),
        Binding("a", "closed", show=False),
        Binding("f1,question_mark", "keys", show=False),
        Binding("q", "app.quit", show=False),
        Binding("escape", "back", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tickets: tuple[Ticket, ...] = ()
        self._talk: Talk | None = None
        self._reading: str | None = None
        self._show_closed = False
        self._known: set[tuple[str, datetime, RiskLevel]] | None = None
        self._renewed = 0.0
        self._drawn: dict[str, Content] = {}
        """What stands where; drawing the same again would cost a whole screen at every look."""
        self._queued: list[tuple[str | None, Content]] | None = None
        self._looking = asyncio.Lock()

    @property
    def review(self) -> ReviewApp:
        """The app this screen belongs to."""
        return cast("ReviewApp", self.app)

    @property
    def queue(self) -> OptionList:
        """The tickets."""
        return self.query_one("#queue", OptionList)

    @property
    def transcript(self) -> Transcript:
        """The talk."""
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """The box to write to the person in."""
        return self.query_one(Prompt)

    @property
    def ticket(self) -> Ticket | None:
        """The ticket that is read."""
        return self._talk.ticket if self._talk else None

    def compose(self) -> ComposeResult:
        yield Static(words.TITLE, id="top", markup=False)
        with Horizontal(id="middle"):
            yield OptionList(id="queue", markup=False, compact=True)
            with Vertical(id="main"):
                yield Static(words.CHOOSE, id="about", markup=False)
                yield Transcript(self.review.reviewer, id="talk")
                yield Prompt(id="prompt")
        yield Static(words.KEYS_QUEUE, id="footer", markup=False)

    def on_mount(self) -> None:
        """The keyboard is in the queue; the first look comes at once."""
        self.prompt.placeholder = words.PLACEHOLDER
        self.prompt.display = False
        self.queue.focus()
        self.run_worker(self._follow(), group="follow", exit_on_error=False)

    # -- looking ----------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except StoreError as error:  # what was seen stays; the next look may go well
                self._tell_top(str(error))
            await asyncio.sleep(self.review.every)

    async def look(self) -> None:
        """Read queue and talk again, and draw what is new."""
        async with self._looking:
            store = self.review.store
            await self._renew()
            tickets = await asyncio.to_thread(lambda: store.handoff.queue(closed_for=DAY))
            talk = None
            if self._reading is not None:
                talk = await asyncio.to_thread(Talk.load, store, self._reading)
                if talk is None:
                    self._reading = None
                    await self.transcript.clear(words.GONE)
            self._draw_queue(tickets)
            await self._draw_talk(talk)

    async def _renew(self) -> None:
        """Tell the store that this reviewer is still there."""
        now = self.review.monotonic()
        if self.review.mine and now - self._renewed >= RENEW_S:
            self._renewed = now
            for ticket_id in tuple(self.review.mine):
                if not await asyncio.to_thread(self.review.store.handoff.renew, ticket_id, self.review.reviewer):
                    self.review.mine.discard(ticket_id)
                    self._notify(words.LOST, severity="warning")

    def _draw_queue(self, tickets: tuple[Ticket, ...]) -> None:
        now, reviewer = self.review.now(), self.review.reviewer
        self._tell_top(words.service(ServiceLevel.of(tickets, now)))
        self._ring(tickets)
        self._tickets = tuple(t for t in tickets if self._show_closed or t.state is not TicketState.CLOSED)
        options = [
            Option(self._line(t, words.state(t, reviewer, now), words.ago(now - t.opened)), id=t.id)
            for t in self._tickets
        ]
        queued = [(option.id, option.prompt) for option in options if isinstance(option.prompt, Content)]
        if queued == self._queued:
            return
        self._queued = queued
        chosen = self.queue.highlighted_option
        keep = chosen.id if chosen else self._reading
        self.queue.clear_options()
        self.queue.add_options(options or [Option(Content(words.EMPTY), disabled=True)])
        ids = [option.id for option in options]
        self.queue.highlighted = (ids.index(keep) if keep in ids else 0) if ids else None

    def _line(self, ticket: Ticket, state: str, age: str) -> Content:
        mark = "▸ " if ticket.id == self._reading else "  "
        style = "bold $evidence-imminent" if ticket.level is RiskLevel.IMMINENT else "bold"
        head = Content.assemble(mark, (ticket.level.value.upper(), style), f"  {age}")
        return Content.assemble(head, Content.styled(f"\n  {state} · {words.names(ticket.categories)}", "$quiet"))

    def _ring(self, tickets: Sequence[Ticket]) -> None:
        """A bell for each ticket that was opened, opened again or raised since the last look."""
        known = {(t.id, t.opened, t.level) for t in tickets if t.state is TicketState.OPEN}
        if self._known is not None and known - self._known:
            self.app.bell()
        self._known = known

    async def _draw_talk(self, talk: Talk | None) -> None:
        self._talk = talk
        mine = talk is not None and talk.ticket.held_by(self.review.reviewer)
        if self.prompt.display and not mine and self.prompt.has_focus:
            self.queue.focus()
        self.prompt.display = mine
        self._tell("#footer", Content(words.KEYS_MINE if mine else words.KEYS_QUEUE))
        if talk is None:
            self._tell("#about", Content(words.CHOOSE))
            return
        ticket = talk.ticket
        now = self.review.now()
        state = words.state(ticket, self.review.reviewer, now)
        lines = f"{talk.session.country or 'country not known'} · {len(talk.turns)} messages"
        moves = ", ".join(ticket.moves[-3:]) or "nothing yet"
        told = Content.assemble(
            (ticket.level.value.upper(), "bold"),
            f" {words.names(ticket.categories)} · {state} · {lines}\n",
            Content.styled(clean(f"protocol: {moves}"), "$quiet"),
        )
        self._tell("#about", told)
        await self.transcript.show(talk)

    def _tell_top(self, told: str) -> None:
        self._tell("#top", Content(clean(f"{self.review.reviewer}   {told}")))

    def _tell(self, where: str, told: Content) -> None:
        if self._drawn.get(where) != told:
            self._drawn[where] = told
            self.query_one(where, Static).update(told)

    def _notify(self, text: str, severity: Literal["information", "warning"] = "information") -> None:
        self.app.notify(clean(text), markup=False, severity=severity, timeout=4)

    # -- reading ----------------------------------------------------------------------------------------------------

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click in the queue: read the ticket."""
        event.stop()
        if event.option_id:
            self._do(self._read(event.option_id))

    async def _read(self, ticket_id: str) -> None:
        await asyncio.to_thread(self.review.store.handoff.see, ticket_id, self.review.reviewer)
        self._reading = ticket_id
        await self.look()
        if self.prompt.display:
            self.prompt.focus()
        else:
            self.call_after_refresh(self.transcript.choose_last)

    def action_back(self) -> None:
        """Esc: out of the box into the talk; out of the talk into the queue."""
        if self.prompt.has_focus and self.transcript.query(Heard):
            self.transcript.choose_last()
        else:
            self.queue.focus()

    def action_page(self, by: int) -> None:
        """Scroll the talk."""
        talk = self.transcript
        if talk.max_scroll_y:
            talk.release_anchor()
            talk.scroll_relative(y=by * max(1, talk.size.height - 2), animate=False)

    def action_closed(self) -> None:
        """Show or hide the tickets closed in the last day."""
        self._show_closed = not self._show_closed
        self._do(self.look())

    def action_keys(self) -> None:
        """What the keys do."""
        self.app.push_screen(Keys())

    # -- steps ------------------------------------------------------------------------------------------------------

    def _chosen(self) -> str | None:
        """The ticket that a step is for: the one chosen in the queue while the keyboard is there, else the one read."""
        option = self.queue.highlighted_option
        return option.id if self.queue.has_focus and option else self._reading

    def action_take(self) -> None:
        """Take over. Reads the ticket, too."""
        if ticket_id := self._chosen():
            self._do(self._take(ticket_id))
        else:
            self._notify(words.READ_FIRST)

    async def _take(self, ticket_id: str) -> None:
        app = self.review

        def take() -> None:
            arrived = app.words_of(ticket_id).human_arrived(seed=crc32(ticket_id.encode()))
            app.store.handoff.take(ticket_id, app.reviewer, arrived)

        await asyncio.to_thread(take)
        app.mine.add(ticket_id)
        self._reading = ticket_id
        await self.look()
        self._notify(words.TAKEN)
        self.prompt.focus()

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """Enter in the box: the person gets it."""
        if self._reading:
            self._do(self._say(self._reading, event.text))

    def on_prompt_told(self, event: Prompt.Told) -> None:
        """Something about the text in the box."""
        self._notify(event.text)

    async def _say(self, ticket_id: str, text: str) -> None:
        try:
            await asyncio.to_thread(self.review.store.handoff.say, ticket_id, self.review.reviewer, clean(text))
        except StoreError:
            self.prompt.give_back(text)  # nothing that was written is lost
            raise
        await self.look()

    def action_release(self) -> None:
        """Give the talk back to the agent."""
        if self.ticket and self.ticket.held_by(self.review.reviewer):
            self._do(self._release(self.ticket.id))
        else:
            self._notify(words.NOT_YOURS)

    async def _release(self, ticket_id: str) -> None:
        await asyncio.to_thread(self.review.release, ticket_id)
        await self.look()
        self._notify(words.RELEASED)
        self.queue.focus()

    def action_close(self) -> None:
        """Close with an outcome."""
        if ticket_id := self._chosen():
            self._do(self._close(ticket_id))

    async def _close(self, ticket_id: str) -> None:
        app = self.review
        choices = [(outcome.value, text) for outcome, text in words.OUTCOMES.items()]
        outcome = await app.push_screen_wait(Choice(words.OUTCOME, choices))
        if outcome is None:
            return

        def close() -> None:
            left = app.words_of(ticket_id).human_left(seed=crc32(ticket_id.encode()))
            app.store.handoff.close(ticket_id, app.reviewer, Outcome(outcome), left)

        await asyncio.to_thread(close)
        app.mine.discard(ticket_id)
        await self.look()
        self._notify(words.CLOSED)
        self.queue.focus()

    def action_note(self) -> None:
        """Write something down for other reviewers."""
        if ticket_id := self._chosen():
            self._do(self._note(ticket_id))

    async def _note(self, ticket_id: str) -> None:
        text = await self.review.push_screen_wait(Ask(words.NOTE, words.NOTE_KEYS))
        if text:
            await asyncio.to_thread(self.review.store.handoff.note, ticket_id, self.review.reviewer, clean(text))
            await self.look()
            self._notify(words.NOTED)

    def action_mark(self) -> None:
        """Say what the verdict on a message should have been."""
        turn_id = self.transcript.chosen
        if self._talk is None or turn_id is None or turn_id not in self._talk.verdicts:
            self._notify(words.NO_MESSAGE)
        else:
            self._do(self._mark(self._talk, turn_id))

    async def _mark(self, talk: Talk, turn_id: str) -> None:
        app, said, before = self.review, talk.verdicts[turn_id], talk.marks.get(turn_id)
        now = before.level if before else said.level
        choices = [(level.value, text) for level, text in words.LEVELS.items()]
        chosen = await app.push_screen_wait(Choice(words.LEVEL, choices, now.value))
        if chosen is None:
            return
        level, categories = RiskLevel(chosen), ()
        if level is not RiskLevel.NONE:
            asked = await app.push_screen_wait(Categories(before.categories if before else said.categories))
            if asked is None:
                return
            categories = asked
        await asyncio.to_thread(app.store.handoff.mark, turn_id, app.reviewer, level, categories)
        await self.look()
        self._notify(words.MARKED)

    def action_snippets(self) -> None:
        """A vetted sentence into the box."""
        if self.prompt.display:
            self._do(self._snippet())
        else:
            self._notify(words.NOT_YOURS)

    async def _snippet(self) -> None:
        snippets = {snippet.id: snippet for snippet in self.review.snippets}
        choices = [(s.id, f"{s.title}: {s.text}") for s in snippets.values()]
        chosen = await self.review.push_screen_wait(Choice(words.SNIPPETS, choices))
        self.prompt.focus()
        if chosen:
            self.prompt.insert(snippets[chosen].text)

    def _do(self, step: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._told(step), group="step", exit_on_error=False)

    async def _told(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step; what the store refuses is told, and the desk shows how things stand."""
        try:
            await step
        except StoreError as error:
            self._notify(f"{error.problem[:1].upper()}{error.problem[1:]}.", severity="warning")
            await self.look()
