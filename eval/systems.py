"""What is measured: the agent with its guards, a model behind any OpenAI endpoint, or answers from a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from ..guards.filter import CrisisFilter
from ..guards.types import RiskLevel, Utterance, Verdict
from .endpoint import Client, EndpointError, Said
from .lines import EvalError
from .questions import Answer, Question

if TYPE_CHECKING:
    from ..agent import Session, SupportAgent
    from ..agent.settings import Settings

MAX_TOKENS = 512
"""Longest answer of an endpoint, as in the paper."""


@dataclass(frozen=True)
class Reply:
    """What a system said."""

    text: str
    route: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    ms: float = 0.0


class System(Protocol):
    """Something that answers questions."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def model(self) -> str:
        """The language model behind it, ``NAME@URL`` where it has an address."""
        ...

    async def answer(self, question: Question) -> Reply:
        """What it says. Raises EndpointError where this one question got no answer."""
        ...


class Talk(Protocol):
    """A conversation that goes on."""

    async def say(self, text: str) -> Reply:
        """What is said to the next message. Raises EndpointError where there is no answer."""
        ...


class Counterpart(Protocol):
    """A system that one can talk with for longer than one message."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def model(self) -> str:
        """See ``System``."""
        ...

    async def open(self, country: str = "") -> Talk:
        """A conversation of its own."""
        ...


class Unfiltered(CrisisFilter):
    """Lets everything through: what the model would say if nobody looked. For measuring only, never for people."""

    def screen(self, text: str, history: Sequence[Utterance] = ()) -> Verdict:
        """Always NONE."""
        return Verdict(level=RiskLevel.NONE)

    async def ascreen(self, text: str, history: Sequence[Utterance] = ()) -> Verdict:
        """Always NONE."""
        return self.screen(text)


class AgentSystem:
    """Our agent, as it answers a first message. Its conversations are kept in a folder that is deleted afterwards."""

    def __init__(self, agent: SupportAgent, *, filtered: bool, country: str) -> None:
        self._agent, self._country = agent, country
        settings = agent.settings.model
        self.name = "agent" if filtered else "agent without filter"
        self.model = f"{settings.name or 'default'}@{settings.base_url}" if settings.base_url else "embedded"

    async def answer(self, question: Question) -> Reply:
        """The reply as the person would have seen it."""
        return await (await self.open()).say(question.text)

    async def open(self, country: str = "") -> AgentTalk:
        """A conversation of its own."""
        return AgentTalk(await self._agent.open_session(country=country or self._country))


class AgentTalk:
    """One conversation with the agent."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def say(self, text: str) -> Reply:
        """What the person would have seen."""
        async for event in self._session.send(text):
            if event.type == "failed":
                raise EndpointError(f"the agent failed: {event.detail}")
            if event.type == "done":
                return Reply(event.reply, event.route, ms=event.ms)
        raise EndpointError("the agent said nothing")


@asynccontextmanager
async def agent_system(settings: Settings, *, filtered: bool = True) -> AsyncIterator[AgentSystem]:
    """The agent of ``settings``, with a store of its own."""
    from ..agent import Store, SupportAgent

    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{Path(folder) / 'eval.db'}")
        agent = SupportAgent(settings=settings, store=store, crisis_filter=None if filtered else Unfiltered())
        try:
            yield AgentSystem(agent, filtered=filtered, country=settings.country or "US")
        finally:
            await agent.aclose()


class EndpointSystem:
    """A model with our prompt and no guards; ``bare`` without the prompt too, where a bench brings its own."""

    def __init__(self, client: Client, *, temperature: float = 0.0, bare: bool = False) -> None:
        self._client, self._temperature, self._bare = client, temperature, bare
        self.name = self.model = client.endpoint.name

    async def answer(self, question: Question) -> Reply:
        """What the model says to it."""
        return await (await self.open()).say(question.text)

    async def open(self, country: str = "") -> EndpointTalk:
        """A conversation of its own; the country is nothing to a bare model."""
        return EndpointTalk(self._client, self._temperature, self._bare)


class EndpointTalk:
    """One conversation with a model, which is sent all of it each time."""

    def __init__(self, client: Client, temperature: float, bare: bool) -> None:
        self._client, self._temperature, self._bare = client, temperature, bare
        self._said: list[Utterance] = []

    async def say(self, text: str) -> Reply:
        """What the model says to it."""
        from ..agent.prompt import to_chat

        messages = [
            {"role": m["role"], "content": m["content"]}
            for m in to_chat(self._said, text)
            if not (self._bare and m["role"] == "system")
        ]
        start = perf_counter()
        said: Said = await self._client.ask(messages, temperature=self._temperature, max_tokens=MAX_TOKENS)
        self._said += [Utterance(role="user", text=text), Utterance(role="assistant", text=said.text)]
        return Reply(said.text, "", said.tokens_in, said.tokens_out, (perf_counter() - start) * 1000)


class AnswersSystem:
    """Answers that are there already."""

    def __init__(self, answers: Mapping[str, Answer], name: str) -> None:
        self._answers = answers
        self.model = next(iter(answers.values())).model or name
        self.name = f"answers of {self.model}"

    async def answer(self, question: Question) -> Reply:
        """The answer in the file.

        Raises:
            EvalError: the file holds none to this question.
        """
        if (found := self._answers.get(question.id)) is None:
            raise EvalError(f"no answer to question {question.id} among the {len(self._answers)} answers")
        return Reply(found.text)
