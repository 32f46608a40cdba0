"""Texts at rest: AES-256-GCM around every column that holds a person's words, a reviewer's or the agent's.

It decides which columns those are, and that a text opens only in the row it was written to. Without a key it writes
texts as they are; what is encrypted and what is not may stand side by side.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import StoreError, TextSealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from sqlalchemy import RowMapping

SEALED: Mapping[str, tuple[str, ...]] = {
    "sessions": ("title", "risk", "protocol"),
    "turns": ("user_text", "reply", "card"),
    "verdicts": ("evidence", "reason", "error"),
    "ticket_notes": ("text",),
    "human_messages": ("text",),
}
"""The columns with words, by table. A test holds every other text column to a list of those without."""
KEY_OF: Mapping[str, str] = {"verdicts": "turn_id"}
"""Primary keys that are not called ``id``."""
_MARK = "\x02wl1:"
"""What an encrypted text begins with. No stored text does: ``rows.storable`` takes the first character out."""
_NONCE = 12


@dataclass(frozen=True)
class TextKey:
    """A key that texts are encrypted with."""

    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> TextKey:
        """A key as the settings hold it: 32 random bytes in base64.

        Raises:
            ValueError: it is none.
        """
        try:
            secret = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != 32:
            raise ValueError("must be 32 random bytes in base64; `openssl rand -base64 32` makes one")
        return cls(secret)

    @property
    def id(self) -> str:
        """Its fingerprint: tells keys apart and gives nothing away, because there is nothing to guess."""
        return hashlib.sha256(b"warmline text key\0" + self.secret).hexdigest()[:16]


class Sealer:
    """Encrypts and opens the columns of a row.

    Args:
        key: what texts are written with; None writes them as they are.
        others: further keys that are read.
        where: the database, for messages.
    """

    def __init__(self, key: TextKey | None = None, others: Iterable[TextKey] = (), where: str = "") -> None:
        self.current = key.id if key else None
        """Fingerprint of the key in use."""
        self._where = where
        self._ciphers = {known.id: _cipher(known, where) for known in (*([key] if key else []), *others)}

    @property
    def known(self) -> frozenset[str]:
        """Fingerprints of every key that is read."""
        return frozenset(self._ciphers)

    def sealed(self, table: str, row_id: object, values: Mapping[str, Any]) -> dict[str, Any]:
        """``values`` of a row as they are stored."""
        if self.current is None:
            return dict(values)
        return _changed(table, values, lambda column, value: self._seal(table, column, row_id, value))

    def opened(self, table: str, row_id: object, values: RowMapping | Mapping[str, Any]) -> dict[str, Any]:
        """``values`` of a row as they were handed in.

        Raises:
            TextSealed: the key is not among the known ones.
            StoreError: the text was changed, or comes from another row.
        """
        return _changed(table, values, lambda column, value: self._open(table, column, row_id, value))

    def stale(self, table: str, values: Mapping[str, Any]) -> bool:
        """True when a column of the row is not written with the key in use."""
        found = (_key_id(values[column]) for column in SEALED[table] if values.get(column) is not None)
        return any(key_id != self.current for key_id in found)

    def _seal(self, table: str, column: str, row_id: object, value: object) -> object:
        assert self.current is not None
        plain = value if isinstance(value, str) else json.dumps(value)
        nonce = os.urandom(_NONCE)  # at random: one key is good for four thousand million texts
        place = _place(self.current, table, column, row_id)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, plain.encode(), place)
        text = f"{_MARK}{self.current}:{base64.b64encode(sealed).decode()}"
        return text if isinstance(value, str) else {"sealed": text}

    def _open(self, table: str, column: str, row_id: object, value: object) -> object:
        text = _sealed_text(value)
        if text is None:
            return value
        from cryptography.exceptions import InvalidTag

        key_id, _, rest = text.removeprefix(_MARK).partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise TextSealed(self._where, [key_id])
        try:
            raw = base64.b64decode(rest, validate=True)
            plain = cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _place(key_id, table, column, row_id)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            changed = f"an encrypted text ({table}.{column}) was changed or moved after it was written"
            raise StoreError(
                self._where, changed, "Nothing of it is shown. `warmline audit verify` looks further."
            ) from None
        return plain if isinstance(value, str) else json.loads(plain)


def _changed(table: str, values: RowMapping | Mapping[str, Any], change: Callable[[str, Any], Any]) -> dict[str, Any]:
    changed = dict(values)
    for column in SEALED.get(table, ()):
        if changed.get(column) is not None:
            changed[column] = change(column, changed[column])
    return changed


def _sealed_text(value: object) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("sealed")
    return value if isinstance(value, str) and value.startswith(_MARK) else None


def _key_id(value: object) -> str | None:
    text = _sealed_text(value)
    return text.removeprefix(_MARK).partition(":")[0] if text else None


def _place(key_id: str, table: str, column: str, row_id: object) -> bytes:
    """Associated data: what binds a text to its row."""
    return f"{_MARK}{key_id}:{table}.{column}:{row_id}".encode()


def _cipher(key: TextKey, where: str) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise StoreError(
            where, "encrypting texts needs the package cryptography", "pip install 'warmline[server]'"
        ) from None
    return AESGCM(key.secret)
