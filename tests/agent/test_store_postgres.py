"""The same promises on a real PostgreSQL, which the test run starts itself."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.agent.postgres import Postgres
from warmline.agent.store import (
    CrisisEntry,
    Store,
    StoreError,
    TextKey,
    TicketMoved,
    TurnPending,
    TurnRepeated,
    TurnSettled,
    UnknownSession,
    migrations,
)
from warmline.agent.store.database import Server
from warmline.agent.store.owner import Owner
from warmline.agent.store.schema import Stored
from warmline.guards.types import Category, RiskLevel, Verdict

CALM = Verdict(level=RiskLevel.NONE)


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A fresh database for each test."""
    return new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


def answer(store: Store, session_id: str, message: str) -> None:
    store.finish_turn(store.begin_turn(session_id, message), reply="hi", verdict=CALM, route="support")


def test_the_history_leads_to_the_tables_of_today(url: str) -> None:
    Store.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": migrations.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Stored.metadata) == []
    engine.dispose()


def test_a_crisis_turn_is_stored_with_all_its_parts(store: Store) -> None:
    session = store.create_session("US")
    verdict = Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,), scores={Category.SUICIDE: 0.9})
    turn = store.finish_turn(
        store.begin_turn(session.id, "a\x00b \ud83d 🌧️"),
        reply="I hear you.",
        verdict=verdict,
        route="crisis",
        card={"title": "x"},
        risk={"level": "elevated"},
        crisis=CrisisEntry(RiskLevel.ELEVATED, (Category.SUICIDE,), ("us-988",)),
        ms=1.5,
    )
    assert store.turns(session.id) == (turn,)
    assert turn.user_text == "a\ufffdb \ufffd 🌧️"
    assert store.verdict(turn.id) == verdict
    assert store.session(session.id).risk == {"level": "elevated"}
    assert store.crisis_events()[0].lines == ("us-988",)
    assert store.session(session.id).created.tzinfo == UTC
    with pytest.raises(TurnSettled):
        store.finish_turn(turn, reply="again", verdict=CALM, route="support")


def test_replicas_begin_one_turn_at_a_time(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as two:
        session = one.create_session()
        start = threading.Barrier(6)

        def race(number: int) -> bool:
            start.wait()
            try:
                (one, two)[number % 2].begin_turn(session.id, f"message {number}")
            except TurnPending:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(race, range(6))) == [False] * 5 + [True]


def test_of_six_reviewers_at_once_one_takes_the_ticket(url: str) -> None:
    with Store.open(url, webhook=True) as one, Store.open(url, webhook=True) as two:
        session = one.create_session()
        crisis = CrisisEntry(RiskLevel.ELEVATED, (Category.SUICIDE,), ("us-988",))
        turn = one.begin_turn(session.id, "x")
        one.finish_turn(turn, reply="y", verdict=Verdict(level=RiskLevel.ELEVATED), route="crisis", crisis=crisis)
        (ticket,) = two.handoff.queue()
        start = threading.Barrier(6)

        def race(number: int) -> bool:
            start.wait()
            try:
                (one, two)[number % 2].handoff.take(ticket.id, f"reviewer{number}", "here")
            except TicketMoved:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(race, range(6))) == [False] * 5 + [True]
        assert len(one.handoff.of_session(session.id).messages) == 1
        keys = {delivery.id for store in (one, two) if (delivery := store.outbox.claim(timedelta(minutes=1)))}
        assert len(keys) == 2, "two replicas never claim the same delivery"
        one.delete(session.id)
        assert one.outbox.waiting() == 0


def test_replicas_append_to_one_chain(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as two:
        ids = [one.create_session().id for _ in range(6)]

        def talk(number: int) -> None:
            for _ in range(5):
                answer((one, two)[number % 2], ids[number], "hello")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(talk, range(6)))
        report = one.verify_audit()
        assert (report.ok, report.rows) == (True, 6 * (1 + 5 * 2))


def test_replicas_may_open_a_new_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    for store in stores:
        store.create_session()
        store.close()
    with Store.open(url) as store:
        assert len(store.sessions()) == 4


@pytest.mark.parametrize("change", ["UPDATE audit SET kind = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_database_refuses_every_change_to_an_audit_row(store: Store, url: str, change: str) -> None:
    answer(store, store.create_session().id, "hello")
    engine = create_engine(url)
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(change))
    engine.dispose()
    assert store.verify_audit().ok


def test_of_six_who_adopt_an_orphaned_turn_one_may_answer_it(url: str) -> None:
    dead = replace(Owner.current(), boot="another boot")
    with Store.open(url) as one, Store.open(url) as two, Store.open(url, owner=lambda: dead) as gone:
        turn = gone.begin_turn(gone.create_session().id, "hello")
        start = threading.Barrier(6)

        def race(number: int) -> bool:
            start.wait()
            return (one, two)[number % 2].adopt(turn)

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(race, range(6))) == [False] * 5 + [True]


def test_one_request_begins_one_turn_between_replicas(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as two:
        session = one.create_session()
        start = threading.Barrier(6)

        def race(number: int) -> str:
            start.wait()
            try:
                return (one, two)[number % 2].begin_turn(session.id, "hello", "request-1").id
            except (TurnPending, TurnRepeated) as refused:
                return refused.turn_id

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(race, range(6)))) == 1
        assert len(one.turns(session.id)) == 1


def test_encrypted_texts_are_rotated_while_replicas_write(url: str) -> None:
    pytest.importorskip("cryptography", reason="needs the extra `server`")
    old, new = (TextKey.read(base64.b64encode(os.urandom(32)).decode()) for _ in range(2))
    with Store.open(url, key=old, other_keys=[new]) as one, Store.open(url, key=new, other_keys=[old]) as two:
        session = one.create_session()
        for number in range(20):
            answer((one, two)[number % 2], session.id, f"message {number}")
        with ThreadPoolExecutor(2) as pool:
            rotated = pool.submit(two.reseal, 3)
            for number in range(20, 30):
                answer(two, session.id, f"message {number}")
            assert rotated.result() > 10
        assert [turn.user_text for turn in one.turns(session.id)] == [f"message {number}" for number in range(30)]
    with Store.open(url, key=new) as after:
        assert len(after.export(session.id)["turns"]) == 30
        assert after.verify_audit().ok


def test_a_statement_that_hangs_gives_up(url: str) -> None:
    with Store.open(url) as one, Store.open(url, server=Server(statement_s=0.2)) as two:
        session = one.create_session()
        with one._database.writing() as connection:
            connection.execute(text("SELECT id FROM sessions FOR UPDATE"))
            with pytest.raises(StoreError):
                two.begin_turn(session.id, "hello")
        assert two.begin_turn(session.id, "hello").number == 1


def test_a_process_opens_no_more_connections_than_it_may(url: str) -> None:
    with Store.open(url, server=Server(connections=2, wait_s=0.2)) as store:
        session = store.create_session()
        with (
            store._database.reading(),
            store._database.reading(),
            pytest.raises(StoreError, match="POOL_SIZE"),
        ):
            store.session(session.id)
        assert store.session(session.id) == session


def test_a_server_killed_and_started_again_is_found_again(pg: Postgres, url: str) -> None:
    with Store.open(url) as store:
        session = store.create_session()
        turn = store.begin_turn(session.id, "hello")
        pg.kill()
        with pytest.raises(StoreError, match="does not answer"):
            store.finish_turn(turn, reply="hi", verdict=CALM, route="support")
        pg.start()
        assert store.finish_turn(turn, reply="hi", verdict=CALM, route="support").reply == "hi"
        assert store.verify_audit().ok


def test_what_is_older_than_it_may_be_is_deleted_and_the_chain_holds(store: Store) -> None:
    old, new = store.create_session(), store.create_session()
    answer(store, new.id, "hello")
    assert store.expire(store.session(new.id).updated) == 1
    assert [session.id for session in store.sessions()] == [new.id]
    assert [row.kind for row in store.audit_rows(old.id)] == ["session_created", "session_expired"]
    assert store.verify_audit().ok


def test_a_deleted_conversation_is_gone_and_the_chain_holds(store: Store) -> None:
    session = store.create_session()
    answer(store, session.id, "hello")
    assert len(store.export(session.id)["turns"]) == 1
    store.delete(session.id)
    assert store.turns(session.id) == ()
    with pytest.raises(UnknownSession):
        store.export(session.id)
    assert store.verify_audit().ok


def test_a_server_that_is_away_is_told_without_a_password() -> None:
    with pytest.raises(StoreError, match="does not answer") as refused:
        Store.open("postgresql+psycopg://me:hunter2@localhost:1/warmline?connect_timeout=2")
    assert "hunter2" not in str(refused.value)
