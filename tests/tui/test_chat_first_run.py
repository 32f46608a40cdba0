"""The first screen, and what is remembered of the choices made on it."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from warmline.agent.settings import Settings
from warmline.tui.chat import words
from warmline.tui.chat.card import ContactRow
from warmline.tui.chat.remembered import Remembered
from warmline.tui.chat.screens import Help, Welcome


def offered(chat):
    """The countries in the list."""
    options = chat.one(OptionList).options
    return [str(option.prompt) for option in options]


async def test_the_first_screen_says_what_this_is_and_is_not(room):
    async with room.open(first_run=True) as chat:
        text = " ".join(chat.screen.split())
        assert "An AI answers" in text
        assert "not a therapist" in text
        assert "kept on this computer" in text


async def test_the_first_screen_comes_once(room):
    async with room.open(first_run=True) as chat:
        assert isinstance(chat.app.screen, Welcome)
        await chat.press("enter")
    async with room.open(first_run=True) as chat:
        assert not isinstance(chat.app.screen, Welcome)


async def test_typing_narrows_the_countries(room):
    async with room.open(first_run=True) as chat:
        everywhere = offered(chat)
        await chat.press(*"united")
        assert set(offered(chat)) < set(everywhere)
        assert all(name.startswith("United") for name in offered(chat)[:-1])
        assert offered(chat)[-1] == words.NOWHERE


@pytest.mark.parametrize(("typed", "code"), [("united k", "GB"), ("germ", "DE"), ("us", "US"), ("states", "US")])
async def test_the_country_that_was_typed_is_remembered(room, typed, code):
    async with room.open(first_run=True) as chat:
        await chat.press(*typed.replace(" ", "_").replace("_", " ").split(" ")[0])
        if " " in typed:
            await chat.press("space", *typed.split(" ")[1])
        await chat.press("enter")
        assert chat.app.country == code
    assert room.remembered() == Remembered(welcomed=True, country=code)


async def test_down_and_enter_choose_without_typing(room):
    async with room.open(first_run=True) as chat:
        chat.one(OptionList).highlighted = 0
        await chat.press("down")
        chosen = chat.one(OptionList).highlighted_option.id
        await chat.press("enter")
        assert chat.app.country == chosen


async def test_nobody_has_to_say_where_they_are(room):
    async with room.open(first_run=True) as chat:
        await chat.press("enter")
        assert chat.app.country is None
        await chat.press("f1")
        assert any("findahelpline.com" in row.value for row in chat.one("CardView").query(ContactRow))
    assert room.remembered() == Remembered(welcomed=True)


async def test_a_place_that_is_not_in_the_list_still_leads_on(room):
    async with room.open(first_run=True) as chat:
        await chat.press(*"narnia")
        assert offered(chat) == [words.NOWHERE]
        await chat.press("enter")
        assert not isinstance(chat.app.screen, Welcome)


async def test_help_is_one_key_away_on_the_first_screen(room):
    async with room.open(first_run=True) as chat:
        await chat.press("f1")
        assert isinstance(chat.app.screen, Help)
        await chat.press("escape")
        assert isinstance(chat.app.screen, Welcome)


async def test_a_question_mark_opens_help_on_the_first_screen(room):
    async with room.open(first_run=True) as chat:
        await chat.press("question_mark")
        assert isinstance(chat.app.screen, Help)


async def test_the_flag_wins_over_what_is_remembered(room):
    room.remember(country="DE")
    async with room.open(country="AU") as chat:
        assert chat.app.country == "AU"
    assert room.remembered().country == "DE"


async def test_the_setting_wins_over_what_is_remembered(room, monkeypatch):
    room.remember(country="DE")
    monkeypatch.setenv("WARMLINE_COUNTRY", "FR")
    async with room.open() as chat:
        assert chat.app.country == "FR"


async def test_the_flag_is_chosen_beforehand_on_the_first_screen(room):
    async with room.open(first_run=True, country="IE") as chat:
        await chat.press("enter")
        assert chat.app.country == "IE"


async def test_a_choice_that_cannot_be_saved_works_anyway(room):
    room.state.mkdir()
    async with room.open(first_run=True) as chat:
        await chat.press(*"germ", "enter")
        assert chat.app.country == "DE"
        assert any("could not be saved" in notice for notice in chat.notices)


async def test_the_theme_is_remembered(room):
    async with room.open() as chat:
        await chat.press("ctrl+t")
        assert not chat.app.current_theme.dark
    async with room.open() as chat:
        assert not chat.app.current_theme.dark


async def test_a_theme_in_the_settings_wins(room):
    room.remember(theme="dark")
    async with room.open(chat={"theme": "light"}) as chat:
        assert not chat.app.current_theme.dark


def test_broken_choices_count_as_none(tmp_path):
    path = tmp_path / "state.toml"
    path.write_text("welcomed = tru")
    assert Remembered.read(path) == Remembered()


def test_choices_of_the_wrong_kind_count_as_none(tmp_path):
    path = tmp_path / "state.toml"
    path.write_text('welcomed = "yes"\ncountry = 7\ntheme = "pink"\n')
    assert Remembered.read(path) == Remembered()


def test_a_failed_write_leaves_the_old_choices_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state.toml"
    Remembered(welcomed=True, country="US").write(path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        Remembered(welcomed=True, country="DE").write(path)
    assert Remembered.read(path).country == "US"
    assert [p.name for p in tmp_path.iterdir()] == ["state.toml"]


def test_a_server_elsewhere_is_named():
    kept = words.what_is_kept(Settings(model={"base_url": "https://llm.example.org/v1"}))
    assert "your messages are sent to llm.example.org" in kept


def test_a_shared_database_is_named_without_its_password():
    kept = words.what_is_kept(Settings(store={"url": "postgresql+psycopg://me:secret@db.example.org/warmline"}))
    assert "db.example.org" in kept
    assert "secret" not in kept
