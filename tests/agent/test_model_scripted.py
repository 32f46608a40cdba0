"""The scripted model: what a test can make it say, and what it remembers."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from warmline.agent.model import ScriptedModel


def test_replies_come_in_order() -> None:
    model = ScriptedModel(replies=["one", "two"])
    assert [model.invoke("a").text, model.invoke("b").text] == ["one", "two"]


async def test_a_reply_is_streamed_in_chunks_of_the_asked_size() -> None:
    model = ScriptedModel(replies=["abcdefgh"], chunk_size=3)
    assert [chunk.text async for chunk in model.astream("x")] == ["abc", "def", "gh", ""]


def test_the_sync_stream_has_the_same_chunks() -> None:
    model = ScriptedModel(replies=["abcdefgh"], chunk_size=3)
    assert [chunk.text for chunk in model.stream("x")] == ["abc", "def", "gh", ""]


async def test_async_invoke_gives_the_whole_reply() -> None:
    assert (await ScriptedModel(replies=["abcdefghijkl"]).ainvoke("x")).text == "abcdefghijkl"


def test_calls_hold_the_messages_as_they_came() -> None:
    model = ScriptedModel(replies=["x"])
    model.invoke([SystemMessage("be kind"), HumanMessage("hi")])
    assert [[message.content for message in call] for call in model.calls] == [["be kind", "hi"]]


def test_an_enqueued_reply_comes_last() -> None:
    model = ScriptedModel(replies=["one"])
    model.enqueue("two")
    assert [model.invoke("a").text, model.invoke("b").text, model.left] == ["one", "two", 0]


def test_an_empty_queue_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="enqueue"):
        ScriptedModel().invoke("x")


@pytest.mark.parametrize(("at", "before"), [(0, ""), (1, "ab"), (2, "abcd"), (9, "abcdef")])
async def test_an_error_comes_at_its_chunk(at: int, before: str) -> None:
    model = ScriptedModel(chunk_size=2)
    model.enqueue("abcdef", error=OSError("broken"), error_at=at)
    came = ""
    with pytest.raises(OSError, match="broken"):
        async for chunk in model.astream("x"):
            came += chunk.text
    assert came == before


async def test_a_held_chunk_waits_for_its_event() -> None:
    gate = asyncio.Event()

    async def hold(number: int) -> None:
        if number == 1:
            await gate.wait()

    stream = ScriptedModel(replies=["abcd"], chunk_size=2, before_chunk=hold).astream("x")
    assert (await anext(stream)).text == "ab"
    second = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not second.done()
    gate.set()
    assert (await second).text == "cd"


def test_two_models_share_nothing() -> None:
    one, two = ScriptedModel(replies=["a"]), ScriptedModel()
    one.invoke("x")
    assert (len(one.calls), len(two.calls), two.left) == (1, 0, 0)
