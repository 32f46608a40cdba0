"""Any server that speaks the OpenAI chat API, through langchain-openai. Imported only when a base URL is set."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, AsyncStream
from pydantic import SecretStr, model_validator

from ..settings import ModelSettings


class ReplyCutOff(ConnectionError):
    """The server closed the stream without saying that the reply was over."""


class _PlainChunks:
    """Chat completions whose streams yield what the server sent as it stands. Of a streamed reply's CPU, more than half
    goes into the client's own objects for request and chunks, and nothing here reads them."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    @property
    def with_raw_response(self) -> Any:
        """The client's own: replies that come whole are asked for through it."""
        return self._client.chat.completions.with_raw_response

    async def create(self, *, extra_body: dict[str, Any] | None = None, **payload: Any) -> Any:
        """``chat.completions.create`` of the client; a stream of dictionaries when ``stream`` is set."""
        if not payload.get("stream"):
            return await self._client.chat.completions.create(extra_body=extra_body, **payload)
        return await self._client.post(
            "/chat/completions",
            body=payload | (extra_body or {}),
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )


class RemoteModel(ChatOpenAI):
    """``ChatOpenAI`` that notices a reply which was cut off, and lets reasoning count as a sign of life."""

    @model_validator(mode="after")
    def _stream_plain_chunks(self) -> Self:
        self.async_client = _PlainChunks(self.root_async_client)
        return self

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        if not isinstance(chunk.get("choices"), list):
            raise TypeError("the stream holds no chat completion chunk")
        converted = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        delta = (chunk["choices"][0].get("delta") or {}) if chunk["choices"] else {}
        if converted is not None and (delta.get("reasoning_content") or delta.get("reasoning")):
            converted.message.additional_kwargs["reasoning_content"] = "…"  # that it thinks, not what
        return converted

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        begun = finished = False
        async for chunk in super()._astream(*args, **kwargs):
            begun, finished = True, finished or _says_the_end(chunk)
            yield chunk
        # A connection that is closed in order looks like the end of a reply; only finish_reason tells them apart.
        if begun and not finished:
            raise ReplyCutOff

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        begun = finished = False
        for chunk in super()._stream(*args, **kwargs):
            begun, finished = True, finished or _says_the_end(chunk)
            yield chunk
        if begun and not finished:
            raise ReplyCutOff


def _says_the_end(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    return bool((chunk.generation_info or {}).get("finish_reason")) or (
        isinstance(message, AIMessageChunk) and message.chunk_position == "last"
    )


def remote_model(settings: ModelSettings) -> RemoteModel:
    """A chat model for ``settings.base_url``. Does not connect yet.

    Our own limits and retries stand around it (see ``stream_text``), so those of the client are off.
    """
    silence_tracing()
    url = settings.base_url or ""
    openai_itself = "api.openai.com" in url
    return RemoteModel(
        base_url=url,
        model=settings.name or "default",
        # The client falls back to OPENAI_API_KEY without a key, and would send it to whatever base_url names.
        api_key=settings.api_key or SecretStr(os.environ.get("OPENAI_API_KEY", "") if openai_itself else "none"),
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_completion_tokens=settings.max_tokens,
        # Many servers know only the older name; OpenAI itself refuses both at once.
        extra_body=None if openai_itself else {"max_tokens": settings.max_tokens},
        max_retries=0,
        timeout=(min(5.0, settings.first_token_s), settings.total_s, settings.total_s, settings.total_s),
        stream_chunk_timeout=None,
        stream_usage=False,
        use_responses_api=False,
    )


def silence_tracing() -> None:
    """Turn LangSmith tracing off unless the user set it: a conversation must not leave the machine by a default."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        if name in os.environ:
            return
    os.environ["LANGSMITH_TRACING"] = "false"
