"""Faults, each done for real: what clients, model servers and power cuts do to a service."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.agent.service.running import REPLY, Running, Start
from tests.agent.sse_server import sse_server
from warmline.agent import ScriptedModel
from warmline.agent.model.remote import remote_model
from warmline.agent.settings import ModelSettings
from warmline.guards.filter import CrisisFilter

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
VICTIM = Path(__file__).with_name("victim.py")


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
