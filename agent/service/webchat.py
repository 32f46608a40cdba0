"""The web chat: one page for visitors without an account, and the short-lived key that each of them gets.

Off unless ``service.web_chat`` is set. A visitor's key has the scope ``chat`` and runs out; whatever holds for other
keys holds for it. The page loads nothing from anywhere else, and its policy lets it reach this service alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from ..store import Scope
from .access import too_many
from .shared import Shared, SharedParts

if TYPE_CHECKING:
    from ...guards.hotlines import Directory

PAGE = Path(__file__).parent / "chat.html"
VISITOR = "visitor"
"""Name of every visitor's key."""

router = APIRouter(tags=["web chat"])


class VisitorKey(BaseModel):
    """A key for one visitor."""

    key: str
    expires: datetime


@router.get("/chat", response_class=HTMLResponse)
async def chat(service: SharedParts) -> Response:
    """The page."""
    page, policy = await asyncio.to_thread(_page, service)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@router.post("/chat/key", status_code=201)
async def visit(service: SharedParts, request: Request) -> VisitorKey:
    """A key for a new visitor."""
    settings = service.settings.service
    address = request.client.host if request.client else "unknown"
    if wait := service.rates.take(f"visit:{address}", settings.visitor_rate_per_minute):
        raise too_many(wait)
    expires = datetime.now(UTC) + timedelta(hours=settings.visitor_hours)

    def make() -> str:
        service.store.keys.forget_expired()
        return service.store.keys.create(VISITOR, [Scope.CHAT], expires=expires)[1]

    return VisitorKey(key=await asyncio.to_thread(make), expires=expires)


def _page(service: Shared) -> tuple[str, str]:
    """The page with the countries put in, and the policy that lets just its own script and style run."""
    default = service.settings.country
    page = PAGE.read_text(encoding="utf-8").replace("<!-- countries -->", _options(service.agent.directory, default))
    page = page.replace("<!-- notice -->", html.escape(service.agent.copy.notice()))
    frames = " ".join(service.settings.service.embed_origins) or "'none'"
    policy = (
        f"default-src 'none'; connect-src 'self'; script-src {_hashes(page, 'script')}; "
        f"style-src {_hashes(page, 'style')}; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
    )
    return page, policy


def _options(directory: Directory, default: str | None) -> str:
    rows = sorted((directory.country_name(code), code) for code in directory.countries())
    return "".join(
        f'<option value="{code}"{" selected" if code == default else ""}>{html.escape(name)}</option>'
        for name, code in rows
    )


def _hashes(page: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
