"""A chat model that says what a test tells it to: the one stand-in for a language model, shipped to users too."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr


@dataclass(frozen=True)
class Scripted:
    """One queued reply."""

    text: str = ""
    error: BaseException | None = None
    """Raised in place of chunk ``error_at``."""
    error_at: int = 0
    """Counts chunks from 0; past the end it is raised after the last chunk."""


class ScriptedModel(BaseChatModel):
    """Streams queued replies in chunks, in order, and logs what it was asked.

    >>> model = ScriptedModel(replies=["Hello there."])
    >>> model.invoke("hi").text
    'Hello there.'
    >>> model.calls[0][0].text
    'hi'
    """

    replies: list[str] = Field(default_factory=list)
    """Replies to begin with; ``enqueue`` adds further ones."""
    chunk_size: int = Field(default=8, ge=1)
    """Characters in a chunk."""
    before_chunk: Callable[[int], Awaitable[object] | None] | None = None
    """Called with the number of each chunk before it is sent; what it returns is awaited. For tests that hold a
    reply at a point (``before_chunk=lambda n: event.wait()``). A synchronous stream does not await."""

    _queue: deque[Scripted] = PrivateAttr(default_factory=deque)
    _calls: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _closed: int = PrivateAttr(default=0)

    def model_post_init(self, context: Any, /) -> None:
        """Queue the first replies."""
        super().model_post_init(context)
        self._queue.extend(Scripted(text) for text in self.replies)

    def enqueue(self, text: str = "", *, error: BaseException | None = None, error_at: int = 0) -> None:
        """Add a reply at the end of the queue; with ``error``, one that breaks at chunk ``error_at``."""
        self._queue.append(Scripted(text, error, error_at))

    @property
    def calls(self) -> list[list[BaseMessage]]:
        """The messages of every call, oldest first; retries count."""
        return self._calls

    @property
    def left(self) -> int:
        """Replies that were not asked for yet."""
        return len(self._queue)

    @property
    def stopped(self) -> int:
        """Replies that their reader closed before the end."""
        return self._closed

    @property
    def _llm_type(self) -> str:
        return "warmline-scripted"

    def _next(self, messages: list[BaseMessage]) -> Scripted:
        self._calls.append(list(messages))
        if not self._queue:
            raise RuntimeError("ScriptedModel has no reply left; give it more with replies=[…] or enqueue()")
        return self._queue.popleft()

    def _chunks(self, reply: Scripted) -> Iterator[ChatGenerationChunk]:
        pieces = [reply.text[i : i + self.chunk_size] for i in range(0, len(reply.text), self.chunk_size)]
        for number, piece in enumerate(pieces):
            if reply.error is not None and number == reply.error_at:
                raise reply.error
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        if reply.error is not None:
            raise reply.error
        end = AIMessageChunk(content="", response_metadata={"finish_reason": "stop"}, chunk_position="last")
        yield ChatGenerationChunk(message=end, generation_info={"finish_reason": "stop"})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = "".join(chunk.text for chunk in self._stream(messages, stop, None, **kwargs))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        try:
            for number, chunk in enumerate(self._chunks(self._next(messages))):
                if self.before_chunk is not None:
                    held = self.before_chunk(number)
                    if inspect.iscoroutine(held):
                        held.close()
                yield chunk
        except GeneratorExit:
            self._closed += 1
            raise

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        finished = False
        try:
            for number, chunk in enumerate(self._chunks(self._next(messages))):
                if self.before_chunk is not None:
                    held = self.before_chunk(number)
                    if inspect.isawaitable(held):
                        await held
                yield chunk
            finished = True
        except Exception:
            finished = True
            raise
        finally:
            self._closed += not finished
