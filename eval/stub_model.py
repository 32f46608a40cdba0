"""A model server that answers at once or at a set pace: what the service's own cost is measured against.

``python -m warmline.eval.stub_model --pace 0.03`` speaks the OpenAI chat API on a free port of this machine, and prints
the port. It says the same harmless words to everybody, and is no model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress

REPLY = (
    "I'm sorry that it has been so heavy. It makes sense that you are tired after all that. You have been carrying a "
    "lot by yourself, and you found words for it tonight. Nothing has to be solved right now. What would make the next "
    "hour a little easier for you?"
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream\r\n"
    b"cache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def words(reply: str) -> list[str]:
    """A reply as a model would stream it: about a word at a time."""
    parts = reply.split(" ")
    return [f"{part} " for part in parts[:-1]] + parts[-1:]


def frames(reply: str) -> Iterator[bytes]:
    """The reply as OpenAI's chunks, each in a chunk of HTTP."""

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        body = {"id": "stub", "object": "chat.completion.chunk", "created": 0, "model": "stub", "choices": [choice]}
        return _framed(f"data: {json.dumps(body)}\n\n".encode())

    yield chunk({"role": "assistant", "content": ""})
    for word in words(reply):
        yield chunk({"content": word})
    yield chunk({}, "stop")
    yield _framed(b"data: [DONE]\n\n")


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class StubModel:
    """Answers every chat completion with the same stream.

    Args:
        pace: seconds between two words; 0 sends all at once.
    """

    def __init__(self, pace: float = 0.0, reply: str = REPLY) -> None:
        self._pace, self._frames = pace, list(frames(reply))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open for further requests."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                _, _, length = head.partition("content-length:")
                await reader.readexactly(int(length.split("\r\n")[0] or 0))
                await self._answer(writer)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_HEAD)
        for frame in self._frames:
            writer.write(frame)
            if self._pace:
                await writer.drain()
                await asyncio.sleep(self._pace)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def main(pace: float, port: int) -> None:
    """Listen until the process ends."""
    listening = await asyncio.start_server(StubModel(pace).serve, "127.0.0.1", port, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pace", type=float, default=0.0)
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    asyncio.run(main(given.pace, given.port))
