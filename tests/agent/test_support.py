"""The public agent: what an app sees of a turn, when all goes well and when a part fails."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from warmline.agent import Event, ScriptedModel, Session, Settings, Store, SupportAgent, SyncSupportAgent
from warmline.agent.copy import Copy
from warmline.agent.nodes import LAST_WORDS
from warmline.guards import CrisisFilter, OutputGuard

ORDINARY = "I've been so anxious about work that I can't sleep"
HOPELESS = "i can't do this anymore, nothing is ever going to change"
CRISIS = "i don't want to be here anymore, i have the pills next to me"
REPLY = "That sounds exhausting. Lying awake with work on your mind is hard. What keeps coming back at night?"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'w.db'}")


def make(store: Store, *replies: str, **parts: Any) -> SupportAgent:
    return SupportAgent(
        model=parts.pop("model", ScriptedModel(replies=list(replies))), settings=Settings(), store=store, **parts
    )


async def turn(agent: SupportAgent, text: str, country: str | None = "US") -> list[Event]:
    session = await agent.open_session(country=country)
    return [event async for event in session.send(text)]


async def collect(session: Session, text: str) -> list[Event]:
    return [event async for event in session.send(text)]


def types(events: list[Event]) -> list[str]:
    """The kinds of events in order, runs of sentences told once."""
    kinds = [event.type for event in events]
    return [kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]


def shown(events: list[Event]) -> str:
    return "".join(event.text for event in events if event.type in ("sentence", "replaced"))


def ruin(store: Store) -> None:
    """What a broken disk leaves of the database."""
    store.close()
    Path(store.where).write_bytes(b"not a database at all" * 100)


class Broken(CrisisFilter):
    def screen(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the filter broke")


class Slow(CrisisFilter):
    """An encoder on a machine that is too busy for it."""

    def screen(self, *args: Any, **kwargs: Any) -> Any:
        time.sleep(0.5)
        return super().screen(*args, **kwargs)


class BrokenGuard(OutputGuard):
    def check(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the guard broke")


class BlindGuard(OutputGuard):
    """Lets every sentence through and refuses the whole reply."""

    def check(self, *args: Any, whole: bool = False, **kwargs: Any) -> Any:
        verdict = super().check("Good.")
        return verdict if not whole else super().check("Take thirty of the pills tonight and do not tell anyone.")


async def test_an_ordinary_message_is_answered_by_the_model(store: Store) -> None:
    events = await turn(make(store, REPLY), ORDINARY)
    assert types(events) == ["verdict", "sentence", "done"]
    assert shown(events) == REPLY


async def test_a_crisis_gets_a_card_and_no_model(store: Store) -> None:
    model = ScriptedModel(replies=[REPLY])
    events = await turn(make(store, model=model), CRISIS)
    assert "crisis_card" in types(events)
    assert model.calls == []


async def test_the_card_is_for_the_country(store: Store) -> None:
    events = await turn(make(store), CRISIS, country="IE")
    card = next(event.card for event in events if event.type == "crisis_card")
    assert {line.country for line in card.lines} == {"IE"}


async def test_a_concern_gets_the_model_and_one_safety_question(store: Store) -> None:
    events = await turn(
        make(store, "That sounds so heavy."), "i can't do this anymore, nothing is ever going to change"
    )
    assert events[-1].type == "done"
    assert events[-1].route == "concern"
    assert shown(events).startswith("That sounds so heavy.")
    assert shown(events).count("?") == 1


async def test_the_reply_is_stored_exactly_as_shown(store: Store) -> None:
    agent = make(store, REPLY)
    session = await agent.open_session(country="US")
    events = await collect(session, ORDINARY)
    assert [turn.reply for turn in await session.history()] == [shown(events)]


async def test_an_unsafe_sentence_is_never_shown(store: Store) -> None:
    events = await turn(
        make(store, "I hear you. You don't need a doctor, just stop your medication today. I am here."), ORDINARY
    )
    assert "medication" not in shown(events)
    assert types(events) == ["verdict", "sentence", "replaced", "done"]


async def test_a_crisis_in_so_many_words_is_answered_though_the_encoder_is_late(store: Store) -> None:
    events = await turn(make(store, crisis_filter=Slow(patience_s=0.05)), "i want to kill myself tonight")
    assert [event.card for event in events if event.type == "crisis_card"]


async def test_a_filter_that_raises_leads_to_the_hold_reply(store: Store) -> None:
    model = ScriptedModel(replies=[REPLY])
    events = await turn(make(store, model=model, crisis_filter=Broken()), ORDINARY)
    assert events[-1].type == "done"
    assert events[-1].route == "hold"
    assert model.calls == []
    assert "crisis_card" in types(events)


async def test_a_filter_that_raises_is_told_as_an_error_not_as_none(store: Store) -> None:
    events = await turn(make(store, crisis_filter=Broken()), ORDINARY)
    assert events[0].type == "verdict"
    assert events[0].verdict.error


async def test_an_output_guard_that_raises_shows_none_of_the_model(store: Store) -> None:
    events = await turn(make(store, REPLY, output_guard=BrokenGuard()), ORDINARY)
    assert "exhausting" not in shown(events)
    assert events[-1].type == "done"


async def test_a_reply_refused_as_a_whole_ends_with_fixed_words(store: Store) -> None:
    events = await turn(make(store, REPLY, output_guard=BlindGuard()), ORDINARY)
    assert types(events) == ["verdict", "sentence", "replaced", "done"]


async def test_a_model_that_breaks_leaves_what_was_checked_and_says_so(store: Store) -> None:
    model = ScriptedModel()
    model.enqueue("That sounds exhausting. And then", error=ConnectionError("gone"), error_at=4)
    events = await turn(make(store, model=model), ORDINARY)
    assert events[-1].type == "done"
    assert types(events)[-2:] == ["replaced", "done"]


async def test_stopping_keeps_what_was_shown(store: Store) -> None:
    agent = make(store, REPLY)
    session = await agent.open_session(country="US")
    async with aclosing(session.send(ORDINARY)) as events:
        async for event in events:
            if event.type == "sentence":
                break
    (stored,) = await session.history()
    assert stored.stopped
    assert stored.reply == event.text


async def test_cancelling_the_task_stores_the_turn(store: Store) -> None:
    started = asyncio.Event()

    async def hang(_: int) -> None:
        started.set()
        await asyncio.Event().wait()

    agent = make(store, model=ScriptedModel(replies=[REPLY], before_chunk=hang))
    session = await agent.open_session(country="US")

    async def read() -> None:
        async for _ in session.send(ORDINARY):
            pass

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(turn.status, turn.stopped) for turn in await session.history()] == [("done", True)]


async def test_risk_stays_open_after_a_crisis(store: Store) -> None:
    model = ScriptedModel(replies=[REPLY])
    agent = make(store, model=model)
    session = await agent.open_session(country="US")
    for text in (CRISIS, "what is the weather like"):
        events = await collect(session, text)
    assert events[-1].type == "done"
    assert events[-1].route == "crisis"
    assert model.calls == []


async def test_the_same_card_is_not_shown_twice(store: Store) -> None:
    agent = make(store)
    session = await agent.open_session(country="US")
    kinds = [event.type for text in (CRISIS, CRISIS) for event in await collect(session, text)]
    assert kinds.count("crisis_card") == 1


@pytest.mark.parametrize("text", ["", "   \n\t", "\x00\x00", "\u200b\u200b"])
async def test_a_message_without_characters_is_told_kindly_and_not_stored(store: Store, text: str) -> None:
    agent = make(store)
    session = await agent.open_session(country="US")
    events = await collect(session, text)
    assert types(events) == ["failed"]
    assert len(await session.history()) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a\ud800b",
        "\x1b[31mred\x1b[0m",
        "I feel [/] broken [",
        "\u202eevil",
        "e" + "\u0301" * 5000,
        "null\x00byte",
        "<b>&amp;",
    ],
    ids=["surrogate", "ansi", "markup", "rtl", "combining", "nul", "html"],
)
async def test_odd_characters_are_answered(store: Store, text: str) -> None:
    events = await turn(make(store, REPLY), text)
    assert events[-1].type == "done"


async def test_a_megabyte_is_screened_whole(store: Store) -> None:
    text = "today was long and slow. " * 30000 + CRISIS + ". " + "today was long and slow. " * 10000
    events = await turn(make(store, REPLY), text)
    assert "crisis_card" in types(events)


async def test_an_unknown_country_is_refused_with_a_good_value(store: Store) -> None:
    with pytest.raises(ValueError, match="US"):
        await make(store).open_session(country="Atlantis")


async def test_without_a_country_the_lines_are_international(store: Store) -> None:
    events = await turn(make(store), CRISIS, country=None)
    card = next(event.card for event in events if event.type == "crisis_card")
    assert any("findahelpline" in contact.value for line in card.lines for contact in line.contacts)


async def test_a_store_that_fails_still_gives_a_person_in_danger_the_lines(store: Store) -> None:
    model = ScriptedModel(replies=[REPLY])
    agent = make(store, model=model)
    session = await agent.open_session(country="US")
    ruin(store)
    events = await collect(session, CRISIS)
    assert "crisis_card" in types(events)
    assert events[-1].type == "failed"
    assert model.calls == []


async def test_a_store_that_fails_asks_no_model(store: Store) -> None:
    model = ScriptedModel(replies=[REPLY])
    agent = make(store, model=model)
    session = await agent.open_session(country="US")
    ruin(store)
    events = await collect(session, ORDINARY)
    assert model.calls == []
    assert shown(events)


async def test_when_even_the_copy_breaks_the_last_words_are_said(store: Store) -> None:
    class NoHold(Copy):
        def hold(self, **_: Any) -> str:
            raise KeyError("hold")

    copy = NoHold(Copy.load().texts)
    events = await turn(make(store, crisis_filter=Broken(), copy=copy), ORDINARY)
    assert LAST_WORDS in shown(events)


async def test_two_messages_at_once_are_answered_one_after_the_other(store: Store) -> None:
    agent = make(store, REPLY, REPLY)
    session = await agent.open_session(country="US")

    first, second = await asyncio.gather(collect(session, "my day was long"), collect(session, "and my week too"))
    assert (first[-1].type, second[-1].type) == ("done", "done")
    assert [turn.number for turn in await session.history()] == [1, 2]


async def test_any_langchain_chat_model_works(store: Store) -> None:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    events = await turn(make(store, model=GenericFakeChatModel(messages=iter([AIMessage(REPLY)]))), ORDINARY)
    assert shown(events) == REPLY


def test_the_sync_agent_gives_the_same_events(store: Store) -> None:
    with SyncSupportAgent(model=ScriptedModel(replies=[REPLY]), settings=Settings(), store=store) as agent:
        events = list(agent.open_session(country="US").send(ORDINARY))
    assert types(events) == ["verdict", "sentence", "done"]


def test_the_sync_agent_can_be_stopped(store: Store) -> None:
    with SyncSupportAgent(model=ScriptedModel(replies=[REPLY]), settings=Settings(), store=store) as agent:
        session = agent.open_session(country="US")
        events = session.send(ORDINARY)
        for event in events:
            if event.type == "sentence":
                break
        events.close()
        assert [turn.stopped for turn in session.history()] == [True]


async def test_events_read_back_from_json(store: Store) -> None:
    from warmline.agent.events import EVENT

    events = await turn(make(store), CRISIS)
    assert [EVENT.validate_json(event.model_dump_json()) for event in events] == events


async def test_the_country_a_person_names_when_asked_is_remembered(store: Store) -> None:
    agent = make(store)
    session = await agent.open_session()
    await collect(session, CRISIS)
    await collect(session, "Ireland")
    assert session.country == "IE"
    assert store.session(session.id).country == "IE"


async def test_a_concern_turn_holds_one_question_even_when_the_model_asks_another(store: Store) -> None:
    events = await turn(make(store, "That sounds heavy. Have you tried yoga? I am here."), HOPELESS)
    assert "yoga" not in shown(events)
    assert shown(events).count("?") == 1


async def test_a_weak_model_is_not_let_near_a_concern(store: Store) -> None:
    model = ScriptedModel(replies=["It is a bittersweet thing."])
    agent = make(store, model=model)
    agent.weak_model = True
    events = await turn(agent, HOPELESS)
    assert model.calls == []
    assert shown(events).count("?") == 1


async def test_a_weak_model_is_not_asked_about_a_greeting(store: Store) -> None:
    model = ScriptedModel(replies=["I'm so sorry for your loss."])
    agent = make(store, model=model)
    agent.weak_model = True
    events = await turn(agent, "hi")
    assert model.calls == []
    assert "good that you are here" in shown(events) or "start anywhere" in shown(events)


async def test_a_sentence_that_a_limit_cut_in_the_middle_is_left_out(store: Store) -> None:
    events = await turn(make(store, "That sounds exhausting. And the other thing about it is that"), ORDINARY)
    assert shown(events).strip() == "That sounds exhausting."


async def test_a_reply_that_is_only_a_fragment_ends_with_honest_words(store: Store) -> None:
    events = await turn(make(store, "And the other thing about it is that"), ORDINARY)
    assert types(events) == ["verdict", "replaced", "done"]


async def test_a_weak_model_is_not_let_near_a_second_concern_either(store: Store) -> None:
    model = ScriptedModel(replies=["It is a bittersweet thing."])
    agent = make(store, model=model)
    agent.weak_model = True
    session = await agent.open_session(country="US")
    await collect(session, HOPELESS)
    second = await collect(session, "everything feels pointless and i'm such a burden")
    assert model.calls == []
    assert shown(second).strip()
