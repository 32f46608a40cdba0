"""What the service adds to its model, and how it stands a crowd: rows for ``warmline bench``.

A stub model server, the service and this client are three processes on one machine; every figure of the service stands
beside the stub's own, asked by the same client in the same run. The client is bare sockets, so that it costs little.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from .speed import Row

SAID = (
    "I can't sleep since the funeral, and work wants me back on Monday.",
    "My sister rang again and we talked about mum for an hour.",
    "I get up at four and think about money, and then about the bus.",
    "Thank you. Tomorrow I will try to go for a walk before work.",
)
"""Ordinary messages, of a dozen words; none of them is a crisis."""


@dataclass(frozen=True)
class Target:
    """Where a chat completion is asked for."""

    port: int
    key: str = ""

    def request(self, text: str, user: str | None) -> bytes:
        """The bytes of one request that streams."""
        asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
        body = json.dumps(asked | ({"user": user} if user else {})).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Answer:
    """How one stream went, in seconds since it was asked for."""

    first: float
    """To the first words."""
    whole: float
    ok: bool
    """True for a 200 that ended as a stream should, with words in it."""


class Connection:
    """A connection that is kept for one request after the other, as a client's pool does."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str, user: str | None = None) -> Answer:
        """Ask for one reply and read it to its end."""
        began = perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._target.port)
        reader, writer = self._streams
        writer.write(self._target.request(text, user))
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        if status != b"200":
            self.close()
            return Answer(0, perf_counter() - began, ok=False)
        first, done = None, False
        while size := int(await reader.readline(), 16):
            data = await reader.readexactly(size + 2)
            if first is None and b'"content": "' in data and b'"content": ""' not in data:
                first = perf_counter() - began
            done = done or b"data: [DONE]" in data
        await reader.readline()
        return Answer(first or 0, perf_counter() - began, ok=done and first is not None)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Crowd:
    """What many clients saw."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Streams that were refused or cut."""
        return sum(not answer.ok for answer in self.answers)

    @property
    def a_second(self) -> float:
        """Whole streams in a second."""
        return (len(self.answers) - self.failed) / self.seconds


async def crowd(target: Target, clients: int, seconds: float, *, sessions: str | None = None, rest: float = 0) -> Crowd:
    """Let ``clients`` ask at once, each one reply after the other, for ``seconds``.

    Args:
        sessions: each client holds a session of this name and its number; None stores nothing.
        rest: seconds that a client waits after a reply, as somebody does who reads it.
    """
    seen, began = Crowd(), perf_counter()

    async def one(number: int) -> None:
        connection = Connection(target)
        await asyncio.sleep(rest * number / clients)
        turn = 0
        while perf_counter() - began < seconds:
            try:
                answer = await connection.ask(SAID[turn % len(SAID)], f"{sessions}-{number}" if sessions else None)
            except (OSError, ValueError, asyncio.IncompleteReadError):
                connection.close()
                answer = Answer(0, 0, ok=False)
            seen.answers.append(answer)
            turn += 1
            if rest:
                await asyncio.sleep(rest)
        connection.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    seen.seconds = perf_counter() - began
    return seen


@contextmanager
def stub(pace: float) -> Iterator[Target]:
    """A stub model server in a process of its own."""
    command = [sys.executable, "-m", "warmline.eval.stub_model", "--pace", str(pace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Target(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Service:
    """``warmline api`` in a process of its own."""

    target: Target
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """CPU seconds it has used; NaN where /proc is missing."""
        with suppress(OSError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return math.nan

    def memory_mb(self) -> float:
        """Resident memory; NaN where /proc is missing."""
        with suppress(OSError):
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return math.nan


@contextmanager
def service(
    model: Target, *, store: str | None = None, scopes: Sequence[str] = ("chat",), **settings: str
) -> Iterator[Service]:
    """The service before ``model``, once it takes turns.

    Args:
        store: URL of its store; None makes an SQLite file of its own.
        scopes: of the key in ``Service.target``.
        settings: further settings, as in ``guards__encoder="off"``.
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        chosen = {
            "store__url": store or f"sqlite:///{Path(folder) / 'bench.db'}",
            "model__base_url": f"http://127.0.0.1:{model.port}/v1",
            "service__rate_per_minute": "1000000",
            "service__port": str(port),
        } | settings
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WARMLINE_")}
        environment |= {f"WARMLINE_{name.upper()}": value for name, value in chosen.items()}
        environment |= {"WARMLINE_CONFIG": str(Path(folder) / "none.toml"), "OMP_NUM_THREADS": "1"}
        warmline = [sys.executable, "-c", "from warmline.tui.command import main; main()"]
        make_key = [*warmline, "keys", "create", f"bench-{os.getpid()}-{port}"]
        make_key += [word for scope in scopes for word in ("--scope", scope)]
        made = subprocess.run(make_key, env=environment, capture_output=True, text=True, check=True)
        key = next(word for word in made.stdout.split() if word.startswith("wl_"))
        process = subprocess.Popen([*warmline, "api"], env=environment, stderr=subprocess.DEVNULL)
        try:
            _until_ready(port, process)
            yield Service(Target(port, key), process)
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _until_ready(port: int, process: subprocess.Popen[bytes], patience_s: float = 300) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"`warmline api` ended with {process.returncode} before it was ready")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
            if b" 200 " in asked.recv(100):
                return
        time.sleep(0.1)
    raise RuntimeError(f"`warmline api` was not ready within {patience_s:g} s")


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of them lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else math.nan


async def one_client(turns: int = 60) -> list[Row]:
    """What one client waits for longer than at the model itself."""

    async def firsts(target: Target, user: str | None = None) -> list[float]:
        connection = Connection(target)
        answers = [await connection.ask(SAID[n % len(SAID)], user) for n in range(turns + 10)]
        connection.close()
        if not all(answer.ok for answer in answers):
            raise RuntimeError("a stream failed")
        return [answer.first * 1000 for answer in answers[10:]]

    with stub(0) as model:
        direct = statistics.median(await firsts(model))
        added: dict[str, float] = {}
        for name, encoder in (("shipped", "shipped"), ("off", "off")):
            with service(model, guards__encoder=encoder) as running:
                before = running.cpu_s()
                added[name] = statistics.median(await firsts(running.target, "one")) - direct
                added[f"{name} cpu"] = (running.cpu_s() - before) * 1000 / (turns + 10)
    share = (added["shipped"] - added["off"]) / added["shipped"]
    return [
        Row("stub model, 1 client, to the first words", f"{direct:.1f} ms"),
        Row("  added by the whole service, stored", f"{added['shipped']:.1f} ms", "< 15 ms"),
        Row("  added with the encoder off", f"{added['off']:.1f} ms"),
        Row("  share of the encoder", f"{share:.0%}"),
        Row("  CPU of the service, a turn", f"{added['shipped cpu']:.1f} ms"),
        Row("  CPU with the encoder off", f"{added['off cpu']:.1f} ms"),
    ]


async def many_streams(clients: int = 32, seconds: float = 15, pace: float = 0.04) -> list[Row]:
    """Throughput of concurrent streams, beside the stub's own at the same pace."""
    with stub(pace) as model:
        alone = await crowd(model, clients, seconds)
        with service(model) as running:
            await crowd(running.target, 4, 2)
            through = await crowd(running.target, clients, seconds, sessions="many")
    rate = 1 / pace
    return [
        Row(f"{clients} streams at {rate:.0f} words/s, stub alone", f"{alone.a_second:.1f} replies/s"),
        Row("  through the service", f"{through.a_second:.1f} replies/s"),
        Row("  of the stub's own", f"{through.a_second / alone.a_second:.0%}", ">= 90%"),
        Row("  streams that failed", f"{through.failed}", "0"),
    ]


async def soak(
    sessions: int = 200, seconds: float = 60, *, pace: float = 0.04, rest: float = 8, store: str | None = None
) -> list[Row]:
    """Many people at once, each in a stored conversation, who read for ``rest`` seconds before they answer."""
    with stub(pace) as model:
        alone = statistics.median(answer.whole for answer in (await crowd(model, 8, 4)).answers)
        with service(model, store=store) as running:
            talking = asyncio.create_task(crowd(running.target, sessions, seconds, sessions="soak", rest=rest))
            await asyncio.sleep(min(60, seconds / 3))
            early, cpu = running.memory_mb(), running.cpu_s()
            seen = await talking
            late, spent = running.memory_mb(), running.cpu_s() - cpu
    overhead = [answer.whole - alone for answer in seen.answers if answer.ok]
    where = "PostgreSQL" if store and store.startswith("postgresql") else "SQLite"
    return [
        Row(f"{sessions} sessions for {seconds:.0f} s on {where}, replies", f"{len(seen.answers)}"),
        Row("  streams that failed", f"{seen.failed}", "0"),
        Row("  added to a whole reply, median", f"{statistics.median(overhead) * 1000:.0f} ms"),
        Row("  added to a whole reply, p99", f"{percentile(overhead, 0.99) * 1000:.0f} ms"),
        Row("  CPU of the service", f"{spent / (seconds - min(60, seconds / 3)):.0%} of a core"),
        Row("  memory then and at the end", f"{early:.0f}, {late:.0f} MB"),
        Row("  grown by", f"{late / early - 1:+.1%}", "within 5%"),
    ]


def rows(*, soak_s: float = 60, store: str | None = None) -> Iterator[Row]:
    """All of it.

    Args:
        soak_s: seconds that the crowd of 200 talks; 0 leaves it out.
        store: URL of the crowd's store; None is an SQLite file of its own.
    """
    yield from asyncio.run(one_client())
    yield from asyncio.run(many_streams())
    if soak_s:
        yield from asyncio.run(soak(seconds=soak_s, store=store))
