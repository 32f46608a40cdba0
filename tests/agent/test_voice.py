"""The agent's words follow the language of the person, whole or not at all; the folder here says "[es]" for Spanish."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from warmline.agent import Event, ScriptedModel, Session, Settings, Store, SupportAgent
from warmline.agent.copy import DATA as COPIES
from warmline.agent.copy import Copy, CopyError
from warmline.agent.protocol.files import PlaybookError
from warmline.agent.protocol.playbook import DATA, load_playbooks
from warmline.agent.protocol.walk import Walk
from warmline.agent.voice import Voices
from warmline.guards import CrisisFilter
from warmline.guards.hotlines import Directory
from warmline.guards.types import Category, RiskLevel, Verdict

SPANISH = "me siento muy sola y no sé qué hacer con mi vida"
ENGLISH = "I don't know what to do anymore, I just feel so tired"
MARK = "[es] "


def marked(value: Any) -> Any:
    """The same texts, each with the mark of the language."""
    if isinstance(value, dict):
        return {key: marked(inner) if key != "language" else "es" for key, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner) for inner in value]
    return f"{MARK}{value}"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    shutil.copytree(DATA, folder / "protocol", ignore=shutil.ignore_patterns("copy"))
    shutil.copy(DATA / "answers" / "en.yaml", folder / "protocol" / "answers" / "es.yaml")
    overlay = folder / "protocol" / "copy" / "es"
    overlay.mkdir(parents=True)
    for name, book in load_playbooks().books.items():
        texts = {move.id.partition("/")[2]: [MARK + text for text in move.texts] for move in book.moves}
        (overlay / f"{name}.yaml").write_text(yaml.safe_dump(texts, allow_unicode=True), "utf-8")
    (folder / "copy").mkdir()
    shutil.copy(COPIES / "en.yaml", folder / "copy" / "en.yaml")
    texts = marked(yaml.load((COPIES / "en.yaml").read_text("utf-8"), Loader=yaml.BaseLoader))
    (folder / "copy" / "es.yaml").write_text(yaml.safe_dump(texts, allow_unicode=True), "utf-8")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The same, to be broken."""
    return Path(shutil.copytree(made, tmp_path / "words"))


def voices(folder: Path) -> Voices:
    return Voices(("en", "es"), copies=folder / "copy", protocol=folder / "protocol")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'w.db'}")


@pytest.fixture
def agent(store: Store, made: Path) -> Callable[..., SupportAgent]:
    def make(*replies: str, **parts: Any) -> SupportAgent:
        agent = SupportAgent(model=ScriptedModel(replies=list(replies)), settings=Settings(), store=store, **parts)
        agent._voices = voices(made)
        return agent

    return make


async def send(session: Session, text: str) -> list[Event]:
    return [event async for event in session.send(text)]


def shown(events: list[Event]) -> str:
    return "".join(event.text for event in events if event.type in ("sentence", "replaced"))


class Crisis(CrisisFilter):
    """Finds a crisis in every message."""

    def screen(self, *args: Any, **kwargs: Any) -> Verdict:
        return Verdict(level=RiskLevel.ELEVATED, categories=(Category.SUICIDE,))


class Broken(CrisisFilter):
    def screen(self, *args: Any, **kwargs: Any) -> Verdict:
        raise RuntimeError("the filter broke")


class TestAConversation:
    async def test_is_answered_in_the_language_of_the_message(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        assert MARK in shown(await send(session, SPANISH))

    async def test_is_answered_in_english_in_english(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        assert MARK not in shown(await send(session, ENGLISH))

    async def test_keeps_its_language_over_a_short_answer(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        await send(session, SPANISH)
        assert MARK in shown(await send(session, "no"))

    async def test_changes_it_with_the_person(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        await send(session, SPANISH)
        assert MARK not in shown(await send(session, ENGLISH))

    async def test_keeps_it_in_the_store(self, agent: Callable[..., SupportAgent], store: Store) -> None:
        first = agent(crisis_filter=Crisis())
        session = await first.open_session(country="ES")
        await send(session, SPANISH)
        assert store.session(session.id).language == "es"
        again = await agent(crisis_filter=Crisis()).open_session(session_id=session.id)
        assert MARK in shown(await send(again, "no"))

    async def test_tells_the_way_to_a_line_in_its_language(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        said = shown(await send(session, SPANISH))
        assert "llamar al 024" in said
        assert "call" not in said.partition("llamar al 024")[2][:20]

    async def test_has_its_card_in_its_language(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        card = next(event.card for event in await send(session, SPANISH) if event.type == "crisis_card")
        assert card.title.startswith(MARK)
        assert card.notice.startswith(MARK)

    async def test_holds_in_its_language(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Broken()).open_session(country="ES")
        assert shown(await send(session, SPANISH)).startswith(MARK)

    async def test_ends_a_broken_reply_in_its_language(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent("You have bipolar disorder.").open_session(country="ES")
        assert MARK in shown(await send(session, SPANISH))

    async def test_tells_of_a_human_who_left_in_its_language(
        self, agent: Callable[..., SupportAgent], store: Store
    ) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        await send(session, SPANISH)
        assert session.copy.human_left().startswith(MARK)

    async def test_says_what_it_did_not_understand_in_its_language(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        await send(session, SPANISH)
        (event,) = await send(session, "  ")
        assert event.type == "failed" and event.text.startswith(MARK)

    async def test_shows_the_language_to_nobody(self, agent: Callable[..., SupportAgent]) -> None:
        session = await agent(crisis_filter=Crisis()).open_session(country="ES")
        events = await send(session, SPANISH)
        assert {event.type for event in events} == {"verdict", "sentence", "crisis_card", "done"}


def test_a_walk_follows_the_person(made: Path) -> None:
    walk = Walk(Crisis(), load_playbooks(), Directory.load(), Copy.load(), country="ES", voices=voices(made))
    replies = [walk.hear(text).reply for text in (ENGLISH, SPANISH, "no", ENGLISH)]
    assert [MARK in reply.text for reply in replies if reply] == [False, True, True, False]


class TestALanguage:
    def test_without_words_is_english(self, made: Path) -> None:
        assert voices(made).of("tlh").language == "en"

    def test_whose_playbooks_are_missing_is_english(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        shutil.rmtree(folder / "protocol" / "copy")
        with caplog.at_level(logging.ERROR):
            assert voices(folder).of("es").language == "en"
        assert "copy/es" in caplog.text

    def test_that_is_broken_leaves_nobody_without_words(self, folder: Path) -> None:
        (folder / "protocol" / "copy" / "es" / "own.yaml").write_text("kept: [one]\n", "utf-8")
        assert voices(folder).of("es").language == "en"

    def test_that_is_broken_is_told_with_its_file_and_line(self, folder: Path) -> None:
        (folder / "protocol" / "copy" / "es" / "own.yaml").write_text("kept: [one]\n", "utf-8")
        with pytest.raises(PlaybookError, match=r"copy/es/own\.yaml:\d+: barrier_calling: has 0 texts"):
            voices(folder).check(Directory.load())

    def test_whose_copy_is_missing_is_told(self, folder: Path) -> None:
        (folder / "copy" / "es.yaml").unlink()
        with pytest.raises(CopyError, match=r"es\.yaml: cannot be read"):
            voices(folder).check(Directory.load())

    async def test_that_is_broken_is_told_when_the_agent_warms_up(self, folder: Path, store: Store) -> None:
        (folder / "copy" / "es.yaml").unlink()
        agent = SupportAgent(model=ScriptedModel(), settings=Settings(), store=store)
        agent._voices = voices(folder)
        with pytest.raises(CopyError, match=r"es\.yaml"):
            await agent.warm_up()


def test_every_shipped_language_is_whole() -> None:
    Voices().check(Directory.load())


def test_copy_of_the_embedder_stands_in_for_its_language_only(made: Path) -> None:
    own = Copy(Copy.load().texts.model_copy(update={"empty": "Say something, friend."}))
    spoken = Voices(("en", "es"), copy=own, copies=made / "copy", protocol=made / "protocol")
    assert spoken.of("en").copy.empty() == "Say something, friend."
    assert spoken.of("es").copy.empty().startswith(MARK)
