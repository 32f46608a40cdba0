"""Keeps one vLLM server running as a child of this process: waits until it answers, passes signals on, starts it again.

It decides when to try again and when to give up; what the child is, is decided in ``vllm.py``.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, Self

import httpx

from .vllm import ServeError


class Server(Protocol):
    """What is kept running; ``vllm.Plan`` is one."""

    @property
    def health_url(self) -> str:
        """Answers 200 once the server can be used."""
        ...

    def command(self) -> list[str]:
        """Program and arguments."""
        ...

    def environment(self) -> dict[str, str]:
        """All of its environment variables."""
        ...


@dataclass(frozen=True)
class Loading:
    """The child was started and does not answer yet."""

    seconds: float
    stage: str
    """What it said last about where it is."""


@dataclass(frozen=True)
class Ready:
    """The child answers."""

    seconds: float
    """From its start."""


@dataclass(frozen=True)
class Fell:
    """The child died although it had answered; it is started again."""

    code: int
    """Its exit status; negative for a signal."""
    again_in_s: float


@dataclass(frozen=True)
class Stopping:
    """A signal came and was passed on."""

    signal: int


Step = Loading | Ready | Fell | Stopping


@dataclass(frozen=True)
class Patience:
    """How long is waited for what."""

    poll_s: float = 0.5
    """Between two looks at a loading child."""
    load_s: float = 3600.0
    """For a child to answer; large models over a slow disk take most of an hour."""
    wait_s: float = 1.0
    """Before the first new start; doubled at each further one."""
    longest_wait_s: float = 60.0
    steady_s: float = 300.0
    """After that long without a fall the waits begin anew."""
    falls: int = 6
    """Falls in a row after which it gives up: what comes back every time needs a person."""
    grace_s: float = 30.0
    """For a child to end by itself after a signal."""


STAGES = (
    (re.compile(r"downloading|fetching \d+ files", re.I), "fetching the model"),
    (re.compile(r"Starting to load model|Loading (safetensors|weights|pt) ", re.I), "loading the weights"),
    (re.compile(r"compiling a graph|torch\.compile takes|dynamo bytecode|warming up model", re.I), "compiling"),
    (re.compile(r"KV cache (size|tokens)|Available KV cache|cache config", re.I), "making room for the cache"),
    (re.compile(r"captur\w+ (cuda )?graph", re.I), "capturing graphs"),
    (re.compile(r"loaded new lora|Started server process|Waiting for application startup", re.I), "opening the port"),
)
"""What a line of vLLM's log says about how far it is. A line that is not known changes nothing."""

LAST_LINES = 25
_CAUSE = re.compile(r"^.*?\b((?:[A-Za-z_.]+)?(?:Error|Exception|Killed|Interrupt)\b: .+)$")
_NOT_THE_CAUSE = ("Engine core initialization failed", "WorkerProc initialization failed", "DeprecationWarning")


async def keep_serving(
    server: Server,
    tell: Callable[[Step], None],
    log: Callable[[str], None],
    *,
    patience: Patience = Patience(),
) -> None:
    """Run ``server`` until a signal ends it. Signals go to the child; a second one kills it.

    Args:
        tell: is told each step.
        log: gets every line the child writes.

    Raises:
        ServeError: the child died while loading, or again and again; with its last lines.
    """
    ever_answered, falls = False, 0
    with _Signals.taken() as signals:
        while True:
            child = await _Child.start(server, log)
            try:
                answered = await child.answers(server.health_url, tell, signals, patience)
                ever_answered = ever_answered or answered is not None
                if answered is not None:
                    await child.until_over(signals)
                if signals.came is not None:
                    tell(Stopping(signals.came))
                    await child.end(signals, patience.grace_s)
                    return
            finally:
                code = await child.clear_away()
            steady = answered is not None and monotonic() - answered >= patience.steady_s
            falls = 1 if steady else falls + 1
            if not ever_answered:
                raise ServeError(f"vLLM ended while it was loading ({_ended(code)}).\n{child.story()}")
            if falls > patience.falls:
                raise ServeError(f"vLLM fell {falls} times in a row, last with {_ended(code)}.\n{child.story()}")
            wait = min(patience.wait_s * 2 ** (falls - 1), patience.longest_wait_s)
            tell(Fell(code, wait))
            await signals.within(wait)
            if signals.came is not None:
                tell(Stopping(signals.came))
                return


class _Child:
    """One run of the server."""

    def __init__(self, process: asyncio.subprocess.Process, log: Callable[[str], None]) -> None:
        self._process, self._log = process, log
        self._lines: deque[str] = deque(maxlen=400)
        self._stage = "starting"
        self._began = monotonic()
        self._reading = asyncio.create_task(self._read())
        self._over = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, server: Server, log: Callable[[str], None]) -> Self:
        """Start it in a process group of its own, so that Ctrl-C reaches it once: through us."""
        command = server.command()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=server.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),
            )
        except OSError as error:
            raise ServeError(f"{command[0]}: cannot be started ({error.strerror})") from None
        return cls(process, log)

    async def answers(
        self, url: str, tell: Callable[[Step], None], signals: _Signals, patience: Patience
    ) -> float | None:
        """When the server first answered; None when it ended, or a signal came, before that."""
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while not self._over.done() and signals.came is None:
                seconds = monotonic() - self._began
                if await _healthy(client, url):
                    tell(Ready(seconds))
                    return monotonic()
                if seconds > patience.load_s:
                    raise ServeError(f"vLLM does not answer after {seconds:.0f} s.\n{self.story()}")
                tell(Loading(seconds, self._stage))
                await self._first_of(signals, patience.poll_s)
        return None

    async def until_over(self, signals: _Signals) -> None:
        """Wait until it ends or a signal comes."""
        await self._first_of(signals, None)

    async def end(self, signals: _Signals, grace_s: float) -> None:
        """Pass the signal on and wait for the child to end; not for long, and not after a second signal."""
        if signals.came is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signals.came)
        again = asyncio.create_task(signals.second.wait())
        await asyncio.wait({self._over, again}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()

    async def clear_away(self) -> int:
        """End what is left of it, its own children too, and return its exit status."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = await self._over
        with suppress(TimeoutError):  # a grandchild that left the group could hold the pipe open
            await asyncio.wait_for(self._reading, 2.0)
        return code

    def story(self) -> str:
        """What it said last, and before that the line which most likely tells why it ended."""
        lines = list(self._lines)
        causes = [line for line in lines if _CAUSE.match(line) and not any(word in line for word in _NOT_THE_CAUSE)]
        why = [f"The cause may be: {found[1]}" for line in causes[:1] if (found := _CAUSE.match(line))]
        return "\n".join([*why, "Its last lines:", *(f"  {line}" for line in lines[-LAST_LINES:] or ["(none)"])])

    async def _first_of(self, signals: _Signals, seconds: float | None) -> None:
        came = asyncio.create_task(signals.first.wait())
        await asyncio.wait({self._over, came}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        came.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = ""
        while chunk := await self._process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk.decode("utf-8", "replace")).replace("\r", "\n").split("\n")
            for line in lines:
                self._take(line)
            rest = rest[-10_000:]  # one endless line must not fill the memory
        self._take(rest)

    def _take(self, line: str) -> None:
        if not (line := line.rstrip()):
            return
        self._lines.append(line)
        self._stage = next((stage for pattern, stage in STAGES if pattern.search(line)), self._stage)
        self._log(line)


async def _healthy(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def _dies_with_parent() -> Callable[[], object] | None:
    """Makes the kernel end the child when this process is killed outright: no server is left holding the memory."""
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return arrange


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    killed = " (the machine may have run out of memory)" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{killed}"


class _Signals:
    """The signals that end us, while they are ours."""

    TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        self.came: int | None = None
        """The first one."""

    @classmethod
    @contextmanager
    def taken(cls) -> Iterator[Self]:
        """Take them for as long as the block runs."""
        signals, loop = cls(), asyncio.get_running_loop()
        for number in cls.TAKEN:
            loop.add_signal_handler(number, signals._take, number)
        try:
            yield signals
        finally:
            for number in cls.TAKEN:
                loop.remove_signal_handler(number)

    async def within(self, seconds: float) -> None:
        """Wait that long, or until one comes."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.first.wait(), seconds)

    def _take(self, number: int) -> None:
        if self.came is not None:
            self.second.set()
        self.came = self.came or int(number)
        self.first.set()
