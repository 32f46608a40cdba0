"""The list of conversations: open, begin, rename, delete, and that switching loses nothing."""

from __future__ import annotations

from textual.widgets import Button, Input

from warmline.guards.types import RiskLevel, Verdict
from warmline.tui.chat import words
from warmline.tui.chat.log import PAGE
from warmline.tui.chat.screens import ConfirmDelete, Rename

REPLY = "That sounds heavy. What keeps coming back?"


def stored(room, *texts):
    """One conversation with these messages; returns its id."""
    with room.store() as store:
        session = store.create_session(country="US", language="en")
        for text in texts:
            turn = store.begin_turn(session.id, text)
            calm = Verdict(level=RiskLevel.NONE)
            store.finish_turn(turn, reply=f"Reply to {text}", route="support", verdict=calm)
        return session.id


def titles(room):
    with room.store() as store:
        return [session.title for session in store.sessions()]


async def pick(chat, session_id):
    """Put the keyboard on a conversation in the list."""
    await chat.press("f2")
    choices = chat.app.conversation.sidebar.choices
    choices.highlighted = choices.get_option_index(session_id)
    await chat.pilot.pause()


async def test_the_list_is_hidden_at_80_columns_and_f2_shows_it(room):
    async with room.open() as chat:
        assert not chat.app.conversation.sidebar.display
        await chat.press("f2")
        assert chat.app.conversation.sidebar.display
        await chat.press("f2")
        assert not chat.app.conversation.sidebar.display
        assert chat.app.focused is chat.prompt


async def test_the_list_stands_beside_a_wide_conversation(room):
    async with room.open(size=(120, 30)) as chat:
        assert chat.app.conversation.sidebar.display


async def test_a_stored_conversation_opens_with_its_messages(room):
    session = stored(room, "cannot sleep", "still awake")
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("enter")
        await chat.until(lambda: chat.said("yours"))
        assert chat.said("yours") == ["cannot sleep", "still awake"]
        assert chat.said("reply") == ["Reply to cannot sleep", "Reply to still awake"]


async def test_the_chat_begins_with_an_empty_page(room):
    stored(room, "cannot sleep")
    async with room.open() as chat:
        assert chat.said("yours") == []


async def test_opening_and_closing_the_chat_leaves_no_empty_conversation(room):
    async with room.open() as chat:
        await chat.press("ctrl+n", "ctrl+n")
    assert titles(room) == []


async def test_a_new_conversation_does_not_go_on_with_the_old_one(room):
    room.model.enqueue(REPLY)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("first talk")
        await chat.press("ctrl+n")
        await chat.until(lambda: not chat.said("yours"))
        await chat.send("second talk")
        assert chat.said("yours") == ["second talk"]
    assert len(titles(room)) == 2


async def test_a_stored_crisis_card_is_shown_again(room):
    async with room.open() as chat:
        await chat.send("i want to kill myself tonight")
        await chat.press("ctrl+n")
        await chat.until(lambda: not chat.cards)
        session = chat.app.conversation.sidebar.titles
        await pick(chat, next(iter(session)))
        await chat.press("enter")
        await chat.until(lambda: chat.cards)
        assert "988" in [line.number for line in chat.cards[0].card.lines]


async def test_a_title_is_never_read_as_markup(room):
    session = stored(room, "I feel [/] broken [")
    with room.store() as store:
        store.rename(session, "[b]not bold[/b] [")
    async with room.open() as chat:
        await pick(chat, session)
        assert "[b]not bold[/b]" in chat.screen
        await chat.press("d")
        assert "[b]not bold[/b] [" in chat.screen


async def test_r_renames(room):
    session = stored(room, "cannot sleep")
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("r")
        assert isinstance(chat.app.screen, Rename)
        chat.one(Input).value = "The nights"
        await chat.press("enter")
        await chat.until(lambda: "The nights" in chat.screen)
    assert titles(room) == ["The nights"]


async def test_escape_keeps_the_old_name(room):
    session = stored(room, "cannot sleep")
    before = titles(room)
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("r", "x", "escape")
        await chat.pilot.pause()
    assert titles(room) == before


async def test_deleting_asks_once_and_the_answer_at_hand_is_no(room):
    session = stored(room, "cannot sleep")
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("d")
        assert isinstance(chat.app.screen, ConfirmDelete)
        assert chat.app.focused is chat.one("#keep")
        await chat.press("enter")
        await chat.until(lambda: not isinstance(chat.app.screen, ConfirmDelete))
    assert len(titles(room)) == 1


async def test_a_confirmed_deletion_removes_the_conversation(room):
    session = stored(room, "cannot sleep")
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("d", "tab", "enter")
        await chat.until(lambda: session not in chat.app.conversation.sidebar.titles)
    assert titles(room) == []


async def test_deleting_the_open_conversation_leaves_an_empty_page(room):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("cannot sleep")
        await chat.until(lambda: chat.app.conversation.sidebar.titles)
        await pick(chat, next(iter(chat.app.conversation.sidebar.titles)))
        await chat.press("d", "y")
        await chat.until(lambda: not chat.app.conversation.sidebar.titles)
        assert chat.said("yours") == []
        await chat.press("escape")
        room.model.enqueue(REPLY)
        await chat.send("again")
        assert chat.said("reply") == [REPLY]


async def test_switching_in_the_middle_of_a_reply_keeps_what_was_shown(room):
    session = stored(room, "another talk")
    hold = room.hold(at=3)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("cannot sleep", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await pick(chat, session)
        await chat.press("enter")
        await chat.until(lambda: chat.said("yours") == ["another talk"])
    with room.store() as store:
        talk = next(record for record in store.sessions() if record.id != session)
        assert store.turns(talk.id)[0].reply.startswith("That sounds heavy.")


async def test_a_long_conversation_shows_its_end_first_and_the_rest_on_demand(room):
    session = stored(room, *(f"message {n}" for n in range(PAGE + 5)))
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("enter")
        await chat.until(lambda: chat.said("yours"))
        assert len(chat.said("yours")) == PAGE
        assert f"Reply to message {PAGE + 4}" in chat.screen
        chat.app.conversation.log_view.query_one("#earlier", Button).press()
        await chat.until(lambda: len(chat.said("yours")) == PAGE + 5)
        assert chat.said("yours")[0] == "message 0"
        assert not chat.app.conversation.log_view.query("#earlier")


async def test_what_a_deletion_removes_is_told_as_it_is(room):
    session = stored(room, "cannot sleep")
    async with room.open() as chat:
        await pick(chat, session)
        await chat.press("d")
        assert "gone from this computer" in " ".join(chat.screen.split())
        assert words.KEEP_IT in chat.screen
