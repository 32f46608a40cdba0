"""API keys of the service, and which conversation belongs to which key.

A key is 256 random bits, so its SHA-256 is enough at rest: there is nothing to guess, and salt and slow hashes protect
only what people think up themselves. The key itself is given out once, by ``create``, and kept nowhere.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from . import audit
from .database import Database
from .errors import StoreError
from .rows import AnyRow
from .schema import API_KEYS_TABLE, SESSION_KEYS_TABLE, ApiKeyRow, SessionKey

PREFIX = "wl_"
"""Marks our keys, so that scanners for leaked secrets can find them."""
NAME = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
"""A key's name: an identifier, because the audit and the desk show it."""


class Scope(StrEnum):
    """What a key may do."""

    CHAT = "chat"
    """Hold conversations of its own: read, export and delete those."""
    REVIEW = "review"
    """See the handoff queue and the conversations in it, take over, write."""
    ADMIN = "admin"
    """Read, export and delete every conversation."""
    EVAL = "eval"
    """Measure: read the counters."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def opens(self, now: datetime) -> bool:
        """True while it may be used."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class KeyRefused(StoreError):
    """A key cannot be made or found as asked. Nothing was changed."""


_KEYS = select(*(API_KEYS_TABLE.c[field.name] for field in fields(ApiKey)))


class Keys:
    """The keys of a store. Blocking; every method may raise ``StoreError``."""

    def __init__(self, database: Database, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    def create(self, name: str, scopes: Iterable[Scope], *, expires: datetime | None = None) -> tuple[ApiKey, str]:
        """A new key and its secret, which cannot be read again.

        Keys that expire may share a name; they stand for visitors of the web chat.

        Raises:
            KeyRefused: the name is taken or no identifier, or there is no scope.
        """
        asked = set(scopes)  # once: it may be an iterator
        wanted = tuple(scope for scope in Scope if scope in asked)
        if not NAME.fullmatch(name):
            raise KeyRefused(self._where, "a key's name is 1 to 64 letters, digits or . : + - _", "Such as my-app.")
        if not wanted:
            raise KeyRefused(self._where, "a key needs a scope", f"Choose among {', '.join(Scope)}.")
        now, secret = self._clock(), PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(self._new_id(), name, wanted, now, expires)
        row = {"id": key.id, "name": name, "hash": digest(secret), "scopes": [scope.value for scope in wanted]}
        with self._database.writing() as connection:
            if expires is None:
                same = _KEYS.where(ApiKeyRow.name == name, ApiKeyRow.revoked.is_(None), ApiKeyRow.expires.is_(None))
                if connection.execute(same).first():
                    raise KeyRefused(self._where, f"there is a key named {name}", "Choose another name, or revoke it.")
            connection.execute(insert(API_KEYS_TABLE), row | {"created": now, "expires": expires})
            audit.append(connection, [audit.Entry("key_created", payload=_told(key))], now)
        return key, secret

    def all(self) -> tuple[ApiKey, ...]:
        """Every key that is kept, the newest first; those of visitors last."""
        newest = _KEYS.order_by(ApiKeyRow.expires.is_not(None), ApiKeyRow.created.desc(), ApiKeyRow.id)
        with self._database.reading() as connection:
            return tuple(map(_key, connection.execute(newest)))

    def find(self, secret: str) -> ApiKey | None:
        """The key behind ``secret``, if there is one that may be used."""
        with self._database.reading() as connection:
            row = connection.execute(_KEYS.where(ApiKeyRow.hash == digest(secret))).first()
        key = _key(row) if row else None
        return key if key and key.opens(self._clock()) else None

    def revoke(self, name: str) -> ApiKey:
        """Take a key out of use, by its name or id. Its conversations stay, for those who may see all.

        Raises:
            KeyRefused: there is no such key in use.
        """
        now = self._clock()
        named = (ApiKeyRow.name == name) & ApiKeyRow.expires.is_(None)
        with self._database.writing() as connection:
            wanted = _KEYS.where((ApiKeyRow.id == name) | named, ApiKeyRow.revoked.is_(None)).with_for_update()
            row = connection.execute(wanted).first()
            if row is None:
                raise KeyRefused(self._where, f"there is no key {name} in use", "`warmline keys list` shows them.")
            connection.execute(update(API_KEYS_TABLE).where(API_KEYS_TABLE.c.id == row.id).values(revoked=now))
            audit.append(connection, [audit.Entry("key_revoked", payload=_told(_key(row)))], now)
        return _key(row)

    def forget_expired(self) -> int:
        """Drop keys whose time is over. What was said with them stays, and belongs to no key any more."""
        with self._database.writing() as connection:
            return connection.execute(delete(API_KEYS_TABLE).where(API_KEYS_TABLE.c.expires < self._clock())).rowcount

    # Whose conversation it is

    def give(self, session_id: str, key_id: str, reference: str | None = None) -> str:
        """Let a conversation belong to a key. ``reference`` is the key's own name for it.

        Returns:
            The conversation that bears ``reference``: this one, or one that had it before.
        """
        with self._database.writing() as connection:
            # Whoever comes second with the same reference waits here, and then finds the first.
            connection.execute(select(ApiKeyRow.id).where(ApiKeyRow.id == key_id).with_for_update())
            if reference is not None and (row := connection.execute(_named(key_id, reference)).first()):
                return row.session_id
            row = {"session_id": session_id, "key_id": key_id, "reference": reference}
            connection.execute(insert(SESSION_KEYS_TABLE), row)
        return session_id

    def named(self, key_id: str, reference: str) -> str | None:
        """The conversation that a key calls ``reference``."""
        with self._database.reading() as connection:
            return connection.execute(_named(key_id, reference)).scalar()

    def owner(self, session_id: str) -> str | None:
        """The id of the key that a conversation belongs to; None for those of the terminal, and for none."""
        owner = select(SessionKey.key_id).where(SessionKey.session_id == session_id)
        with self._database.reading() as connection:
            return connection.execute(owner).scalar()

    def sessions(self, key_id: str) -> frozenset[str]:
        """The conversations of a key."""
        mine = select(SessionKey.session_id).where(SessionKey.key_id == key_id)
        with self._database.reading() as connection:
            return frozenset(connection.execute(mine).scalars())

    @property
    def _where(self) -> str:
        return self._database.where


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _named(key_id: str, reference: str):
    return select(SessionKey.session_id).where(SessionKey.key_id == key_id, SessionKey.reference == reference)


def _told(key: ApiKey) -> dict[str, audit.Value]:
    return {"key": key.id, "name": key.name, "scopes": tuple(scope.value for scope in key.scopes)}


def _key(row: AnyRow) -> ApiKey:
    scopes = tuple(map(Scope, row.scopes))
    return ApiKey(row.id, row.name, scopes, row.created, row.expires, row.revoked)
