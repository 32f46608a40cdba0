"""Conversations leave: exported, deleted when asked, and deleted when their time is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.agent.service.running import REPLY, Running, Start
from warmline.agent import Store
from warmline.agent.service.retention import Retention
from warmline.agent.store import Scope

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


async def talk(client: httpx.AsyncClient, *texts: str) -> str:
    session = (await client.post("/v1/sessions", json={"country": "US"})).json()["id"]
    for text in texts:
        await client.post(f"/v1/sessions/{session}/turns", json={"text": text, "stream": False})
    return session


async def test_an_admin_exports_everything_as_json_lines_and_an_app_its_own(start: Start) -> None:
    service: Running = await start(REPLY, REPLY)
    async with (
        service.client(service.key("one")) as one,
        service.client(service.key("two")) as two,
        service.client(service.key("boss", Scope.ADMIN)) as admin,
        service.client(service.key("sam", Scope.REVIEW)) as reviewer,
    ):
        mine, yours = await talk(one, ORDINARY), await talk(two, ORDINARY)
        own, everything, refused = [await client.get("/v1/export") for client in (one, admin, reviewer)]
    assert own.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["session"]["id"] for line in own.text.splitlines()] == [mine]
    assert {json.loads(line)["session"]["id"] for line in everything.text.splitlines()} == {mine, yours}
    assert json.loads(own.text)["turns"][0]["user_text"] == ORDINARY
    assert refused.status_code == 403


async def test_a_deleted_conversation_leaves_no_word_on_the_disk_and_a_chain_that_holds(
    start: Start, tmp_path: Path
) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client, service.client(service.key("sam", Scope.REVIEW)) as desk:
        session = await talk(client, CRISIS)
        [ticket] = (await desk.get("/v1/tickets")).json()
        await desk.post(f"/v1/tickets/{ticket['id']}/notes", json={"text": "called twice about the pills"})
        assert (await client.delete(f"/v1/sessions/{session}")).status_code == 204
        assert (await client.get(f"/v1/sessions/{session}")).status_code == 404
        assert (await desk.get("/v1/tickets")).json() == []
    assert [file.name for file in tmp_path.glob("w.db*") if b"pills" in file.read_bytes()] == []  # noqa: ASYNC240
    assert service.store.verify_audit().ok


class Clocks:
    """A clock on the wall, and one that only ever goes on."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 0.0

    def pass_by(self, span: timedelta) -> None:
        self.wall += span
        self.steady += span.total_seconds()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def kept_for(days: float, store: Store, clocks: Clocks) -> Retention:
    return Retention(lambda: store, days, clock=lambda: clocks.wall, steady=lambda: clocks.steady)


def test_a_conversation_goes_when_its_time_is_over_and_not_before(tmp_path: Path, clocks: Clocks) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=lambda: clocks.wall) as store:
        retention = kept_for(30, store, clocks)
        old = store.create_session()
        clocks.pass_by(timedelta(days=20))
        new = store.create_session()
        assert retention.once() == 0
        clocks.pass_by(timedelta(days=11))
        assert retention.once() == 1
        assert [session.id for session in store.sessions()] == [new.id]
        assert [row.kind for row in store.audit_rows(old.id)] == ["session_created", "session_expired"]
        assert store.verify_audit().ok


def test_a_clock_that_jumped_deletes_nothing(tmp_path: Path, clocks: Clocks) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=lambda: clocks.wall) as store:
        retention = kept_for(30, store, clocks)
        store.create_session()
        clocks.wall += timedelta(days=400)
        assert (retention.once(), len(store.sessions())) == (0, 1)


def test_a_conversation_that_goes_on_stays(tmp_path: Path, clocks: Clocks) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=lambda: clocks.wall) as store:
        session = store.create_session()
        clocks.pass_by(timedelta(days=31))
        store.begin_turn(session.id, ORDINARY)
        assert store.expire(clocks.wall - timedelta(days=30)) == 0
