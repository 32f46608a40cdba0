"""The web chat in a real headless Chromium: by keyboard alone, on a phone and on a desk, in the light and in the dark.

Needs playwright (`make env` brings it) and a Chromium on this machine: Debian's ``chromium``, a Chrome, or the one that
the variable ``CHROMIUM`` names. SCREENSHOTS=folder keeps pictures to look at.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="needs playwright: make env")

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.agent.service.running import REPLY, Running, running
from warmline.agent.model import ScriptedModel
from warmline.agent.service.webchat import words

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found; apt-get install chromium, or set CHROMIUM"),
]

ORDINARY = "I've been so anxious about work that I can't sleep"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def replies() -> ScriptedModel:
    return ScriptedModel(replies=[REPLY] * 100)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory, replies: ScriptedModel) -> AsyncIterator[Running]:
    """One service for all of this."""
    options: dict[str, Any] = {"web_chat": True, "visitor_rate_per_minute": 10_000}
    settings = {"country": "US"}
    async with running(tmp_path_factory.mktemp("chat"), model=replies, service=options, settings=settings) as listening:
        yield listening


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all of this."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


class Visit:
    """A page that a visitor has open, and what it asked for and complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def say(self, text: str) -> None:
        """Type into the box, send with Enter, and wait until the answer is over."""
        await self.page.locator("#text").fill(text)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator("#stop")).to_be_visible()
        await expect(self.page.locator("#stop")).to_be_hidden()

    async def focused(self) -> str:
        """What has the focus: its id, else its tag."""
        return await self.page.evaluate("document.activeElement.id || document.activeElement.tagName.toLowerCase()")

    async def picture(self, name: str) -> None:
        """Keep a picture, if somebody wants to look."""
        if folder := os.environ.get("SCREENSHOTS"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png")


@asynccontextmanager
async def visit(browser: Browser, service: Running, path: str = "/chat", **context: Any) -> AsyncIterator[Visit]:
    """Open the page as a new visitor."""
    opened = await browser.new_context(**{"viewport": DESK, "locale": "en-US", **context})
    page = await opened.new_page()
    seen = Visit(page, service.url)
    await page.goto(service.url + path)
    try:
        yield seen
    finally:
        await opened.close()


async def test_a_talk_needs_nothing_but_the_keyboard(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        order = []
        for _ in range(5):
            await seen.page.keyboard.press("Tab")
            order.append(await seen.focused())
        assert order == ["help", "fresh", "main", "text", "send"]
        await seen.page.keyboard.press("Shift+Tab")
        await seen.page.keyboard.type(ORDINARY)
        await seen.page.keyboard.press("Shift+Enter")
        await seen.page.keyboard.type("And I am tired")
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator(".said.mine")).to_contain_text(f"{ORDINARY}\nAnd I am tired")
        await expect(seen.page.locator(".said:not(.mine)")).to_contain_text(REPLY)
        assert await seen.focused() == "text"


async def test_a_crisis_shows_the_card_with_lines_that_can_be_called(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.say(CRISIS)
        card = seen.page.locator("section.card")
        await expect(card).to_be_in_viewport()
        links = [await link.get_attribute("href") for link in await card.locator("a").all()]
        assert {"tel:911", "tel:988", "sms:988"} <= set(links), links
        assert not {"undefined", "null"} & set(re.findall(r"\w+", await card.inner_text()))


async def test_the_card_can_be_reached_and_read_without_a_mouse(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.say(CRISIS)
        await seen.page.locator("main").focus()
        await seen.page.keyboard.press("Tab")
        assert await seen.page.evaluate("document.activeElement.href") == "tel:911"
        said = await seen.page.locator("main").aria_snapshot()
    assert re.search(r'region "[^"]+"', said)
    assert "log" in said


async def test_nothing_is_asked_of_anybody_else_and_nothing_breaks(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.say(ORDINARY)
        await seen.say(CRISIS)
        await seen.page.locator("#help").click()
        await expect(seen.page.locator("#found .card")).to_be_visible()
        assert {url for url in seen.asked if not url.startswith(f"{service.url}/")} == set()
        assert seen.complaints == []


async def test_help_opens_and_closes_by_keyboard_and_gives_the_focus_back(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.page.locator("#help").focus()
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator("#found .card")).to_be_visible()
        assert await seen.focused() == "country"
        await seen.page.keyboard.press("Escape")
        await expect(seen.page.locator("#lines")).to_be_hidden()
        assert await seen.focused() == "help"


@pytest.mark.parametrize("path", ["/chat", "/chat?lang=de"])
async def test_the_country_is_the_one_that_was_set_in_every_language(
    browser: Browser, service: Running, path: str
) -> None:
    async with visit(browser, service, path) as seen:
        await expect(seen.page.locator("#country")).to_have_value("US")


async def test_another_country_has_other_lines(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.page.locator("#help").click()
        await seen.page.locator("#country").select_option("IE")
        await expect(seen.page.locator("#found .card")).to_contain_text("Samaritans Ireland")


async def test_a_talk_is_there_after_a_reload_and_gone_after_it_was_deleted(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.say(ORDINARY)
        await seen.page.reload()
        await expect(seen.page.locator(".said")).to_have_count(2)
        await seen.page.locator("#fresh").click()
        await seen.page.get_by_role("button", name="Delete it").click()
        await expect(seen.page.locator("#state")).to_have_text("It is deleted.")
        await seen.page.reload()
        await expect(seen.page.locator(".said")).to_have_count(0)


async def test_the_next_visitor_of_the_same_browser_sees_nothing(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as first, visit(browser, service) as second:
        await first.say(ORDINARY)
        await second.page.reload()
        await expect(second.page.locator(".said")).to_have_count(0)


async def test_a_message_that_cannot_be_sent_stays_in_the_box(browser: Browser, service: Running) -> None:
    async with visit(browser, service) as seen:
        await seen.page.route("**/v1/**", lambda route: route.abort())
        await seen.page.locator("#text").fill(ORDINARY)
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator(".said")).to_contain_text(words("en").no_answer)
        await expect(seen.page.locator("#text")).to_have_value(ORDINARY)


@pytest.mark.parametrize(("locale", "path", "language"), [("es-MX", "/chat", "es"), ("en-US", "/chat?lang=ru", "ru")])
async def test_the_page_speaks_the_language_of_the_browser_or_of_the_address(
    browser: Browser, service: Running, locale: str, path: str, language: str
) -> None:
    said = words(language)
    async with visit(browser, service, path, locale=locale, viewport=PHONE) as seen:
        await expect(seen.page.get_by_role("button", name=said.help)).to_be_visible()
        await expect(seen.page.get_by_label(said.your_message)).to_be_visible()
        await seen.page.locator("#help").click()
        await expect(seen.page.locator("#found .card")).to_contain_text(said.emergency)
        await seen.picture(f"help-{language}")
        countries = await seen.page.locator("#country option").all_inner_texts()
        assert ("Irlanda" if language == "es" else "Ирландия") in countries
        assert seen.complaints == []


CONTRAST = """() => {
  const channel = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = (rgb) => { const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const ground = (node) => { for (; node; node = node.parentElement) {
    const found = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(found) && found !== "transparent") return found; } return "rgb(255, 255, 255)"; };
  const shown = [...document.querySelectorAll("h1, p, button, a, span, strong, textarea, h2, .small")]
    .filter((node) => node.offsetParent && node.textContent.trim() && !node.classList.contains("hidden"));
  return shown.map((node) => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.tagName + "." + node.className + " " + node.textContent.slice(0, 30)];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desk", DESK)])
async def test_everything_fits_and_can_be_read_and_touched(
    browser: Browser, service: Running, name: str, size: dict[str, int], theme: str
) -> None:
    async with visit(browser, service, viewport=size, color_scheme=theme) as seen:
        await seen.picture(f"{name}-{theme}-empty")
        await seen.say(ORDINARY)
        await seen.picture(f"{name}-{theme}-talk")
        await seen.say(CRISIS)
        await seen.picture(f"{name}-{theme}-crisis")
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await seen.page.evaluate(over) <= 0
        assert [text for ratio, text in await seen.page.evaluate(CONTRAST) if ratio < 4.5] == []
        small = []
        for target in await seen.page.locator("button:visible, section.card a").all():
            box = await target.bounding_box()
            if box and box["height"] < 44:
                small.append(await target.inner_text())
        assert small == []
        await expect(seen.page.locator("#text")).to_be_in_viewport()
        await expect(seen.page.locator("#help")).to_be_in_viewport()


async def test_nothing_is_cut_off_when_the_letters_are_twice_as_large(browser: Browser, service: Running) -> None:
    async with visit(browser, service, viewport={"width": 320, "height": 640}) as seen:
        await seen.page.evaluate("document.documentElement.style.fontSize = '200%'")
        await seen.say(CRISIS)
        await seen.picture("large-letters")
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await seen.page.evaluate(over) <= 0
        await expect(seen.page.locator("section.card h2")).to_be_in_viewport()
        await seen.page.locator("#send").scroll_into_view_if_needed()
        assert ((await seen.page.locator("#text").bounding_box()) or {"width": 0})["width"] > 200
