"""The service as an ASGI app: ``create_app(settings)``. It holds no state beyond the running turns; the store does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from ..model import build_model
from ..model.adapter import is_weak
from ..settings import Settings
from ..store import StoreError, TicketMoved, UnknownSession
from ..support import SupportAgent
from . import completions, desk, sessions, webchat
from .access import EvalKey, Keyring, RateLimit
from .border import Border
from .drain import Drain, StoppableModel
from .errors import Refused, response_to, store_down, unknown
from .metrics import Metrics
from .openapi import describe
from .retention import Retention
from .sessionless import Sessionless
from .shared import Shared, SharedParts
from .turns import Turns

log = logging.getLogger(__name__)

ABOUT = """A guarded support agent. Every text in a reply was checked and may be shown as it is.

Authenticate with `Authorization: Bearer wl_…`. Errors are `{"error": {"message", "type", "param", "code"}}`; where a
person waits for an answer they carry `safe_reply`, words to show in its place."""

NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would hand the messages of exceptions, which may quote somebody, to any provider it finds."""


def create_app(settings: Settings | None = None, **parts: Any) -> FastAPI:
    """The service.

    Args:
        settings: None reads them.
        parts: what ``SupportAgent`` takes, in place of what the settings name: ``model``, ``store``, a filter.
    """
    settings = settings or Settings.load()
    given = parts.pop("model", None)
    model = StoppableModel(inner=given or build_model(settings.model))
    agent = SupportAgent(model, settings=settings, **parts)
    agent.weak_model = given is None and is_weak(settings.model)
    drain, metrics = Drain(model), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        await asyncio.to_thread(lambda: agent.store)  # a store that cannot be used is told at the start
        warming = asyncio.create_task(_warm_up(agent))
        behind = [asyncio.create_task(work()) for work in (shared.turns.settling, shared.turns.renewing)]
        if days := settings.store.retain_days:
            behind.append(asyncio.create_task(Retention(lambda: agent.store, days).run()))
        try:
            yield
        finally:
            drain.cut()
            warming.cancel()
            for task in behind:
                task.cancel()
            await shared.turns.all_ended()
            await shared.turns.settle()
            await agent.aclose()

    app = FastAPI(
        title="Warmline",
        version=version("warmline"),
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.shared = shared = Shared(
        settings=settings,
        agent=agent,
        drain=drain,
        metrics=metrics,
        turns=Turns(agent, drain, metrics),
        sessionless=Sessionless(agent),
        keyring=Keyring(lambda: agent.store),
        rates=RateLimit(),
    )
    for router in (completions.router, sessions.router, desk.router):
        app.include_router(router)
    if settings.service.web_chat:
        app.include_router(webchat.router)
    app.get("/healthz", tags=["operation"])(alive)
    app.get("/readyz", tags=["operation"])(ready)
    app.get("/metrics", tags=["operation"], response_class=PlainTextResponse)(numbers)
    if origins := settings.service.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "X-Warmline-Session",
                "X-Warmline-Country",
            ],
            expose_headers=["X-Warmline-Session", "X-Warmline-Level", "X-Warmline-Route", "Retry-After"],
        )
    describe(app)
    app.add_middleware(Border, settings=settings.service, metrics=metrics, traces=agent.traces)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreError, _store_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    return app


async def _warm_up(agent: SupportAgent) -> None:
    try:
        await agent.warm_up()
    except Exception as error:  # a missing model is told by the first reply; the crisis path needs none
        log.error("not everything could be loaded: %s: %s", type(error).__name__, error)
        await asyncio.to_thread(agent.prepare)


async def alive() -> dict[str, str]:
    """The process runs."""
    return {"status": "alive"}


async def ready(service: SharedParts) -> Response:
    """Turns are taken: the guards are loaded, the store answers, and nobody asked the service to stop."""
    if service.drain.begun.is_set():
        return JSONResponse({"status": "stopping"}, 503)
    if not service.agent.ready:
        return JSONResponse({"status": "loading"}, 503)
    try:
        await asyncio.to_thread(lambda: service.store.keys.find(""))
    except StoreError as error:
        log.error("not ready: %s", error)
        return JSONResponse({"status": "store"}, 503)
    return JSONResponse({"status": "ready"})


async def numbers(service: SharedParts, key: EvalKey) -> Response:
    """Counters for Prometheus: levels, ways, replaced sentences, failures and times."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return response_to(error, request.url.path)


async def _store_failed(request: Request, error: Exception) -> Response:
    match error:
        case UnknownSession():
            refused = unknown("session")
        case TicketMoved():
            refused = Refused(409, "ticket_moved", "this ticket is in other hands, closed or gone")
        case _:
            log.error("the store failed: %s", error)
            refused = store_down()
    return response_to(refused, request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    """What is wrong with a request: where and why, without what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    why = "it is not valid JSON" if first["type"] == "json_invalid" else first["msg"]
    return response_to(Refused(422, "invalid_request", f"{where}: {why}", param=where), request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    message = "there is no such address" if error.status_code == 404 else "this request cannot be read"
    refused = Refused(error.status_code, code, message, headers=error.headers)
    return response_to(refused, request.url.path)
