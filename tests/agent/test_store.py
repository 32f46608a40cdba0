"""What the store keeps, and what it lets go of."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmline.agent.events import CrisisCard
from warmline.agent.store import (
    CrisisEntry,
    Store,
    TurnPending,
    TurnRecord,
    TurnRepeated,
    TurnSettled,
    TurnStatus,
    UnknownSession,
)
from warmline.agent.store.owner import Owner
from warmline.agent.store.rows import NOT_KEPT, title_from
from warmline.agent.store.schema import VERDICTS_TABLE
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict

CALM = Verdict(level=RiskLevel.NONE)
CRISIS = Verdict(
    level=RiskLevel.IMMINENT,
    categories=(Category.SUICIDE,),
    evidence=(
        Evidence(
            start=2,
            end=10,
            text="have the",
            category=Category.SUICIDE,
            level=RiskLevel.IMMINENT,
            source="lexicon:en/suicide/means",
        ),
    ),
    scores={Category.SUICIDE: 0.93},
    reason="Means at hand.",
    ms=0.2,
)


class Clock:
    """A clock that moves a second at every look, and further when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def uptime(self) -> float:
        return (self.now - datetime(2025, 12, 31, tzinfo=UTC)).total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "warmline.db"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(f"sqlite:///{path}", clock=clock, uptime=clock.uptime) as store:
        yield store


def answer(store: Store, session_id: str, text: str, reply: str = "I hear you.") -> TurnRecord:
    return store.finish_turn(store.begin_turn(session_id, text), reply=reply, verdict=CALM, route="support")


def on_disk(path: Path) -> bytes:
    """Everything the database has written, in whichever of its files."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


# Files


def test_only_this_user_can_read_the_files(store: Store, path: Path) -> None:
    store.create_session()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path.parent, *path.parent.iterdir())}
    assert modes == {"data": 0o700, "warmline.db": 0o600, "warmline.db-wal": 0o600, "warmline.db-shm": 0o600}


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store.open(f"sqlite:///{tmp_path / 'warmline.db'}").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    with store._database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_path_with_strange_characters_works(tmp_path: Path) -> None:
    path = tmp_path / "a b #1 ü%20" / "w.db"
    with Store.open(f"sqlite:///{path}") as store:
        answer(store, store.create_session().id, "hello")
    with Store.open(f"sqlite:///{path}") as store:
        assert len(store.sessions()) == 1


def test_a_store_in_memory_serves_every_thread() -> None:
    with Store.open("sqlite://") as store, ThreadPoolExecutor(8) as pool:
        ids = [store.create_session().id for _ in range(8)]
        list(pool.map(lambda session_id: answer(store, session_id, "hello"), ids))
        assert [len(store.turns(session_id)) for session_id in ids] == [1] * 8


# A turn


def test_a_message_is_on_disk_before_anything_is_made_of_it(store: Store, path: Path) -> None:
    turn = store.begin_turn(store.create_session().id, "I can't sleep since the funeral")
    with Store.open(f"sqlite:///{path}") as other:
        assert other.turn(turn.id) == turn


def test_begin_gives_what_is_stored(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello")
    assert store.turns(turn.session_id) == (turn,)
    assert (turn.number, turn.status, turn.reply) == (1, TurnStatus.PENDING, None)


def test_finish_gives_what_is_stored(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello")
    done = store.finish_turn(
        turn, reply="Hi.", verdict=CALM, route="support", stopped=True, ms=12.5, first_sentence_ms=3.0
    )
    assert store.turn(turn.id) == done
    assert (done.reply, done.status, done.route, done.stopped, done.ms) == ("Hi.", "done", "support", True, 12.5)


def test_a_crisis_turn_is_stored_with_all_its_parts(store: Store) -> None:
    session = store.create_session("US")
    card = CrisisCard(
        level=RiskLevel.IMMINENT,
        categories=(Category.SUICIDE,),
        country="US",
        title="You deserve support right now",
        lines=(),
        emergency="911",
        notice="I am an AI.",
    )
    entry = CrisisEntry(RiskLevel.IMMINENT, (Category.SUICIDE,), ("us-988",), ("emergency", "offer_line"))
    turn = store.finish_turn(
        store.begin_turn(session.id, "I have the pills"),
        reply="I am glad you told me.",
        verdict=CRISIS,
        route="crisis",
        card=card,
        risk={"level": "imminent"},
        protocol={"asked": ["plan"]},
        crisis=entry,
    )
    assert store.verdict(turn.id) == CRISIS
    assert turn.card and CrisisCard.model_validate(turn.card) == card
    after = store.session(session.id)
    assert (after.risk, after.protocol) == ({"level": "imminent"}, {"asked": ["plan"]})
    (event,) = store.crisis_events(session.id)
    assert (event.level, event.categories, event.lines, event.moves) == (
        entry.level,
        entry.categories,
        entry.lines,
        entry.moves,
    )
    assert event.turn_id == turn.id


def test_risk_and_protocol_stay_when_a_turn_says_nothing_about_them(store: Store) -> None:
    session = store.create_session()
    turn = store.begin_turn(session.id, "one")
    store.finish_turn(
        turn, reply="a", verdict=CALM, route="support", risk={"level": "concern"}, protocol={"open": True}
    )
    answer(store, session.id, "two")
    after = store.session(session.id)
    assert (after.risk, after.protocol) == ({"level": "concern"}, {"open": True})


def test_a_turn_is_answered_at_most_once(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello")
    store.finish_turn(turn, reply="first", verdict=CALM, route="support")
    with pytest.raises(TurnSettled):
        store.finish_turn(turn, reply="second", verdict=CRISIS, route="crisis")
    stored = store.turn(turn.id)
    assert stored and stored.reply == "first"
    assert store.verdict(turn.id) == CALM


def test_a_refused_second_reply_leaves_no_trace_in_the_audit_chain(store: Store) -> None:
    turn = answer(store, store.create_session().id, "hello")
    before = store.verify_audit()
    with pytest.raises(TurnSettled):
        store.finish_turn(turn, reply="second", verdict=CALM, route="support")
    assert store.verify_audit() == before


def test_finishing_a_turn_of_a_deleted_conversation_writes_nothing(store: Store) -> None:
    session = store.create_session()
    turn = store.begin_turn(session.id, "hello")
    store.delete(session.id)
    with pytest.raises(TurnSettled):
        store.finish_turn(turn, reply="late", verdict=CALM, route="support")
    assert store.turn(turn.id) is None


def test_finish_is_all_or_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create_session()
    turn = store.begin_turn(session.id, "hello")

    def breaks(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("warmline.agent.store.audit.append", breaks)
    with pytest.raises(RuntimeError):
        store.finish_turn(turn, reply="hi", verdict=CALM, route="support", risk={"level": "concern"})
    assert store.turn(turn.id) == turn
    assert store.verdict(turn.id) is None
    assert store.session(session.id).risk is None


def test_a_turn_can_be_closed_with_the_text_that_was_shown(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello")
    closed = store.close_turn(turn, TurnStatus.FAILED, "Something broke on my side.")
    assert store.turn(turn.id) == closed
    assert (closed.status, closed.reply) == (TurnStatus.FAILED, "Something broke on my side.")


def test_a_closed_turn_cannot_be_finished(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello")
    store.close_turn(turn, TurnStatus.CLOSED)
    with pytest.raises(TurnSettled):
        store.finish_turn(turn, reply="late", verdict=CALM, route="support")


def test_every_field_of_a_verdict_has_a_column() -> None:
    assert {column.name for column in VERDICTS_TABLE.columns} - {"turn_id"} == set(Verdict.model_fields) - NOT_KEPT


# One turn at a time


def test_a_second_message_is_refused_while_the_first_is_being_answered(store: Store) -> None:
    first = store.begin_turn(store.create_session().id, "one")
    with pytest.raises(TurnPending) as refused:
        store.begin_turn(first.session_id, "two")
    assert refused.value.turn_id == first.id


def test_a_pending_turn_holds_up_no_other_conversation(store: Store) -> None:
    store.begin_turn(store.create_session().id, "one")
    assert store.begin_turn(store.create_session().id, "two").number == 1


def test_of_many_threads_one_gets_the_turn(store: Store) -> None:
    session = store.create_session()
    start = threading.Barrier(8)

    def race(number: int) -> bool:
        start.wait()
        try:
            store.begin_turn(session.id, f"message {number}")
        except TurnPending:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(race, range(8))) == [False] * 7 + [True]
    assert len(store.turns(session.id)) == 1


def test_many_threads_write_at_once_and_the_chain_holds(store: Store) -> None:
    ids = [store.create_session().id for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        for _ in range(3):
            list(pool.map(lambda session_id: answer(store, session_id, "hello"), ids))
    assert {len(store.turns(session_id)) for session_id in ids} == {3}
    assert store.verify_audit().ok


# Owners


def owned_by(store: Store, owner: Owner) -> Store:
    return Store(store._database, owner=lambda: owner)


def test_a_turn_of_a_living_process_is_not_unfinished(store: Store) -> None:
    store.begin_turn(store.create_session().id, "one")
    assert store.unfinished() == ()


@pytest.mark.parametrize(
    "gone",
    [{"pid": 2**22 + 1}, {"started": "1"}, {"boot": "another boot"}],
    ids=["no such process", "pid used again", "machine restarted"],
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start time and boot are read from /proc")
def test_a_turn_whose_process_is_gone_is_unfinished(store: Store, gone: dict[str, object]) -> None:
    dead = replace(Owner.current(), **gone)  # type: ignore[arg-type]
    turn = Store(store._database, owner=lambda: dead, clock=store._clock, uptime=store._uptime).begin_turn(
        store.create_session().id, "one"
    )
    assert store.unfinished() == (turn,)


@pytest.mark.parametrize("elsewhere", [{"host": "replica-2"}, {"namespace": "pid:[1]"}])
def test_a_turn_of_another_machine_or_container_is_left_alone(store: Store, elsewhere: dict[str, str]) -> None:
    other = replace(Owner.current(), pid=2**22 + 1, **elsewhere)  # type: ignore[arg-type]
    Store(store._database, owner=lambda: other, clock=store._clock, uptime=store._uptime).begin_turn(
        store.create_session().id, "one"
    )
    assert store.unfinished() == ()


def test_a_turn_of_another_machine_that_fell_silent_is_taken_over_after_its_lease(store: Store, clock: Clock) -> None:
    other = replace(Owner.current(), host="replica-2", boot="another boot")
    away = Store(store._database, owner=lambda: other, clock=clock, uptime=clock.uptime)
    away.lease = timedelta(seconds=60)
    turn = away.begin_turn(store.create_session().id, "one")
    store._database._since = -3600.0  # it has answered for an hour
    clock.now += timedelta(seconds=50)
    away.renew()
    clock.now += timedelta(seconds=50)
    assert store.unfinished() == ()
    clock.now += timedelta(seconds=20)
    assert store.unfinished() == (turn,)


def test_a_silence_while_the_database_was_away_tells_nothing(store: Store, clock: Clock) -> None:
    other = replace(Owner.current(), host="replica-2", boot="another boot")
    away = Store(store._database, owner=lambda: other, clock=clock, uptime=clock.uptime)
    away.lease = timedelta(seconds=60)
    away.begin_turn(store.create_session().id, "one")
    clock.now += timedelta(seconds=90)
    assert store.unfinished() == ()


def test_a_turn_pending_for_too_long_is_unfinished_whoever_owns_it(store: Store, clock: Clock) -> None:
    turn = store.begin_turn(store.create_session().id, "one")
    clock.now += timedelta(minutes=6)
    assert store.unfinished() == (turn,)


def test_a_clock_that_jumps_takes_no_turn_from_a_living_process(store: Store) -> None:
    session = store.create_session()
    store.begin_turn(session.id, "one")
    for jump in (timedelta(days=1), timedelta(days=-1)):
        now = store._clock() + jump
        with Store.open(f"sqlite:///{store.where}", clock=lambda now=now: now, uptime=store._uptime) as other:
            assert (other.answering(session.id), other.unfinished()) == (True, ())


def test_of_two_who_adopt_an_orphaned_turn_one_may_answer_it(store: Store, clock: Clock) -> None:
    turn = store.begin_turn(store.create_session().id, "one")
    clock.now += timedelta(minutes=6)
    assert (store.adopt(turn), store.adopt(turn), store.unfinished()) == (True, False, ())


def test_one_request_begins_one_turn(store: Store) -> None:
    session, other = store.create_session(), store.create_session()
    turn = store.begin_turn(session.id, "one", "r1")
    store.finish_turn(turn, reply="hi", verdict=CALM, route="support")
    with pytest.raises(TurnRepeated) as repeated:
        store.begin_turn(session.id, "one", "r1")
    assert repeated.value.turn_id == turn.id
    assert store.begin_turn(other.id, "one", "r1").number == 1


def test_unfinished_turns_can_be_asked_for_one_conversation(store: Store, clock: Clock) -> None:
    mine, _ = (store.begin_turn(store.create_session().id, "one") for _ in range(2))
    clock.now += timedelta(minutes=6)
    assert store.unfinished(mine.session_id) == (mine,)


def test_an_unfinished_turn_can_still_be_finished(store: Store, clock: Clock) -> None:
    store.begin_turn(store.create_session().id, "one")
    clock.now += timedelta(minutes=6)
    (turn,) = store.unfinished()
    assert store.finish_turn(turn, reply="Sorry for the wait.", verdict=CALM, route="support").status == "done"


def test_a_new_message_closes_a_turn_that_was_left_behind(store: Store, clock: Clock) -> None:
    old = store.begin_turn(store.create_session().id, "one")
    clock.now += timedelta(minutes=6)
    new = store.begin_turn(old.session_id, "two")
    assert [(turn.user_text, turn.status) for turn in store.turns(old.session_id)] == [
        ("one", TurnStatus.CLOSED),
        ("two", TurnStatus.PENDING),
    ]
    assert new.number == 2


# Looking back


def test_history_is_the_latest_settled_turns_oldest_first(store: Store) -> None:
    session = store.create_session()
    for number in range(1, 6):
        answer(store, session.id, f"message {number}")
    store.begin_turn(session.id, "the new one")
    assert [turn.user_text for turn in store.history(session.id, 3)] == ["message 3", "message 4", "message 5"]


def test_history_keeps_messages_that_got_no_reply(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello?")
    store.close_turn(turn, TurnStatus.CLOSED)
    assert [past.user_text for past in store.history(turn.session_id, 3)] == ["hello?"]


def test_conversations_come_last_active_first(store: Store) -> None:
    first, second, third = (store.create_session() for _ in range(3))
    answer(store, second.id, "hello")
    answer(store, first.id, "hello")
    assert [session.id for session in store.sessions()] == [first.id, second.id, third.id]


def test_a_list_can_be_limited(store: Store) -> None:
    ids = [store.create_session().id for _ in range(3)]
    assert [session.id for session in store.sessions(limit=1)] == ids[-1:]


def test_a_conversation_knows_its_last_activity_and_number_of_turns(store: Store) -> None:
    session = store.create_session()
    turn = answer(store, session.id, "hello")
    assert (store.session(session.id).updated, store.session(session.id).turns) == (turn.finished, 1)


def test_moments_come_back_in_utc(store: Store) -> None:
    session = store.create_session()
    assert store.session(session.id).created == session.created
    assert session.created.tzinfo == UTC


@pytest.mark.parametrize("call", ["session", "export", "delete", "begin_turn", "rename", "set_country", "end_session"])
def test_an_unknown_conversation_is_named_as_such(store: Store, call: str) -> None:
    arguments = {"begin_turn": ("hello",), "rename": ("x",), "set_country": ("US",)}.get(call, ())
    with pytest.raises(UnknownSession):
        getattr(store, call)("nobody", *arguments)


def test_an_ended_conversation_opens_again_with_a_new_message(store: Store) -> None:
    session = store.create_session()
    assert store.end_session(session.id).ended is not None
    answer(store, session.id, "me again")
    assert store.session(session.id).ended is None


def test_the_country_can_be_changed_and_forgotten(store: Store) -> None:
    session = store.create_session("US")
    assert store.set_country(session.id, "DE").country == "DE"
    assert store.set_country(session.id, None).country is None


# Titles


def test_the_first_message_names_the_conversation(store: Store) -> None:
    session = store.create_session()
    answer(store, session.id, "I can't sleep since the funeral and nobody asks me how I am")
    answer(store, session.id, "another message")
    assert store.session(session.id).title == "I can't sleep since the funeral and…"


def test_a_name_that_the_person_gave_stays(store: Store) -> None:
    session = store.create_session(title="Nights")
    answer(store, session.id, "hello")
    assert store.session(session.id).title == "Nights"
    assert store.rename(session.id, "  Bad\nnights ").title == "Bad nights"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("short", "short"),
        ("  two\r\n\tlines  ", "two lines"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202eevil\u200b", "evil"),
        ("\ud800", None),
        ("", None),
        ("x" * 10**6, "x" * 39 + "…"),
        ("word " * 30, "word word word word word word word…"),
    ],
)
def test_a_title_is_one_clean_line(text: str, title: str | None) -> None:
    assert title_from(text) == title


# Hostile text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "a\x00b",
        "\ud83d lone",
        "[/] broken [",
        "\x1b[2J",
        "'; DROP TABLE turns;--",
        "\u0301" * 5000,
        "é🌧️" * 99,
    ],
)
def test_any_text_is_kept_at_its_full_length(store: Store, text: str) -> None:
    turn = answer(store, store.create_session().id, text, reply=text)
    stored = store.turn(turn.id)
    assert stored and stored.user_text == stored.reply == text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")


def test_a_message_of_a_megabyte_is_kept(store: Store) -> None:
    text = "I can't go on. " * 70_000
    turn = store.begin_turn(store.create_session().id, text)
    stored = store.turn(turn.id)
    assert stored and stored.user_text == text


# Leaving and disappearing


def full_conversation(store: Store, marker: str) -> str:
    session = store.create_session("US", title=f"title {marker}")
    for number in range(4):
        evidence = CRISIS.evidence[0].model_copy(update={"text": f"evidence {marker}"})
        verdict = CRISIS.model_copy(update={"evidence": (evidence,), "reason": f"reason {marker}"})
        store.finish_turn(
            store.begin_turn(session.id, f"message {marker} {number} " + "long " * 400 * number),
            reply=f"reply {marker} " + "more " * 300,
            verdict=verdict,
            route="crisis",
            card={"title": f"card {marker}"},
            risk={"said": f"risk {marker}"},
            protocol={"note": f"protocol {marker}"},
            crisis=CrisisEntry(RiskLevel.IMMINENT, (Category.SUICIDE,), ("us-988",), ()),
        )
    store.rename(session.id, f"new title {marker}")
    return session.id


def test_an_export_holds_everything(store: Store) -> None:
    session_id = full_conversation(store, "MARK")
    exported = store.export(session_id)
    text = json.dumps(exported)
    for part in ("message", "reply", "evidence", "reason", "card", "risk", "protocol", "new title"):
        assert f"{part} MARK" in text
    assert [turn["number"] for turn in exported["turns"]] == [1, 2, 3, 4]
    assert exported["turns"][0]["verdict"]["level"] == "imminent"
    assert exported["crisis_events"][0]["lines"] == ["us-988"]
    assert [row["kind"] for row in exported["audit"]][-1] == "session_exported"


def test_an_export_shows_a_turn_without_a_reply(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, "hello?")
    (exported,) = store.export(turn.session_id)["turns"]
    assert (exported["user_text"], exported["status"], exported["verdict"]) == ("hello?", "pending", None)


def test_export_all_gives_one_json_object_a_conversation(store: Store) -> None:
    ids = {full_conversation(store, f"mark{number}") for number in range(3)}
    assert {json.loads(json.dumps(one))["session"]["id"] for one in store.export_all()} == ids


def test_a_deleted_conversation_is_gone_from_every_file(store: Store, path: Path) -> None:
    kept = full_conversation(store, "KEEPTHIS")
    gone = [full_conversation(store, f"GONE{number}") for number in range(20)]
    assert b"GONE7" in on_disk(path)
    for session_id in gone:
        assert store.delete(session_id)
    assert b"GONE" not in on_disk(path)
    assert len(store.export(kept)["turns"]) == 4


def test_deleting_takes_every_row_but_the_audit_chain(store: Store) -> None:
    session_id = full_conversation(store, "GONE")
    store.delete(session_id)
    assert (store.sessions(), store.turns(session_id), store.crisis_events()) == ((), (), ())
    with store._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM verdicts").scalar() == 0
    assert [row.kind for row in store.audit_rows(session_id)][-1] == "session_deleted"


def test_deleting_leaves_a_whole_audit_chain(store: Store) -> None:
    full_conversation(store, "KEEP")
    store.delete(full_conversation(store, "GONE"))
    assert store.verify_audit().ok


def test_a_delete_says_when_another_reader_still_holds_the_text(path: Path) -> None:
    with Store.open(f"sqlite:///{path}?timeout=0.05") as store, Store.open(f"sqlite:///{path}") as other:
        session_id = full_conversation(store, "GONE")
        with other._database.reading() as reader:
            reader.exec_driver_sql("SELECT count(*) FROM turns").scalar()
            assert store.delete(session_id) is False
        assert store.delete(full_conversation(store, "NEXT")) is True
        assert b"message GONE" not in on_disk(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_another_process_is_another_owner() -> None:
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writer, str(Owner.current().pid).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(reader, 20)) == pid != Owner.current().pid
