"""While a human writes with the person, the agent listens and is silent; it never tells of one who is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from warmline.agent import Event, ScriptedModel, Session, Settings, Store, SupportAgent, SyncSupportAgent
from warmline.agent.copy import Copy
from warmline.agent.store import Ticket, TicketState
from warmline.agent.store.tickets import LEASE
from warmline.guards import CrisisFilter
from warmline.guards.types import RiskLevel

CRISIS = "i don't want to be here anymore, i have the pills next to me"
CALM = "the tea is warm and the cat is here"
COPY = Copy.load()
HERE, BACK = COPY.human_arrived(), COPY.human_left()


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=clock)


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(replies=["I hear you. What else is on your mind?"] * 5)


@pytest.fixture
def agent(store: Store, model: ScriptedModel) -> SupportAgent:
    return SupportAgent(model=model, settings=Settings(), store=store)


async def send(session: Session, text: str) -> list[Event]:
    return [event async for event in session.send(text)]


def kinds(events: list[Event]) -> list[str]:
    return [f"human:{event.kind}" if event.type == "human" else event.type for event in events]


def ticket(store: Store, session: Session) -> Ticket:
    found = store.handoff.of_session(session.id).ticket
    assert found
    return found


@pytest.fixture
async def session(agent: SupportAgent) -> Session:
    """A conversation in a crisis, its ticket open."""
    session = await agent.open_session(country="US")
    await send(session, CRISIS)
    return session


@pytest.fixture
async def taken(session: Session, store: Store) -> Session:
    """The same, taken over."""
    store.handoff.take(ticket(store, session).id, "sam", HERE)
    return session


async def test_a_crisis_alone_tells_of_no_human(session: Session, store: Store) -> None:
    turns = await session.history()
    told = " ".join(turn.reply or "" for turn in turns)
    assert not any(text in told for text in (*COPY.texts.human.arrived, *COPY.texts.human.left))
    assert await session.human_messages() == ()


async def test_a_message_in_a_takeover_gets_no_words_of_the_agent(taken: Session) -> None:
    assert kinds(await send(taken, CALM)) == ["verdict", "human:arrived", "done"]


async def test_it_is_told_once(taken: Session) -> None:
    await send(taken, CALM)
    assert kinds(await send(taken, CALM)) == ["verdict", "done"]


async def test_not_even_a_crisis_makes_the_agent_speak(taken: Session) -> None:
    assert kinds(await send(taken, CRISIS)) == ["verdict", "human:arrived", "done"]


async def test_no_model_is_asked(taken: Session, model: ScriptedModel) -> None:
    before = len(model.calls)
    await send(taken, CALM)
    assert len(model.calls) == before


async def test_the_message_is_stored_with_its_verdict(taken: Session, store: Store) -> None:
    await send(taken, CRISIS)
    turn = (await taken.history())[-1]
    verdict = store.verdict(turn.id)
    assert (turn.status, turn.route, turn.reply) == ("done", "human", "")
    assert verdict and verdict.crisis


async def test_danger_said_to_the_human_reaches_the_ticket(taken: Session, store: Store) -> None:
    spans = len(ticket(store, taken).evidence)
    await send(taken, CRISIS)
    assert len(ticket(store, taken).evidence) > spans


async def test_the_running_risk_is_kept(taken: Session, store: Store) -> None:
    await send(taken, CRISIS)
    risk = store.session(taken.id).risk
    assert risk and risk["level"] == RiskLevel.IMMINENT


async def test_a_filter_that_fails_breaks_no_silence(store: Store, taken: Session, model: ScriptedModel) -> None:
    class Broken(CrisisFilter):
        def screen(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("the filter broke")

    broken = SupportAgent(model=model, settings=Settings(), store=store, crisis_filter=Broken())
    events = await send(await broken.open_session(session_id=taken.id), CALM)
    assert kinds(events) == ["verdict", "done"]
    assert events[0].type == "verdict" and events[0].verdict.error


async def test_after_the_release_the_agent_goes_on(taken: Session, store: Store) -> None:
    store.handoff.release(ticket(store, taken).id, "sam", BACK)
    events = await send(taken, CALM)
    assert kinds(events)[:4] == ["verdict", "human:arrived", "human:left", "sentence"]
    assert events[-1].type == "done" and events[-1].route == "crisis"


async def test_the_agent_comes_back_when_the_reviewer_is_gone(taken: Session, clock: Clock) -> None:
    await send(taken, CALM)
    clock.ahead = LEASE + timedelta(seconds=1)
    events = await send(taken, CALM)
    assert kinds(events)[:3] == ["verdict", "human:left", "sentence"]


async def test_what_the_human_said_is_part_of_the_conversation_afterwards(taken: Session, store: Store) -> None:
    store.handoff.say(ticket(store, taken).id, "sam", "My name is Sam, tell me about the cat.")
    store.handoff.release(ticket(store, taken).id, "sam", BACK)
    turn = store.begin_turn(taken.id, CALM)
    said = [utterance.text for utterance in taken._state(turn)["history"] if utterance.role == "assistant"]
    assert said[-1].endswith("My name is Sam, tell me about the cat.")
    assert BACK not in said[-1]


async def test_a_crash_in_a_takeover_is_recovered_silently(taken: Session, store: Store, agent: SupportAgent) -> None:
    turn = store.begin_turn(taken.id, CALM)
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE turns SET owner = '' WHERE id = ?", (turn.id,))
    events = [event async for event in taken.recover()]
    assert kinds(events) == ["verdict", "human:arrived", "done"]


class TestWatching:
    async def first(self, session: Session, number: int) -> list[Event]:
        found: list[Event] = []
        async with aclosing(session.watch(every=0.01)) as events:
            async for event in events:
                found.append(event)
                if len(found) == number:
                    break
        return found

    async def test_sees_what_a_reviewer_does_without_a_message(self, session: Session, store: Store) -> None:
        watching = asyncio.create_task(self.first(session, 3))
        number = ticket(store, session).id
        store.handoff.take(number, "sam", HERE)
        store.handoff.say(number, "sam", "I am here with you.")
        store.handoff.release(number, "sam", BACK)
        events = await asyncio.wait_for(watching, 20)
        assert kinds(events) == ["human:arrived", "human:message", "human:left"]
        assert [event.text for event in events if event.type == "human"] == [HERE, "I am here with you.", BACK]

    async def test_asks_the_store_nothing_without_a_ticket(self, agent: SupportAgent, store: Store) -> None:
        session = await agent.open_session()
        asked = []
        store.handoff.of_session = lambda *a, **k: asked.append(a)  # type: ignore[method-assign]
        watching = asyncio.create_task(self.first(session, 1))
        for _ in range(20):
            await asyncio.sleep(0)
        watching.cancel()
        assert asked == []

    async def test_begins_with_the_crisis(self, agent: SupportAgent, store: Store) -> None:
        session = await agent.open_session()
        watching = asyncio.create_task(self.first(session, 1))
        await send(session, CRISIS)
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        assert kinds(await asyncio.wait_for(watching, 20)) == ["human:arrived"]

    async def test_ends_with_the_ticket(self, session: Session, store: Store) -> None:
        from warmline.agent.store import Outcome

        store.handoff.close(ticket(store, session).id, "sam", Outcome.SAFER, BACK)
        await session._human_events()
        assert not session._ticketed.is_set()

    async def test_tells_of_a_reviewer_who_is_gone(self, taken: Session, store: Store, clock: Clock) -> None:
        clock.ahead = LEASE + timedelta(seconds=1)
        events = await asyncio.wait_for(self.first(taken, 2), 20)
        assert kinds(events) == ["human:arrived", "human:left"]
        assert ticket(store, taken).state is TicketState.RELEASED

    async def test_tells_nothing_twice(self, taken: Session, store: Store) -> None:
        await taken.human_messages()
        store.handoff.say(ticket(store, taken).id, "sam", "hello")
        assert kinds(await asyncio.wait_for(self.first(taken, 1), 20)) == ["human:message"]

    async def test_outlives_a_store_that_fails(self, taken: Session, store: Store) -> None:
        from warmline.agent.store import StoreError

        look, failures = store.handoff.of_session, iter(range(3))

        def failing(*args: Any) -> Any:
            if next(failures, None) is not None:
                raise StoreError("w.db", "is locked")
            return look(*args)

        store.handoff.of_session = failing  # type: ignore[method-assign]
        assert kinds(await asyncio.wait_for(self.first(taken, 1), 20)) == ["human:arrived"]


class TestAReplyThatAReviewerComesInto:
    """The model was writing when the ticket was taken."""

    @pytest.fixture
    def go(self) -> asyncio.Event:
        return asyncio.Event()

    @pytest.fixture
    def model(self, go: asyncio.Event) -> ScriptedModel:
        words = "I hear you. The evenings are long. What helps you then? You could read a book tonight."
        return ScriptedModel(replies=[words], before_chunk=lambda number: go.wait() if number == 8 else None)

    @pytest.fixture
    def agent(self, store: Store, model: ScriptedModel) -> SupportAgent:
        return SupportAgent(model=model, settings=Settings(), store=store, crisis_filter=CrisisFilter(encoder=None))

    @pytest.fixture
    async def calm(self, agent: SupportAgent, store: Store) -> Session:
        """A conversation whose crisis is over; its ticket is still open."""
        session = await agent.open_session(country="US")
        await send(session, CRISIS)
        with store._database.writing() as connection:
            connection.exec_driver_sql("UPDATE sessions SET risk = NULL, protocol = NULL")
        return session

    @pytest.fixture
    async def cut(self, calm: Session, store: Store, go: asyncio.Event) -> list[Event]:
        """All events of a turn whose ticket is taken behind the first sentence."""
        events: list[Event] = []
        async for event in calm.send(CALM):
            events.append(event)
            if event.type == "sentence":
                store.handoff.take(ticket(store, calm).id, "sam", HERE)
                go.set()
        return events

    async def test_ends_with_an_honest_line(self, cut: list[Event]) -> None:
        assert kinds(cut) == ["verdict", "sentence", "replaced", "human:arrived", "done"]
        (line,) = [event.text.strip() for event in cut if event.type == "replaced"]
        assert line in COPY.texts.human.makes_way

    async def test_shows_nothing_more_of_it(self, cut: list[Event]) -> None:
        assert not any("book" in event.text for event in cut if event.type in ("sentence", "replaced"))

    async def test_is_stored_as_it_was_shown(self, cut: list[Event], calm: Session) -> None:
        turn = (await calm.history())[-1]
        assert turn.status == "done"
        assert turn.reply == "".join(event.text for event in cut if event.type in ("sentence", "replaced"))

    async def test_is_noted_in_the_audit(self, cut: list[Event], calm: Session, store: Store) -> None:
        last = [row for row in store.audit_rows(calm.id) if row.kind == "turn_finished"][-1]
        assert "human:took_over" in str(last.payload)


class TestWatchingWithoutAnEventLoop:
    @pytest.fixture
    def blocking(self, store: Store, model: ScriptedModel) -> Iterator[SyncSupportAgent]:
        with SyncSupportAgent(model=model, settings=Settings(), store=store) as agent:
            yield agent

    def test_sees_what_a_reviewer_does(self, blocking: SyncSupportAgent, store: Store) -> None:
        session = blocking.open_session(country="US")
        list(session.send(CRISIS))
        ticket_id = store.handoff.queue()[0].id
        store.handoff.take(ticket_id, "sam", HERE)
        store.handoff.say(ticket_id, "sam", "I am here with you.")
        watching = session.watch(every=0.01)
        assert kinds([next(watching), next(watching)]) == ["human:arrived", "human:message"]
        watching.close()
        assert session.with_human
        assert [message.text for message in session.human_messages()] == [HERE, "I am here with you."]

    def test_talks_on_in_another_thread(self, blocking: SyncSupportAgent, store: Store) -> None:
        session = blocking.open_session(country="US")
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(next, session.watch(every=0.01))
            list(session.send(CRISIS))
            store.handoff.take(store.handoff.queue()[0].id, "sam", HERE)
            assert first.result(20).text == HERE

    def test_ends_when_the_agent_is_closed(self, blocking: SyncSupportAgent) -> None:
        session = blocking.open_session(country="US")
        with ThreadPoolExecutor(1) as threads:
            watched = threads.submit(list, session.watch(every=0.01))
            while not blocking._reading:  # until the other thread watches
                session.history()
            blocking.close()
            assert watched.result(20) == []
