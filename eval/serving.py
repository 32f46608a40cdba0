"""What the agent costs on top of the model server: the same questions with and without it, in turns, on one server.

Tokens are counted by vLLM itself (its ``/metrics``), so that neither side's client is trusted with it.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx

from ..agent import Settings, Store, SupportAgent
from ..agent.model.remote import RemoteModel, remote_model
from ..agent.prompt import to_chat
from ..agent.settings import GuardSettings, ModelSettings, ThresholdSettings
from ..guards.sentences import SentenceSplitter
from .lines import EvalError

STREAMS = (1, 8, 16)
ROUNDS = 2
SAID = (
    "I moved to a new town for work and I eat dinner alone every night. I miss my friends.",
    "My boss shouted at me in front of everyone today and I still feel small.",
    "I can't sleep since the exam, I keep going over every answer.",
    "My sister and I have not spoken since the wedding.",
    "The bus was late again and I missed the start of my class.",
    "My dog died on Sunday and the house is so quiet now.",
    "I get nervous every time I have to phone somebody.",
    "I was passed over for a promotion again.",
)
"""Ordinary turns all."""


@dataclass
class Turn:
    """Seconds of one turn, from when it was asked."""

    began: float = field(default_factory=perf_counter)
    cpu_began: float = field(default_factory=process_time)
    first_token: float | None = None
    first_token_cpu: float | None = None
    """CPU of this process until then; says something while no other turn runs."""
    first_sentence: float | None = None

    def restart(self) -> None:
        """What came before was preparation."""
        self.began, self.cpu_began = perf_counter(), process_time()

    def token(self) -> None:
        """A piece of the reply came from the server."""
        if self.first_token is None:
            self.first_token, self.first_token_cpu = perf_counter() - self.began, process_time() - self.cpu_began

    def sentence(self) -> None:
        """A whole sentence can be shown."""
        self.first_sentence = self.first_sentence or perf_counter() - self.began


@dataclass(frozen=True)
class Measured:
    """One side at one number of streams."""

    tokens_s: float
    """Tokens a second, all streams together."""
    token_cpu_ms: float
    """CPU of this process for each token."""
    first_token_ms: float
    """Median."""
    first_token_cpu_ms: float
    """Median CPU of this process until the first token; true of one stream only."""
    first_sentence_ms: float
    """Median."""


Ask = Callable[[str, Turn], Awaitable[None]]


async def side_by_side(
    base_url: str, *, streams: tuple[int, ...] = STREAMS, seconds: float = 20.0
) -> AsyncIterator[tuple[int, Measured, Measured]]:
    """Yield (streams, raw, through the agent) for each number of streams.

    Args:
        base_url: of a vLLM server, such as http://127.0.0.1:8000/v1.
        seconds: for each side at each number of streams; both sides take turns within it.

    Raises:
        EvalError: there is no vLLM at that address.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=120.0, limits=httpx.Limits(max_connections=None)) as http:
        name = await _model_name(http, base_url)
        # A turn that worries the filter adds a line to the prompt, and the two sides would not ask the same.
        calm = GuardSettings(thresholds=ThresholdSettings(concern=1, crisis=1))
        settings = Settings(model=ModelSettings(base_url=base_url, name=name, temperature=0), guards=calm)
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(f"sqlite:///{Path(folder) / 'bench.db'}")
            agent = SupportAgent(model=_timed(settings.model), settings=settings, store=store)
            await agent.warm_up()
            raw, through = _raw(http, settings.model), _through(agent)
            said = _questions()
            for n in streams:
                await asyncio.gather(*(ask(next(said), Turn()) for ask in (raw, through) for _ in range(n)))
                halves = [
                    (await _window(http, base_url, ask, n, seconds / ROUNDS, said), side)
                    for _ in range(ROUNDS)
                    for side, ask in enumerate((raw, through))
                ]
                sides = [[half for half, side in halves if side == which] for which in (0, 1)]
                yield n, _together(sides[0]), _together(sides[1])
            await agent.aclose()


def _questions() -> Iterator[str]:
    """Never the same twice: the server would read the whole prompt from its cache."""
    return (f"{SAID[n % len(SAID)]} That was {n} days ago." for n in count(3))


async def _model_name(http: httpx.AsyncClient, base_url: str) -> str:
    try:
        answer = await http.get(f"{base_url}/models")
        names = [model["id"] for model in answer.raise_for_status().json()["data"]]
        await _tokens(http, base_url)
    except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
        raise EvalError(
            f"{base_url}: no vLLM answers there ({type(error).__name__}); start one with `warmline serve`, and give "
            "its URL up to /v1"
        ) from None
    return "warmline" if "warmline" in names else names[0]


_COUNTER = re.compile(r"^vllm:generation_tokens_total(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


async def _tokens(http: httpx.AsyncClient, base_url: str) -> float:
    """Tokens that the server has made since its start."""
    answer = await http.get(f"{base_url.removesuffix('/v1')}/metrics")
    found = _COUNTER.findall(answer.raise_for_status().text)
    if not found:
        raise ValueError("no counter of tokens")
    return sum(map(float, found))


@dataclass(frozen=True)
class _Window:
    tokens: float
    seconds: float
    cpu: float
    turns: list[Turn]


async def _window(
    http: httpx.AsyncClient, base_url: str, ask: Ask, streams: int, seconds: float, said: Iterator[str]
) -> _Window:
    """Keep ``streams`` conversations busy for that long; turns still running at its end are broken off."""
    turns: list[Turn] = []

    async def talk() -> None:
        while True:
            text = next(said)
            turns.append(turn := Turn())
            await ask(text, turn)

    before, began, cpu = await _tokens(http, base_url), perf_counter(), process_time()
    talking = [asyncio.create_task(talk()) for _ in range(streams)]
    done, _ = await asyncio.wait(talking, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    made, spent, cpu = await _tokens(http, base_url) - before, perf_counter() - began, process_time() - cpu
    for task in talking:
        task.cancel()
    await asyncio.gather(*talking, return_exceptions=True)
    for task in done:
        task.result()  # nothing but an error ends a conversation before its time
    await _quiet(http, base_url)
    return _Window(made, spent, cpu, turns)


async def _quiet(http: httpx.AsyncClient, base_url: str) -> None:
    """Wait until the server has noticed that nobody listens any more; not for ever, others may be asking it too."""
    made = -1.0
    for _ in range(20):
        if (now := await _tokens(http, base_url)) == made:
            return
        made = now
        await asyncio.sleep(0.5)


def _together(windows: list[_Window]) -> Measured:
    turns = [turn for window in windows for turn in window.turns]

    def median_ms(values: list[float | None]) -> float:
        return 1000 * statistics.median([value for value in values if value is not None] or [float("nan")])

    tokens = sum(window.tokens for window in windows)
    return Measured(
        tokens_s=tokens / sum(window.seconds for window in windows),
        token_cpu_ms=1000 * sum(window.cpu for window in windows) / max(1.0, tokens),
        first_token_ms=median_ms([turn.first_token for turn in turns]),
        first_token_cpu_ms=median_ms([turn.first_token_cpu for turn in turns]),
        first_sentence_ms=median_ms([turn.first_sentence for turn in turns]),
    )


def _raw(http: httpx.AsyncClient, settings: ModelSettings) -> Ask:
    """The server by itself: the same messages and sampling, read as fast as they come."""

    async def ask(text: str, turn: Turn) -> None:
        body = {
            "model": settings.name,
            "messages": to_chat([], text),
            "stream": True,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_tokens,
        }
        splitter = SentenceSplitter()
        async with http.stream("POST", f"{settings.base_url}/chat/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                if piece := json.loads(line[6:])["choices"][0]["delta"].get("content"):
                    turn.token()
                    if turn.first_sentence is None and splitter.feed(piece):
                        turn.sentence()

    return ask


_TURN: ContextVar[Turn] = ContextVar("turn")


class _Timed(RemoteModel):
    """The agent's own client; notes when the first piece of a reply reaches the agent."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        turn = _TURN.get()
        async for chunk in super()._astream(*args, **kwargs):
            if turn.first_token is None and chunk.message.content:
                turn.token()
            yield chunk


def _timed(settings: ModelSettings) -> RemoteModel:
    plain = remote_model(settings)
    return _Timed.model_construct(plain.model_fields_set, **plain.__dict__)


def _through(agent: SupportAgent) -> Ask:
    """The same through a whole turn of the agent: store, filter, graph, gate."""

    async def ask(text: str, turn: Turn) -> None:
        session = await agent.open_session(country="US")
        turn.restart()
        _TURN.set(turn)
        async with aclosing(session.send(text)) as events:
            async for event in events:
                if event.type == "sentence":
                    turn.sentence()
                elif event.type == "failed":
                    raise EvalError("the agent could not store a turn; see its log")

    return ask
