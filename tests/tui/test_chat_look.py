"""How the chat looks: pictures that were looked at, and contrast that was measured."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from itertools import count

import pytest
from rich.color import ColorTriplet

from warmline.guards.hotlines import Contact, Directory, Hotline

REPLY = "That sounds exhausting. Lying awake while work goes round in your head is hard. What keeps coming back?"
WORRY = "I've been so anxious about work that I can't sleep. I feel [/] broken ["
DANGER = "i don't want to be here anymore, i have the pills next to me"


def line(country, id, name, *contacts, topics=("suicide", "general"), checked=True, **more):
    """One line for the pictures, which stay the same when the real directory learns more."""
    return Hotline(
        id=id,
        country=country,
        name=name,
        topics=topics,
        contacts=[
            Contact(method=method, value=value, **extra) for method, value, *rest in contacts for extra in rest or [{}]
        ],
        languages=["en"],
        source="https://example.org",
        verified=date(2026, 1, 1) if checked else None,
        confidence="checked" if checked else "unchecked",
        **more,
    )


LINES = (
    line("US", "us-emergency", "Emergency", ("call", "911"), topics=["emergency"]),
    line("US", "us-988", "988 Suicide & Crisis Lifeline", ("call", "988"), ("text", "988"), hours="24/7", free=True),
    line("US", "us-text", "Crisis Text Line", ("text", "741741", {"keyword": "HOME"}), hours="24/7", free=True),
    line("US", "us-small", "A smaller line", ("call", "1-800-555-0100"), checked=False, hours="weekdays, 9 to 5"),
    line("GB", "gb-samaritans", "Samaritans", ("call", "116 123"), hours="24/7", free=True),
    line("IE", "ie-samaritans", "Samaritans Ireland", ("call", "116 123"), hours="24/7", free=True),
    line("AU", "au-lifeline", "Lifeline", ("call", "13 11 14"), hours="24/7", free=True),
    line("ZZ", "zz-find", "Find A Helpline", ("web", "https://findahelpline.com"), free=True),
)


@pytest.fixture
def picture(room, snap_compare, monkeypatch):
    """Compare a screen with the picture of it that was looked at."""

    def compare(*steps, size=(80, 24), theme="dark", first_run=False, replies=()):
        room.remember(theme=theme, welcomed=not first_run, country="" if first_run else "US")
        for reply in replies:
            room.model.enqueue(reply)
        ids = count()
        store = room.store(clock=lambda: room.NOON, new_id=lambda: f"id-{next(ids)}")
        app = room.app(first_run=first_run, parts={"store": store, "directory": Directory(LINES)})
        # Its path stands on the first screen; the store itself is open already, elsewhere.
        monkeypatch.setattr(app.agent.settings.store, "url", "sqlite:////home/sam/.local/share/warmline/warmline.db")

        async def run(pilot):
            chat = room.Chat(app, pilot, room)
            await chat.until(lambda: app.ready, "loading")
            for step in steps:
                if len(step) > 12 or " " in step:
                    await chat.send(step)
                else:
                    await chat.press(step)
            waiting = ("list", "human")  # these come back again and again
            await chat.until(lambda: all(worker.group in waiting for worker in app.workers), "the end of all work")

        return snap_compare(app, terminal_size=size, run_before=run)

    return compare


def test_first_screen(picture):
    """What this is, what is kept, the country."""
    assert picture(first_run=True)


def test_first_screen_small(picture):
    """The first screen on 40 by 12."""
    assert picture(first_run=True, size=(40, 12))


def test_chat_dark(picture):
    """A message and its reply."""
    assert picture(WORRY, replies=[REPLY])


def test_chat_light(picture):
    """The same in light colours."""
    assert picture(WORRY, replies=[REPLY], theme="light")


def test_crisis_card(picture):
    """A crisis: the reply and the card."""
    assert picture(DANGER, size=(80, 40))


def test_crisis_card_light(picture):
    """The card on 80 by 24 in light colours, the keyboard on its first number."""
    assert picture(DANGER, "f3", theme="light")


def test_help(picture):
    """People to talk to."""
    assert picture("f1")


def test_sidebar(picture):
    """The list of conversations."""
    assert picture(WORRY, "f2", replies=[REPLY])


def test_delete(picture):
    """The question before a deletion."""
    assert picture(WORRY, "f2", "down", "d", replies=[REPLY])


def test_small(picture):
    """A conversation on 40 by 12."""
    assert picture(WORRY, replies=[REPLY], size=(40, 12))


def _contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""

    def luminance(color: ColorTriplet) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _faint(chat) -> list[str]:
    """Text on the screen that is fainter than 4.5 to 1."""
    found = []
    for strip in chat.app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            if not any(c.isalnum() for c in segment.text) or not style or not style.color or not style.bgcolor:
                continue
            fore, back = style.color.get_truecolor(), style.bgcolor.get_truecolor(foreground=False)
            if style.reverse:
                fore, back = back, fore
            if style.dim or _contrast(fore, back) < 4.5:
                found.append(f"{segment.text!r}: {_contrast(fore, back):.2f}")
    return found


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_every_word_of_a_conversation_can_be_read(room, theme):
    room.remember(theme=theme)
    room.model.enqueue(REPLY)
    async with room.open(size=(120, 60)) as chat:
        assert _faint(chat) == []
        await chat.send(WORRY)
        await chat.send(DANGER)
        assert _faint(chat) == []
        await chat.press("f3")
        assert _faint(chat) == []
        await chat.press("f2")
        assert _faint(chat) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_every_word_of_the_first_screen_can_be_read(room, theme):
    room.remember(theme=theme, welcomed=False)
    async with room.open() as chat:
        assert _faint(chat) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_every_word_of_help_can_be_read(room, theme):
    room.remember(theme=theme)
    async with room.open(size=(76, 80)) as chat:
        chat.app.conversation.display = False
        await chat.press("f1")
        chat.app.screen.styles.background = chat.app.theme_variables["background"]
        await chat.pilot.pause()
        assert _faint(chat) == []


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (20, 6), (200, 60)])
async def test_every_screen_opens_at_every_size(room, size):
    async with room.open(size=size) as chat:
        await chat.send(DANGER)
        for keys in (("f1", "escape"), ("f2", "f2"), ("f3", "f3"), ("f4", "escape"), ("ctrl+n",), ("ctrl+t",)):
            await chat.press(*keys)
        assert chat.app.is_running


def test_the_first_paint_waits_for_nothing_heavy():
    """What is imported before the first paint: Textual, our own files and pydantic."""
    code = (
        "import sys; import warmline.tui.chat.app, warmline.agent.support; "
        "print([m for m in ('torch', 'transformers', 'langgraph', 'langchain_core', 'sqlalchemy', 'openai') "
        "if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_opening_the_package_imports_nothing_of_textual():
    code = "import sys; import warmline.tui.chat; print('textual' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
