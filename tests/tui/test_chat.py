"""What a person meets in the terminal chat: talking, stopping, help, and that no word is lost."""

from __future__ import annotations

import threading

import pytest
from textual import events

from warmline.agent.model import ModelError, ModelErrorKind
from warmline.tui.chat import words
from warmline.tui.chat.card import CardView, ContactRow
from warmline.tui.chat.prompt import LONGEST
from warmline.tui.chat.screens import Help

REPLY = "That sounds heavy. Work can follow you to bed. What keeps coming back?"
DANGER = "i don't want to be here anymore, i have the pills next to me"


# -- talking -----------------------------------------------------------------------------------------------------------


async def test_a_message_and_its_reply_stand_under_their_names(room):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("I've been so anxious about work that I can't sleep")
        assert chat.said("yours") == ["I've been so anxious about work that I can't sleep"]
        assert chat.said("reply") == [REPLY]
        assert "You" in chat.screen
        assert "Warmline (AI)" in chat.screen


async def test_a_sentence_is_shown_before_the_reply_is_complete(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        assert chat.said("reply")[0].startswith("That sounds heavy.")
        assert "What keeps" not in chat.said("reply")[0]
        hold.let_go()
        await chat.answered()
        assert chat.said("reply") == [REPLY]


async def test_brackets_stand_as_typed(room):
    room.model.enqueue("You wrote [/] and [b]broken[/b]. I see it.")
    async with room.open() as chat:
        await chat.send("I feel [/] broken [")
        assert "I feel [/] broken [" in chat.screen
        assert "You wrote [/] and [b]broken[/b]." in chat.screen


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m and \x1b]0;title\x07more", "a\u202eb\u2066c", "nul\x00 bell\x07"])
async def test_no_control_character_reaches_the_screen(room, text):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        chat.prompt.post_message(events.Paste(text))
        await chat.pilot.pause()
        await chat.press("enter")
        await chat.answered()
        assert not [c for c in chat.screen if (c != "\n" and not c.isprintable()) or c in "\u202e\u2066"]


async def test_what_a_server_sends_is_cleaned_too(room):
    room.model.enqueue("Plain \x1b[2Jwords\x07 here. And more.")
    async with room.open() as chat:
        await chat.send("hello")
        assert not set("\x1b\x07") & set(chat.screen)
        assert chat.said("reply")


async def test_enter_sends_and_ctrl_j_breaks_the_line(room):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.press("h", "i", "ctrl+j", "y", "o", "u", "enter")
        await chat.answered()
        assert chat.said("yours") == ["hi\nyou"]


async def test_shift_enter_breaks_the_line_where_the_terminal_tells_it_apart(room):
    async with room.open() as chat:
        await chat.press("a", "shift+enter", "b")
        assert chat.prompt.text == "a\nb"


async def test_an_empty_message_is_not_sent(room):
    async with room.open() as chat:
        await chat.press("space", "enter")
        assert chat.said("yours") == []
        assert chat.prompt.text == " "


async def test_typing_reaches_the_box_wherever_the_keyboard_was(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        await chat.press("f3")
        assert isinstance(chat.app.focused, ContactRow)
        await chat.press("o", "k")
        assert chat.prompt.text == "ok"


async def test_a_second_message_does_not_wait_for_the_first_reply(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.send(DANGER)
        assert len(chat.cards) == 1
        assert words.MARK_STOPPED in chat.marks
        assert len(chat.said("yours")) == 2


# -- crisis ------------------------------------------------------------------------------------------------------------


async def test_a_crisis_shows_a_card_with_the_countrys_lines_and_asks_no_model(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        values = [row.value for row in chat.one(CardView).query(ContactRow)]
        assert values[0] == "911"
        assert "988" in values
        assert room.model.calls == []


async def test_the_cards_first_number_is_in_sight_on_a_small_screen(room):
    async with room.open(size=(40, 12)) as chat:
        await chat.send(DANGER)
        await chat.until(lambda: "911" in chat.screen, "the number in sight")


async def test_a_crisis_is_answered_while_the_model_still_loads(room):
    app = room.app(agent=room.SlowStart)
    async with room.open(app, wait=False) as chat:
        await chat.send(DANGER)
        assert not app.agent.loaded.is_set()
        assert len(chat.cards) == 1
        app.agent.loaded.set()


async def test_enter_copies_a_number(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        await chat.press("f3", "enter")
        assert chat.app.clipboard == "911"
        assert words.COPIED.format("911") in chat.notices


async def test_a_click_copies_a_number(room):
    async with room.open(size=(80, 40)) as chat:
        await chat.send(DANGER)
        row = next(row for row in chat.one(CardView).query(ContactRow) if row.value == "988")
        await chat.pilot.click(row)
        assert chat.app.clipboard == "988"


async def test_up_and_down_walk_through_the_numbers(room):
    async with room.open(size=(80, 40)) as chat:
        await chat.send(DANGER)
        await chat.press("f3", "down")
        assert chat.app.focused.value != "911"
        await chat.press("up")
        assert chat.app.focused.value == "911"


async def test_the_chosen_number_has_a_mark_besides_its_colour(room):
    async with room.open(size=(80, 40)) as chat:
        await chat.send(DANGER)
        await chat.press("f3")
        assert any(line.lstrip(" │").startswith("› ") for line in chat.screen.splitlines())


async def test_an_unchecked_line_says_so_and_how_to_confirm_it(room):
    async with room.open(size=(100, 60)) as chat:
        await chat.press("f1")
        card = chat.one(CardView).card
        assert any(not line.checked for line in card.lines)
        assert chat.screen.count(words.UNCHECKED_MARK) >= sum(not line.checked for line in card.lines)
        assert "findahelpline.com" in chat.screen


async def test_the_first_line_stays_in_the_terminal_after_leaving_a_crisis(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        line = chat.one(CardView).card.lines[0]
    assert line.name in chat.app.parting_words


async def test_nothing_stays_in_the_terminal_after_an_ordinary_talk(room):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("hello")
    assert chat.app.parting_words == ""


async def test_when_a_part_fails_people_to_talk_to_are_shown(room, tmp_path):
    broken = tmp_path / "lexicon.yaml"
    broken.write_text("rules: [")
    async with room.open(guards={"lexicons": [broken]}) as chat:
        await chat.send("hello")
        assert words.MARK_PART_FAILED in chat.marks
        assert len(chat.cards) == 1


# -- help --------------------------------------------------------------------------------------------------------------


async def test_f1_shows_the_countrys_lines_without_the_model(room):
    room.remember(country="GB")
    async with room.open() as chat:
        await chat.press("f1")
        assert "116 123" in [row.value for row in chat.one(CardView).query(ContactRow)]
        assert room.model.calls == []


async def test_a_question_mark_in_the_empty_box_shows_help(room):
    async with room.open() as chat:
        await chat.press("question_mark")
        assert isinstance(chat.app.screen, Help)
        assert chat.prompt.text == ""


async def test_a_question_mark_in_a_sentence_is_a_question_mark(room):
    async with room.open() as chat:
        await chat.press("w", "h", "y", "question_mark")
        assert chat.prompt.text == "why?"
        assert not isinstance(chat.app.screen, Help)


async def test_help_opens_while_a_reply_streams_and_the_reply_goes_on(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(hold.reached.is_set)
        await chat.press("f1")
        assert isinstance(chat.app.screen, Help)
        hold.let_go()
        await chat.answered()
        await chat.press("escape")
        assert chat.said("reply") == [REPLY]


async def test_help_opens_before_the_model_has_loaded(room):
    app = room.app(agent=room.SlowStart)
    async with room.open(app, wait=False) as chat:
        await chat.press("f1")
        assert "988" in [row.value for row in chat.one(CardView).query(ContactRow)]
        app.agent.loaded.set()


async def test_help_does_not_wait_for_an_agent_that_is_busy_loading(room):
    app = room.app(agent=room.SlowStart)
    async with room.open(app, wait=False) as chat:
        await chat.until(lambda: app.country_name == "United States", "the directory")
        loading, done = threading.Event(), threading.Event()

        def load():
            with app.agent._lock:
                loading.set()
                done.wait(30)

        thread = threading.Thread(target=load)
        thread.start()
        loading.wait()
        await chat.press("f1")
        assert len(chat.cards) == 1
        done.set()
        thread.join()
        app.agent.loaded.set()


async def test_help_gives_back_what_was_being_written(room):
    async with room.open() as chat:
        await chat.write("half a sent")
        await chat.press("f1", "escape")
        assert chat.prompt.text == "half a sent"
        assert chat.app.focused is chat.prompt


async def test_without_a_directory_help_still_names_a_way(room, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("country: [")
    async with room.open(guards={"hotlines": [broken]}) as chat:
        await chat.press("f1")
        assert "findahelpline.com" in chat.screen


async def test_the_country_can_be_changed_from_help(room):
    async with room.open() as chat:
        await chat.press("f1", "f4", *"united k", "enter")
        await chat.press("f1")
        assert "116 123" in [row.value for row in chat.one(CardView).query(ContactRow)]
        assert room.remembered().country == "GB"


# -- stopping ----------------------------------------------------------------------------------------------------------


async def test_escape_stops_the_reply_and_keeps_what_was_shown(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.press("escape")
        await chat.answered()
        assert chat.said("reply")[0].startswith("That sounds heavy.")
        assert chat.marks == [words.MARK_STOPPED]
        assert chat.status == words.STOPPED
        assert chat.app.focused is chat.prompt


async def test_a_stopped_reply_is_stored_as_far_as_it_was_shown(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        shown = chat.said("reply")[0]
        await chat.press("escape")
        await chat.answered()
    with room.store() as store:
        turn = store.turns(store.sessions()[0].id)[0]
    assert (turn.reply, turn.stopped) == (shown, True)


async def test_after_a_stop_the_next_message_is_answered(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.press("escape")
        await chat.answered()
        room.model.before_chunk = None
        room.model.enqueue("I am still here. Go on.")
        await chat.send("sorry, go on")
        assert chat.said("reply")[-1] == "I am still here. Go on."


async def test_escape_does_not_stop_a_crisis_reply(room):
    async with room.open() as chat:
        await chat.send(DANGER, wait=False)
        await chat.press("escape")
        await chat.answered()
        assert len(chat.cards) == 1


async def test_ctrl_c_stops_a_reply_and_does_not_leave(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.press("ctrl+c")
        await chat.answered()
        assert chat.marks == [words.MARK_STOPPED]
        assert chat.app.is_running


async def test_ctrl_c_asks_once_and_leaves_at_the_second(room):
    async with room.open() as chat:
        await chat.press("ctrl+c")
        assert words.LEAVE in chat.notices
        await chat.pilot.press("ctrl+c")
    assert chat.app._exit


async def test_ctrl_c_warns_of_words_that_were_not_sent(room):
    async with room.open() as chat:
        await chat.write("unsent")
        await chat.press("ctrl+c")
        assert words.LEAVE_DRAFT in chat.notices


async def test_ctrl_c_leaves_from_the_first_screen_too(room):
    async with room.open(first_run=True) as chat:
        await chat.press("ctrl+c")
        await chat.pilot.press("ctrl+c")
    assert chat.app._exit


async def test_ctrl_c_copies_selected_words(room):
    async with room.open() as chat:
        await chat.write("copy me")
        await chat.press("f7", "ctrl+c")
        assert chat.app.clipboard == "copy me"


async def test_leaving_in_the_middle_of_a_reply_stores_what_was_shown(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.pilot.press("ctrl+q")
    with room.store() as store:
        assert store.turns(store.sessions()[0].id)[0].reply.startswith("That sounds heavy.")


# -- nothing is lost ---------------------------------------------------------------------------------------------------


async def test_a_message_that_could_not_be_saved_comes_back_into_the_box(room):
    async with room.open() as chat:
        room.model.enqueue(REPLY)
        await chat.send("first")
        chat.app.agent.store.close()
        (room.path / "warmline.db").rename(room.path / "gone.db")
        (room.path / "warmline.db").mkdir()
        await chat.send("second")
        assert chat.prompt.text == "second"
        assert words.MARK_NOT_KEPT in chat.marks
        assert len(chat.said("note")) == 1


async def test_a_store_that_cannot_be_opened_is_told_and_never_touched(room):
    (room.path / "warmline.db").write_bytes(b"this is not a database" * 100)
    async with room.open() as chat:
        assert "warmline.db" in chat.said("note")[0]
        await chat.send("are you there")
        assert chat.prompt.text == "are you there"
    assert (room.path / "warmline.db").read_bytes() == b"this is not a database" * 100


async def test_without_a_store_a_crisis_still_gets_its_card(room):
    (room.path / "warmline.db").write_bytes(b"this is not a database" * 100)
    async with room.open() as chat:
        await chat.send(DANGER)
        assert len(chat.cards) == 1


async def test_a_model_that_is_down_is_told_in_words(room):
    room.model.enqueue(error=ModelError(ModelErrorKind.UNREACHABLE, "http://127.0.0.1:9 does not answer"))
    async with room.open(model={"retries": 0}) as chat:
        await chat.send("work keeps me awake")
        assert chat.marks == [words.MARK_MODEL_DOWN]
        assert chat.said("reply")[0].strip()


async def test_words_that_a_check_held_back_are_told_as_such(room):
    room.model.enqueue("That sounds heavy. You clearly have bipolar disorder and should stop your lithium.")
    async with room.open() as chat:
        await chat.send("work keeps me awake")
        assert "lithium" not in chat.screen
        assert chat.marks == [words.MARK_REPLACED]


async def test_what_is_being_written_survives_a_failed_turn(room):
    room.model.enqueue(error=ModelError(ModelErrorKind.UNREACHABLE, "down"))
    hold = room.hold(at=0)
    async with room.open(model={"retries": 0}) as chat:
        await chat.send("first", wait=False)
        await chat.write("second, half")
        hold.let_go()
        await chat.answered()
        assert chat.prompt.text == "second, half"
        assert chat.said("yours") == ["first"]


async def test_what_is_being_written_survives_a_new_conversation_and_the_list(room):
    async with room.open() as chat:
        await chat.write("half")
        await chat.press("ctrl+n", "f2", "f2", "f1", "escape", "ctrl+t")
        assert chat.prompt.text == "half"


async def test_resizing_while_a_reply_streams_loses_nothing(room):
    hold = room.hold(at=5)
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: hold.reached.is_set() and chat.said("reply"))
        await chat.write("and also")
        for size in ((40, 12), (20, 5), (1, 1), (120, 40), (80, 24)):
            await chat.resize(*size)
        hold.let_go()
        await chat.answered()
        assert chat.said("reply") == [REPLY]
        assert chat.prompt.text == "and also"
        assert "What keeps coming back?" in chat.text


async def test_a_megabyte_is_taken_in_parts_and_none_of_it_is_lost(room):
    text = "".join(f"{n:07d} " for n in range(125_000))
    async with room.open() as chat:
        chat.prompt.post_message(events.Paste(text))
        await chat.until(lambda: chat.prompt.text)
        assert chat.prompt.text + chat.prompt.rest == text
        assert "lot to send at once" in chat.status


async def test_the_next_part_of_a_long_text_comes_by_itself(room):
    room.model.enqueue(REPLY)
    async with room.open() as chat:
        chat.prompt.post_message(events.Paste("a" * LONGEST + "the rest"))
        await chat.until(lambda: chat.prompt.text)
        await chat.press("enter")
        await chat.answered()
        assert chat.said("yours") == ["a" * LONGEST]
        assert chat.prompt.text == "the rest"
        assert chat.prompt.rest == ""


async def test_a_paste_that_fits_goes_where_the_cursor_is(room):
    async with room.open() as chat:
        await chat.write("I feel ")
        chat.prompt.post_message(events.Paste("tired\r\ntoday"))
        await chat.until(lambda: "tired" in chat.prompt.text)
        assert chat.prompt.text == "I feel tired\ntoday"


async def test_a_turn_that_a_crash_cut_off_is_finished_at_the_next_start(room):
    room.crash("are you still there")
    room.model.enqueue("I am. The program stopped in between.")
    async with room.open() as chat:
        await chat.until(lambda: chat.said("reply"))
        await chat.answered()
        assert chat.said("yours") == ["are you still there"]
        assert chat.said("reply") == ["I am. The program stopped in between."]


# -- getting ready -----------------------------------------------------------------------------------------------------


async def test_a_message_sent_while_the_model_loads_is_answered(room):
    room.model.enqueue(REPLY)
    app = room.app(agent=room.SlowStart)
    hold = room.hold(at=0)
    async with room.open(app, wait=False) as chat:
        await chat.send("work keeps me awake", wait=False)
        await chat.until(lambda: chat.status == words.WAITING_FOR_MODEL, "an honest word about waiting")
        app.agent.loaded.set()
        hold.let_go()
        await chat.answered()
        assert chat.said("reply") == [REPLY]


async def test_the_box_takes_words_before_anything_has_loaded(room):
    async with room.open(room.app(agent=room.SlowStart), wait=False) as chat:
        await chat.press("h", "i")
        assert chat.prompt.text == "hi"
        assert chat.status == words.GETTING_READY
        chat.app.agent.loaded.set()


async def test_a_model_that_cannot_load_is_told_and_help_still_works(room, monkeypatch):
    async def broken(self):
        raise RuntimeError("no model at /nowhere; set WARMLINE_MODEL__PATH")

    monkeypatch.setattr(room.SlowStart, "warm_up", broken)
    async with room.open(agent=room.SlowStart) as chat:
        assert "WARMLINE_MODEL__PATH" in chat.said("note")[0]
        assert chat.status == words.NOT_LOADED
        await chat.press("f1")
        assert len(chat.cards) == 1
