"""What can go wrong with the store, said so that a person can act on it. No message ever carries conversation text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class StoreError(Exception):
    """The store cannot do this. The text names the database, what is wrong and what to do.

    Whoever sees it may rely on: the transaction was rolled back, and no file was overwritten or deleted.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {problem}. {remedy}".strip())
        self.where = where
        self.problem = problem
        self.remedy = remedy


class TurnPending(StoreError):
    """Another turn of this session is still being answered. ``turn_id`` says which."""

    def __init__(self, where: str, turn_id: str) -> None:
        super().__init__(where, "the last message of this conversation is still being answered", "Wait for it.")
        self.turn_id = turn_id


class TurnRepeated(StoreError):
    """The request that brought this message was taken before; ``turn_id`` says which turn it began."""

    def __init__(self, where: str, turn_id: str) -> None:
        super().__init__(where, "this request was taken before", "Its turn holds the answer.")
        self.turn_id = turn_id


class TurnSettled(StoreError):
    """The turn is not pending any more: it was finished or closed elsewhere, or its conversation was deleted."""


class TextSealed(StoreError):
    """Texts are encrypted with a key that is not set. They are all still there."""

    def __init__(self, where: str, keys: Iterable[str]) -> None:
        super().__init__(
            where,
            f"texts in it are encrypted with a key that is not set (fingerprint {', '.join(sorted(keys))})",
            "Set WARMLINE_STORE__KEY to that key, or put it into WARMLINE_STORE__OTHER_KEYS. Nothing was changed.",
        )


class UnknownSession(StoreError):
    """There is no such conversation, or it was deleted."""


class TicketMoved(StoreError):
    """The ticket is in other hands, closed or gone. Nothing was changed."""


_ELSEWHERE = "set WARMLINE_STORE__URL to another file, such as sqlite:////home/me/warmline.db"


def damaged(where: str, problem: str) -> StoreError:
    """A file that holds no usable database. It is left as it is, so the way out is to move it aside.

    Its journals have to go with it: SQLite would play them into the file that takes its place.
    """
    present = [name for name in (where, f"{where}-wal", f"{where}-shm", f"{where}-journal") if Path(name).exists()]
    aside = f"mkdir kept && mv {' '.join(map(shlex.quote, present))} kept/"
    return StoreError(where, problem, f"It was left as it is. Move it aside ({aside}) or {_ELSEWHERE}.")


def unwritable(where: str, problem: str) -> StoreError:
    """A file or folder that cannot be created or written."""
    return StoreError(where, problem, f"Give yourself write access to the file and its folder, or {_ELSEWHERE}.")


# SQLite's primary result codes; its extended names (SQLITE_IOERR_WRITE) begin with them.
_SQLITE = {
    "SQLITE_BUSY": ("is locked by another program", "Close the other program and try again; nothing was changed."),
    "SQLITE_LOCKED": ("is locked by another program", "Close the other program and try again; nothing was changed."),
    "SQLITE_FULL": ("the disk is full", "Free some space and try again; what was stored before is safe."),
    "SQLITE_IOERR": (
        "the disk reported an error",
        "Check that it has free space and is healthy, then try again; what was stored before is safe.",
    ),
}


def explain(error: Exception, where: str) -> StoreError:
    """Turn a driver's error into one that says what to do. Statement and parameters are left out on purpose."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(where, "the database is damaged")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return unwritable(where, "the database cannot be opened for writing")
    for code, (problem, remedy) in _SQLITE.items():
        if name.startswith(code):
            return StoreError(where, problem, remedy)
    if isinstance(error, PoolTimeout):
        return StoreError(where, "every connection to the database is in use", "Raise WARMLINE_STORE__POOL_SIZE.")
    kind = name or getattr(cause, "sqlstate", None) or type(cause).__name__
    if isinstance(error, (OperationalError, InterfaceError)) and not name:
        return StoreError(where, f"the database server does not answer ({kind})", "Check that it runs and the URL.")
    return StoreError(where, f"the database refused ({kind})", "`warmline doctor` shows which database is in use.")
