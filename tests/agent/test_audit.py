"""The audit chain: complete, without anybody's words, and broken by every change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmline.agent.store import CrisisEntry, Store, StoreError, TurnStatus
from warmline.agent.store.audit import FIRST, digest
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict

TEXT = "i have the pills next to me"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warmline.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{path}") as store:
        yield store


def crisis_turn(store: Store) -> str:
    session = store.create_session("US", title=f"title: {TEXT}")
    verdict = Verdict(
        level=RiskLevel.IMMINENT,
        categories=(Category.SUICIDE,),
        evidence=(
            Evidence(
                start=0,
                end=27,
                text=TEXT,
                category=Category.SUICIDE,
                level=RiskLevel.IMMINENT,
                source="lexicon:en/suicide/means-at-hand",
            ),
        ),
        reason=f"They wrote: {TEXT}",
    )
    store.finish_turn(
        store.begin_turn(session.id, TEXT),
        reply=f"You wrote: {TEXT}",
        verdict=verdict,
        route="crisis",
        risk={"said": TEXT},
        problems=("method_information",),
        crisis=CrisisEntry(RiskLevel.IMMINENT, (Category.SUICIDE,), ("us-988",), ("offer_line",)),
    )
    return session.id


def calm_turns(store: Store, number: int) -> str:
    session = store.create_session()
    for _ in range(number):
        turn = store.begin_turn(session.id, "hello")
        store.finish_turn(turn, reply="hi", verdict=Verdict(level=RiskLevel.NONE), route="support")
    return session.id


# What is in it


def test_every_step_of_a_conversation_has_a_row(store: Store) -> None:
    session_id = crisis_turn(store)
    store.set_country(session_id, "DE")
    store.rename(session_id, "x")
    store.close_turn(store.begin_turn(session_id, "hello"), TurnStatus.FAILED)
    store.end_session(session_id)
    store.export(session_id)
    store.delete(session_id)
    assert [row.kind for row in store.audit_rows(session_id)] == [
        "session_created",
        "turn_begun",
        "turn_finished",
        "crisis_answered",
        "ticket_opened",
        "country_set",
        "session_renamed",
        "turn_begun",
        "turn_closed",
        "session_ended",
        "session_exported",
        "session_deleted",
    ]


def test_rows_say_what_was_decided(store: Store) -> None:
    rows = {row.kind: json.loads(row.payload) for row in store.audit_rows(crisis_turn(store))}
    assert rows["turn_finished"] == {
        "route": "crisis",
        "level": "imminent",
        "categories": ["suicide"],
        "subject": "self",
        "sources": ["lexicon:en/suicide/means-at-hand"],
        "error": None,
        "problems": ["method_information"],
        "stopped": False,
        "ms": None,
    }
    assert rows["crisis_answered"]["lines"] == ["us-988"]


def test_rows_hold_nobodys_words(store: Store) -> None:
    crisis_turn(store)
    everything = " ".join(str(row) for row in store.audit_rows())
    assert "pills" not in everything and "title" not in everything


def test_a_sentence_is_withheld_even_when_a_caller_passes_one(store: Store) -> None:
    store.record("note", problem=TEXT, problems=("ok", TEXT), count=3)
    (row,) = store.audit_rows()
    assert json.loads(row.payload) == {"problem": "[withheld]", "problems": ["ok", "[withheld]"], "count": 3}


def test_an_error_that_quotes_a_message_is_withheld(store: Store) -> None:
    turn = store.begin_turn(store.create_session().id, TEXT)
    verdict = Verdict(level=RiskLevel.NONE, error=f"ValueError: {TEXT}")
    store.finish_turn(turn, reply="", verdict=verdict, route="hold")
    assert not any("pills" in row.payload for row in store.audit_rows())


def test_numbers_that_json_cannot_hold_are_left_out(store: Store) -> None:
    store.record("note", ms=float("nan"))
    (row,) = store.audit_rows()
    assert json.loads(row.payload) == {"ms": None}


# The chain


def test_an_empty_chain_is_whole(store: Store) -> None:
    report = store.verify_audit()
    assert (report.ok, report.rows, report.head) == (True, 0, FIRST)


def test_each_row_follows_the_one_before(store: Store) -> None:
    calm_turns(store, 3)
    rows = list(store.audit_rows())
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.prev_hash for row in rows] == [FIRST, *(row.hash for row in rows[:-1])]


def test_the_hash_is_sha256_over_canonical_json(store: Store) -> None:
    """Written out once, so that another program can check a chain without this one."""
    row = {"seq": 1, "time": "2026-01-01T00:00:00.000000+00:00", "kind": "session_created", "session_id": "a"}
    row |= {"turn_id": None, "payload": '{"country":"US"}', "prev_hash": FIRST}
    assert digest(row) == "3ea6f87c864f09b3d1f054986ba962cb77a576c4439c3b3897898e7c84180ad7"


def test_a_whole_chain_is_reported_with_its_head(store: Store) -> None:
    calm_turns(store, 3)
    report = store.verify_audit()
    *_, last = store.audit_rows()
    assert (report.ok, report.rows, report.head, report.broken) == (True, 7, last.hash, None)


# Changes


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET kind = 'x' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT seq, time, 'x', session_id, turn_id, payload, prev_hash, hash FROM audit",
        "INSERT INTO audit SELECT seq + 100, time, kind, session_id, turn_id, payload, prev_hash, hash FROM audit",
    ],
)
def test_the_database_refuses_every_change_to_a_row(store: Store, path: Path, change: str) -> None:
    calm_turns(store, 2)
    before = list(store.audit_rows())
    other = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), other:
        other.execute(change)
    other.close()
    assert list(store.audit_rows()) == before


def tamper(path: Path, *statements: str) -> None:
    """What somebody with the file in his hands can do: take the triggers away first."""
    other = sqlite3.connect(path)
    for trigger in ("audit_no_update", "audit_no_delete", "audit_in_order"):
        other.execute(f"DROP TRIGGER {trigger}")
    with other:
        for statement in statements:
            other.execute(statement)
    other.close()


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE audit SET payload = '{}' WHERE seq = 4", 4),
        ("UPDATE audit SET time = '1999' WHERE seq = 1", 1),
        ("UPDATE audit SET session_id = 'other' WHERE seq = 3", 3),
        ("UPDATE audit SET turn_id = NULL WHERE seq = 3", 3),
        ("UPDATE audit SET hash = prev_hash WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("UPDATE audit SET seq = seq + 1 WHERE seq > 6", 7),
    ],
)
def test_a_change_by_force_is_found_at_its_row(store: Store, path: Path, change: str, broken: int) -> None:
    calm_turns(store, 3)
    tamper(path, change)
    report = store.verify_audit()
    assert (report.ok, report.broken, report.rows) == (False, broken, broken - 1)


def test_a_removed_row_is_told_apart_from_a_changed_one(store: Store, path: Path) -> None:
    calm_turns(store, 2)
    tamper(path, "DELETE FROM audit WHERE seq = 3")
    assert store.verify_audit().problem == "row 3 is missing"


def test_a_row_changed_with_its_own_hash_is_found_at_the_next(store: Store, path: Path) -> None:
    calm_turns(store, 3)
    row = list(store.audit_rows())[3]
    forged = {name: getattr(row, name) for name in ("seq", "time", "session_id", "turn_id", "payload", "prev_hash")}
    tamper(path, f"UPDATE audit SET kind = 'x', hash = '{digest(forged | {'kind': 'x'})}' WHERE seq = 4")
    assert store.verify_audit().broken == 5


def test_an_end_that_was_cut_off_is_found_by_the_turns_it_spoke_of(store: Store, path: Path) -> None:
    calm_turns(store, 3)
    tamper(path, "DELETE FROM audit WHERE seq > 5")
    report = store.verify_audit()
    assert not report.ok and report.problem and "cut off" in report.problem


def test_an_end_that_was_cut_off_is_found_by_a_head_noted_earlier(store: Store, path: Path) -> None:
    store.delete(calm_turns(store, 3))
    noted = store.verify_audit().head
    tamper(path, "DELETE FROM audit WHERE seq > 5")
    assert store.verify_audit().ok
    assert not store.verify_audit(seen=noted).ok


def test_a_head_noted_earlier_is_found_again_in_a_longer_chain(store: Store) -> None:
    calm_turns(store, 1)
    noted = store.verify_audit().head
    calm_turns(store, 1)
    assert store.verify_audit(seen=noted).ok


def test_nothing_is_stored_when_the_chain_refuses(store: Store) -> None:
    session_id = calm_turns(store, 1)
    with store._database.writing() as connection:
        connection.exec_driver_sql("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreError):
        store.begin_turn(session_id, "hello")
    assert len(store.turns(session_id)) == 1
