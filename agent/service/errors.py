"""What the service refuses, and how it says so: one shape for every error, never with a text that somebody wrote.

The shape is OpenAI's, so that its clients read it. Where a person may be waiting for an answer it carries
``safe_reply``, fixed words that an app can show as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from ..copy import Copy
from ..nodes import LAST_WORDS


class Refused(Exception):
    """A request that gets no answer of the agent."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})


TURN_PATHS = ("/v1/chat/completions", "/turns", "/recover")
"""Where a person waits for words."""


def body_of(refused: Refused, path: str) -> dict[str, object]:
    """The JSON of an error."""
    error: dict[str, object] = {
        "message": refused.message,
        "type": "invalid_request_error" if refused.status < 500 else "server_error",
        "param": refused.param,
        "code": refused.code,
    }
    if path.endswith(TURN_PATHS):
        error["safe_reply"] = safe_reply(refused)
    return {"error": error}


def response_to(refused: Refused, path: str) -> JSONResponse:
    """The error as a response."""
    return JSONResponse(body_of(refused, path), refused.status, headers=refused.headers)


def safe_reply(refused: Refused) -> str:
    """Words that may be shown to the person in place of an answer."""
    try:
        copy = Copy.load()
        return copy.too_long() if refused.status == 413 else copy.hold()
    except Exception:  # even the copy cannot be read: these stand in the code
        return LAST_WORDS


def unknown(what: str) -> Refused:
    """There is no such thing, or it is not this key's: nobody can tell which."""
    return Refused(404, "not_found", f"there is no such {what}")


def busy() -> Refused:
    """A turn of this conversation is running."""
    return Refused(
        409,
        "turn_running",
        "the last message of this conversation is still being answered",
        headers={"Retry-After": "1"},
    )


def reused_key() -> Refused:
    """The idempotency key came with another message before. That message must not be lost."""
    return Refused(
        422,
        "idempotency_key_reused",
        "this idempotency key belongs to another message; make a new one for each message",
        param="Idempotency-Key",
    )


def stopping() -> Refused:
    """The service is about to stop."""
    headers = {"Retry-After": "2", "Connection": "close"}
    return Refused(503, "stopping", "this replica is stopping; try again", headers=headers)


def store_down() -> Refused:
    """The database fails. Which and why stands in the log."""
    return Refused(503, "store_unavailable", "the store does not answer; try again", headers={"Retry-After": "5"})
