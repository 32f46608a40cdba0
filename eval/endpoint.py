"""One question to an OpenAI-compatible server: waits and tries again where that helps, and says plainly where not.

It never invents an answer; a server that cannot be used is an error with the address and what to change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx

from .lines import EvalError

TRIES = 6
"""For one question; the waits between them grow from half a second and double."""
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 300.0
"""For one answer; a busy server with a long queue is slow and not broken."""


class EndpointError(EvalError):
    """The server gave no answer to this question; another one may do."""


class EndpointRefused(EvalError):
    """The server will answer no question as it is asked: a wrong key, name or address."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is reached."""

    model: str
    base_url: str
    key: str | None = None

    @classmethod
    def parse(cls, text: str, key_variable: str = "") -> Self:
        """``NAME@http://host:port/v1``; the key comes from the environment.

        Raises:
            EvalError: it has another form.
        """
        model, at, url = text.rpartition("@")
        if not at or not model or not url.startswith(("http://", "https://")):
            raise EvalError(f"{text!r}: wants NAME@URL, such as Qwen/Qwen3-8B@http://127.0.0.1:8000/v1")
        return cls(model, url.rstrip("/"), os.environ.get(key_variable) or None)

    @property
    def name(self) -> str:
        """``NAME@URL``, without the key."""
        return f"{self.model}@{self.base_url}"


@dataclass(frozen=True)
class Said:
    """What the model said, and what it cost."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class Client:
    """Asks one endpoint, over connections that stay open.

    Args:
        connections: questions at once.
        sleep: how to wait, for tests.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connections: int = 16,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.endpoint, self._sleep = endpoint, sleep
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=10.0),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        temperature: float = 0.0,
        max_tokens: int = 1500,
        response_format: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Said:
        """The answer to ``messages``.

        Raises:
            EndpointError: no answer after all tries.
            EndpointRefused: the server refuses the key, the model's name or the address.
        """
        body = {
            "model": self.endpoint.model,
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": max_tokens,
            **options,
        }
        if response_format:
            body["response_format"] = response_format
        problem, wait = "", 0.0
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(wait)
            wait = min(LONGEST_WAIT_S, 0.5 * 2**attempt)
            try:
                response = await self._http.post(f"{self.endpoint.base_url}/chat/completions", json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}"
                continue
            status = response.status_code
            if status == 429 or status >= 500:
                problem = f"HTTP {status}"
                wait = max(wait, _retry_after(response))
                continue
            if status in (401, 403, 404, 405) or 300 <= status < 400:
                raise EndpointRefused(f"{self.endpoint.name}: HTTP {status}; look at the key, the name and the URL")
            if status != 200:
                raise EndpointError(f"{self.endpoint.name}: HTTP {status}")
            try:
                return _said(response.json())
            except (ValueError, KeyError, IndexError, TypeError, AttributeError):
                problem = "not a chat completion"
        raise EndpointError(f"{self.endpoint.name}: {problem} after {TRIES} tries")


def _said(body: Any) -> Said:
    usage = body.get("usage") or {}
    text = body["choices"][0]["message"]["content"] or ""  # null where a judge refuses
    return Said(str(text), int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:  # a date
        return 0.0
