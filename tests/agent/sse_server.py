"""A small OpenAI-style chat server on a real socket, with a switch for each way such a server fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

REPLY = ["That ", "sounds ", "heavy. ", "You ", "are ", "not ", "alone ", "in ", "it."]


class SSEServer:
    """Answers ``POST /v1/chat/completions``. ``modes`` holds one fault per request; the last one stays."""

    def __init__(self, *modes: str, reply: list[str] = REPLY) -> None:
        self.modes = list(modes) or ["fine"]
        self.reply = reply
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.hang_up = asyncio.Event()
        """Set when a client closed its connection while the server was still busy with it."""
        self.arrived = asyncio.Event()
        """Set by the first request."""
        self.release = asyncio.Event()
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.headers.append(headers)
            self.requests.append(json.loads(body))
            self.arrived.set()
            mode = self.modes.pop(0) if len(self.modes) > 1 else self.modes[0]
            watch = asyncio.create_task(self._watch(reader))
            try:
                await self._answer(mode, writer)
            finally:
                watch.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hang_up.set()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        if not await reader.read(1):
            self.hang_up.set()
            self.release.set()

    async def _answer(self, mode: str, writer: asyncio.StreamWriter) -> None:
        if mode.isdigit():
            await self._plain(writer, int(mode), "application/json", '{"error": {"message": "SECRET prompt text"}}')
        elif mode == "html":
            await self._plain(writer, 200, "text/html", "<html><body>Welcome to the router</body></html>")
        elif mode == "json":
            await self._plain(writer, 200, "application/json", '{"hello": "world"}')
        elif mode == "whole":
            message = {"role": "assistant", "content": "".join(self.reply)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            await self._plain(writer, 200, "application/json", json.dumps(whole))
        elif mode == "close":
            return
        elif mode == "silent":
            await self.release.wait()
        else:
            await self._stream(mode, writer)

    async def _stream(self, mode: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        if mode == "garbage":
            writer.write(b"data: {not json at all\n\n")
        elif mode == "strange":
            writer.write(b'data: {"foo": "bar"}\n\ndata: [DONE]\n\n')
        elif mode == "empty":
            self._send(writer, {}, "stop")
        else:
            self._send(writer, {"role": "assistant", "content": ""})
            await self._words(mode, writer)
        await writer.drain()

    async def _words(self, mode: str, writer: asyncio.StreamWriter) -> None:
        if mode == "slow":
            await writer.drain()
            await self.release.wait()
        if mode == "reasoning":
            self._send(writer, {"reasoning_content": "SECRET thoughts"})
        for number, word in enumerate(self.reply):
            if mode in ("stall", "cut", "error") and number == 4:
                await writer.drain()
                if mode == "stall":
                    await self.release.wait()
                if mode == "error":
                    writer.write(b'data: {"error": {"message": "SECRET engine died", "code": 500}}\n\n')
                return
            self._send(writer, {"content": word})
        while mode == "endless" and not self.hang_up.is_set():
            self._send(writer, {"content": "and on "})
            await writer.drain()
        self._send(writer, {}, "length" if mode == "length" else "stop")
        writer.write(b"data: [DONE]\n\n")

    @staticmethod
    def _send(writer: asyncio.StreamWriter, delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        writer.write(f"data: {json.dumps(chunk)}\n\n".encode())

    @staticmethod
    async def _plain(writer: asyncio.StreamWriter, status: int, kind: str, body: str) -> None:
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write((head + body).encode())
        await writer.drain()


@asynccontextmanager
async def sse_server(*modes: str, reply: list[str] = REPLY) -> AsyncIterator[SSEServer]:
    """The server, listening on a free port of this machine."""
    server = SSEServer(*modes, reply=reply)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        server.release.set()
        listening.close()
        await listening.wait_closed()
