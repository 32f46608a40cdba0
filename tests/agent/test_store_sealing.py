"""Texts at rest: nobody reads them without the key, no key is lost silently, and no text opens in another row."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import JSON, Text

from warmline.agent.settings import Settings, SettingsError
from warmline.agent.store import CrisisEntry, Store, StoreError, TextKey, TextSealed
from warmline.agent.store.schema import Stored
from warmline.agent.store.sealing import SEALED
from warmline.guards.types import Category, Evidence, RiskLevel, Verdict

pytest.importorskip("cryptography", reason="needs the extra `server`")

WORD = "Zylophage"
"""Stands in every text that is written here, and nowhere else."""
NO_WORDS = {
    "turns": {"owner"},
    "verdicts": {"categories", "scores"},
    "crisis_events": {"categories", "lines", "moves"},
    "tickets": {"categories", "evidence", "moves"},
    "verdict_marks": {"categories"},
    "outbox": {"payload"},
    "api_keys": {"scopes"},
    "audit": {"payload"},
}
"""Text and JSON columns that hold ids, levels, names and numbers only."""


def key() -> TextKey:
    return TextKey.read(base64.b64encode(os.urandom(32)).decode())


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'w.db'}"


@pytest.fixture
def one() -> TextKey:
    return key()


@pytest.fixture
def two() -> TextKey:
    return key()


@pytest.fixture
def store(url: str, one: TextKey) -> Iterator[Store]:
    with Store.open(url, key=one) as store:
        yield store


def talk(store: Store) -> str:
    """A conversation with words in every place that can hold some."""
    session = store.create_session("US")
    evidence = Evidence(
        start=0, end=9, text=WORD, category=Category.SUICIDE, level=RiskLevel.ELEVATED, source="lexicon:x"
    )
    verdict = Verdict(
        level=RiskLevel.ELEVATED,
        categories=(Category.SUICIDE,),
        evidence=(evidence,),
        reason=WORD,
        error="TimeoutError",
    )
    turn = store.finish_turn(
        store.begin_turn(session.id, f"{WORD} all night"),
        reply=f"{WORD}, you say.",
        verdict=verdict,
        route="crisis",
        card={"title": WORD},
        risk={"level": WORD},
        protocol={"plan": {"people": WORD}},
        crisis=CrisisEntry(RiskLevel.ELEVATED, (Category.SUICIDE,), ("us-988",)),
    )
    (ticket,) = (ticket for ticket in store.handoff.queue() if ticket.session_id == session.id)
    store.handoff.take(ticket.id, "sam", f"{WORD} is here")
    store.handoff.say(ticket.id, "sam", f"{WORD}?")
    store.handoff.note(ticket.id, "sam", f"{WORD}!")
    store.handoff.mark(turn.id, "sam", RiskLevel.NONE)
    return session.id


def change(store: Store, statement: str) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_every_column_is_encrypted_or_known_to_hold_no_words() -> None:
    for name, table in Stored.metadata.tables.items():
        texts = {column.name for column in table.columns if type(column.type) in (Text, JSON)}
        assert texts == set(SEALED.get(name, ())) | NO_WORDS.get(name, set()), name


def test_no_word_of_a_conversation_is_on_the_disk(store: Store, tmp_path: Path) -> None:
    talk(store)
    files = [file for file in tmp_path.iterdir() if file.name.startswith("w.db")]
    assert files
    assert [file.name for file in files if WORD.encode() in file.read_bytes()] == []


def test_everything_comes_back_as_it_was_said(store: Store, url: str, tmp_path: Path) -> None:
    sealed = store.export(talk(store))
    with Store.open(f"sqlite:///{tmp_path / 'plain.db'}") as plain:
        told = plain.export(talk(plain))
    assert str(sealed).count(WORD) == str(told).count(WORD) > 8
    assert [turn["verdict"]["reason"] for turn in sealed["turns"]] == [WORD]
    assert store.handoff.marked_messages()[0].text == f"{WORD} all night"


@pytest.mark.parametrize("others", [[], [key()]], ids=["no key", "another key"])
def test_a_key_that_is_missing_is_told_at_the_start_and_nothing_is_lost(
    store: Store, url: str, one: TextKey, others: list[TextKey]
) -> None:
    session = talk(store)
    with pytest.raises(TextSealed, match=f"{one.id}.*WARMLINE_STORE__KEY"):
        Store.open(url, key=others[0] if others else None)
    with Store.open(url, key=one) as again:
        assert again.turns(session)[0].user_text == f"{WORD} all night"


def test_plain_and_encrypted_conversations_stand_side_by_side(url: str, one: TextKey) -> None:
    with Store.open(url) as store:
        before = talk(store)
    with Store.open(url, key=one) as store:
        after = talk(store)
        assert {store.turns(session)[0].user_text for session in (before, after)} == {f"{WORD} all night"}


def test_a_text_moved_to_another_row_is_not_shown(store: Store) -> None:
    one, two = talk(store), talk(store)
    change(store, f"UPDATE turns SET user_text = (SELECT reply FROM turns WHERE session_id = '{two}')")
    for session in (one, two):
        with pytest.raises(StoreError, match=r"turns\.user_text.*changed or moved"):
            store.turns(session)


def test_a_text_that_was_changed_is_not_shown(store: Store) -> None:
    session = talk(store)
    change(store, "UPDATE turns SET reply = substr(reply, 1, length(reply) - 6) || 'AAAA=='")
    with pytest.raises(StoreError, match="changed or moved"):
        store.turns(session)


def test_a_person_cannot_write_what_looks_encrypted(store: Store, url: str, one: TextKey) -> None:
    text = f"\x02wl1:{one.id}:AAAA"
    with Store.open(url, other_keys=[one]) as plain:
        turn = plain.begin_turn(plain.create_session().id, text)
        assert plain.turn(turn.id) == turn
    assert turn.user_text == text.replace("\x02", "\ufffd")


def test_after_a_rotation_the_old_key_is_not_needed(store: Store, url: str, one: TextKey, two: TextKey) -> None:
    session = talk(store)
    with Store.open(url, key=two, other_keys=[one]) as rotating:
        assert rotating.reseal(batch=1) == 6
        assert rotating.reseal() == 0
    with Store.open(url, key=two) as after:
        assert str(after.export(session)).count(WORD) > 8
        assert after.verify_audit().ok
    with pytest.raises(TextSealed):
        Store.open(url, key=one)


def test_texts_can_be_written_without_a_key_again(store: Store, url: str, one: TextKey) -> None:
    session = talk(store)
    with Store.open(url, other_keys=[one]) as plain:
        plain.reseal()
    with Store.open(url) as plain:
        assert plain.turns(session)[0].reply == f"{WORD}, you say."


def test_a_rotation_leaves_a_text_whose_key_is_unknown_as_it_is(store: Store, url: str, two: TextKey) -> None:
    session = talk(store)
    before = store.turns(session)
    change(store, "DELETE FROM text_keys")
    with Store.open(url, key=two) as rotating, pytest.raises(TextSealed):
        rotating.reseal()
    assert store.turns(session) == before


def test_a_renamed_conversation_and_the_next_turn_keep_the_title(store: Store) -> None:
    session = talk(store)
    store.rename(session, f"{WORD} at night")
    store.begin_turn(session, "and again")
    assert store.session(session).title == f"{WORD} at night"


@pytest.mark.parametrize("value", ["short", base64.b64encode(b"x" * 31).decode(), "not base64 " * 4])
def test_a_setting_that_is_no_key_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WARMLINE_STORE__KEY", value)
    with pytest.raises(SettingsError, match="32 random bytes in base64") as refused:
        Settings.load()
    assert value.strip() not in str(refused.value)


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, one: TextKey, two: TextKey) -> None:
    monkeypatch.setenv("WARMLINE_STORE__KEY", base64.urlsafe_b64encode(one.secret).decode())
    monkeypatch.setenv("WARMLINE_STORE__OTHER_KEYS", f'["{base64.b64encode(two.secret).decode()}"]')
    settings = Settings.load()
    assert (settings.store.text_key, settings.store.other_text_keys) == (one, [two])
    assert base64.b64encode(two.secret).decode() not in repr(settings)
