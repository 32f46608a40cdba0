"""Faults, each done for real: what clients, model servers and power cuts do to a service."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event

from tests.agent.service.running import REPLY, Running, Start, the_directory
from tests.agent.sse_server import sse_server
from warmline.agent import ScriptedModel, Store
from warmline.agent.model.remote import remote_model
from warmline.agent.settings import ModelSettings
from warmline.guards.filter import CrisisFilter
from warmline.guards.output import OutputGuard

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
VICTIM = Path(__file__).with_name("victim.py")
IDLE = os.environ.get("WARMLINE_TEST_IDLE", "200")
"""Idle connections to open; read before the tests' own home takes our variables away."""


async def begin(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/sessions", json={"country": "US"})).json()["id"]


async def raw(service: Running, *parts: bytes) -> bytes:
    """What the service answers to bytes as they are."""
    url = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(300):
            return await reader.read(65_536)
    finally:
        writer.close()


def request(path: str, key: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


async def healthy(service: Running, client: httpx.AsyncClient) -> bool:
    service.model.enqueue(REPLY)
    service.model.before_chunk = None
    answer = await client.post(f"/v1/sessions/{await begin(client)}/turns", json={"text": ORDINARY, "stream": False})
    return answer.json()["reply"] == REPLY


async def test_a_client_that_goes_in_mid_stream_leaves_a_stored_turn(start: Start) -> None:
    there = asyncio.Event()

    async def stand(_: int) -> None:
        there.set()
        await asyncio.Event().wait()

    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand(n) if n == 8 else None)
    service: Running = await start(model=model)
    async with service.client(service.key()) as client:
        session = await begin(client)
        async with client.stream("POST", f"/v1/sessions/{session}/turns", json={"text": ORDINARY}) as response:
            async for line in response.aiter_lines():
                if line.startswith("event: sentence"):
                    break
            await there.wait()
        await service.shared.turns.all_ended()
        [turn] = service.store.turns(session)
        assert (turn.user_text, turn.stopped) == (ORDINARY, True)
        assert REPLY.startswith((turn.reply or "").strip())
        assert await healthy(service, client)


async def test_a_person_in_danger_who_closes_the_page_at_once_still_gets_a_ticket(start: Start) -> None:
    here, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(CrisisFilter):
        def screen(self, *args: Any, **kwargs: Any) -> Any:
            loop.call_soon_threadsafe(here.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return super().screen(*args, **kwargs)

    service: Running = await start(crisis_filter=Slow())
    async with service.client(service.key()) as client:
        session = await begin(client)
        sending = asyncio.create_task(client.post(f"/v1/sessions/{session}/turns", json={"text": CRISIS}))
        await here.wait()
        sending.cancel()
        await asyncio.wait([sending])
        go_on.set()
        await service.shared.turns.all_ended()
    assert service.store.handoff.of_session(session).ticket is not None


async def test_a_hundred_megabytes_are_refused_unread(start: Start) -> None:
    service: Running = await start()
    answer = await raw(service, request("/v1/sessions", service.key(), f"Content-Length: {100 * 2**20}"), b"{")
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_that_never_says_its_size_is_cut_off_at_the_limit(start: Start) -> None:
    service: Running = await start()
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    answer = await raw(service, request("/v1/sessions", service.key(), "Transfer-Encoding: chunked"), *[chunk] * 20)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_that_does_not_come_is_not_waited_for(start: Start) -> None:
    service: Running = await start(service={"body_s": 0.2})
    answer = await raw(service, request("/v1/sessions", service.key(), "Content-Length: 100"), b"{")
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_head_that_does_not_come_together_is_not_waited_for(start: Start) -> None:
    service: Running = await start(service={"head_s": 0.3})
    url = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\n")

    async def dribble() -> None:  # a byte buys no time
        while True:
            writer.write(b"X")
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    async with asyncio.timeout(60):
        answer = await reader.read(65_536)
    dribbling.cancel()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_second_request_that_does_not_come_together_is_not_waited_for(start: Start) -> None:
    service: Running = await start(service={"head_s": 0.5})
    url = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    first = await reader.readuntil(b'{"status":"alive"}')
    writer.write(b"GET /healthz HTT")
    async with asyncio.timeout(60):
        second = await reader.read(-1)
    writer.close()
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 408")


async def test_connections_that_say_nothing_are_let_go(start: Start) -> None:
    service: Running = await start(service={"head_s": 0.3})
    assert await raw(service) == b""


async def test_idle_connections_are_refused_politely_and_people_are_served_again(start: Start) -> None:
    """``WARMLINE_TEST_IDLE=10000`` opens as many; by default few, because every one costs two open files here."""
    most, idle = 40, int(IDLE)
    service: Running = await start(service={"max_connections": most, "head_s": 60})
    url = urlsplit(service.url)
    opened = [await asyncio.open_connection(url.hostname, url.port) for _ in range(most)]
    while len(service.server.server_state.connections) < most:  # noqa: ASYNC110 (it takes them in its own time)
        await asyncio.sleep(0.01)
    refused = 0
    for _ in range(idle - most):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        async with asyncio.timeout(60):
            answer = await reader.read(65_536)
        refused += answer.startswith(b"HTTP/1.1 503") and b"Retry-After: 5" in answer
        writer.close()
    assert refused == idle - most
    assert len(service.server.server_state.connections) == most
    for _, writer in opened:
        writer.close()
    while service.server.server_state.connections:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with service.client(service.key()) as client:
        assert await healthy(service, client)


async def test_a_flood_of_headers_is_refused(start: Start) -> None:
    service: Running = await start()
    flood = [f"X-Flood-{n}: {'a' * 1000}" for n in range(200)]
    try:
        answer = await raw(service, request("/v1/sessions", service.key(), *flood, "Content-Length: 0"))
    except ConnectionError:  # it hung up on us while we were still sending
        answer = b"HTTP/1.1 4"
    assert answer.startswith(b"HTTP/1.1 4")
    async with service.client(service.key("other")) as client:
        assert await healthy(service, client)


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":' + b"[" * 200_000,
        b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"text": "\xff\xfe\xc3("}',
        b'{"text": "\\ud800 alone", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": {"a": NaN}}]}',
        b"\x00",
        b"",
        b"[]",
        b"1e999999",
        b'{"messages": [' + b'{"role":"user","content":"a"},' * 5_000 + b"{}]}",
    ],
    ids=["open", "deep", "utf8", "surrogate", "nan", "null", "empty", "list", "huge", "many"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/sessions"])
async def test_a_strange_body_is_answered_with_a_refusal_or_words(start: Start, path: str, body: bytes) -> None:
    service: Running = await start(REPLY)
    async with service.client(service.key()) as client:
        response = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code < 500, response.text


@pytest.mark.parametrize("mode", ["garbage", "html", "500", "429", "cut", "error", "strange", "close", "empty"])
async def test_whatever_a_model_server_does_the_person_gets_checked_words(start: Start, mode: str) -> None:
    async with sse_server(mode) as upstream:
        model = remote_model(ModelSettings(base_url=upstream.base_url, retries=0))
        service: Running = await start(model=model, settings={"model": ModelSettings(retries=0)})
        async with service.client(service.key()) as client:
            turn = {"text": ORDINARY, "stream": False}
            answer = (await client.post(f"/v1/sessions/{await begin(client)}/turns", json=turn)).json()
    assert answer["stored"] is True
    assert answer["reply"].strip()
    assert answer["replaced"]
    assert "SECRET" not in answer["reply"]


async def test_a_model_that_never_ends_is_ended(start: Start) -> None:
    async with sse_server("endless") as upstream:
        limits = ModelSettings(base_url=upstream.base_url, retries=0, total_s=3)
        service: Running = await start(model=remote_model(limits), settings={"model": limits})
        async with service.client(service.key()) as client:
            turn = {"text": ORDINARY, "stream": False}
            answer = (await client.post(f"/v1/sessions/{await begin(client)}/turns", json=turn)).json()
        async with asyncio.timeout(60):
            await upstream.hang_up.wait()
    assert answer["stored"] is True
    assert answer["reply"].strip()


async def test_a_model_that_never_begins_is_not_waited_for(start: Start) -> None:
    async with sse_server("silent") as upstream:
        limits = ModelSettings(base_url=upstream.base_url, retries=0, first_token_s=0.5)
        service: Running = await start(model=remote_model(limits), settings={"model": limits})
        async with service.client(service.key()) as client:
            turn = {"text": ORDINARY, "stream": False}
            answer = (await client.post(f"/v1/sessions/{await begin(client)}/turns", json=turn)).json()
    assert answer["stored"] and answer["replaced"] and answer["reply"].strip()


class Broken(Exception):
    """A guard's own fault."""


async def test_a_filter_that_breaks_leads_to_the_safe_reply_and_a_ticket(start: Start) -> None:
    class Breaking(CrisisFilter):
        breaks = True

        def screen(self, *args: Any, **kwargs: Any) -> Any:
            if self.breaks:
                raise Broken
            return super().screen(*args, **kwargs)

    judge = Breaking()
    service: Running = await start(REPLY, crisis_filter=judge)
    async with service.client(service.key()) as client:
        session = await begin(client)
        turn = {"text": ORDINARY, "stream": False}
        answer = (await client.post(f"/v1/sessions/{session}/turns", json=turn)).json()
        assert (answer["route"], answer["stored"], REPLY in answer["reply"]) == ("hold", True, False)
        assert answer["reply"].strip()
        assert service.store.handoff.of_session(session).ticket is not None
        judge.breaks = False
        assert await healthy(service, client)


async def test_an_output_guard_that_breaks_in_mid_stream_lets_nothing_more_through(start: Start) -> None:
    class Breaking(OutputGuard):
        breaks = True

        def check(self, text: str, *args: Any, **kwargs: Any) -> Any:
            if self.breaks and "Lying awake" in text:
                raise Broken
            return super().check(text, *args, **kwargs)

    guard = Breaking(the_directory().is_known_contact)
    service: Running = await start(REPLY, output_guard=guard)
    async with service.client(service.key()) as client:
        session = await begin(client)
        turn = {"text": ORDINARY, "stream": False}
        answer = (await client.post(f"/v1/sessions/{session}/turns", json=turn)).json()
        assert answer["reply"].startswith("That sounds exhausting.")
        assert "Lying awake" not in answer["reply"] and "keeps coming back" not in answer["reply"]
        assert answer["replaced"]
        assert [kept.reply for kept in service.store.turns(session)] == [answer["reply"]]
        guard.breaks = False
        assert await healthy(service, client)


async def test_a_full_disk_is_survived_and_a_person_in_danger_gets_the_lines(start: Start) -> None:
    """SQLite counts its pages as a disk would its blocks; its limit is the one a container can set without mounting."""
    pages = [0]
    service: Running = await start(*[REPLY] * 400)
    engine = service.store._database._engine
    event.listen(engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={pages[0] or 2**30}"))
    async with service.client(service.key()) as client:
        session = await begin(client)
        kept = 0
        pages[0] = 130
        long = {"text": ORDINARY + " and on" * 2_000, "stream": False}
        while (answer := (await client.post(f"/v1/sessions/{session}/turns", json=long)).json())["stored"]:
            kept += 1
        crisis = (await client.post(f"/v1/sessions/{session}/turns", json={"text": CRISIS, "stream": False})).json()
        assert answer["reply"].strip()
        assert (crisis["stored"], bool(crisis["card"]["lines"])) == (False, True)
        assert len([turn for turn in service.store.turns(session) if turn.status == "done"]) == kept > 2
        pages[0] = 0
        assert await healthy(service, client)
        again = (await client.post(f"/v1/sessions/{session}/turns", json={"text": CRISIS, "stream": False})).json()
    assert (again["stored"], again["route"]) == (True, "crisis")
    assert service.store.verify_audit().ok


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)], ids=["on", "back"])
async def test_a_clock_that_jumps_in_mid_stream_changes_nothing(start: Start, tmp_path: Path, jump: timedelta) -> None:
    there, go_on = asyncio.Event(), asyncio.Event()

    async def stand(_: int) -> None:
        there.set()
        await go_on.wait()

    shift = timedelta(0)
    model = ScriptedModel(replies=[REPLY], before_chunk=lambda n: stand(n) if n == 8 else None)
    store = Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=lambda: datetime.now(UTC) + shift)
    service: Running = await start(model=model, store=store)
    async with service.client(service.key()) as client:
        session = await begin(client)
        path = f"/v1/sessions/{session}/turns"
        running = asyncio.create_task(client.post(path, json={"text": ORDINARY, "stream": False}))
        await there.wait()
        shift = jump
        recovered = await client.post(f"/v1/sessions/{session}/recover", params={"stream": False})
        second = await client.post(path, json={"text": CRISIS, "stream": False})
        go_on.set()
        assert (recovered.status_code, second.status_code) == (409, 409)
        assert (await running).json()["reply"] == REPLY
        assert [(turn.user_text, turn.reply) for turn in store.turns(session)] == [(ORDINARY, REPLY)]
        assert await healthy(service, client)
    assert store.verify_audit().ok


async def test_after_kill_nine_in_mid_stream_the_message_is_answered_once(start: Start, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, str(VICTIM), str(tmp_path / "w.db")], stdout=subprocess.PIPE) as child:  # noqa: ASYNC220
        assert child.stdout is not None
        url = (await asyncio.to_thread(child.stdout.readline)).decode().strip()
        service: Running = await start("I am here again. How are you now?")
        key = service.key()
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            session = await begin(client)
            with pytest.raises(httpx.RemoteProtocolError):
                async with client.stream("POST", f"/v1/sessions/{session}/turns", json={"text": ORDINARY}) as response:
                    async for line in response.aiter_lines():
                        if line.startswith("event: sentence"):
                            os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    async with service.client(key) as client:
        first = (await client.post(f"/v1/sessions/{session}/recover", params={"stream": False})).json()
        again = (await client.post(f"/v1/sessions/{session}/recover", params={"stream": False})).json()
    assert (first["reply"], again["reply"]) == ("I am here again. How are you now?", "")
    assert [(turn.user_text, turn.status) for turn in service.store.turns(session)] == [(ORDINARY, "done")]
