"""Reads text from any LangChain chat model within time limits, and says in one kind what went wrong.

Decides when waiting ends and whether another try is allowed; never what the text may say, and never repeats message
text in an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from .markup import TURN_END

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from ..settings import ModelSettings

log = logging.getLogger(__name__)


class ModelErrorKind(StrEnum):
    """Why a model gave no reply, or only a part of one."""

    UNREACHABLE = "unreachable"
    """Nothing answers at the address."""
    SLOW_FIRST_TOKEN = "slow_first_token"
    """No first token in time."""
    STALLED = "stalled"
    """The reply began and then stood still."""
    TOO_LONG = "too_long"
    """The time for a whole reply passed before any text came, or the prompt does not fit the model."""
    CUT_OFF = "cut_off"
    """The connection ended before the reply did."""
    BAD_ANSWER = "bad_answer"
    """What came is no chat completion, or holds no text."""
    AUTH = "auth"
    """The key is missing or refused."""
    NOT_FOUND = "not_found"
    """No such model or path."""
    RATE_LIMITED = "rate_limited"
    """Too many requests."""
    FAILED = "failed"
    """Anything else."""


_WORTH_ANOTHER_TRY = frozenset(
    {
        ModelErrorKind.UNREACHABLE,
        ModelErrorKind.CUT_OFF,
        ModelErrorKind.BAD_ANSWER,
        ModelErrorKind.RATE_LIMITED,
        ModelErrorKind.FAILED,
    }
)


class ModelError(Exception):
    """The model gave no reply, or only a part of one; chunks that were already yielded stand."""

    def __init__(self, kind: ModelErrorKind, detail: str, *, retryable: bool | None = None) -> None:
        super().__init__(f"{kind.value}: {detail}")
        self.kind = kind
        """What happened."""
        self.detail = detail
        """For the operator: the address and the setting to look at; never message text."""
        self.retryable = kind in _WORTH_ANOTHER_TRY if retryable is None else retryable
        """True when the same request may well succeed at once."""


class Ending(StrEnum):
    """How a reply that was not an error came to its end."""

    STOP = "stop"
    """The model had finished."""
    LENGTH = "length"
    """Cut at the token or character limit; the last sentence may be unfinished."""
    TOTAL_TIME = "total_time"
    """Cut at the time limit; the last sentence may be unfinished."""


@dataclass(frozen=True)
class Limits:
    """How long to wait for a model and how often to ask it."""

    first_token_s: float = 20.0
    """Seconds to the first token, over all tries together: the person waits once."""
    idle_s: float = 10.0
    """Seconds between tokens."""
    total_s: float = 90.0
    """Seconds for the whole reply; what came until then is kept."""
    retries: int = 1
    """Further tries after a failure before the first token."""
    retry_wait_s: float = 0.25
    """Seconds before another try; the same every time."""
    max_chars: int = 20_000
    """Longest reply; a server that never ends is cut here."""

    @classmethod
    def from_settings(cls, settings: ModelSettings) -> Limits:
        """The limits that ``settings`` names."""
        return cls(
            first_token_s=settings.first_token_s,
            idle_s=settings.idle_s,
            total_s=settings.total_s,
            retries=settings.retries,
        )


async def stream_text(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    limits: Limits | None = None,
    *,
    on_end: Callable[[Ending], None] | None = None,
) -> AsyncGenerator[str]:
    """Yield the reply of ``model`` piece by piece; reasoning is left out.

    Running into the total time or a length limit ends the reply quietly and keeps what came; ``on_end`` is told
    which it was. Close the generator (``contextlib.aclosing``) to stop the model.

    Raises:
        ModelError: with the kind of the failure; retries happen only while nothing has been yielded.
    """
    limits = limits or Limits()
    clock = asyncio.get_running_loop().time
    began = clock()
    tries_left = limits.retries
    while True:
        attempt = _Attempt(model, messages, limits, began)
        try:
            async with aclosing(attempt.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except ModelError as error:
            too_late = clock() + limits.retry_wait_s >= began + min(limits.first_token_s, limits.total_s)
            if attempt.spoke or not error.retryable or tries_left <= 0 or too_late:
                raise
            tries_left -= 1
            log.warning("model: %s; trying again", error)
            await asyncio.sleep(limits.retry_wait_s)
            continue
        if on_end is not None:
            on_end(attempt.ending)
        return


class _Attempt:
    """One request: its clock, its filter, and what became of it."""

    def __init__(self, model: BaseChatModel, messages: Sequence[BaseMessage], limits: Limits, began: float) -> None:
        self.model, self.messages, self.limits = model, messages, limits
        self.first_by = began + limits.first_token_s
        self.total_by = began + limits.total_s
        self.spoke = False
        self.ending = Ending.STOP

    async def pieces(self) -> AsyncGenerator[str]:
        visible = VisibleText()
        length = 0
        async with aclosing(cast("AsyncGenerator[Any]", self._chunks())) as chunks:
            async for chunk in chunks:
                try:
                    piece = visible.feed(_text_of(chunk))
                except _ReasoningLeak:
                    raise ModelError(
                        ModelErrorKind.BAD_ANSWER,
                        f"the model at {where(self.model)} writes its reasoning into the reply; "
                        "start the server with a reasoning parser or use a model that does not reason",
                        retryable=False,
                    ) from None
                if not self.spoke:
                    piece = piece.lstrip()
                if piece:
                    room = self.limits.max_chars - length
                    length += len(piece)
                    self.spoke = True
                    yield piece[:room]
                if length > self.limits.max_chars:
                    self.ending = Ending.LENGTH
                    break
                if visible.ended:
                    break
                if _stopped_by_length(chunk):
                    self.ending = Ending.LENGTH
        if (rest := visible.flush()) and length <= self.limits.max_chars:
            rest = rest if self.spoke else rest.lstrip()
            if rest:
                self.spoke = True
                yield rest
        if not self.spoke:
            if self.ending is Ending.TOTAL_TIME:
                raise ModelError(
                    ModelErrorKind.TOO_LONG,
                    f"no text from {where(self.model)} within {self.limits.total_s:g} s (WARMLINE_MODEL__TOTAL_S)",
                )
            raise ModelError(ModelErrorKind.BAD_ANSWER, f"an empty reply from {where(self.model)}")

    async def _chunks(self) -> AsyncIterator[BaseMessage]:
        """Message chunks of the model, each within its limit."""
        clock = asyncio.get_running_loop().time
        stream = cast("AsyncGenerator[BaseMessage]", self.model.astream(list(self.messages)))
        began = False
        async with aclosing(stream):
            while True:
                deadline = min(self.total_by, clock() + self.limits.idle_s if began else self.first_by)
                timer = asyncio.timeout_at(deadline)
                try:
                    async with timer:
                        chunk = await anext(stream)
                except StopAsyncIteration:
                    return
                except Exception as error:
                    if isinstance(error, TimeoutError) and timer.expired():
                        if deadline >= self.total_by:
                            self.ending = Ending.TOTAL_TIME
                            return
                        raise self._late(began) from None
                    raise describe(error, self.model, began=self.spoke) from error
                # The role-only chunk that servers send before they compute anything is no token.
                began = began or _is_token(chunk)
                yield chunk

    def _late(self, began: bool) -> ModelError:
        if began:
            return ModelError(
                ModelErrorKind.STALLED,
                f"the reply from {where(self.model)} stood still for {self.limits.idle_s:g} s (WARMLINE_MODEL__IDLE_S)",
            )
        return ModelError(
            ModelErrorKind.SLOW_FIRST_TOKEN,
            f"no first token from {where(self.model)} within {self.limits.first_token_s:g} s "
            "(WARMLINE_MODEL__FIRST_TOKEN_S)",
        )


# --- what a chunk holds -------------------------------------------------------------------------------------------


def _text_of(chunk: BaseMessage) -> str:
    """The text of a chunk, be its content a string or content blocks; reasoning blocks hold none."""
    content = chunk.content
    if isinstance(content, str):
        return content
    return "".join(
        block if isinstance(block, str) else str(block.get("text") or "")
        for block in content
        if isinstance(block, str) or block.get("type") in ("text", "text_delta", "output_text")
    )


def _is_token(chunk: BaseMessage) -> bool:
    return bool(chunk.content) or bool(chunk.additional_kwargs.get("reasoning_content"))


def _stopped_by_length(chunk: BaseMessage) -> bool:
    metadata = chunk.response_metadata
    reason = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
    return str(reason).lower() in ("length", "max_tokens")


class _ReasoningLeak(Exception):
    """A closing tag without its opening one: everything before it was reasoning."""


_OPEN = re.compile(r"<think(?:ing)?>")
_CLOSE = re.compile(r"</think(?:ing)?>")
_LONGEST_TAG = 24


class VisibleText:
    """Takes a reply in pieces of any size and gives back what is meant for the person.

    Drops ``<think>…</think>`` and ends at a token that opens somebody else's turn. Holds back only what may still
    grow into such a tag.
    """

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self.ended = False
        """True after a token that ends the turn; everything further is dropped."""

    def feed(self, text: str) -> str:
        """The part of ``text``, and of what was held back, that can be shown now."""
        if self.ended:
            return ""
        self._held += text
        shown = ""
        while True:
            if self._thinking:
                close = _CLOSE.search(self._held)
                if close is None:
                    self._held = self._held[-_LONGEST_TAG:]
                    return shown
                self._held = self._held[close.end() :].lstrip()
                self._thinking = False
            tag = min(
                (m for m in (_OPEN.search(self._held), _CLOSE.search(self._held), TURN_END.search(self._held)) if m),
                key=lambda m: m.start(),
                default=None,
            )
            if tag is None:
                keep = _may_grow_into_a_tag(self._held)
                shown, self._held = shown + self._held[:keep], self._held[keep:]
                return shown
            shown += self._held[: tag.start()]
            self._held = self._held[tag.end() :]
            if _CLOSE.fullmatch(tag.group()):
                raise _ReasoningLeak
            if _OPEN.fullmatch(tag.group()):
                self._thinking = True
                continue
            self.ended, self._held = True, ""
            return shown

    def flush(self) -> str:
        """What was held back, when the reply is over."""
        rest, self._held = ("" if self._thinking else self._held), ""
        return rest


def _may_grow_into_a_tag(text: str) -> int:
    """Index of an unfinished ``<…`` at the end of ``text``, else its length."""
    at = text.rfind("<", max(0, len(text) - _LONGEST_TAG))
    if at < 0 or ">" in text[at:] or any(c.isspace() for c in text[at:]):
        return len(text)
    return at


# --- what went wrong ----------------------------------------------------------------------------------------------


def where(model: BaseChatModel) -> str:
    """The address of ``model`` without any credentials in it, or its class."""
    url = getattr(model, "openai_api_base", None) or getattr(model, "base_url", None)
    if not isinstance(url, str):
        return type(model).__name__
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def describe(error: Exception, model: BaseChatModel, *, began: bool = False) -> ModelError:
    """The ``ModelError`` for whatever a chat model raised. Knows providers by status code and by class names."""
    if isinstance(error, ModelError):
        return error
    # By name, so that neither openai, httpx nor any other provider has to be imported to be recognised.
    names = {cls.__name__ for cls in type(error).__mro__}
    causes = {type(cause).__name__ for cause in _causes(error)}
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    here, cause = where(model), type(error).__name__
    name = getattr(model, "model_name", None) or getattr(model, "name", None)
    kinds = ModelErrorKind
    if names & {"ContextOverflowError"}:
        return ModelError(
            kinds.TOO_LONG,
            f"the conversation does not fit the context of {name!r} at {here}; "
            "start the server with a longer context or set WARMLINE_MODEL__MAX_TOKENS lower",
        )
    if status in (401, 403):
        return ModelError(kinds.AUTH, f"{here} refuses the key ({status}); set WARMLINE_MODEL__API_KEY")
    if status == 404:
        return ModelError(
            kinds.NOT_FOUND,
            f"{here} knows no model {name!r} (404); set WARMLINE_MODEL__NAME to one it lists under /models, "
            "and see that WARMLINE_MODEL__BASE_URL ends as the server wants it, mostly in /v1",
        )
    if status == 429:
        return ModelError(kinds.RATE_LIMITED, f"{here} takes no more requests for now (429)")
    if isinstance(status, int) and status >= 500:
        return ModelError(kinds.FAILED, f"{here} answers {status}; look at the server's log")
    if isinstance(status, int) and status >= 400:
        return ModelError(kinds.FAILED, f"{here} refuses the request ({status})", retryable=False)
    if names & {"APITimeoutError", "ReadTimeout", "StreamChunkTimeoutError"} and "ConnectTimeout" not in causes:
        kind = kinds.STALLED if began else kinds.SLOW_FIRST_TOKEN
        return ModelError(kind, f"{here} did not answer in time ({cause})")
    if names & {"ReplyCutOff", "RemoteProtocolError", "ReadError", "IncompleteRead"} or causes & {
        "RemoteProtocolError"
    }:
        return ModelError(kinds.CUT_OFF, f"{here} closed the connection before the reply was over")
    if names & {"APIConnectionError", "ConnectError", "ConnectTimeout", "ConnectionError", "gaierror"}:
        if began:
            return ModelError(kinds.CUT_OFF, f"the connection to {here} broke before the reply was over")
        return ModelError(
            kinds.UNREACHABLE,
            f"nothing answers at {here} (WARMLINE_MODEL__BASE_URL); start the server or unset it",
        )
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | KeyError | TypeError | AttributeError) or (
        isinstance(error, ValueError) and "No generation chunks" in str(error)
    ):
        return ModelError(
            kinds.BAD_ANSWER,
            f"what {here} sends is not an OpenAI-style chat completion ({cause}); check WARMLINE_MODEL__BASE_URL",
        )
    return ModelError(kinds.FAILED, f"{here} failed ({cause})")


def _causes(error: BaseException | None) -> list[BaseException]:
    """``error`` and what it was raised from."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
