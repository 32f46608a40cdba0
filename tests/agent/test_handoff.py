"""Tickets: opened with the crisis turn, in one pair of hands, gone with the conversation, and without words."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmline.agent.store import (
    CrisisEntry,
    HumanKind,
    Outcome,
    ServiceLevel,
    Store,
    Ticket,
    TicketMoved,
    TicketState,
)
from warmline.agent.store.tickets import LEASE, by_urgency
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict

WORDS = "i have the secret things next to me"
HERE = "A person is here."
BACK = "The AI is back."


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


def verdict(level: RiskLevel, category: Category = Category.SUICIDE) -> Verdict:
    if level is RiskLevel.NONE:
        return Verdict(level=level)
    span = Evidence(start=0, end=6, text=WORDS[:6], category=category, level=level, source="lexicon:en/x")
    return Verdict(level=level, categories=(category,), evidence=(span,))


def crisis(
    store: Store,
    session_id: str,
    level: RiskLevel = RiskLevel.ELEVATED,
    *,
    risk: RiskLevel | None = None,
    category: Category = Category.SUICIDE,
    moves: tuple[str, ...] = ("ask_directly",),
) -> None:
    """One turn of the crisis path; ``risk`` is where the conversation stands when the message itself is calmer."""
    said = verdict(level, category)
    store.finish_turn(
        store.begin_turn(session_id, WORDS),
        reply="You matter.",
        verdict=said,
        route="crisis",
        crisis=CrisisEntry(risk or level, said.categories, ("us-988",), moves),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.db"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(f"sqlite:///{path}", clock=clock) as store:
        yield store


def ticket(store: Store, session_id: str) -> Ticket:
    found = store.handoff.of_session(session_id).ticket
    assert found
    return found


@pytest.fixture
def session(store: Store) -> str:
    """A conversation with an open ticket."""
    session_id = store.create_session("US").id
    crisis(store, session_id)
    return session_id


class TestATurn:
    def test_that_is_ordinary_opens_no_ticket(self, store: Store) -> None:
        session_id = store.create_session().id
        turn = store.begin_turn(session_id, "hello")
        store.finish_turn(turn, reply="hi", verdict=verdict(RiskLevel.NONE), route="support")
        assert store.handoff.queue() == ()

    def test_that_is_a_crisis_opens_one(self, store: Store, session: str) -> None:
        (found,) = store.handoff.queue()
        assert (found.session_id, found.state, found.level) == (session, TicketState.OPEN, RiskLevel.ELEVATED)

    def test_of_the_same_crisis_updates_the_same_ticket(self, store: Store, session: str) -> None:
        before = ticket(store, session)
        crisis(store, session, RiskLevel.IMMINENT, category=Category.ABUSE, moves=("offer_line",))
        (after,) = store.handoff.queue()
        assert after.id == before.id
        assert after.level is RiskLevel.IMMINENT
        assert after.categories == (Category.SUICIDE, Category.ABUSE)
        assert after.moves == ("ask_directly", "offer_line")
        assert len(after.evidence) == 2

    def test_never_lowers_the_level(self, store: Store, session: str) -> None:
        crisis(store, session, RiskLevel.IMMINENT)
        crisis(store, session, RiskLevel.ELEVATED)
        assert ticket(store, session).level is RiskLevel.IMMINENT

    def test_leaves_offsets_and_no_words_in_the_ticket(self, store: Store, session: str) -> None:
        (span,) = ticket(store, session).evidence
        (turn,) = store.turns(session)
        assert (span.turn_id, span.start, span.end) == (turn.id, 0, 6)
        assert WORDS[:6] not in repr(ticket(store, session))

    def test_that_could_not_be_judged_opens_one_too(self, store: Store) -> None:
        session_id = store.create_session().id
        turn = store.begin_turn(session_id, WORDS)
        unjudged = Verdict(level=RiskLevel.CONCERN, error="TimeoutError")
        held = CrisisEntry(RiskLevel.CONCERN, (), ())
        store.finish_turn(turn, reply="hold", verdict=unjudged, route="hold", crisis=held)
        assert ticket(store, session_id).level is RiskLevel.CONCERN

    def test_of_a_new_crisis_opens_a_closed_ticket_again(self, store: Store, session: str, clock: Clock) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.SAFER, BACK)
        clock.pass_(hours=2)
        crisis(store, session, RiskLevel.ELEVATED)
        again = ticket(store, session)
        assert (again.state, again.opened, again.outcome, again.first_seen) == (
            TicketState.OPEN,
            clock.now,
            None,
            None,
        )

    def test_that_is_calm_while_the_risk_is_up_leaves_a_closed_ticket_closed(self, store: Store, session: str) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.SAFER, BACK)
        crisis(store, session, RiskLevel.NONE, risk=RiskLevel.ELEVATED)
        assert ticket(store, session).state is TicketState.CLOSED

    def test_that_the_risk_built_up_to_opens_a_closed_ticket_again(self, store: Store, session: str) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.SAFER, BACK)
        crisis(store, session, RiskLevel.CONCERN, risk=RiskLevel.ELEVATED)
        assert ticket(store, session).state is TicketState.OPEN

    def test_of_a_crisis_leaves_a_taken_ticket_with_its_reviewer(self, store: Store, session: str) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        crisis(store, session, RiskLevel.IMMINENT)
        assert ticket(store, session).held_by("sam")

    def test_that_is_not_written_leaves_no_ticket(self, store: Store) -> None:
        session_id = store.create_session().id
        turn = store.begin_turn(session_id, WORDS)
        store.delete(session_id)
        with pytest.raises(Exception, match="finished, closed or deleted"):
            store.finish_turn(
                turn,
                reply="",
                verdict=verdict(RiskLevel.ELEVATED),
                route="crisis",
                crisis=CrisisEntry(RiskLevel.ELEVATED, (), ()),
            )
        assert store.handoff.queue() == ()


class TestTaking:
    def test_tells_the_person_once(self, store: Store, session: str) -> None:
        number = ticket(store, session).id
        store.handoff.take(number, "sam", HERE)
        store.handoff.take(number, "sam", HERE)
        assert [(m.kind, m.text) for m in store.handoff.of_session(session).messages] == [(HumanKind.ARRIVED, HERE)]

    def test_a_ticket_that_another_has_is_refused(self, store: Store, session: str) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        with pytest.raises(TicketMoved, match="sam has taken this ticket"):
            store.handoff.take(ticket(store, session).id, "kim", HERE)

    def test_a_closed_ticket_is_refused(self, store: Store, session: str) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.LEFT, BACK)
        with pytest.raises(TicketMoved, match="closed"):
            store.handoff.take(ticket(store, session).id, "kim", HERE)

    def test_a_released_ticket_is_fine(self, store: Store, session: str) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        store.handoff.release(ticket(store, session).id, "sam", BACK)
        assert store.handoff.take(ticket(store, session).id, "kim", HERE).held_by("kim")

    def test_counts_as_the_first_look(self, store: Store, session: str) -> None:
        assert store.handoff.take(ticket(store, session).id, "sam", HERE).seen_by == "sam"

    def test_of_two_processes_one_wins(self, store: Store, session: str, path: Path) -> None:
        code = """
            import sys
            from warmline.agent.store import Store, TicketMoved
            url, number, name = sys.argv[1:]
            with Store.open(url) as store:
                print("ready", flush=True)
                sys.stdin.readline()
                try:
                    print(store.handoff.take(number, name, "here").taken_by)
                except TicketMoved as error:
                    print(error.problem)
        """
        number = ticket(store, session).id
        command = [sys.executable, "-c", textwrap.dedent(code), f"sqlite:///{path}", number]
        racers = [
            subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name in ("sam", "kim")
        ]
        for racer in racers:
            assert racer.stdout and racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = {racer.communicate(timeout=60)[0].strip() for racer in racers}
        winner = ticket(store, session).taken_by
        assert said == {winner, f"{winner} has taken this ticket"}
        assert [m.kind for m in store.handoff.of_session(session).messages] == [HumanKind.ARRIVED]


class TestHavingATicket:
    def test_only_its_reviewer_writes(self, store: Store, session: str) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        with pytest.raises(TicketMoved):
            store.handoff.say(ticket(store, session).id, "kim", "hello")

    def test_nobody_writes_before_it_is_taken(self, store: Store, session: str) -> None:
        with pytest.raises(TicketMoved):
            store.handoff.say(ticket(store, session).id, "sam", "hello")

    def test_only_its_reviewer_releases(self, store: Store, session: str) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        with pytest.raises(TicketMoved):
            store.handoff.release(ticket(store, session).id, "kim", BACK)

    def test_what_is_written_stands_behind_the_last_turn(self, store: Store, session: str) -> None:
        crisis(store, session)
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        assert store.handoff.say(ticket(store, session).id, "sam", "hello").after == 2

    def test_ends_when_the_reviewer_is_not_heard_of(self, store: Store, session: str, clock: Clock) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        clock.pass_(seconds=LEASE.total_seconds() + 1)
        assert store.handoff.lapse(session, BACK)
        assert ticket(store, session).state is TicketState.RELEASED
        assert store.handoff.of_session(session).messages[-1].text == BACK

    def test_goes_on_while_the_reviewer_is_heard_of(self, store: Store, session: str, clock: Clock) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        for _ in range(3):
            clock.pass_(seconds=LEASE.total_seconds() - 1)
            assert store.handoff.renew(ticket(store, session).id, "sam")
            assert not store.handoff.lapse(session, BACK)

    def test_another_may_take_over_from_one_who_is_gone(self, store: Store, session: str, clock: Clock) -> None:
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        clock.pass_(seconds=LEASE.total_seconds() + 1)
        assert store.handoff.take(ticket(store, session).id, "kim", HERE).held_by("kim")
        assert not store.handoff.renew(ticket(store, session).id, "sam")

    def test_closing_one_that_was_never_taken_tells_the_person_nothing(self, store: Store, session: str) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.FALSE_ALARM, BACK)
        assert store.handoff.of_session(session).messages == ()


def everything(store: Store, session: str) -> None:
    """Every step there is."""
    number = ticket(store, session).id
    (turn,) = store.turns(session)
    store.handoff.see(number, "sam")
    store.handoff.take(number, "sam", HERE)
    store.handoff.say(number, "sam", "what the human WROTE")
    store.handoff.note(number, "sam", "what was NOTED")
    store.handoff.mark(turn.id, "sam", RiskLevel.NONE)
    store.handoff.release(number, "sam", BACK)
    store.handoff.close(number, "sam", Outcome.SAFER, BACK)


class TestTheAudit:
    def test_has_a_row_for_every_step(self, store: Store, session: str) -> None:
        everything(store, session)
        kinds = [row.kind for row in store.audit_rows(session)]
        assert kinds[kinds.index("ticket_opened") :] == [
            "ticket_opened",
            "ticket_seen",
            "ticket_taken",
            "human_wrote",
            "ticket_noted",
            "verdict_marked",
            "ticket_released",
            "ticket_closed",
        ]

    def test_says_who_and_holds_no_words(self, store: Store, session: str) -> None:
        everything(store, session)
        payloads = "".join(row.payload for row in store.audit_rows(session))
        assert '"reviewer":"sam"' in payloads
        assert "WROTE" not in payloads and "NOTED" not in payloads and "secret" not in payloads
        assert "withheld" not in payloads

    def test_holds_after_the_conversation_is_deleted(self, store: Store, session: str) -> None:
        everything(store, session)
        store.delete(session)
        assert store.verify_audit().ok


def test_deleting_a_conversation_deletes_all_of_the_human_side(path: Path, clock: Clock) -> None:
    with Store.open(f"sqlite:///{path}", clock=clock, webhook=True) as store:
        session_id = store.create_session().id
        crisis(store, session_id)
        everything(store, session_id)
        assert store.delete(session_id)
        with store._database.reading() as connection:
            for table in ("tickets", "ticket_notes", "human_messages", "verdict_marks", "outbox"):
                assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table
    assert all(word not in path.read_bytes() for word in (b"WROTE", b"NOTED"))


def test_an_export_holds_the_human_side(store: Store, session: str) -> None:
    everything(store, session)
    human = store.export(session)["handoff"]
    assert human["ticket"]["outcome"] == "safer"
    assert [message["text"] for message in human["human_messages"]] == [HERE, "what the human WROTE", BACK]
    assert [note["text"] for note in human["notes"]] == ["what was NOTED"]
    assert [mark["level"] for mark in human["marks"]] == ["none"]


class TestMarks:
    def test_the_later_one_counts(self, store: Store, session: str) -> None:
        (turn,) = store.turns(session)
        store.handoff.mark(turn.id, "sam", RiskLevel.NONE)
        store.handoff.mark(turn.id, "kim", RiskLevel.IMMINENT, (Category.ABUSE,))
        (marked,) = store.handoff.marked_messages()
        assert (marked.mark.author, marked.mark.categories, marked.text) == ("kim", (Category.ABUSE,), WORDS)

    @pytest.mark.parametrize(
        ("right", "kind"),
        [(RiskLevel.NONE, "false_alarm"), (RiskLevel.IMMINENT, "missed"), (RiskLevel.ELEVATED, "category")],
    )
    def test_say_what_was_wrong(self, store: Store, session: str, right: RiskLevel, kind: str) -> None:
        (turn,) = store.turns(session)
        store.handoff.mark(turn.id, "sam", right, (Category.ABUSE,))
        assert [marked.kind for marked in store.handoff.marked_messages()] == [kind]


class TestTheQueue:
    def test_has_the_most_severe_first_and_then_the_oldest(self, store: Store, clock: Clock) -> None:
        wanted = []
        for level in (RiskLevel.ELEVATED, RiskLevel.IMMINENT, RiskLevel.ELEVATED, RiskLevel.IMMINENT):
            clock.pass_(seconds=5)
            wanted.append(store.create_session().id)
            crisis(store, wanted[-1], level)
        order = [wanted[1], wanted[3], wanted[0], wanted[2]]
        assert [found.session_id for found in store.handoff.queue()] == order

    def test_has_what_is_in_hand_below_what_nobody_has(self, store: Store, session: str) -> None:
        crisis(store, session, RiskLevel.IMMINENT)
        store.handoff.take(ticket(store, session).id, "sam", HERE)
        other = store.create_session().id
        crisis(store, other)
        assert [found.session_id for found in store.handoff.queue()] == [other, session]

    def test_shows_closed_ones_only_for_a_while(self, store: Store, session: str, clock: Clock) -> None:
        store.handoff.close(ticket(store, session).id, "sam", Outcome.SAFER, BACK)
        clock.pass_(hours=1)
        assert store.handoff.queue() == ()
        assert len(store.handoff.queue(closed_for=timedelta(hours=2))) == 1

    def test_is_ordered_without_a_store_too(self, store: Store, session: str) -> None:
        assert by_urgency(reversed(store.handoff.queue())) == store.handoff.queue()


class TestServiceLevel:
    def test_counts_open_tickets_by_age(self, store: Store, clock: Clock) -> None:
        for wait in (3000, 1200, 500, 0):  # seconds before the next
            crisis(store, store.create_session().id)
            clock.pass_(seconds=wait)
        level = ServiceLevel.of(store.handoff.queue(), clock.now)
        assert level.by_age == (1, 1, 1, 1)
        assert level.unseen == 4
        assert level.oldest_unseen == timedelta(seconds=4700)

    def test_measures_the_time_to_the_first_look(self, store: Store, session: str, clock: Clock) -> None:
        clock.pass_(seconds=90)
        store.handoff.see(ticket(store, session).id, "sam")
        clock.pass_(hours=9)
        store.handoff.see(ticket(store, session).id, "kim")
        level = ServiceLevel.of(store.handoff.queue(), clock.now)
        assert level.first_look == timedelta(seconds=90)
        assert level.unseen == 0

    def test_of_nothing_is_nothing(self, clock: Clock) -> None:
        assert ServiceLevel.of((), clock.now) == ServiceLevel(0, None, None, (0, 0, 0, 0))
