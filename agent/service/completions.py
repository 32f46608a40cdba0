"""The OpenAI chat API in front of the guarded agent: ``POST /v1/chat/completions`` and ``GET /v1/models``.

It decides which of the messages sent are new to a conversation, and puts the agent's events into OpenAI's shape.
System prompts, tools and sampling settings of a client are read past: they change nothing about what is checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Response
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from ...guards.clean import clean
from ...guards.types import Utterance
from ..events import (
    CrisisCard,
    CrisisCardEvent,
    DoneEvent,
    Event,
    FailedEvent,
    HumanEvent,
    ReplacedEvent,
    SentenceEvent,
    VerdictEvent,
)
from ..store import ApiKey, StoreError, UnknownSession
from .access import ChatKey
from .errors import Refused, unknown
from .sessions import IdempotencyKey, country_code, new_session
from .shared import Shared, SharedParts
from .sse import Stream
from .turns import Turn

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

MODEL = "warmline"
"""The one model there is. Whatever name a client asks for, this answers."""
SEEN = 500
"""Turns of a session in which a message that was sent is looked for."""


class Message(BaseModel):
    """A message as OpenAI has it; what is not text is read past."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """Its text parts, joined."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        texts = (part.get("text") for part in self.content if part.get("type") in ("text", "input_text"))
        return "\n".join(text for text in texts if isinstance(text, str))


class ChatRequest(BaseModel):
    """A request for a completion. Further fields of OpenAI's API are accepted and change nothing."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"model": MODEL, "messages": [{"role": "user", "content": "I can't sleep since the funeral"}]}]
        },
    )

    messages: list[Message] = Field(min_length=1, max_length=2_000)
    model: str = MODEL
    stream: StrictBool | None = False
    n: StrictInt | None = None
    user: str | None = Field(default=None, max_length=512, description="Names a session of your key; made at first use")


@router.get("/models")
async def models(key: ChatKey) -> dict[str, Any]:
    """The one model: the guarded agent."""
    return {"object": "list", "data": [_model()]}


@router.get("/models/{name}")
async def model(key: ChatKey, name: Annotated[str, PathParameter(examples=[MODEL])]) -> dict[str, Any]:
    """The guarded agent."""
    if name != MODEL:
        raise unknown("model")
    return _model()


@router.post(
    "/chat/completions",
    responses={
        200: {
            "description": "OpenAI's object or chunks, with a field `warmline`: verdict, level, route, card, session.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def complete(
    service: SharedParts,
    key: ChatKey,
    body: ChatRequest,
    x_warmline_session: Annotated[str | None, Header(description="A session of this key.")] = None,
    x_warmline_country: Annotated[str | None, Header(description="ISO 3166-1 alpha-2, e.g. IE.")] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A guarded reply.

    With the header `X-Warmline-Session`, or `user`, the conversation is stored and the messages are added to it;
    without, it is judged from all the messages sent.
    """
    if body.n not in (None, 1):
        raise Refused(400, "unsupported", "there is one reply: n must be 1", param="n")
    turn, session = await _turn(service, key, body, x_warmline_session, x_warmline_country, idempotency_key)
    events = turn.events()
    first = await anext(events, None)  # the verdict comes first: the headers can tell of it
    headers = {"X-Warmline-Session": session} if session else {}
    if isinstance(first, VerdictEvent):
        headers["X-Warmline-Level"] = first.level.value
    completion = _Completion(session)
    if body.stream:
        return Stream(_chunks(completion, _from(first, events)), headers)
    parts = [text async for text in _texts(completion, _from(first, events))]
    headers["X-Warmline-Route"] = completion.extension["route"] or "failed"
    return JSONResponse(completion.whole("".join(parts)), headers=headers)


async def _turn(
    service: Shared,
    key: ApiKey,
    body: ChatRequest,
    session: str | None,
    country: str | None,
    request: str | None,
) -> tuple[Turn, str | None]:
    """The turn that a request asks for, and its session. With a store that fails, one that is held."""
    said = [Utterance(role="user" if m.role == "user" else "assistant", text=m.text) for m in body.messages if _talk(m)]
    try:
        if session is not None:
            await service.check_owner(session, key)
        elif body.user:
            session = await _named(service, key, body.user, country)
        if session is not None:
            text = await asyncio.to_thread(_news, service, session, said, country)
            return await service.turns.send(session, text, request), session
    except UnknownSession:
        raise unknown("session") from None
    except StoreError as error:
        country = country or (service.turns.countries.get(session) if session else None)
        return service.held_turn(error, said, country_code(service, country), key), None
    return service.turns.run(service.sessionless.turn(said, country_code(service, country), key.id)), None


async def _named(service: Shared, key: ApiKey, user: str, country: str | None) -> str:
    """The session that a key calls ``user``; made at first use. The name itself is not stored: it may be an address."""
    reference = hashlib.sha256(f"{key.id}\0{user}".encode()).hexdigest()
    if known := await asyncio.to_thread(service.store.keys.named, key.id, reference):
        return known
    return (await new_session(service, key, country, reference)).id


def _news(service: Shared, session: str, said: Sequence[Utterance], country: str | None) -> str:
    """What the person says that the session does not hold yet, as one message. Blocking.

    What follows the last reply is new always. Of what stands before it, all that the store has never seen: a client
    that sends a history along cannot hide a message in it.
    """
    if country and service.store.session(session).country is None:
        service.store.set_country(session, country_code(service, country))
    at = max((n for n, utterance in enumerate(said) if utterance.role == "assistant"), default=-1)
    stored = service.store.history(session, SEEN)
    seen = {part.strip() for turn in stored for part in (turn.user_text, *turn.user_text.split("\n\n"))}
    texts = [
        text
        for n, utterance in enumerate(said)
        if utterance.role == "user" and (text := clean(utterance.text).strip()) and (n > at or text not in seen)
    ]
    if not texts:
        raise Refused(400, "no_message", "there is no new message of a user", param="messages")
    return "\n\n".join(texts)


def _talk(message: Message) -> bool:
    return message.role in ("user", "assistant")


async def _from(first: Event | None, rest: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(rest):
        if first is not None:
            yield first
            async for event in rest:
                yield event


class _Completion:
    """One completion in OpenAI's shape."""

    def __init__(self, session: str | None) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.extension: dict[str, Any] = {
            "session": session,
            "turn_id": None,
            "level": None,
            "route": None,
            "verdict": None,
            "card": None,
            "replaced": [],
            "stored": False,
        }

    def note(self, event: Event) -> None:
        """Keep what the field ``warmline`` tells."""
        extension = self.extension
        match event:
            case VerdictEvent():
                extension["level"] = event.level.value
                extension["verdict"] = event.verdict.model_dump(mode="json")
            case CrisisCardEvent():
                extension["card"] = event.card.model_dump(mode="json")
            case ReplacedEvent():
                extension["replaced"] += event.problems
            case DoneEvent():
                extension["route"], extension["turn_id"] = event.route, event.turn_id
                extension["stored"] = extension["session"] is not None
            case _:
                pass

    def whole(self, text: str) -> dict[str, Any]:
        """The whole completion."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
        return self._object("chat.completion", choice) | {"warmline": self.extension}

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        """One chunk as a frame."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return f"data: {json.dumps(self._object('chat.completion.chunk', choice) | more)}\n\n"

    def _object(self, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": MODEL, "choices": [choice]}


async def _texts(completion: _Completion, events: AsyncGenerator[Event]) -> AsyncIterator[str]:
    """Everything that is to be read, in order. A card follows as text: not every client draws one."""
    said = ""
    async with aclosing(events):
        async for event in events:
            completion.note(event)
            text = ""
            match event:
                case SentenceEvent() | ReplacedEvent():
                    text = event.text
                case CrisisCardEvent():
                    text = card_text(event.card)
                case HumanEvent() | FailedEvent():
                    text = event.text
                case _:
                    pass
            if text:
                apart = said and not isinstance(event, (SentenceEvent, ReplacedEvent))
                text = f"\n\n{text}" if apart else text
                said += text
                yield text


async def _chunks(completion: _Completion, events: AsyncGenerator[Event]) -> AsyncGenerator[str]:
    first = True
    async with aclosing(events):
        async for text in _texts(completion, events):
            role = {"role": "assistant"} if first else {}
            yield completion.chunk({**role, "content": text})
            first = False
    role = {"role": "assistant", "content": ""} if first else {}
    yield completion.chunk(role, "stop", warmline=completion.extension)
    yield "data: [DONE]\n\n"


def card_text(card: CrisisCard) -> str:
    """A crisis card as plain text: every line with every way to reach it."""
    rows = [card.title]
    if card.emergency:
        rows.append(f"Emergency: {card.emergency}")
    rows += [row for line in card.lines for row in line.rows()]
    return "\n".join((*rows, card.notice))


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "warmline"}
