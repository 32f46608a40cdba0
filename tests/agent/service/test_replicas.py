"""Two replicas of the service on one PostgreSQL, and everything that may be killed under them.

After each fault: every committed message is there once, in order, with one answer; and whoever is left answers again
without a restart.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.agent.postgres import Postgres
from tests.agent.service.replicas import Nursery, Replica, nursery
from warmline.agent.store import Scope, Store

pytestmark = pytest.mark.timeout(600)  # whole processes begin and end here, on machines that may be busy

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
REPLY = "That sounds heavy. You are not alone in it."
"""What the model server says."""


@pytest.fixture(scope="module")
def born(pg: Postgres) -> Iterator[Nursery]:
    with nursery() as replicas:
        yield replicas


@dataclass
class World:
    """A database with a key, and who works on it."""

    store: Store
    url: str
    key: str
    born: Nursery

    async def replicas(self, *modes: str) -> tuple[Replica, Replica, Replica]:
        """Two replicas and their model server."""
        model = await self.born.model(*modes)
        return await self.born.service(self.url, model.url), await self.born.service(self.url, model.url), model

    def client(self, replica: Replica) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=replica.url, headers=headers, timeout=100)

    def talk(self, session: str) -> list[tuple[str, str, str | None]]:
        return [(turn.user_text, turn.status.value, turn.reply) for turn in self.store.turns(session)]


@pytest.fixture
async def world(born: Nursery, new_database: Callable[[], str]) -> AsyncIterator[World]:
    url = new_database()
    with Store.open(url) as store:
        yield World(store, url, store.keys.create("my-app", [Scope.CHAT])[1], born)
    born.end()


async def begin(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/sessions", json={"country": "US"})).json()["id"]


async def say(client: httpx.AsyncClient, session: str, text: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(f"/v1/sessions/{session}/turns", json={"text": text, "stream": False}, headers=headers)


async def insist(clients: list[httpx.AsyncClient], session: str, text: str) -> dict[str, Any]:
    """Send a message as a good app does: the same key at every try, at whichever replica, until it is stored."""
    key = uuid.uuid4().hex
    for attempt in range(600):
        try:
            answer = await say(clients[attempt % len(clients)], session, text, key)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 200 and answer.json()["stored"]:
            return answer.json()
        assert answer is None or answer.status_code in (200, 401, 409, 503), answer.text
        await asyncio.sleep(0.1)
    raise AssertionError("the message was never answered")


async def test_two_replicas_answer_one_conversation_in_order(world: World) -> None:
    one, two, _ = await world.replicas()
    async with world.client(one) as first, world.client(two) as second:
        session = await begin(first)
        for number in range(4):
            await say((first, second)[number % 2], session, f"{ORDINARY} ({number})")
    assert world.talk(session) == [(f"{ORDINARY} ({n})", "done", REPLY) for n in range(4)]


async def test_of_many_messages_at_once_each_is_answered_once_or_told_to_wait(world: World) -> None:
    one, two, _ = await world.replicas()
    async with world.client(one) as first, world.client(two) as second:
        session = await begin(first)
        texts = [f"{ORDINARY} ({number})" for number in range(8)]
        at_once = await asyncio.gather(*(say((first, second)[n % 2], session, t) for n, t in enumerate(texts)))
        statuses = Counter(answer.status_code for answer in at_once)
        stored = [text for text, _, _ in world.talk(session)]
        told = [text for text, answer in zip(texts, at_once, strict=True) if answer.status_code == 200]
        assert set(statuses) <= {200, 409} and statuses[200] >= 1
        assert sorted(stored) == sorted(told)
        await asyncio.gather(*(insist([first, second], session, f"again {t}") for t in texts))
    talk = world.talk(session)
    assert {(status, reply) for _, status, reply in talk} == {("done", REPLY)}
    assert Counter(text for text, _, _ in talk) == Counter([*stored, *(f"again {t}" for t in texts)])


async def test_a_replica_killed_in_mid_stream_leaves_its_message_to_the_other(world: World) -> None:
    one, two, _ = await world.replicas("stall", "fine")
    async with world.client(one) as first, world.client(two) as second:
        session, turn = await begin(first), {"text": ORDINARY}
        with pytest.raises(httpx.TransportError):
            path = f"/v1/sessions/{session}/turns"
            async with first.stream("POST", path, json=turn, headers={"Idempotency-Key": "a"}) as response:
                async for line in response.aiter_lines():
                    if line.startswith("event: sentence"):
                        one.kill()
        answers = [await say(second, session, ORDINARY, "a") for _ in range(2)]
        assert [answer.json()["reply"] for answer in answers] == [REPLY, REPLY]
        assert world.talk(session) == [(ORDINARY, "done", REPLY)]
        assert (await say(second, session, CRISIS)).json()["route"] == "crisis"
    assert world.store.verify_audit().ok


async def test_a_database_killed_under_load_loses_nothing(world: World, pg: Postgres) -> None:
    one, two, _ = await world.replicas()
    async with world.client(one) as first, world.client(two) as second:
        clients, told = [first, second], dict[str, list[str]]()
        sessions = [await begin(first) for _ in range(4)]
        under_way = asyncio.Event()

        async def visitor(session: str) -> None:
            for number in range(4):
                answer = await insist(clients, session, f"{ORDINARY} ({number})")
                told.setdefault(session, []).append(answer["reply"])
                under_way.set()

        async def kill() -> None:
            await under_way.wait()
            await asyncio.to_thread(pg.kill)
            await asyncio.to_thread(pg.start)

        await asyncio.gather(kill(), *map(visitor, sessions))
        ready = [(await client.get("/readyz")).status_code for client in clients]
    assert ready == [200, 200]
    for session in sessions:
        talk = world.talk(session)
        assert [text for text, _, _ in talk] == [f"{ORDINARY} ({number})" for number in range(4)]
        assert [reply for _, _, reply in talk] == told[session]
    assert world.store.verify_audit().ok


async def test_while_the_database_is_down_a_person_in_danger_gets_the_lines(world: World, pg: Postgres) -> None:
    one, two, _ = await world.replicas()
    async with world.client(one) as first, world.client(two) as second:
        session = await begin(first)
        await say(second, session, ORDINARY)  # both have seen the key
        pg.kill()
        try:
            crisis = (await say(first, session, CRISIS)).json()
            calm = (await say(second, session, ORDINARY)).json()
            unready = (await first.get("/readyz")).status_code
        finally:
            await asyncio.to_thread(pg.start)
        again = await insist([first, second], session, CRISIS)
    assert (crisis["stored"], calm["stored"], unready) == (False, False, 503)
    assert crisis["card"]["lines"] and "988" in str(crisis["card"])
    assert calm["reply"] and REPLY not in calm["reply"]
    assert again["route"] == "crisis"
    assert len(world.store.handoff.queue()) == 1


async def test_a_model_server_killed_in_mid_stream_leaves_an_honest_reply(world: World) -> None:
    one, _, model = await world.replicas("stall")
    async with world.client(one) as client:
        session, said = await begin(client), ""
        path = f"/v1/sessions/{session}/turns"
        async with client.stream("POST", path, json={"text": ORDINARY}) as response:
            async for line in response.aiter_lines():
                said += line
                if line.startswith("event: sentence"):
                    model.kill()
        crisis = (await say(client, session, CRISIS)).json()
        calm = (await say(client, await begin(client), ORDINARY)).json()
    assert "event: replaced" in said and "event: done" in said
    assert (crisis["route"], bool(crisis["card"])) == ("crisis", True)
    assert calm["stored"] and calm["replaced"]
    assert [status for _, status, _ in world.talk(session)] == ["done", "done"]
