"""Any OpenAI-compatible server, spoken to over a real socket, with each way it can fail."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import aclosing

import pytest
from langchain_core.messages import HumanMessage

from tests.agent.sse_server import REPLY, sse_server
from warmline.agent.model import Ending, Limits, ModelError, ModelErrorKind, build_model, stream_text
from warmline.agent.settings import ModelSettings

ASK = [HumanMessage("my own private words")]
QUICK = Limits(first_token_s=5, idle_s=5, total_s=10, retries=0, retry_wait_s=0)


def remote(url: str, **more: object):
    return build_model(ModelSettings.model_validate({"base_url": url, "name": "warmline", **more}))


async def read(url: str, limits: Limits = QUICK, **more: object) -> str:
    async with aclosing(stream_text(remote(url, **more), ASK, limits)) as chunks:
        return "".join([chunk async for chunk in chunks])


async def failure(*modes: str, limits: Limits = QUICK) -> tuple[ModelError, str, list[dict]]:
    """The error, the text that came before it, and the requests that were made."""
    async with sse_server(*modes) as server:
        came = ""
        with pytest.raises(ModelError) as caught:
            async for chunk in stream_text(remote(server.base_url), ASK, limits):
                came += chunk
        return caught.value, came, server.requests


async def test_the_reply_comes_whole_and_in_pieces() -> None:
    async with sse_server() as server:
        chunks = [chunk async for chunk in stream_text(remote(server.base_url), ASK, QUICK)]
    assert chunks == REPLY


async def test_the_request_carries_model_settings_and_messages() -> None:
    async with sse_server() as server:
        await read(server.base_url, temperature=0.3, top_p=0.8, max_tokens=99)
    request = server.requests[0]
    assert request["messages"] == [{"role": "user", "content": "my own private words"}]
    assert (request["model"], request["temperature"], request["top_p"]) == ("warmline", 0.3, 0.8)
    assert request["max_tokens"] == request["max_completion_tokens"] == 99


async def test_a_reply_can_be_asked_for_whole() -> None:
    async with sse_server("whole") as server:
        reply = await remote(server.base_url, max_tokens=99).ainvoke(ASK)
    assert reply.content == "".join(REPLY)
    assert not server.requests[0].get("stream")
    assert server.requests[0]["max_tokens"] == 99


async def test_the_key_is_sent() -> None:
    async with sse_server() as server:
        await read(server.base_url, api_key="sk-ours")
    assert server.headers[0]["authorization"] == "Bearer sk-ours"


async def test_a_key_for_openai_is_not_sent_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs")
    async with sse_server() as server:
        await read(server.base_url)
    assert "sk-theirs" not in str(server.headers)


async def test_a_server_that_is_down_is_named_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with pytest.raises(ModelError) as caught:
        await read(url)
    assert caught.value.kind is ModelErrorKind.UNREACHABLE
    expected = f"nothing answers at {url} (WARMLINE_MODEL__BASE_URL); start the server or unset it"
    assert caught.value.detail == expected


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(ModelError) as caught:
        await read("http://no-such-host.invalid/v1")
    assert caught.value.kind is ModelErrorKind.UNREACHABLE


async def test_credentials_in_the_address_are_not_repeated() -> None:
    with pytest.raises(ModelError) as caught:
        await read("http://me:secret@no-such-host.invalid/v1?key=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("401", ModelErrorKind.AUTH),
        ("403", ModelErrorKind.AUTH),
        ("404", ModelErrorKind.NOT_FOUND),
        ("429", ModelErrorKind.RATE_LIMITED),
        ("400", ModelErrorKind.FAILED),
        ("500", ModelErrorKind.FAILED),
        ("503", ModelErrorKind.FAILED),
        ("html", ModelErrorKind.BAD_ANSWER),
        ("json", ModelErrorKind.BAD_ANSWER),
        ("garbage", ModelErrorKind.BAD_ANSWER),
        ("strange", ModelErrorKind.BAD_ANSWER),
        ("empty", ModelErrorKind.BAD_ANSWER),
        ("close", ModelErrorKind.CUT_OFF),
        ("cut", ModelErrorKind.CUT_OFF),
        ("error", ModelErrorKind.FAILED),
    ],
)
async def test_each_fault_has_its_kind(mode: str, kind: ModelErrorKind) -> None:
    error, _, _ = await failure(mode)
    assert error.kind is kind


@pytest.mark.parametrize("mode", ["401", "404", "400", "500", "html", "garbage", "cut", "error", "close"])
async def test_an_error_names_the_server_and_repeats_no_message_text(mode: str) -> None:
    error, _, requests = await failure(mode)
    assert "http://127.0.0.1:" in error.detail
    assert requests[0]["messages"][0]["content"] not in str(error)
    assert "SECRET" not in str(error)


@pytest.mark.parametrize(("mode", "setting"), [("401", "WARMLINE_MODEL__API_KEY"), ("404", "WARMLINE_MODEL__NAME")])
async def test_an_error_that_a_setting_can_cure_names_it(mode: str, setting: str) -> None:
    error, _, _ = await failure(mode)
    assert setting in error.detail


@pytest.mark.parametrize("mode", ["silent", "slow"])
async def test_a_slow_first_token_ends_the_wait(mode: str) -> None:
    error, came, _ = await failure(mode, limits=Limits(0.1, 5, 5, retries=0))
    assert (error.kind, came) == (ModelErrorKind.SLOW_FIRST_TOKEN, "")


async def test_a_reply_that_stands_still_fails_and_keeps_what_came() -> None:
    error, came, _ = await failure("stall", limits=Limits(5, 0.5, 10, retries=3))
    assert (error.kind, came) == (ModelErrorKind.STALLED, "".join(REPLY[:4]))


async def test_a_reply_cut_off_mid_sentence_keeps_what_came() -> None:
    error, came, requests = await failure("cut", limits=Limits(5, 5, 10, retries=3))
    assert (error.kind, came, len(requests)) == (ModelErrorKind.CUT_OFF, "".join(REPLY[:4]), 1)


async def test_a_server_that_never_ends_is_cut_at_the_total_time() -> None:
    endings: list[Ending] = []
    async with sse_server("fine", "endless") as server:
        model = remote(server.base_url)
        async with aclosing(stream_text(model, ASK, QUICK)) as first:
            await anext(first)  # the first request of a client is slow on a busy machine
        limits = Limits(5, 5, total_s=1, retries=0, max_chars=10**9)
        chunks = [c async for c in stream_text(model, ASK, limits, on_end=endings.append)]
        await asyncio.wait_for(server.hang_up.wait(), 5)
    assert "".join(chunks).startswith("".join(REPLY))
    assert endings == [Ending.TOTAL_TIME]


async def test_a_server_that_never_ends_is_cut_at_the_longest_reply() -> None:
    endings: list[Ending] = []
    async with sse_server("endless") as server:
        limits = Limits(5, 5, 30, retries=0, max_chars=500)
        chunks = [c async for c in stream_text(remote(server.base_url), ASK, limits, on_end=endings.append)]
        await asyncio.wait_for(server.hang_up.wait(), 5)
    assert (len("".join(chunks)), endings) == (500, [Ending.LENGTH])


async def test_a_length_stop_keeps_the_reply_and_says_so() -> None:
    endings: list[Ending] = []
    async with sse_server("length") as server:
        chunks = [c async for c in stream_text(remote(server.base_url), ASK, QUICK, on_end=endings.append)]
    assert (chunks, endings) == (REPLY, [Ending.LENGTH])


@pytest.mark.parametrize("fault", ["500", "429", "html", "empty", "close"])
async def test_another_try_follows_a_failure_before_the_first_token(fault: str) -> None:
    async with sse_server(fault, "fine") as server:
        reply = await read(server.base_url, Limits(5, 5, 10, retries=1, retry_wait_s=0))
    assert (reply, len(server.requests)) == ("".join(REPLY), 2)


async def test_tries_end_with_the_last_error() -> None:
    error, _, requests = await failure("500", limits=Limits(5, 5, 10, retries=2, retry_wait_s=0))
    assert (error.kind, len(requests)) == (ModelErrorKind.FAILED, 3)


@pytest.mark.parametrize("fault", ["401", "404", "400"])
async def test_no_second_try_where_it_cannot_help(fault: str) -> None:
    _, _, requests = await failure(fault, limits=Limits(5, 5, 10, retries=3, retry_wait_s=0))
    assert len(requests) == 1


async def test_no_second_try_once_the_first_token_is_due() -> None:
    _, _, requests = await failure("500", limits=Limits(5, 5, 10, retries=3, retry_wait_s=6))
    assert len(requests) == 1


async def test_closing_the_stream_hangs_up() -> None:
    async with sse_server("stall") as server:
        async with aclosing(stream_text(remote(server.base_url), ASK, QUICK)) as chunks:
            assert await anext(chunks) == REPLY[0]
        await asyncio.wait_for(server.hang_up.wait(), 5)


async def test_cancelling_the_reader_hangs_up() -> None:
    async with sse_server("silent") as server:
        task = asyncio.create_task(read(server.base_url))
        await asyncio.wait_for(server.arrived.wait(), 5)
        task.cancel()
        await asyncio.wait_for(server.hang_up.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_reasoning_is_a_sign_of_life_and_is_not_shown() -> None:
    async with sse_server("reasoning") as server:
        assert await read(server.base_url) == "".join(REPLY)


def test_tracing_is_off_unless_the_user_turned_it_on() -> None:
    code = (
        "from warmline.agent.model import build_model; from warmline.agent.settings import ModelSettings\n"
        "build_model(ModelSettings(base_url='http://127.0.0.1:1/v1', name='m'))\n"
        "from langsmith.utils import tracing_is_enabled; print(tracing_is_enabled())"
    )
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("LANGSMITH_", "LANGCHAIN_"))}

    def enabled(**env: str) -> str:
        run = subprocess.run([sys.executable, "-c", code], env=bare | env, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    assert enabled() == "False"
    assert enabled(LANGSMITH_TRACING="true") == "True"
