"""A chat server on a real socket that answers at once, keeps connections open, and fails when a test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from warmline.eval.rubrics import shipped_rubrics

Answer = Callable[[dict[str, Any]], str | int | None]
"""Request body to the reply's text, an HTTP status, or ``None`` to hang up."""


def ratings(score: int = 7, **others: int) -> str:
    """A complete judgement."""
    return json.dumps({id: {"reason": f"said {id}", "score": others.get(id, score)} for id in shipped_rubrics().ids})


class StubJudge:
    """Answers ``POST /v1/chat/completions`` with what ``answer`` says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.requests.append(body)
                said = self.answer(body)
                if said is None:
                    break
                writer.write(_response(said))
                await writer.drain()
        writer.close()


def _response(said: str | int) -> bytes:
    if isinstance(said, int):
        return f"HTTP/1.1 {said} X\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\n{{}}".encode()
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def stub_judge(answer: Answer = lambda _: ratings()) -> AsyncIterator[StubJudge]:
    """The server, on a free port of this machine."""
    stub = StubJudge(answer)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        server.close()
