"""How the desk looks: pictures that were looked at."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from warmline.agent.store import CrisisEntry, Store
from warmline.agent.voice import Voices
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict
from warmline.tui.review.app import ReviewApp
from warmline.tui.review.transcript import Heard

DANGER = "i feel [/] broken and i have the pills next to me"
REPLY = "I'm so glad you told me. Your life matters. Please call 911 now, and go to someone."
MEANS = "have the pills next to me"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def crisis(store: Store, text: str, level: RiskLevel, category: Category, words: str) -> None:
    start = text.index(words)
    span = Evidence(start=start, end=start + len(words), text=words, category=category, level=level, source="x")
    store.finish_turn(
        store.begin_turn(store.create_session("US").id, text),
        reply=REPLY,
        verdict=Verdict(level=level, categories=(category,), evidence=(span,)),
        route="crisis",
        crisis=CrisisEntry(level, (category,), ("us-988",), ("crisis.suicide.self.imminent.act.1",)),
    )


@pytest.fixture
def picture(tmp_path, snap_compare, monkeypatch):
    """Compare the desk with the picture of it that was looked at."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    clock, ids = Clock(), count()
    store = Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=clock, new_id=lambda: f"id-{next(ids)}")
    crisis(store, "he hits me and took my keys", RiskLevel.ELEVATED, Category.ABUSE, "he hits me")
    clock.now += timedelta(minutes=7)
    crisis(store, DANGER, RiskLevel.IMMINENT, Category.SUICIDE, MEANS)
    clock.now += timedelta(minutes=1)

    def compare(*keys, theme="dark", size=(80, 24)):
        app = ReviewApp(store, Voices(), "sam", theme=theme, now=clock, every=0.02)

        async def until(pilot, true):
            for _ in range(500):
                await pilot.pause(0.01)
                if true():
                    return
            raise AssertionError("the screen did not come")

        async def run(pilot):
            await until(pilot, lambda: app.desk._tickets)
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
                if key == "enter" and app.screen is app.desk:
                    await until(pilot, lambda: app.desk.query(Heard))
                if key == "t":
                    await until(pilot, lambda: app.desk.prompt.has_focus)
            app.clear_notifications()
            await pilot.pause(0.1)

        return snap_compare(app, terminal_size=size, run_before=run)

    yield compare
    store.close()


def test_queue(picture):
    """The queue before anything is read."""
    assert picture()


def test_talk(picture):
    """A talk with its evidence."""
    assert picture("enter")


def test_talk_light(picture):
    """The same in light colours, on a wide screen."""
    assert picture("enter", theme="light", size=(120, 30))


def test_taken(picture):
    """A ticket in hand."""
    assert picture("t")


def test_categories(picture):
    """What a missed message should have been."""
    assert picture("enter", "m", "enter")


def test_keys(picture):
    """What the keys do."""
    assert picture("f1")
