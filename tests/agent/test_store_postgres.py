"""The same promises on a real PostgreSQL, started for these tests where one is installed together with psycopg."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from warmline.agent.store import (
    CrisisEntry,
    Store,
    StoreError,
    TicketMoved,
    TurnPending,
    TurnSettled,
    UnknownSession,
    migrations,
)
from warmline.agent.store.schema import Stored
from warmline.guards.types import Category, RiskLevel, Verdict

INITDB = shutil.which("initdb")
pytestmark = pytest.mark.skipif(
    INITDB is None or find_spec("psycopg") is None, reason="needs a PostgreSQL server and psycopg"
)

CALM = Verdict(level=RiskLevel.NONE)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of its own on a Unix socket, without a network port."""
    assert INITDB
    tools = Path(INITDB).parent
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="warmline-pg-", dir="/tmp") as name:  # socket paths must be short
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        data = folder / "data"

        def run(*command: str | Path) -> None:
            subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

        run(tools / "initdb", "-D", data, "-U", "warmline", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c lc_messages=C"
        run(tools / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://warmline@/{{}}?host={folder}"
        finally:
            run(tools / "pg_ctl", "-D", data, "-m", "immediate", "stop")


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A fresh database for each test."""
    name = f"test_{abs(hash(request.node.name))}"
    engine = create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(name)


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
