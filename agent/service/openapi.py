"""The OpenAPI document: what FastAPI reads from the code, with every refusal a route may answer with, and examples.

It decides nothing about a request. The examples and the words about refusals are data (``data/openapi.yaml``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).parent / "data" / "openapi.yaml"
WITH_BODY = (400, 408, 413, 422)
WITH_KEY = (401, 403, 429)
ALWAYS = (500, 503)
EACH_EVENT = {
    "description": "Each event of the stream; `data` is JSON.",
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "data", "id")},
    "required": ["data"],
}


class Example(BaseModel):
    """What stands in the document beside one operation; ``METHOD /path`` names it."""

    model_config = ConfigDict(extra="forbid")

    refusals: tuple[int, ...] = ()
    """Statuses beside those that every operation of its kind may answer with."""
    request: Any = None
    response: Any = None
    events: str | None = None
    """The same answer as Server-Sent Events."""
    lines: str | None = None
    """JSON lines."""
    page: str | None = None
    text: str | None = None
    unready: Any = None
    """What ``/readyz`` says with 503."""

    def contents(self) -> Iterator[tuple[str, Any]]:
        """Each example of an answer, by media type."""
        for media, example in (
            ("application/json", self.response),
            ("text/event-stream", self.events),
            ("application/x-ndjson", self.lines),
            ("text/html", self.page),
            ("text/plain", self.text),
        ):
            if example is not None:
                yield media, example


class Words(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid")

    refusals: dict[int, tuple[str, dict[str, Any]]]
    operations: dict[str, Example]


class ErrorDetail(BaseModel):
    """What is refused, and why."""

    message: str = Field(description="In plain words; never with a text that somebody wrote.")
    type: str = Field(description="`invalid_request_error` or `server_error`.")
    param: str | None = None
    code: str
    safe_reply: str | None = Field(None, description="Where a person waits for an answer: words to show in its place.")


class Error(BaseModel):
    """A request that gets no answer of the agent."""

    error: ErrorDetail


@cache
def words() -> Words:
    """The examples, read once.

    Raises:
        ValidationError: naming the key.
    """
    return Words.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def describe(app: FastAPI) -> None:
    """Let ``app`` hand out the whole document, made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            for name, operation in operations(document):
                _describe(operation, name, words())
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            detail, error = (model.model_json_schema() for model in (ErrorDetail, Error))
            error.pop("$defs")
            error["properties"]["error"] = {"$ref": "#/components/schemas/ErrorDetail"}
            schemas |= {"ErrorDetail": detail, "Error": error}
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation of a document, with its name: ``POST /v1/sessions``."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _describe(operation: dict[str, Any], name: str, file: Words) -> None:
    example = file.operations.get(name, Example())
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    success = next(response for status, response in sorted(responses.items()) if status.startswith("2"))
    for media, shown in example.contents():
        success.setdefault("content", {}).setdefault(media, {})["example"] = shown
    if "text/event-stream" in success.get("content", {}):
        success["content"]["text/event-stream"]["schema"] = EACH_EVENT
    if example.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.request
    for status in sorted(_statuses(operation, name) | set(example.refusals)):
        why, error = file.refusals[status]
        error = {"type": "invalid_request_error" if status < 500 else "server_error", "param": None, **error}
        content = {"schema": {"$ref": "#/components/schemas/Error"}, "example": {"error": error}}
        responses[str(status)] = {"description": why, "content": {"application/json": content}}
    if example.unready is not None:
        content = {"application/json": {"schema": {"type": "object"}, "example": example.unready}}
        responses["503"] = {"description": "Not ready: `loading`, `stopping` or `store`.", "content": content}


def _statuses(operation: dict[str, Any], name: str) -> set[int]:
    statuses = set[int](ALWAYS)
    if "requestBody" in operation:
        statuses |= set(WITH_BODY)
    if operation.get("parameters"):
        statuses.add(422)
    if "security" in operation:
        statuses |= set(WITH_KEY)
    if "{" in name:
        statuses.add(404)
    return statuses
