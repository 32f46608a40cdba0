"""The agent that an app embeds: sessions in, typed events out.

Each turn loads the session from the store, runs the graph and writes everything in one transaction. The person's
message is committed before anything else runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import unicodedata
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, cast

from .events import (
    CrisisCard,
    CrisisCardEvent,
    DoneEvent,
    Event,
    FailedEvent,
    HumanEvent,
    ReplacedEvent,
    Route,
    SentenceEvent,
    VerdictEvent,
)
from .model.adapter import is_weak
from .settings import Settings
from .traces import Trace, Traces, tell

if TYPE_CHECKING:  # the agent opens at once; what a turn needs is loaded behind the first screen
    from langchain_core.language_models.chat_models import BaseChatModel

    from ..guards.filter import CrisisFilter
    from ..guards.hotlines import Directory
    from ..guards.output import OutputGuard
    from .copy import Copy
    from .graph import TurnGraph
    from .store import CrisisEntry, HumanMessage, HumanSide, SessionRecord, Store, TurnRecord
    from .turn import Parts, TurnState
    from .voice import Voices
    from .webhook import Webhook

log = logging.getLogger(__name__)

LAST_TRY_S = 2.0
"""Seconds that closing waits for the webhook."""

WATCH_S = 1.0
"""Seconds between two looks for what a reviewer wrote."""

MADE_WAY = "human:took_over"
"""The problem that is noted when a model's reply was cut off because a reviewer took over."""

MAX_CHARS = 1_500_000
"""Longest message taken, in characters. Above it the person is told, and keeps the text."""


class SupportAgent:
    """Guarded support conversations. Every part can be replaced; what is left out comes from the settings.

    Args:
        model: any LangChain chat model.
        settings: None reads them (flags over environment over file over defaults).
        store: where conversations are kept.
        crisis_filter, output_guard, directory: replacements for the shipped ones.
        copy: stands in place of the shipped copy of its language.
        graph: a turn graph compiled by the embedder, e.g. with a checkpointer of his own.
        traces: where the times of a turn go, e.g. ``Traces(your_tracer_provider)``.

    Raises:
        SettingsError: traces are asked for, and the extra ``otel`` is missing.
    """

    def __init__(
        self,
        model: BaseChatModel | None = None,
        *,
        settings: Settings | None = None,
        store: Store | None = None,
        crisis_filter: CrisisFilter | None = None,
        output_guard: OutputGuard | None = None,
        directory: Directory | None = None,
        copy: Copy | None = None,
        graph: TurnGraph | None = None,
        traces: Traces | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        self._model, self._store, self._filter = model, store, crisis_filter
        self._output_guard, self._directory, self._copy, self._graph = output_guard, directory, copy, graph
        self.traces = traces or Traces.from_settings(self.settings.traces)
        self._parts: Parts | None = None
        self._voices: Voices | None = None
        self._webhook: Webhook | None = None
        self._delivering: asyncio.Task[None] | None = None
        self._guards: dict[str | None, OutputGuard] = {}
        self.weak_model = model is None and is_weak(self.settings.model)
        """True for the embedded default (``is_weak``): it was read answering people who may be in danger, and its
        words could hurt. Vetted words then stand before the safety question; see ``Parts.model_meets_concern``."""
        self._lock = threading.RLock()  # parts are built once, by whichever thread needs them first

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """An agent made of what the settings name. Loads nothing heavy yet.

        Raises:
            SettingsError: naming the setting, where it came from and a good value.
        """
        return cls(settings=settings)

    # -- parts, each built at its first use; looked at before the lock, so that help never waits for the rest to load --

    @property
    def copy(self) -> Copy:
        """The words the agent says by itself, in English or as they were handed in."""
        if self._copy is None:
            with self._lock:
                if self._copy is None:
                    from .copy import Copy

                    self._copy = Copy.load()
        return self._copy

    @property
    def voices(self) -> Voices:
        """All vetted words, by language."""
        if self._voices is None:
            with self._lock:
                if self._voices is None:
                    from .voice import Voices

                    self._voices = Voices(copy=self._copy)
        return self._voices

    @property
    def directory(self) -> Directory:
        """The hotline directory."""
        if self._directory is None:
            with self._lock:
                if self._directory is None:
                    from ..guards.hotlines import Directory

                    self._directory = Directory.load(self.settings.guards.hotlines)
        return self._directory

    @property
    def store(self) -> Store:
        """The store; opened and migrated at first use.

        Raises:
            StoreError: naming the file, what is wrong with it and what to do.
        """
        if self._store is None:
            with self._lock:
                if self._store is None:
                    from .store import Store

                    webhook = self.settings.handoff.webhook_url is not None
                    self._store = Store.from_settings(self.settings.store, webhook=webhook)
        return self._store

    @property
    def parts(self) -> Parts:
        """What a turn works with."""
        if self._parts is None:
            with self._lock:
                if self._parts is None:
                    from .model import build_model
                    from .model.stream import Limits
                    from .parts import crisis_filter
                    from .turn import Parts

                    settings = self.settings
                    self._parts = Parts(
                        filter=self._filter or crisis_filter(settings.guards),
                        output_guard=self._guard_for(None),
                        model=self._model or build_model(settings.model),
                        directory=self.directory,
                        voices=self.voices,
                        limits=Limits.from_settings(settings.model),
                        model_meets_concern=not self.weak_model,
                    )
        return self._parts

    def parts_for(self, country: str | None) -> Parts:
        """``parts``, with the output guard of ``country``."""
        return replace(self.parts, output_guard=self._guard_for(country))

    def _guard_for(self, country: str | None) -> OutputGuard:
        """The output guard of a country: a right number in the wrong country is a wrong number."""
        if self._output_guard is not None:
            return self._output_guard
        with self._lock:
            if country not in self._guards:
                from ..guards.output import OutputGuard
                from .prompt import support_prompt

                known = partial(self.directory.is_known_contact, country=country)
                self._guards[country] = OutputGuard(known, prompt=support_prompt().system)
            return self._guards[country]

    @property
    def graph(self) -> TurnGraph:
        """The compiled turn graph."""
        if self._graph is None:
            with self._lock:
                if self._graph is None:
                    from .graph import compile_graph
                    from .turn import TurnLimits

                    limits = TurnLimits(self.settings.guards.screen_s, self.settings.model.total_s + 10)
                    self._graph = compile_graph(limits)
        return self._graph

    @property
    def ready(self) -> bool:
        """True once guards, copy and graph are loaded; the model's weights may not be."""
        return self._parts is not None and self._graph is not None

    def prepare(self) -> None:
        """Load guards, copy and graph, but no weights. Blocking; safe to repeat."""
        _ = self.parts.voices.of(self.copy.language), self.graph

    # -- use --------------------------------------------------------------------------------------------------------

    async def warm_up(self) -> None:
        """Load what the first turn needs, the weights of the embedded model too, and read every language whole.

        Raises:
            CopyError, PlaybookError: a language that ships cannot be used; naming the file, the line or key.
        """

        def load() -> None:
            self.prepare()
            self.parts.filter.lexicon.compile()
            self.parts.output_guard.warm()
            weights = getattr(self.parts.model, "load", None)
            if callable(weights):
                weights()
            self.voices.check(self.directory)  # last: nobody waits for words in a language not spoken yet

        await asyncio.to_thread(load)

    def hotlines(self, country: str | None, *, language: str | None = None) -> CrisisCard:
        """The help card of a country, at once and without the model.

        Args:
            country: ISO 3166-1 alpha-2; None or an unknown one gives the international entries.
            language: ISO 639-1, for the words around the lines; English where there are no others.
        """
        from .protocol.say import help_card

        copy = self.voices.of(language).copy if language else self.copy
        return help_card(country or self.settings.country, self.directory, copy)

    async def open_session(self, *, country: str | None = None, session_id: str | None = None) -> Session:
        """A new conversation, or with ``session_id`` a stored one.

        Raises:
            StoreError: the store cannot be used, or there is no such session.
            ValueError: ``country`` is not an ISO 3166-1 alpha-2 code.
        """

        def load() -> tuple[SessionRecord, HumanSide | None]:
            code = self.directory.country_code(country or self.settings.country)
            if session_id is None:
                return self.store.create_session(country=code, language=self.copy.language), None
            record = self.store.session(session_id)
            if code and code != record.country and country:
                record = self.store.set_country(session_id, code)
            return record, self.store.handoff.of_session(session_id)

        session = Session(self, *await asyncio.to_thread(load))
        self._start_webhook()
        return session

    async def sessions(self) -> Sequence[SessionRecord]:
        """Stored conversations, the newest first."""
        return await asyncio.to_thread(lambda: self.store.sessions())

    async def rename_session(self, session_id: str, title: str) -> None:
        """Give a conversation another title."""
        await asyncio.to_thread(lambda: self.store.rename(session_id, title))

    async def delete_session(self, session_id: str) -> None:
        """Delete a conversation whole: messages, verdicts, crisis events. The audit chain stays valid."""
        await asyncio.to_thread(lambda: self.store.delete(session_id))

    def _start_webhook(self) -> None:
        """Deliver what the outbox holds behind the conversations, if a webhook is set."""
        if self.settings.handoff.webhook_url is None or self._delivering is not None:
            return
        from .webhook import Webhook

        if webhook := Webhook.from_settings(self.settings.handoff, self.store.outbox):
            self._webhook, self._delivering = webhook, asyncio.create_task(webhook.run())

    async def _stop_webhook(self) -> None:
        """One more short try for what the last turn wrote; what is not taken waits for the next start."""
        if self._delivering is None or self._webhook is None:
            return
        self._delivering.cancel()
        await asyncio.wait([self._delivering])
        self._delivering = None
        with suppress(Exception):
            async with asyncio.timeout(LAST_TRY_S):
                await self._webhook.deliver()

    async def aclose(self) -> None:
        """Close the store, and send what traces are not sent yet."""
        await self._stop_webhook()
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
        await asyncio.to_thread(self.traces.close)


@dataclass
class _Shown:
    """What reached the person in this turn; the truth that is stored."""

    started: float = field(default_factory=perf_counter)
    reply: str = ""
    card: CrisisCard | None = None
    first_sentence_ms: float | None = None
    state: TurnState | None = None
    made_way: bool = False
    """A reviewer took over while the model's reply was coming: the rest of it was not shown."""

    def take(self, event: Event) -> Event:
        """Note one event; the text that replaces a begun reply starts a new paragraph."""
        match event:
            case ReplacedEvent() if self.reply and not event.text.startswith("\n"):
                event = event.model_copy(update={"text": f"\n\n{event.text}"})
            case CrisisCardEvent():
                self.card = event.card
            case _:
                pass
        if isinstance(event, (SentenceEvent, ReplacedEvent)):
            self.reply += event.text
            self.first_sentence_ms = self.first_sentence_ms or self.ms
        return event

    @property
    def from_model(self) -> bool:
        """True while what comes may be the model's own words; vetted ones are shown to their end."""
        return self.route in ("support", "concern")

    @property
    def route(self) -> Route:
        """Which way the turn went; a turn that never got to choose held."""
        return (self.state or {}).get("route", "hold")

    @property
    def ms(self) -> float:
        """Milliseconds since the turn began."""
        return (perf_counter() - self.started) * 1000


@dataclass(frozen=True)
class _Begun:
    """A turn on its way: its message is committed, or ``trouble`` says why it could not be."""

    turn: TurnRecord | None
    state: TurnState
    trouble: str | None = None
    side: HumanSide | None = None
    """The human side as it was when the turn began."""

    @property
    def id(self) -> str:
        return self.turn.id if self.turn else "unstored"

    @property
    def human(self) -> bool:
        """True while a reviewer writes with the person: the agent is silent."""
        return self.side is not None and self.side.ticket is not None and self.side.ticket.state == "taken"


class Session:
    """One conversation. Turns run one after the other; ``send`` waits for the turn before."""

    def __init__(self, agent: SupportAgent, record: SessionRecord, side: HumanSide | None = None) -> None:
        self._agent = agent
        self.id = record.id
        self.country = record.country
        self.language = record.language
        """ISO 639-1 code of the language the person writes in."""
        self._one_at_a_time = asyncio.Lock()
        self._unwritten: Callable[[], object] | None = None
        """Writes a turn that was shown but could not be stored."""
        self._told = 0
        """The newest message of a reviewer that was handed out."""
        self._with_human = False
        self._telling = asyncio.Lock()
        self._ticketed = asyncio.Event()
        """Set while the conversation may have a ticket that is not closed: only then is there anything to watch."""
        self._stirs = 0
        if side is not None:
            self._stir()
            self._note(side, self._stirs)

    async def send(self, text: str, *, request: str | None = None, raises: bool = False) -> AsyncGenerator[Event]:
        """One turn. Closing the generator stops the reply; what was shown stays and is stored.

        Never raises for what the person wrote or for a part that failed: the last event is ``done`` or ``failed``.

        Args:
            text: the message.
            request: what the caller calls this request, at most 64 characters; one request begins one turn.
            raises: for a caller who can be told to come back. Another process that answers this conversation, and a
                repeated request, lead to the safe reply otherwise.

        Raises:
            TurnPending, TurnRepeated: before the first event, and only with ``raises``.
        """
        from ..guards.clean import clean

        message = clean(text)
        if _blank(message):
            yield FailedEvent(turn_id="", text=self.copy.empty(), detail="the message holds no readable character")
            return
        if len(message) > MAX_CHARS:
            yield FailedEvent(turn_id="", text=self.copy.too_long(), detail=f"longer than {MAX_CHARS} characters")
            return
        async with self._one_at_a_time:
            with self._agent.traces.turn() as trace:
                with trace.part("store") as part:
                    begun = await self._uncancelled(partial(self._begin, request=request, raises=raises), message)
                    part.note(step="begin", failed=begun.trouble is not None)
                async with aclosing(self._answer(begun, trace)) as events:
                    async for event in events:
                        yield event

    async def recover(self) -> AsyncGenerator[Event]:
        """Answer the message that a crash left unanswered, if there is one."""
        async with self._one_at_a_time:
            for turn in await asyncio.to_thread(self._agent.store.unfinished, self.id):
                begun = await asyncio.to_thread(self._adopt, turn)
                if begun is None:  # another process was quicker
                    continue
                with self._agent.traces.turn() as trace:
                    async with aclosing(self._answer(begun, trace)) as events:
                        async for event in events:
                            yield event

    async def history(self) -> Sequence[TurnRecord]:
        """All turns, the oldest first."""
        return await asyncio.to_thread(self._agent.store.turns, self.id)

    @property
    def copy(self) -> Copy:
        """The agent's own words in the language of the conversation."""
        return self._agent.voices.of(self.language).copy

    @property
    def with_human(self) -> bool:
        """True while a reviewer writes with the person, as far as was last seen."""
        return self._with_human

    async def human_messages(self) -> Sequence[HumanMessage]:
        """What reviewers wrote, with the words around it, oldest first. None of it comes as an event any more."""
        async with self._telling:
            stirs, side = self._stirs, await asyncio.to_thread(self._agent.store.handoff.of_session, self.id)
            self._note(side, stirs)
            return side.messages

    async def watch(self, *, every: float = WATCH_S) -> AsyncGenerator[HumanEvent]:
        """What reviewers do, as it comes; never ends by itself. Costs nothing while there is no ticket.

        Args:
            every: seconds between two looks.
        """
        from .store import StoreError

        while True:
            await self._ticketed.wait()
            try:
                events = await self._human_events()
            except StoreError as error:  # a reviewer's words are late rather than lost
                log.warning("cannot look for a reviewer's words: %s", error)
                events = []
            for event in events:
                yield event
            await asyncio.sleep(every)

    async def set_country(self, code: str | None) -> None:
        """Change the country whose lines are shown."""
        code = self._agent.directory.country_code(code)
        await asyncio.to_thread(self._agent.store.set_country, self.id, code)
        self.country = code

    # -- one turn ---------------------------------------------------------------------------------------------------

    async def _uncancelled(self, begin: Callable[[str], _Begun], message: str) -> _Begun:
        """Begin a turn in a thread; who is cancelled meanwhile leaves no turn that looks as if it were running."""
        beginning = asyncio.ensure_future(asyncio.to_thread(begin, message))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            from .store import TurnStatus

            begun = await beginning
            if begun.turn is not None:
                self._unwritten = partial(self._agent.store.close_turn, begun.turn, TurnStatus.CLOSED, "")
            raise

    def _begin(self, message: str, request: str | None, raises: bool) -> _Begun:
        """Commit the message, before anything else runs, and load what came before it."""
        from .store import StoreError, TurnPending, TurnRepeated

        turn, store = None, self._agent.store
        try:
            if request is not None:  # before anything is closed: the turn that it began may still want its answer
                store.refuse_repeated(self.id, request)
            self._settle_earlier()
            turn = store.begin_turn(self.id, message, request)
            return _Begun(turn, self._state(turn), side=self._look())
        except Exception as error:  # whatever broke, the person gets the safe reply
            if raises and isinstance(error, (TurnPending, TurnRepeated)):
                raise
            trouble = str(error) if isinstance(error, StoreError) else type(error).__name__
            log.error("the conversation could not be stored or read: %s", trouble, exc_info=True)
            return _Begun(turn, {"text": message}, trouble=trouble)

    def _adopt(self, turn: TurnRecord) -> _Begun | None:
        """Take over a turn that a crash left behind; None when somebody else did."""
        if not self._agent.store.adopt(turn):
            return None
        return _Begun(turn, self._state(turn), side=self._look())

    def settle(self) -> None:
        """Write down a turn that was shown but could not be stored then; its ticket, too. Blocking.

        Raises:
            StoreError: it still cannot.
        """
        from .store import TurnSettled

        if self._unwritten is not None:
            with suppress(TurnSettled):
                self._unwritten()
            self._unwritten = None

    def _look(self) -> HumanSide:
        """The human side as it is now; a reviewer who is gone has given the talk back."""
        handoff = self._agent.store.handoff
        side = handoff.of_session(self.id, self._told)
        if side.ticket is not None and side.ticket.state == "taken":
            words = self.copy.human_left(seed=zlib.crc32(self.id.encode()))
            if handoff.lapse(self.id, words):
                return handoff.of_session(self.id, self._told)
        return side

    async def _human_events(self) -> list[HumanEvent]:
        """What reviewers did since the last time this was asked."""
        async with self._telling:
            stirs, side = self._stirs, await asyncio.to_thread(self._look)
            self._note(side, stirs)
        return [human_event(message) for message in side.messages]

    def _stir(self) -> None:
        """There may be a ticket now."""
        self._stirs += 1
        self._ticketed.set()

    def _note(self, side: HumanSide, stirs: int) -> None:
        """Remember what was handed out. Stop watching when there is no ticket, unless one came since the look."""
        self._told = max([self._told, *(message.id for message in side.messages)])
        self._with_human = side.ticket is not None and side.ticket.state == "taken"
        if (side.ticket is None or side.ticket.state == "closed") and stirs == self._stirs:
            self._ticketed.clear()

    def _settle_earlier(self) -> None:
        """Close what stands open: turns that a crash cut off, and one whose reply could not be written."""
        from .store import TurnSettled, TurnStatus

        store, interrupted = self._agent.store, self.copy.interrupted()
        for turn in store.unfinished(self.id):
            if store.adopt(turn):
                with suppress(TurnSettled):
                    store.close_turn(turn, TurnStatus.CLOSED, interrupted)
        self.settle()

    async def _answer(self, begun: _Begun, trace: Trace) -> AsyncGenerator[Event]:
        """Run the graph and write what came of it. With trouble in the store a person in danger still gets the lines,
        and everyone else the safe reply."""
        shown, turn, trouble = _Shown(), begun.turn, begun.trouble
        if begun.side is not None and begun.side.ticket is not None:
            self._stir()
        ended = False
        try:
            try:
                async with aclosing(self._run(begun, shown, trace)) as events:
                    async for event in events:
                        if isinstance(event, SentenceEvent) and shown.from_model and self._ticketed.is_set():
                            said = await self._human_events()
                            if self._with_human:  # a human writes now: nothing more of the model's words
                                if shown.reply:
                                    yield shown.take(self._makes_way(begun))
                                shown.made_way = True
                                for human in said:
                                    yield human
                                break
                            for human in said:
                                yield human
                        yield shown.take(event)
                        if isinstance(event, VerdictEvent) and self._ticketed.is_set():
                            for human in await self._human_events():
                                yield human
            except Exception as error:  # the graph catches its own; this is the floor under it
                log.critical("the turn failed outside its nodes: %s", type(error).__name__, exc_info=True)
                from .nodes import LAST_WORDS

                problems = (type(error).__name__,)
                yield shown.take(ReplacedEvent(turn_id=begun.id, text=LAST_WORDS, problems=problems))
            ended = True
            if turn is not None:
                with trace.part("store") as part:
                    trouble = await asyncio.to_thread(self._finish, turn, shown, stopped=False) or trouble
                    part.note(step="finish", failed=trouble is not None)
                if shown.route in ("crisis", "hold"):
                    self._stir()
            if trouble:
                yield FailedEvent(turn_id=begun.id, text=self.copy.not_stored(), detail=trouble)
            else:
                yield DoneEvent(
                    turn_id=begun.id,
                    reply=shown.reply,
                    route=shown.route,
                    ms=shown.ms,
                    first_sentence_ms=shown.first_sentence_ms,
                )
        finally:
            tell(trace, begun.id, shown.state, shown.first_sentence_ms)
            if turn is not None and not ended:  # the person stopped the reply: keep what was shown
                await asyncio.shield(asyncio.to_thread(self._finish, turn, shown, stopped=True))

    async def _run(self, begun: _Begun, shown: _Shown, trace: Trace) -> AsyncGenerator[Event]:
        """The graph's own events; ``shown`` keeps its state."""
        from .turn import TurnContext

        agent = self._agent
        if not agent.ready:
            await asyncio.to_thread(agent.prepare)
        context = TurnContext(
            parts=agent.parts_for(self.country),
            turn_id=begun.id,
            country=self.country,
            seed=zlib.crc32(f"{self.id}/{begun.turn.number if begun.turn else 0}".encode()),
            hold=begun.trouble is not None,
            human=begun.human,
            trace=trace,
        )
        graph, state = agent.graph, begun.state
        stream = cast(
            "AsyncGenerator[tuple[str, Any]]",  # LangGraph declares less than it gives: it can be closed
            graph.astream(state, context=context, stream_mode=["custom", "values"]),
        )
        async with aclosing(stream) as steps:
            async for mode, item in steps:
                if mode == "values":
                    shown.state = item
                else:
                    yield item

    def _makes_way(self, begun: _Begun) -> ReplacedEvent:
        """Ends a model's reply that a reviewer came into."""
        text = self.copy.makes_way(seed=zlib.crc32(begun.id.encode()))
        return ReplacedEvent(turn_id=begun.id, text=text, problems=(MADE_WAY,))

    def _state(self, turn: TurnRecord) -> TurnState:
        """What the store knows of the conversation before this turn."""
        from ..guards.conversation import RiskState
        from ..guards.types import Utterance
        from .protocol.state import Progress
        from .turn import HISTORY

        store = self._agent.store
        record = store.session(self.id)
        humans = store.handoff.of_session(self.id).messages if self._ticketed.is_set() else ()
        history: list[Utterance] = []
        for earlier in store.history(self.id, limit=HISTORY // 2):
            history.append(Utterance(role="user", text=earlier.user_text))
            said = [message.text for message in humans if message.after == earlier.number and message.kind == "message"]
            if answer := "\n\n".join(filter(None, (earlier.reply, *said))):
                history.append(Utterance(role="assistant", text=answer))
        return {
            "text": turn.user_text,
            "history": history,
            "language": record.language,
            "risk": RiskState.model_validate(record.risk or {}),
            "progress": Progress.model_validate(record.protocol or {}),
        }

    def _finish(self, turn: TurnRecord, shown: _Shown, *, stopped: bool) -> str | None:
        """Write the turn. Returns what went wrong, for the operator, or None."""
        from .store import StoreError

        self.language = (shown.state or {}).get("language", self.language)
        try:
            self._write(turn, shown, stopped)
        except StoreError as error:
            log.error("the reply could not be stored: %s", error)
            self._unwritten = partial(self._write, turn, shown, stopped)
            return str(error)
        return None

    def _write(self, turn: TurnRecord, shown: _Shown, stopped: bool) -> None:
        from .store import TurnStatus

        state: TurnState = shown.state or {"text": turn.user_text}
        store, verdict = self._agent.store, state.get("verdict")
        if verdict is None:  # stopped, or broken, before it was judged
            store.close_turn(turn, TurnStatus.CLOSED if stopped else TurnStatus.FAILED, shown.reply)
            return
        store.finish_turn(
            turn,
            reply=shown.reply,
            route=shown.route,
            verdict=verdict,
            language=self.language,
            risk=state.get("risk"),
            protocol=state.get("progress"),
            card=shown.card,
            crisis=_crisis(state, shown),
            problems=(*state.get("problems", ()), *([MADE_WAY] if shown.made_way else ())),
            stopped=stopped,
            ms=shown.ms,
            first_sentence_ms=shown.first_sentence_ms,
        )
        self._remember_country(state)

    def _remember_country(self, state: TurnState) -> None:
        """Keep the country that the person named when the crisis reply asked for it."""
        progress = state.get("progress")
        if self.country is None and progress is not None and progress.country is not None:
            self._agent.store.set_country(self.id, progress.country)
            self.country = progress.country


def human_event(message: HumanMessage) -> HumanEvent:
    """A stored message of a reviewer as an event."""
    return HumanEvent(id=message.id, kind=message.kind.value, text=message.text, after=message.after, time=message.time)


def _blank(text: str) -> bool:
    """True when nothing in ``text`` can be seen: only spaces, controls, zero-width characters, lone marks."""
    return all(unicodedata.category(character)[0] in "CZM" for character in text)


def _crisis(state: TurnState, shown: _Shown) -> CrisisEntry | None:
    """What the handoff queue will be built on: crisis turns, and turns that had to be held."""
    from .store import CrisisEntry

    risk, verdict = state.get("risk"), state.get("verdict")
    if risk is None or verdict is None:
        return None
    told_a_human = shown.route == "human" and (verdict.crisis or verdict.error)
    if shown.route not in ("crisis", "hold") and not told_a_human:
        return None
    lines = tuple(line.id for line in shown.card.lines) if shown.card else ()
    return CrisisEntry(max(risk.level, verdict.level), verdict.categories, lines, state.get("moves", ()))
