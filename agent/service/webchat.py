"""The web chat: one page for visitors without an account, and the short-lived key that each of them gets.

Off unless ``service.web_chat`` is set. A visitor's key has the scope ``chat`` and runs out; whatever holds for other
keys holds for it. The page loads nothing from anywhere else, and its policy lets it reach this service alone. Its words
are data, one file for each language (``data/chat``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import yaml
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from ..store import Scope
from ..voice import ENGLISH
from .access import too_many
from .shared import Shared, SharedParts

if TYPE_CHECKING:
    from ...guards.hotlines import Directory

PAGE = Path(__file__).parent / "chat.html"
WORDS = Path(__file__).parent / "data" / "chat"
LINK = '<a href="https://findahelpline.com" target="_blank" rel="noreferrer noopener">findahelpline.com</a>'
VISITOR = "visitor"
"""Name of every visitor's key."""

router = APIRouter(tags=["web chat"])


class VisitorKey(BaseModel):
    """A key for one visitor."""

    key: str
    expires: datetime


@router.get("/chat", response_class=HTMLResponse)
async def chat(
    service: SharedParts,
    lang: Annotated[str | None, Query(max_length=35, examples=["es"], description="In place of the browser's.")] = None,
    accept_language: Annotated[str, Header()] = "",
) -> Response:
    """The page, in the language of the browser as far as the agent speaks it."""
    language = chosen(service.agent.voices.languages, lang, accept_language)
    page, policy = await asyncio.to_thread(_page, service, language)
    headers = {"Content-Security-Policy": policy, "Content-Language": language, "Vary": "Accept-Language"}
    return HTMLResponse(page, headers=headers)


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


class Ways(BaseModel):
    """How a line is reached; ``keyword`` is a text message with a word in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    call: str
    text: str
    keyword: str
    whatsapp: str
    email: str
    chat: str
    web: str


class Words(BaseModel):
    """Everything the page says by itself, in one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    help: str
    fresh: str
    danger: str
    conversation: str
    your_message: str
    placeholder: str
    stop: str
    send: str
    lines: str
    country: str
    no_country: str
    anywhere: str
    close: str
    sure: str
    sure_more: str
    keep: str
    delete: str
    you: str
    person: str
    emergency: str
    ways: Ways
    free: str
    confirm: str
    reach: str
    reading: str
    human_reads: str
    stopped: str
    deleted: str
    not_deleted: str
    no_list: str
    no_history: str
    no_answer: str


@cache
def words(language: str) -> Words:
    """The words of a language.

    Raises:
        OSError, ValidationError: there are none, or not all of them.
    """
    return Words.model_validate(yaml.safe_load((WORDS / f"{language}.yaml").read_text(encoding="utf-8")))


def chosen(spoken: Sequence[str], asked: str | None, accepted: str) -> str:
    """The language of the page: the one asked for, else the browser's first that is spoken, else English.

    Args:
        spoken: languages of the agent, ISO 639-1.
        asked: what the address says, e.g. ``pt-BR``.
        accepted: the header ``Accept-Language``.
    """
    weighed = list[tuple[float, str]]()
    for part in accepted[:1_000].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.strip()))
        except ValueError:
            continue
    wanted = [asked or "", *(tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0)]
    with_words = {language for language in spoken if (WORDS / f"{language}.yaml").is_file()}
    return next((code for tag in wanted if (code := tag.partition("-")[0].lower()) in with_words), ENGLISH)


def _page(service: Shared, language: str) -> tuple[str, str]:
    """The page with its words put in, and the policy that lets just its own script and style run."""
    said = words(language)
    plain = {name: html.escape(text) for name, text in said.model_dump(exclude={"ways"}).items()}
    plain["anywhere"] = plain["anywhere"].replace("{link}", LINK)
    filled = plain | {
        "language": language,
        "notice": html.escape(service.agent.voices.of(language).copy.notice()),
        "countries": _options(service.agent.directory, service.settings.country),
        # Within a script element nothing is unescaped, and only `<` could end it.
        "words": json.dumps(said.model_dump(), ensure_ascii=False).replace("<", "\\u003c"),
    }
    page = re.sub(r"\[\[(\w+)]]", lambda hole: filled[hole[1]], PAGE.read_text(encoding="utf-8"))
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
