"""The load of the bench: a stub that streams as a model does, and a client that tells a whole reply from a cut one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from warmline.agent.model.remote import remote_model
from warmline.agent.model.stream import stream_text
from warmline.agent.prompt import build_messages
from warmline.agent.settings import ModelSettings
from warmline.eval.load import Connection, Target, crowd, percentile, stub
from warmline.eval.stub_model import REPLY, words


@pytest.fixture(scope="module")
def model() -> Iterator[Target]:
    with stub(0) as target:
        yield target


async def test_the_stub_is_read_as_any_model_server_is(model: Target) -> None:
    remote = remote_model(ModelSettings(base_url=f"http://127.0.0.1:{model.port}/v1"))
    said = [piece async for piece in stream_text(remote, build_messages([], "hello there"))]
    assert "".join(said) == REPLY
    assert len(said) == len(words(REPLY))


async def test_a_whole_reply_is_told_with_the_time_of_its_first_words(model: Target) -> None:
    connection = Connection(model)
    answers = [await connection.ask("hello"), await connection.ask("again, on the same connection")]
    connection.close()
    assert all(answer.ok and 0 < answer.first <= answer.whole for answer in answers)


@pytest.fixture
async def rude() -> AsyncIterator[Target]:
    """A server that refuses every other request, and breaks the others off in mid-stream."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n"
        cut = b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n18\r\ndata: {"content": "Hel"}\n\n'
        writer.write(head if asked % 2 else cut)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Target(listening.sockets[0].getsockname()[1])
    listening.close()


async def test_a_refused_and_a_cut_stream_count_as_failed(rude: Target) -> None:
    seen = await crowd(rude, clients=2, seconds=0.1, rest=0.01)
    assert len(seen.answers) >= 2
    assert seen.failed == len(seen.answers)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([5.0], 0.99) == 5.0
