"""The web chat: closed unless asked for, nothing from elsewhere, and a key of one's own for each visitor."""

from __future__ import annotations

import base64
import hashlib
import html
import re

import pytest

from tests.agent.service.running import REPLY, Running, Start
from warmline.agent.service.webchat import chosen, words
from warmline.agent.voice import SHIPPED


async def test_there_is_no_web_chat_unless_it_is_asked_for(start: Start) -> None:
    service: Running = await start()
    async with service.client() as client:
        page, key = await client.get("/chat"), await client.post("/chat/key")
    assert (page.status_code, key.status_code) == (404, 404)


async def test_the_page_loads_nothing_and_runs_only_its_own_script(start: Start) -> None:
    service: Running = await start(service={"web_chat": True})
    async with service.client() as client:
        page = await client.get("/chat")
    script = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r"""(?:src|@import|url\()=?["']?https?:""", page.text)


@pytest.mark.parametrize(("sites", "told"), [([], "'none'"), (["https://www.example.org"], "https://www.example.org")])
async def test_only_named_sites_may_show_it_in_a_frame(start: Start, sites: list[str], told: str) -> None:
    service: Running = await start(service={"web_chat": True, "embed_origins": sites})
    async with service.client() as client:
        page = await client.get("/chat")
    assert page.headers["content-security-policy"].endswith(f"frame-ancestors {told}")


async def test_each_visitor_has_a_key_and_conversations_of_their_own(start: Start) -> None:
    service: Running = await start(REPLY, service={"web_chat": True})
    async with service.client() as client:
        first, second = [(await client.post("/chat/key")).json()["key"] for _ in range(2)]
    async with service.client(first) as mine, service.client(second) as yours:
        session = (await mine.post("/v1/sessions", json={})).json()["id"]
        assert (await mine.get(f"/v1/sessions/{session}")).status_code == 200
        assert (await yours.get(f"/v1/sessions/{session}")).status_code == 404


async def test_one_address_gets_only_so_many_keys(start: Start) -> None:
    service: Running = await start(service={"web_chat": True, "visitor_rate_per_minute": 1})
    async with service.client() as client:
        codes = [(await client.post("/chat/key")).status_code for _ in range(2)]
    assert codes == [201, 429]


@pytest.mark.parametrize("language", SHIPPED)
async def test_every_language_of_the_agent_has_all_words_of_the_page(start: Start, language: str) -> None:
    service: Running = await start(service={"web_chat": True})
    async with service.client() as client:
        page = await client.get(f"/chat?lang={language}")
    said = words(language)
    assert f'<html lang="{language}">' in page.text
    assert html.escape(said.danger) in page.text
    assert not re.findall(r"\[\[\w+]]", page.text)
    assert page.headers["content-language"] == language


def leaves(value: object) -> list[str]:
    return [leaf for part in value.values() for leaf in leaves(part)] if isinstance(value, dict) else [str(value)]


@pytest.mark.parametrize("language", SHIPPED)
def test_the_words_of_the_page_are_calm_and_keep_their_placeholders(language: str) -> None:
    said, english = leaves(words(language).model_dump()), leaves(words("en").model_dump())
    for text, original in zip(said, english, strict=True):
        assert not set("!¡") & set(text)
        assert sorted(re.findall(r"\{\w+}", text)) == sorted(re.findall(r"\{\w+}", original))
        assert ("findahelpline.com" in text) == ("findahelpline.com" in original)


def test_no_language_of_the_page_is_a_copy_of_english() -> None:
    english = leaves(words("en").model_dump())
    for language in set(SHIPPED) - {"en"}:
        same = {
            text
            for text, original in zip(leaves(words(language).model_dump()), english, strict=True)
            if text == original
        }
        assert same <= {"Conversation", "Person", "Stop", "WhatsApp {value}"}


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "ja, pt-BR;q=0.7, de;q=0.8", "de"),
        ("pt-BR", "de", "pt"),
        ("xx", "fr", "fr"),
        (None, "ja", "en"),
        (None, "de;q=0, en;q=0.1", "en"),
        (None, "de;q=x, , ;;;q=y", "en"),
        ("../../etc/passwd", "", "en"),
        (None, "", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_then_the_browsers(asked: str | None, accepted: str, language: str) -> None:
    assert chosen(SHIPPED, asked, accepted) == language


async def test_the_countries_of_the_directory_can_be_chosen(start: Start) -> None:
    service: Running = await start(service={"web_chat": True}, settings={"country": "IE"})
    async with service.client() as client:
        page = (await client.get("/chat")).text
    assert '<option value="IE" selected>Ireland</option>' in page
