"""The reviewer's desk, with a real store that a chat writes to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from warmline.agent.copy import Copy
from warmline.agent.store import CrisisEntry, HumanKind, Outcome, Store, Ticket, TicketState
from warmline.agent.store.tickets import LEASE
from warmline.agent.voice import Voices
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict
from warmline.tui.commands.review import labelled
from warmline.tui.review import words
from warmline.tui.review.app import ReviewApp
from warmline.tui.review.transcript import Heard, highlighted

COPY = Copy.load()
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DANGER = "i feel [/] broken and i have the pills next to me"
SPAN = (24, 49)
REPLY = "I'm so glad you told me. Your life matters. Please call 911 now, and go to someone."


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Desk:
    """A running review screen, as a reviewer uses and sees it."""

    def __init__(self, app: ReviewApp, pilot: Pilot[None], store: Store, clock: Clock) -> None:
        self.app, self.pilot, self.store, self.clock = app, pilot, store, clock

    async def until(self, true: Callable[[], Any], what: str = "what was waited for") -> None:
        for _ in range(1000):
            if true():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"{what} did not happen; on the screen:\n{self.screen}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def screen(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def notices(self) -> list[str]:
        return [notification.message for notification in self.app._notifications]

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        return self.store.handoff.queue(closed_for=timedelta(days=1))

    @property
    def prompt(self):
        return self.app.desk.prompt

    async def read_first(self) -> None:
        await self.press("enter")
        await self.until(lambda: self.app.desk.ticket is not None, "reading")
        await self.until(lambda: self.app.screen.query(Heard), "the talk")


def crisis(
    store: Store,
    text: str = DANGER,
    level: RiskLevel = RiskLevel.IMMINENT,
    category: Category = Category.SUICIDE,
    span: tuple[int, int] = SPAN,
    session_id: str | None = None,
) -> str:
    session_id = session_id or store.create_session("US").id
    evidence = Evidence(
        start=span[0], end=span[1], text=text[slice(*span)], category=category, level=level, source="lexicon:en/x"
    )
    verdict = Verdict(level=level, categories=(category,), evidence=(evidence,), reason="Means at hand.")
    store.finish_turn(
        store.begin_turn(session_id, text),
        reply=REPLY,
        verdict=verdict,
        route="crisis",
        crisis=CrisisEntry(level, (category,), ("us-988",), ("crisis.suicide.self.imminent.act.1",)),
    )
    return session_id


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    ids = count()
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=clock, new_id=lambda: f"id-{next(ids)}") as store:
        yield store


@pytest.fixture
def desk(store: Store, clock: Clock):
    @asynccontextmanager
    async def open_(reviewer: str = "sam", size: tuple[int, int] = (80, 24)) -> AsyncIterator[Desk]:
        app = ReviewApp(store, Voices(), reviewer, now=clock, every=0.05)
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot, store, clock)
            await desk.until(lambda: "open <5" in desk.screen, "the first look")
            yield desk

    return open_


async def test_the_queue_has_the_most_severe_first(store, clock, desk):
    crisis(store, "he hits me", RiskLevel.ELEVATED, Category.ABUSE, (0, 10))
    clock.now += timedelta(minutes=7)
    crisis(store)
    async with desk() as here:
        lines = [line[:30] for line in here.screen.splitlines() if "ELEVATED" in line or "IMMINENT" in line]
        assert "IMMINENT  0 s" in lines[0]
        assert "ELEVATED  7 min" in lines[1]


async def test_the_service_level_is_on_view(store, clock, desk):
    crisis(store)
    clock.now += timedelta(minutes=7)
    async with desk(size=(120, 24)) as here:
        assert "1 new, oldest 7 min · no look yet · open <5m 0 <15m 1 <1h 0 >1h 0" in here.screen
        clock.now += timedelta(minutes=1)
        await here.read_first()
        await here.until(lambda: "first look 8 min" in here.screen, "the time to the first look")


async def test_an_empty_queue_says_so(desk):
    async with desk() as here:
        assert "No tickets." in here.screen


async def test_a_new_ticket_comes_by_itself_with_a_bell(store, desk, monkeypatch):
    rung = []
    monkeypatch.setattr(ReviewApp, "bell", lambda app: rung.append(app))
    async with desk() as here:
        assert rung == []
        crisis(store)
        await here.until(lambda: "IMMINENT" in here.screen, "the new ticket")
        assert len(rung) == 1


async def test_looking_at_the_queue_is_no_first_look(store, desk):
    crisis(store)
    async with desk() as here:
        await here.press("down", "up")
        assert here.tickets[0].first_seen is None
        await here.read_first()
        assert here.tickets[0].seen_by == "sam"


async def test_the_talk_shows_words_evidence_and_verdict_as_they_are(store, desk):
    crisis(store)
    async with desk() as here:
        await here.read_first()
        await here.until(lambda: "i feel [/] broken and" in here.screen, "the words")
        assert "imminent: suicide" in here.screen
        heard = here.app.screen.query(Heard).last()
        strips = here.app.screen._compositor.render_strips()
        marked = "".join(s.text for strip in strips for s in strip if s.style and s.style.underline)
        assert heard.turn_id
        assert "".join(marked.split()) == "".join(DANGER[slice(*SPAN)].split())


def test_evidence_that_overlaps_or_does_not_fit_breaks_nothing():
    def span(start: int, end: int) -> Evidence:
        return Evidence(start=start, end=end, text="", category=Category.ABUSE, level=RiskLevel.ELEVATED, source="x")

    text = "he hits me a lot"
    shown = highlighted(text, (span(3, 10), span(5, 12), span(4, 6), span(90, 99), span(10, 2)))
    assert shown.plain == text


async def test_taking_over_tells_the_person_and_opens_the_box(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        assert not here.prompt.display
        await here.press("t")
        await here.until(lambda: here.prompt.display and here.prompt.has_focus, "the box")
        assert here.tickets[0].held_by("sam")
        (message,) = store.handoff.of_session(session_id).messages
        assert message.kind is HumanKind.ARRIVED
        assert message.text in COPY.texts.human.arrived


async def test_what_is_written_reaches_the_person(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        await here.press(*"hi", "space", *"[b]", "enter")
        await here.until(lambda: len(store.handoff.of_session(session_id).messages) == 2, "the message")
        assert store.handoff.of_session(session_id).messages[-1].text == "hi [b]"
        await here.until(lambda: "hi [b]" in here.screen, "the message in the talk")
        assert words.YOU in here.screen


async def test_what_the_person_answers_is_seen(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        turn = store.begin_turn(session_id, "ok i moved to the kitchen")
        store.finish_turn(turn, reply="", verdict=Verdict(level=RiskLevel.NONE), route="human")
        await here.until(lambda: "ok i moved to the kitchen" in here.screen, "the answer")


async def test_release_gives_the_talk_back(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        await here.press("escape", "r")
        await here.until(lambda: here.tickets[0].state is TicketState.RELEASED, "the release")
        assert store.handoff.of_session(session_id).messages[-1].text in COPY.texts.human.left
        await here.until(lambda: not here.prompt.display, "the box is gone")


async def test_leaving_the_desk_gives_back_what_is_in_hand(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        await here.press("ctrl+q")
    assert store.handoff.of_session(session_id).messages[-1].kind is HumanKind.LEFT


async def test_a_ticket_that_another_has_is_told(store, desk):
    crisis(store)
    async with desk() as here:
        store.handoff.take(here.tickets[0].id, "kim", "x")
        await here.until(lambda: "kim writes" in here.screen, "who has it")
        await here.press("t")
        await here.until(lambda: "Kim has taken this ticket." in here.notices, "the refusal")
        assert not here.prompt.display


async def test_two_desks_at_once_one_gets_it(store, desk):
    crisis(store)
    async with desk("sam") as sam:
        store.handoff.take(sam.tickets[0].id, "kim", "x")  # between two looks of the first desk
        await sam.press("t")
        await sam.until(lambda: sam.notices, "the refusal")
        assert sam.tickets[0].held_by("kim")


async def test_a_desk_that_is_open_stays_alive(store, clock, desk):
    crisis(store)
    async with desk() as here:
        here.app.monotonic = lambda: clock.now.timestamp()
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        clock.now += LEASE - timedelta(seconds=5)
        await here.until(lambda: here.tickets[0].alive == clock.now, "the sign of life")


async def test_a_ticket_that_was_lost_is_told_and_keeps_what_was_written(store, clock, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        await here.press(*"stay")
        clock.now += LEASE + timedelta(seconds=1)
        store.handoff.lapse(session_id, "x")
        await here.press("enter")
        await here.until(lambda: here.notices, "the refusal")
        assert here.prompt.text == "stay"
        assert "stay" not in [message.text for message in store.handoff.of_session(session_id).messages]


async def test_closing_asks_for_the_outcome(store, desk):
    crisis(store)
    async with desk() as here:
        await here.press("c")
        await here.until(lambda: words.OUTCOME in here.screen, "the question")
        await here.press("down", "enter")
        await here.until(lambda: here.tickets[0].state is TicketState.CLOSED, "the end")
        assert here.tickets[0].outcome is Outcome.CONNECTED
        await here.until(lambda: "No tickets." in here.screen, "the empty queue")
        await here.press("a")
        await here.until(lambda: "closed: connected" in here.screen, "the closed ticket")


async def test_a_note_is_for_reviewers_only(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.read_first()
        await here.press("n", *"call", "enter")
        await here.until(lambda: "Note of sam" in here.screen, "the note")
        assert [note.text for note in store.handoff.notes(here.tickets[0].id)] == ["call"]
        assert store.handoff.of_session(session_id).messages == ()


async def test_a_false_alarm_is_marked_with_two_keys(store, desk):
    crisis(store)
    async with desk() as here:
        await here.read_first()
        await here.press("m")
        await here.until(lambda: words.LEVEL in here.screen, "the question")
        await here.press("up", "up", "up", "enter")
        await here.until(lambda: "→ marked" in here.screen, "the mark")
        (marked,) = store.handoff.marked_messages()
        assert (marked.kind, marked.mark.level) == ("false_alarm", RiskLevel.NONE)


async def test_a_missed_message_is_marked_with_level_and_categories(store, desk):
    session_id = crisis(store, "i hear them", RiskLevel.ELEVATED, Category.ABUSE, (0, 11))
    turn = store.begin_turn(session_id, "the voices say do it")
    store.finish_turn(turn, reply="I hear you.", verdict=Verdict(level=RiskLevel.NONE), route="support")
    async with desk() as here:
        await here.read_first()
        await here.press("m")
        await here.until(lambda: words.LEVEL in here.screen, "the level")
        await here.press("down", "down", "down", "enter")
        await here.until(lambda: words.CATEGORIES in here.screen, "the categories")
        await here.press("down", "down", "down", "space", "enter")
        await here.until(lambda: store.handoff.marked_messages(), "the mark")
        (marked,) = store.handoff.marked_messages()
        assert json.loads(json.dumps(labelled(marked))) == {
            "id": f"review-{turn.id}",
            "author": "review",
            "text": "the voices say do it",
            "lang": "en",
            "level": "imminent",
            "categories": ["psychosis"],
            "kind": "missed",
            "style": [],
        }


async def test_a_vetted_sentence_goes_into_the_box_and_is_not_sent(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.press("t")
        await here.until(lambda: here.prompt.has_focus, "the box")
        await here.press("f2")
        await here.until(lambda: words.SNIPPETS in here.screen, "the sentences")
        await here.press("down", "enter")
        await here.until(lambda: here.prompt.text, "the sentence")
        assert here.prompt.text == here.app.snippets[1].text
        assert len(store.handoff.of_session(session_id).messages) == 1


async def test_a_conversation_that_is_deleted_meanwhile_is_told(store, desk):
    session_id = crisis(store)
    async with desk() as here:
        await here.read_first()
        store.delete(session_id)
        await here.until(lambda: words.GONE in here.screen, "the end of it")
        assert "No tickets." in here.screen


async def test_the_keys_are_one_key_away(desk):
    async with desk() as here:
        await here.press("f1")
        await here.until(lambda: "take over: the agent falls silent" in here.screen, "the keys")
        await here.press("escape")
        assert "No tickets." in here.screen
