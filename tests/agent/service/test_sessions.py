"""The native API over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.agent.service.running import REPLY, Running, Start
from warmline.agent import ScriptedModel
from warmline.agent.events import EVENT, Event
from warmline.agent.store import Scope

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"


def events_of(body: str) -> list[Event]:
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    return [EVENT.validate_json(line) for line in lines]


async def begin(client: httpx.AsyncClient, country: str | None = "US") -> str:
    response = await client.post("/v1/sessions", json={"country": country} if country else {})
    assert response.status_code == 201, response.text
    return response.json()["id"]


async def say(client: httpx.AsyncClient, session: str, text: str, **more: Any) -> httpx.Response:
    return await client.post(f"/v1/sessions/{session}/turns", json={"text": text, **more})


async def test_a_turn_streams_the_same_typed_events_as_python(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        response = await say(client, await begin(client), ORDINARY)
    events = events_of(response.text)
    assert [events[0].type, events[-1].type] == ["verdict", "done"]
    assert "".join(event.text for event in events if event.type == "sentence") == REPLY


async def test_sentences_come_while_the_model_still_writes(start: Start) -> None:
    hold, first = asyncio.Event(), asyncio.Event()
    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: hold.wait() if n == 8 else None)
    service: Running = await start(model=model)
    async with service.client(service.key()) as client:
        session = await begin(client)
        async with client.stream("POST", f"/v1/sessions/{session}/turns", json={"text": ORDINARY}) as response:
            seen = []
            async for line in response.aiter_lines():
                seen.append(line)
                if line.startswith("event: sentence"):
                    first.set()
                    hold.set()
    assert first.is_set()
    assert "event: done" in seen


async def test_without_a_stream_the_turn_is_one_object(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        answer = (await say(client, await begin(client), ORDINARY, stream=False)).json()
    assert (answer["reply"], answer["route"], answer["stored"]) == (REPLY, "support", True)


async def test_a_crisis_gets_the_lines_of_the_country_and_no_model(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        answer = (await say(client, await begin(client, "IE"), CRISIS, stream=False)).json()
    assert {line["country"] for line in answer["card"]["lines"]} == {"IE"}
    assert service.model.calls == []


async def test_the_history_holds_what_was_shown(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        session = await begin(client)
        await say(client, session, ORDINARY)
        history = (await client.get(f"/v1/sessions/{session}")).json()
    assert [(turn["text"], turn["reply"]) for turn in history["turns"]] == [(ORDINARY, REPLY)]


async def test_a_conversation_can_be_exported_and_deleted(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        session = await begin(client)
        await say(client, session, ORDINARY)
        exported = (await client.get(f"/v1/sessions/{session}/export")).json()
        gone = await client.delete(f"/v1/sessions/{session}")
        after = await client.get(f"/v1/sessions/{session}")
    assert exported["turns"][0]["user_text"] == ORDINARY
    assert (gone.status_code, after.status_code) == (204, 404)
    assert service.store.verify_audit().ok


async def test_a_second_message_during_a_turn_is_told_to_wait(start: Start) -> None:
    hold, arrived = asyncio.Event(), asyncio.Event()

    async def stand(_: int) -> None:
        arrived.set()
        await hold.wait()

    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand(n) if n == 0 else None)
    service: Running = await start(model=model)
    async with service.client(service.key()) as client:
        session = await begin(client)
        first = asyncio.create_task(say(client, session, ORDINARY, stream=False))
        await arrived.wait()
        second = await say(client, session, "hello?")
        hold.set()
        assert (await first).json()["reply"] == REPLY
    assert (second.status_code, second.headers["retry-after"]) == (409, "1")
    assert second.json()["error"]["safe_reply"]


async def test_a_turn_on_another_replica_is_waited_for_too(start: Start) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        session = await begin(client)
        other = service.store.begin_turn(session, "said to another replica")
        told = await say(client, session, ORDINARY)
    assert told.status_code == 409
    assert [turn.id for turn in service.store.turns(session)] == [other.id]


async def test_hotlines_are_told_by_country_and_category(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        found = (await client.get("/v1/hotlines", params={"country": "ie", "category": "abuse"})).json()
    assert found["country"] == "IE"
    assert found["emergency"]
    assert "abuse" in found["lines"][0]["topics"]


async def test_an_unknown_country_is_told_with_a_good_value(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        response = await client.get("/v1/hotlines", params={"country": "XQ"})
    assert response.status_code == 400


async def test_health_needs_no_key(start: Start) -> None:
    service: Running = await start()
    async with service.client() as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        while ready.json()["status"] == "loading":
            ready = await client.get("/readyz")
    assert (alive.status_code, ready.status_code) == (200, 200)


async def test_a_broken_store_still_gives_a_person_in_danger_the_lines(start: Start, tmp_path: Any) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        session = await begin(client)
        assert (await say(client, session, "hello", stream=False)).status_code == 200
        service.store.close()
        (tmp_path / "w.db").write_bytes(b"not a database at all" * 100)
        answer = await say(client, session, CRISIS, stream=False)
    assert answer.status_code == 200
    assert answer.json()["card"]["lines"]
    assert answer.json()["stored"] is False


async def test_reviewers_words_come_as_events(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        session = await begin(client)
        await say(client, session, CRISIS)
        ticket = service.store.handoff.of_session(session).ticket
        assert ticket is not None
        service.store.handoff.take(ticket.id, "sam", "A person is here.")
        service.store.handoff.say(ticket.id, "sam", "Hello, I am Sam.")
        texts = []
        async with client.stream("GET", f"/v1/sessions/{session}/events") as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    texts.append(json.loads(line.removeprefix("data: "))["text"])
                if len(texts) == 2:
                    break
    assert texts == ["A person is here.", "Hello, I am Sam."]


async def test_the_openapi_document_names_every_route(start: Start) -> None:
    service: Running = await start()
    async with service.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/v1/sessions", "/v1/sessions/{session_id}/turns", "/v1/hotlines", "/healthz"} <= set(paths)


# -- who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/sessions"), ("GET", "/v1/sessions"), ("GET", "/v1/hotlines"), ("GET", "/metrics")],
)
async def test_without_a_key_nothing_is_told(start: Start, method: str, path: str) -> None:
    service: Running = await start()
    async with service.client() as client:
        assert (await client.request(method, path, json={})).status_code == 401


async def test_a_revoked_key_is_refused_at_once(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        await begin(client)
        service.store.keys.revoke("my-app")
        assert (await client.get("/v1/sessions")).status_code == 401


@pytest.mark.parametrize("what", ["", "/export", "/turns", "/events", "/recover"])
async def test_a_conversation_of_another_key_does_not_exist(start: Start, what: str) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key("mine")) as mine, service.client(service.key("yours")) as yours:
        session = await begin(mine)
        method = "POST" if what in ("/turns", "/recover") else "GET"
        body = {"json": {"text": "hello"}} if what == "/turns" else {}
        refused = await yours.request(method, f"/v1/sessions/{session}{what}", **body)
        invented = await yours.request(method, f"/v1/sessions/{'0' * 32}{what}", **body)
        listed = (await yours.get("/v1/sessions")).json()
    assert (refused.status_code, refused.json()) == (404, invented.json())
    assert listed == []


async def test_another_key_deletes_nothing(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key("mine")) as mine, service.client(service.key("yours")) as yours:
        session = await begin(mine)
        assert (await yours.delete(f"/v1/sessions/{session}")).status_code == 404
        assert (await mine.get(f"/v1/sessions/{session}")).status_code == 200


async def test_an_admin_key_sees_every_conversation_and_writes_in_none(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as mine, service.client(service.key("ops", Scope.ADMIN)) as admin:
        session = await begin(mine)
        assert [row["id"] for row in (await admin.get("/v1/sessions")).json()] == [session]
        assert (await say(admin, session, "hello")).status_code == 403


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(start: Start) -> None:
    service: Running = await start(service={"rate_per_minute": 2})
    async with service.client(service.key()) as client:
        codes = [(await client.get("/v1/sessions")) for _ in range(3)]
    assert [response.status_code for response in codes] == [200, 200, 429]
    assert int(codes[-1].headers["retry-after"]) >= 1


async def test_a_body_above_the_limit_is_refused_with_words_for_the_person(start: Start) -> None:
    service: Running = await start(service={"max_body_bytes": 10_000})
    async with service.client(service.key()) as client:
        response = await say(client, await begin(client), "a" * 20_000)
    assert response.status_code == 413
    assert "smaller parts" in response.json()["error"]["safe_reply"]


async def test_an_error_quotes_nothing_that_was_sent(start: Start) -> None:
    service: Running = await start()
    async with service.client(service.key()) as client:
        session = await begin(client)
        response = await client.post(f"/v1/sessions/{session}/turns", json={"text": ["a secret"], "more": "secret"})
    assert response.status_code == 422
    assert "secret" not in response.text


async def test_every_response_carries_the_headers_that_protect(start: Start) -> None:
    service: Running = await start()
    async with service.client() as client:
        headers = (await client.get("/healthz")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(("allowed", "told"), [([], None), (["https://app.example"], "https://app.example")])
async def test_cors_is_closed_unless_an_origin_is_named(start: Start, allowed: list[str], told: str | None) -> None:
    service: Running = await start(service={"cors_origins": allowed})
    async with service.client(service.key()) as client:
        response = await client.get("/v1/hotlines", headers={"Origin": "https://app.example"})
    assert response.headers.get("access-control-allow-origin") == told
