"""A request that is sent again: one message, one turn, the same reply."""

from __future__ import annotations

import asyncio

import httpx

from tests.agent.service.running import REPLY, Running, Start
from warmline.agent import ScriptedModel

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"


async def begin(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/sessions", json={"country": "US"})).json()["id"]


async def say(client: httpx.AsyncClient, session: str, text: str, key: str) -> httpx.Response:
    turn = {"text": text, "stream": False}
    return await client.post(f"/v1/sessions/{session}/turns", json=turn, headers={"Idempotency-Key": key})


async def test_a_request_sent_again_is_told_the_stored_reply(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        session = await begin(client)
        first, again = [(await say(client, session, ORDINARY, "a")).json() for _ in range(2)]
    assert (again["reply"], again["turn_id"], again["stored"]) == (REPLY, first["turn_id"], True)
    assert len(service.store.turns(session)) == 1


async def test_a_crisis_sent_again_shows_its_card_again(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        session = await begin(client)
        first, again = [(await say(client, session, CRISIS, "a")).json() for _ in range(2)]
    assert (again["card"], again["reply"]) == (first["card"], first["reply"])
    assert again["card"]["lines"]


async def test_another_message_with_the_same_key_is_refused_and_not_lost(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        session = await begin(client)
        await say(client, session, ORDINARY, "a")
        other = await say(client, session, CRISIS, "a")
        assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
        assert other.json()["error"]["safe_reply"]
        assert (await say(client, session, CRISIS, "b")).json()["route"] == "crisis"


async def test_a_request_sent_again_while_it_runs_is_told_to_come_back(start: Start) -> None:
    there, go_on = asyncio.Event(), asyncio.Event()

    async def stand(_: int) -> None:
        there.set()
        await go_on.wait()

    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand(n) if n == 3 else None)
    service: Running = await start(model=model)
    async with service.client(service.key()) as client:
        session = await begin(client)
        running = asyncio.create_task(say(client, session, ORDINARY, "a"))
        await there.wait()
        meanwhile = await say(client, session, ORDINARY, "a")
        go_on.set()
        assert (meanwhile.status_code, (await running).json()["reply"]) == (409, REPLY)
        assert (await say(client, session, ORDINARY, "a")).json()["reply"] == REPLY


async def test_the_same_key_in_another_conversation_is_another_request(start: Start) -> None:
    service: Running = await start(REPLY, "And you?")
    async with service.client(service.key()) as client:
        one, two = await begin(client), await begin(client)
        replies = [(await say(client, session, ORDINARY, "a")).json()["reply"] for session in (one, two)]
    assert replies == [REPLY, "And you?"]


async def test_the_openai_api_knows_a_request_again(start: Start) -> None:
    service: Running = await start(REPLY)
    body = {"model": "warmline", "messages": [{"role": "user", "content": ORDINARY}], "user": "visitor-7"}
    async with service.client(service.key()) as client:
        answers = [
            (await client.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": "a"})).json()
            for _ in range(2)
        ]
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == [REPLY, REPLY]
    assert len({answer["warmline"]["turn_id"] for answer in answers}) == 1
