"""What a person sees when a human reviewer comes, writes and leaves."""

from __future__ import annotations

import pytest

from warmline.agent import support
from warmline.agent.copy import Copy
from warmline.tui.chat import words

DANGER = "i don't want to be here anymore, i have the pills next to me"
COPY = Copy.load()
HERE, BACK = COPY.human_arrived(), COPY.human_left()


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    """The chat looks for a reviewer every hundredth of a second."""
    monkeypatch.setattr(support.Session.watch, "__kwdefaults__", {"every": 0.01})


def number(store) -> str:
    (ticket,) = store.handoff.queue()
    return ticket.id


async def test_a_human_who_comes_writes_and_leaves_is_seen_at_once(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        replies = len(chat.said("reply"))
        with room.store() as store:
            store.handoff.take(number(store), "sam", HERE)
            await chat.until(lambda: HERE in chat.said("reply"), "the announcement")
            store.handoff.say(number(store), "sam", "Hi, I'm Sam [b]and[/b] I read what you wrote.")
            await chat.until(lambda: chat.said("human"), "the human's words")
            assert chat.said("human") == ["Hi, I'm Sam [b]and[/b] I read what you wrote."]
            assert words.HUMAN in chat.screen
            store.handoff.release(number(store), "sam", BACK)
            await chat.until(lambda: BACK in chat.said("reply"), "the agent's return")
        assert chat.said("reply")[replies:] == [HERE, BACK]


async def test_the_footer_says_who_is_there(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        assert words.FOOTER in chat.screen
        with room.store() as store:
            store.handoff.take(number(store), "sam", HERE)
            await chat.until(lambda: words.FOOTER_HUMAN in chat.screen, "the footer with a human")
            assert words.FOOTER not in chat.screen
            assert words.WITH_HUMAN in chat.status
            store.handoff.release(number(store), "sam", BACK)
            await chat.until(lambda: words.FOOTER in chat.screen, "the footer without")


async def test_a_message_to_the_human_gets_no_words_of_the_agent(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        with room.store() as store:
            store.handoff.take(number(store), "sam", HERE)
            await chat.until(lambda: HERE in chat.said("reply"), "the announcement")
            replies = chat.said("reply")
            await chat.send("are you really a person")
            assert chat.said("reply") == replies
            assert chat.said("yours")[-1] == "are you really a person"


async def test_what_a_human_wrote_is_there_when_the_conversation_is_opened_again(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        with room.store() as store:
            store.handoff.take(number(store), "sam", HERE)
            store.handoff.say(number(store), "sam", "I am with you.")
            await chat.until(lambda: chat.said("human"), "the human's words")
            await chat.press("ctrl+n")
            assert words.FOOTER in chat.screen
            await chat.press("f2", "down", "enter")
            await chat.until(lambda: chat.said("human") == ["I am with you."], "the stored conversation")
            assert chat.said("reply").count(HERE) == 1
            assert words.FOOTER_HUMAN in chat.screen


async def test_a_deleted_conversation_is_watched_no_more(room):
    async with room.open() as chat:
        await chat.send(DANGER)
        session = chat.app.conversation._session
        await chat.app.conversation.action_new()
        await chat.app.agent.delete_session(session.id)
        await chat.until(lambda: not any(worker.group == "human" for worker in chat.app.workers), "the end of watching")
