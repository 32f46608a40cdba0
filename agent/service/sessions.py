"""The native API: conversations, their turns as typed events, and the lines of a country."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ...guards.hotlines import Hotline, LineTopic
from ...guards.types import Category, RiskLevel, Utterance, Verdict
from ..events import CrisisCard, CrisisCardEvent, DoneEvent, FailedEvent, Route, VerdictEvent
from ..store import ApiKey, HumanMessage, Scope, SessionRecord, StoreError, TurnRecord, UnknownSession
from ..support import WATCH_S, human_event
from .access import ChatKey, OwnerKey
from .errors import Refused
from .shared import Shared, SharedParts
from .sse import Stream, frame
from .turns import Turn

router = APIRouter(prefix="/v1")

Country = Annotated[
    str | None, Field(max_length=2, description="ISO 3166-1 alpha-2, for the hotlines.", examples=["IE"])
]


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="Any string, a new one for each message. Sent again with the same message it begins no second "
        "turn: the stored reply is told again, and a message that a crash left unanswered is answered.",
    ),
]


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NewSession(Body):
    """A conversation to begin."""

    country: Country = None


class NewTurn(Body):
    """A message of the person."""

    text: str = Field(examples=["I can't sleep since the funeral"])
    stream: StrictBool = Field(
        default=True, description="Server-Sent Events as they come; else one JSON object at the end."
    )


class SessionOut(BaseModel):
    """A conversation without its messages."""

    id: str
    created: datetime
    updated: datetime
    title: str | None
    country: str | None
    language: str
    turns: int


class TurnOut(BaseModel):
    """A message and its reply."""

    id: str
    number: int
    text: str
    reply: str | None
    status: str
    route: Route | None
    level: RiskLevel | None
    categories: tuple[Category, ...]
    card: CrisisCard | None
    stopped: bool
    created: datetime


class HumanOut(BaseModel):
    """What a human reviewer wrote, or the fixed words around it."""

    id: int
    kind: str
    text: str
    after: int
    time: datetime


class History(BaseModel):
    """A conversation."""

    session: SessionOut
    turns: list[TurnOut]
    human: list[HumanOut]
    with_human: bool


class Reply(BaseModel):
    """A whole turn, for readers that do not stream."""

    turn_id: str
    reply: str = Field(description="Everything that was said; safe to show as it is.")
    route: Route | None
    level: RiskLevel | None
    verdict: Verdict | None
    card: CrisisCard | None = Field(description="Show it beside the reply.")
    replaced: tuple[str, ...] = Field(description="Why words of the model were not shown.")
    stored: bool = Field(description="False when the turn could not be stored.")


class Hotlines(BaseModel):
    """The lines of a country."""

    country: str | None
    emergency: str | None
    lines: tuple[Hotline, ...]


EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events of the turn: `verdict`, then any of `human`, `sentence`, `crisis_card`, `replaced`, "
        "last `done` or `failed`. Without `stream` one object.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: sentence\ndata: {"type":"sentence","turn_id":"5f…","text":"I hear you. "}\n\n',
            }
        },
    }
}


@router.post("/sessions", status_code=201, tags=["sessions"])
async def create_session(service: SharedParts, key: ChatKey, body: NewSession) -> SessionOut:
    """Begin a conversation. It belongs to the key that asks."""
    return session_out(await new_session(service, key, body.country))


@router.get("/sessions", tags=["sessions"])
async def list_sessions(service: SharedParts, key: OwnerKey) -> list[SessionOut]:
    """The conversations of this key, the last active first; with the scope `admin` all of them."""

    def read() -> list[SessionOut]:
        records = service.store.sessions()
        mine = None if Scope.ADMIN in key.scopes else service.store.keys.sessions(key.id)
        return [session_out(record) for record in records if mine is None or record.id in mine]

    return await asyncio.to_thread(read)


@router.get("/sessions/{session_id}", tags=["sessions"])
async def history(service: SharedParts, key: OwnerKey, session_id: str) -> History:
    """A conversation with everything that was said."""
    await service.check_owner(session_id, key)
    return await asyncio.to_thread(history_of, service, session_id)


@router.get("/sessions/{session_id}/export", tags=["sessions"])
async def export(service: SharedParts, key: OwnerKey, session_id: str) -> JSONResponse:
    """Everything that is stored of a conversation, as one JSON object."""
    await service.check_owner(session_id, key)
    return JSONResponse(await asyncio.to_thread(service.store.export, session_id))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {"description": "JSON lines.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
    },
    tags=["sessions"],
)
async def export_all(service: SharedParts, key: OwnerKey) -> StreamingResponse:
    """Everything that is stored, a conversation a line: those of this key, with the scope `admin` all of them."""

    def ids() -> list[str]:
        records = service.store.sessions()
        mine = None if Scope.ADMIN in key.scopes else service.store.keys.sessions(key.id)
        return [record.id for record in records if mine is None or record.id in mine]

    def lines(wanted: list[str]) -> Iterator[str]:
        for session_id in wanted:
            with suppress(UnknownSession):  # deleted meanwhile
                yield json.dumps(service.store.export(session_id), ensure_ascii=False) + "\n"

    return StreamingResponse(lines(await asyncio.to_thread(ids)), media_type="application/x-ndjson")


@router.delete("/sessions/{session_id}", status_code=204, tags=["sessions"])
async def delete(service: SharedParts, key: OwnerKey, session_id: str) -> Response:
    """Delete a conversation whole. The audit chain stays valid; it holds no words."""
    await service.check_owner(session_id, key)
    await service.agent.delete_session(session_id)
    service.turns.forget(session_id)
    return Response(status_code=204)


@router.post("/sessions/{session_id}/turns", response_model=Reply, responses=EVENTS, tags=["turns"])
async def send(
    service: SharedParts, key: ChatKey, session_id: str, body: NewTurn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Say something. One turn at a time: while one runs, the next is told 409 and to come back."""
    try:
        await service.check_owner(session_id, key)
        turn = await service.turns.send(session_id, body.text, idempotency_key)
    except UnknownSession:
        raise
    except StoreError as error:
        said = [Utterance(role="user", text=body.text)]
        country = country_code(service, service.turns.countries.get(session_id))
        turn = service.held_turn(error, said, country, key)
    return Stream(frames(turn)) if body.stream else await whole(turn)


@router.post("/sessions/{session_id}/recover", response_model=Reply, responses=EVENTS, tags=["turns"])
async def recover(service: SharedParts, key: ChatKey, session_id: str, stream: bool = True) -> Response:
    """Answer the message that a crash left unanswered, if there is one; else an empty stream."""
    await service.check_owner(session_id, key)
    turn = await service.turns.recover(session_id)
    return Stream(frames(turn)) if stream else await whole(turn)


@router.get(
    "/sessions/{session_id}/events",
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    tags=["turns"],
)
async def watch(
    service: SharedParts,
    key: ChatKey,
    session_id: str,
    after: Annotated[int, Query(ge=0, description="The last `human` event that was seen.")] = 0,
) -> Stream:
    """What human reviewers do in this conversation, as it comes; `human` events without end."""
    await service.check_owner(session_id, key)
    session = await service.agent.open_session(session_id=session_id)
    return Stream(_humans(service, session_id, after, session.copy.human_left()))


@router.get("/hotlines", tags=["hotlines"])
async def hotlines(
    service: SharedParts,
    key: ChatKey,
    country: Annotated[str | None, Query(max_length=2, examples=["IE"])] = None,
    category: Annotated[list[Category] | None, Query()] = None,
) -> Hotlines:
    """The lines of a country, those that fit ``category`` first; without a country the international ones."""
    directory = service.agent.directory
    code = country_code(service, country)
    if category:
        lines = directory.lines(code, category, limit=20)
    else:
        kept_apart = (line for line in directory.all_lines(code) if LineTopic.EMERGENCY not in line.topics)
        lines = tuple(kept_apart) or directory.lines(code, (), limit=20)
    return Hotlines(country=code, emergency=directory.emergency(code, category or ()), lines=lines)


# -- parts that other routes use --------------------------------------------------------------------------------------


def country_code(service: Shared, country: str | None) -> str | None:
    """The country of a request, or the default.

    Raises:
        Refused: 400, it is no country.
    """
    try:
        return service.agent.directory.country_code(country or service.settings.country)
    except ValueError as error:
        raise Refused(400, "unknown_country", str(error), param="country") from None


async def new_session(service: Shared, key: ApiKey, country: str | None, reference: str | None = None) -> SessionRecord:
    """A conversation that belongs to ``key``; with ``reference`` the one that the key calls so, if there is one."""
    code = country_code(service, country)

    def create() -> SessionRecord:
        store = service.store
        record = store.create_session(country=code, language=service.agent.copy.language)
        kept = store.keys.give(record.id, key.id, reference)
        if kept == record.id:
            return record
        store.delete(record.id)  # another request was quicker
        return store.session(kept)

    record = await asyncio.to_thread(create)
    service.turns.remember(record.id, record.country)
    return record


def session_out(record: SessionRecord) -> SessionOut:
    """A stored conversation as the API tells it."""
    return SessionOut.model_validate(record, from_attributes=True)


def history_of(service: Shared, session_id: str) -> History:
    """A conversation as the API tells it. Blocking."""
    store = service.store
    record, verdicts, side = store.session(session_id), store.verdicts(session_id), store.handoff.of_session(session_id)
    return History(
        session=session_out(record),
        turns=[_turn_out(turn, verdicts.get(turn.id)) for turn in store.turns(session_id)],
        human=[_human_out(message) for message in side.messages],
        with_human=side.ticket is not None and side.ticket.state == "taken",
    )


async def frames(turn: Turn) -> AsyncGenerator[str]:
    """A turn as Server-Sent Events."""
    async with aclosing(turn.events()) as events:
        async for event in events:
            yield frame(event)


async def whole(turn: Turn) -> JSONResponse:
    """A turn as one object."""
    verdict: VerdictEvent | None = None
    card, last, said, replaced = None, None, "", list[str]()
    async with aclosing(turn.events()) as events:
        async for event in events:
            match event:
                case VerdictEvent():
                    verdict = event
                case CrisisCardEvent():
                    card = event.card
                case DoneEvent() | FailedEvent():
                    last = event
                case _ if event.type in ("sentence", "replaced"):
                    said += event.text
                    replaced += event.problems if event.type == "replaced" else ()
                case _:
                    pass
    if isinstance(last, FailedEvent):
        said = f"{said}\n\n{last.text}" if said else last.text
    reply = Reply(
        turn_id=last.turn_id if last else "",
        reply=said,
        route=last.route if isinstance(last, DoneEvent) else None,
        level=verdict.level if verdict else None,
        verdict=verdict.verdict if verdict else None,
        card=card,
        replaced=tuple(replaced),
        stored=isinstance(last, DoneEvent),
    )
    return JSONResponse(reply.model_dump(mode="json"))


async def _humans(service: Shared, session_id: str, after: int, left: str) -> AsyncGenerator[str]:
    """What reviewers do, looked for once a second; ends when the service stops or the conversation is deleted."""
    store, stopping = service.store, service.drain.begun

    def look() -> list[HumanMessage] | None:
        if store.keys.owner(session_id) is None:
            return None
        store.handoff.lapse(session_id, left)
        return list(store.handoff.of_session(session_id, after).messages)

    while not stopping.is_set():
        messages = await asyncio.to_thread(look)
        if messages is None:
            return
        for message in messages:
            after = message.id
            yield f"id: {message.id}\n{frame(human_event(message))}"
        try:
            async with asyncio.timeout(WATCH_S):
                await stopping.wait()
        except TimeoutError:
            continue


def _turn_out(turn: TurnRecord, verdict: Verdict | None) -> TurnOut:
    return TurnOut(
        id=turn.id,
        number=turn.number,
        text=turn.user_text,
        reply=turn.reply,
        status=turn.status.value,
        route=turn.route,
        level=verdict.level if verdict else None,
        categories=verdict.categories if verdict else (),
        card=CrisisCard.model_validate(turn.card) if turn.card else None,
        stopped=turn.stopped,
        created=turn.created,
    )


def _human_out(message: HumanMessage) -> HumanOut:
    return HumanOut(id=message.id, kind=message.kind.value, text=message.text, after=message.after, time=message.time)
