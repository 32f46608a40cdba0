"""Stopping without cutting anybody off: first no new turns, then, after a while, running replies end honestly.

It decides when a model's reply has to end. What the person is told then is the agent's own copy for a model that
stopped, so it is stored and checked like every other reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class StoppableModel(BaseChatModel):
    """A chat model whose running replies can be ended all at once."""

    inner: BaseChatModel

    _stopped: bool = PrivateAttr(default=False)
    _waiting: set[asyncio.Timeout] = PrivateAttr(default_factory=set)

    def stop(self) -> None:
        """End every running reply, and each that begins from now on."""
        self._stopped = True
        now = asyncio.get_running_loop().time()
        for timer in self._waiting:
            timer.reschedule(now)

    @property
    def _llm_type(self) -> str:
        return "warmline-stoppable"

    @property
    def openai_api_base(self) -> str | None:
        """The address of the server behind it, for messages to the operator."""
        return getattr(self.inner, "openai_api_base", None)

    @property
    def loaded(self) -> bool:
        """False for an embedded model whose weights are not read yet."""
        return getattr(self.inner, "loaded", True)

    def load(self) -> None:
        """Read the weights of an embedded model."""
        load = getattr(self.inner, "load", None)
        if callable(load):
            load()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self.inner._generate(messages, stop, run_manager, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """The stream of the model behind it, until that is stopped. Adds nothing of LangChain's around each chunk."""
        stream = cast("AsyncGenerator[AIMessageChunk]", self.inner.astream(input, config, stop=stop, **kwargs))
        async with aclosing(stream) as chunks:
            while (chunk := await self._next(chunks)) is not None:
                yield chunk

    async def _next(self, chunks: AsyncGenerator[AIMessageChunk]) -> AIMessageChunk | None:
        if self._stopped:
            raise ConnectionAbortedError("the service stops")
        timer = asyncio.timeout(None)
        try:
            async with timer:
                self._waiting.add(timer)
                return await anext(chunks, None)
        except TimeoutError:
            if timer.expired():
                raise ConnectionAbortedError("the service stops") from None
            raise
        finally:
            self._waiting.discard(timer)


class Drain:
    """Whether the service takes turns, and how it stops taking them."""

    def __init__(self, model: StoppableModel) -> None:
        self._model = model
        self.begun = asyncio.Event()
        """Set from the stop signal on: no new turns, and what only waits ends."""

    def begin(self) -> None:
        """Take no new turns."""
        self.begun.set()

    def cut(self) -> None:
        """End the replies that are still running, with honest words."""
        self.begin()
        self._model.stop()
