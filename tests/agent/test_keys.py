"""API keys: given out once, hashed at rest, and the fence between conversations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmline.agent.store import KeyRefused, Scope, Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'w.db'}", clock=clock)


def test_a_key_is_found_by_its_secret(store: Store) -> None:
    key, secret = store.keys.create("my-app", [Scope.CHAT])
    assert store.keys.find(secret) == key


def test_a_key_gets_every_scope_also_from_an_iterator_as_the_command_gives_them(store: Store) -> None:
    key, _ = store.keys.create("ops", map(Scope, ["chat", "admin", "eval"]))
    assert key.scopes == (Scope.CHAT, Scope.ADMIN, Scope.EVAL)


def test_another_secret_finds_nothing(store: Store) -> None:
    _, secret = store.keys.create("my-app", [Scope.CHAT])
    assert store.keys.find(secret[:-1]) is None


def test_the_secret_is_not_on_the_disk(store: Store, tmp_path: Path) -> None:
    _, secret = store.keys.create("my-app", [Scope.CHAT])
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_a_revoked_key_opens_nothing(store: Store) -> None:
    _, secret = store.keys.create("my-app", [Scope.CHAT])
    store.keys.revoke("my-app")
    assert store.keys.find(secret) is None


def test_a_key_whose_time_is_over_opens_nothing(store: Store, clock: Clock) -> None:
    _, secret = store.keys.create("visitor", [Scope.CHAT], expires=NOW + timedelta(hours=1))
    clock.now = NOW + timedelta(hours=1)
    assert store.keys.find(secret) is None


def test_a_name_is_given_once(store: Store) -> None:
    store.keys.create("my-app", [Scope.CHAT])
    with pytest.raises(KeyRefused, match="my-app"):
        store.keys.create("my-app", [Scope.ADMIN])


def test_the_name_of_a_revoked_key_is_free_again(store: Store) -> None:
    store.keys.create("my-app", [Scope.CHAT])
    store.keys.revoke("my-app")
    assert store.keys.create("my-app", [Scope.CHAT])[0].name == "my-app"


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "ünder"])
def test_a_name_must_be_an_identifier(store: Store, name: str) -> None:
    with pytest.raises(KeyRefused):
        store.keys.create(name, [Scope.CHAT])


def test_a_key_without_a_scope_is_refused(store: Store) -> None:
    with pytest.raises(KeyRefused, match="chat"):
        store.keys.create("my-app", [])


def test_expired_keys_are_dropped_and_their_conversations_stay(store: Store, clock: Clock) -> None:
    key, _ = store.keys.create("visitor", [Scope.CHAT], expires=NOW + timedelta(hours=1))
    session = store.create_session()
    store.keys.give(session.id, key.id)
    clock.now = NOW + timedelta(hours=2)
    assert store.keys.forget_expired() == 1
    assert store.session(session.id).id == session.id
    assert store.keys.owner(session.id) is None


def test_a_conversation_belongs_to_its_key_alone(store: Store) -> None:
    mine, _ = store.keys.create("mine", [Scope.CHAT])
    yours, _ = store.keys.create("yours", [Scope.CHAT])
    session = store.create_session()
    store.keys.give(session.id, mine.id)
    assert (store.keys.owner(session.id), store.keys.sessions(yours.id)) == (mine.id, frozenset())


def test_of_many_who_name_a_conversation_at_once_all_get_the_same(store: Store) -> None:
    key, _ = store.keys.create("my-app", [Scope.CHAT])
    made = [store.create_session().id for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda session: store.keys.give(session, key.id, "user-7"), made))
    assert len(got) == 1
    assert store.keys.named(key.id, "user-7") in got


def test_making_and_revoking_stand_in_the_audit(store: Store) -> None:
    store.keys.create("my-app", [Scope.CHAT])
    store.keys.revoke("my-app")
    assert [row.kind for row in store.audit_rows()] == ["key_created", "key_revoked"]


def test_a_message_on_its_way_is_seen_by_others(store: Store) -> None:
    session = store.create_session()
    before = store.answering(session.id)
    store.begin_turn(session.id, "hello")
    assert (before, store.answering(session.id)) == (False, True)
