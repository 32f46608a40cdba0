"""Opens the database and hands out transactions. It knows backends and their faults, and nothing of conversations.

It never overwrites, repairs or deletes a file: one it does not understand is left as it is, byte for byte.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from . import migrations
from .errors import StoreError, damaged, explain, unwritable

_MAGIC = b"SQLite format 3\0"
_MEMORY = (None, "", ":memory:")
_LOCK = 0x6D696772  # any constant; keeps two processes on PostgreSQL from migrating at once
_WAIT_S = 10.0
"""How long to wait for another process that writes. A turn writes for milliseconds."""
_PATIENCE = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 15_000}
"""For a server that is away without saying so: libpq's own patience is minutes."""
_IDLE = "idle_in_transaction_session_timeout"
_LOOKS, _BETWEEN_LOOKS_S = 20, 0.05
"""How often, and how many seconds apart, a journal without its file is looked at before it counts as left over."""
_QUICK_CHECK_BYTES = 32 * 2**20
"""Files up to this size are checked whole at every start (about 5 ms per MB); larger ones when a page is read."""


@dataclass(frozen=True, slots=True)
class Server:
    """How a database server is used. SQLite needs none of it."""

    connections: int = 10
    """Kept and used at once by this process, at most."""
    wait_s: float = 10.0
    """How long to wait for a free one."""
    statement_s: float = 30.0
    """How long one statement, or the wait for a lock, may take."""


class Database:
    """A migrated database. ``reading()`` and ``writing()`` are its transactions; both raise only ``StoreError``."""

    def __init__(self, url: str, server: Server = Server()) -> None:
        self._url, self._server = _parse(url), server
        self.where = _name(self._url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._path = _file(self._url)
        self._inode: int | None = None
        self._since: float | None = None
        self._ahead: float | None = None
        # One writer at a time in this process: SQLite would make them poll for the file lock instead.
        self._writers = threading.RLock() if self._sqlite else nullcontext()
        # All threads share the one connection that an in-memory database lives in.
        self._readers = self._writers if self._sqlite and self._url.database in _MEMORY else nullcontext()
        if self._path:
            _prepare(self._path)
        self._engine = self._create_engine()
        self._writer = self._engine.execution_options(begin="IMMEDIATE")
        try:
            self._migrate()
        except BaseException:
            self._engine.dispose()
            raise
        if self._path:
            self._inode = self._path.stat().st_ino
        self.read_clock()

    @property
    def now(self) -> float | None:
        """Seconds since 1970 by the server's clock, which all who share it agree on; None without a server."""
        return None if self._ahead is None else time.monotonic() + self._ahead

    @property
    def in_touch_for(self) -> float:
        """For how many seconds the database has answered without fail."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def read_clock(self) -> None:
        """Set our idea of the server's clock."""
        if not self._sqlite:
            with self.reading() as connection:
                server = connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
                self._ahead = float(server) - time.monotonic()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A transaction that only reads."""
        with self._readers, self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction that writes: committed on leaving, rolled back on any exception."""
        self._still_there()
        with self._writers, self._explained(), self._writer.begin() as connection:
            yield connection

    def scrub(self) -> bool:
        """Take deleted rows out of the files beside the database, too.

        Returns:
            False when another process was reading for so long that its view of the old rows is still on disk. They
            go with the next deletion, or when the last process closes the database.
        """
        if not self._sqlite:
            return True  # PostgreSQL's vacuum decides when
        with self._writers, self._explained(), self._engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    def _create_engine(self) -> Engine:
        # An app that turns on debug logs gets no conversations in them: neither parameters nor the rows of a result.
        options: dict[str, Any] = {"hide_parameters": True, "logging_name": "warmline"}
        logging.getLogger("sqlalchemy.engine.Engine.warmline").setLevel(logging.WARNING)
        if not self._sqlite:
            # A connection that died with its server is noticed before it is used, and replaced.
            options |= {"pool_pre_ping": True, "pool_use_lifo": True, "max_overflow": 0}
            options |= {"pool_size": self._server.connections, "pool_timeout": self._server.wait_s}
            options["connect_args"] = {name: s for name, s in _PATIENCE.items() if name not in self._url.query}
        elif self._url.database in _MEMORY:
            options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        else:
            if "timeout" not in self._url.query:
                options["connect_args"] = {"timeout": _WAIT_S}
        try:
            engine = create_engine(self._url, **options)
        except ModuleNotFoundError as error:
            raise StoreError(
                self.where, f"the driver {error.name} is missing", "pip install 'warmline[postgres]'"
            ) from None
        if self._sqlite:
            event.listen(engine, "connect", _pragmas)
            event.listen(engine, "begin", _begin)
        else:
            event.listen(engine, "connect", self._limit)
        return engine

    def _limit(self, connection: Any, _record: object) -> None:
        """A statement that hangs gives up, instead of holding a person's turn and a connection for ever."""
        longest = int(self._server.statement_s * 1000)
        # Between two statements a busy machine may need a while; a process that stands still must not keep its locks.
        limits = {"statement_timeout": longest, "lock_timeout": longest, _IDLE: 4 * longest}
        connection.autocommit = True
        for name, milliseconds in limits.items():
            connection.execute(f"SET {name} = {milliseconds}")
        connection.autocommit = False

    def _migrate(self) -> None:
        with self._explained():
            if self._path:
                self._use_wal()
            with self._engine.begin() as connection:
                revision = self._revision(connection)
            if revision == migrations.HEAD:
                self._try_to_write()
                return
        with self.writing() as connection:
            if not self._sqlite:
                for name in ("statement_timeout", "lock_timeout", _IDLE):  # a migration takes what it takes
                    connection.execute(text(f"SET LOCAL {name} = 0"))
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            # Read again: while this process waited for the lock, another may have migrated.
            if self._revision(connection) != migrations.HEAD:
                migrations.upgrade(connection)

    def _try_to_write(self) -> None:
        """A store that cannot be written is refused at the start, not at somebody's first message."""
        with self._writer.connect() as connection, connection.begin() as transaction:
            connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = version_num"))
            transaction.rollback()

    def _revision(self, connection: Connection) -> str | None:
        """The schema's revision, ``None`` for an empty database. Refuses one that is too new."""
        if not inspect(connection).has_table(migrations.VERSION_TABLE):
            return None
        revision = connection.execute(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}")).scalar()
        _refuse_newer(self.where, revision)
        return revision

    def _use_wal(self) -> None:
        # SQLite does not wait for a lock here, and two programs may open a new file at the same moment.
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                with self._engine.connect() as connection:
                    raw: Any = connection.connection.dbapi_connection
                    raw.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._since = None
            raise explain(error, self.where) from None
        if self._since is None:
            self._since = time.monotonic()

    def _still_there(self) -> None:
        """A file that was moved away while open would take every further message with it."""
        if not self._path or self._inode is None:
            return
        try:
            same = self._path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise StoreError(self.where, "the file was moved or deleted while it was open", "Restart Warmline.")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StoreError("WARMLINE_STORE__URL", "this is not a database URL", _GOOD_URL) from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError("WARMLINE_STORE__URL", f"{backend} is not supported", _GOOD_URL)
    return parsed


_GOOD_URL = "Good values: sqlite:////home/me/warmline.db, postgresql+psycopg://user@host/warmline"


def _file(url: URL) -> Path | None:
    """The plain file behind a URL; ``None`` for memory, for ``file:`` URIs (SQLite's own rules) and for servers."""
    if url.get_backend_name() != "sqlite" or url.database in _MEMORY or str(url.database).startswith("file:"):
        return None
    return Path(str(url.database)).absolute()


def _name(url: URL) -> str:
    path = _file(url)
    return str(path) if path else url.render_as_string(hide_password=True)


def _prepare(path: Path) -> None:
    """Create the folder and the file for this person only; look hard at a file that exists before SQLite touches it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Asked first: a journal that belongs to a file appears only after that file has its first page.
        left_over = _left_over(path)
        if not left_over:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if path.exists() and not path.is_file():
            raise unwritable(str(path), "this is not a file")
        size = path.stat().st_size if path.exists() else 0
        head = b""
        if size:
            with path.open("rb") as file:
                head = file.read(len(_MAGIC))
    except OSError as error:
        raise unwritable(str(path), f"it cannot be opened ({error.strerror})") from None
    if left_over:
        # SQLite would take the journal for the new file's own, and messages that only it still holds would be lost.
        raise damaged(str(path), "the file is gone or empty, and its journal is still there")
    if size and head != _MAGIC:
        raise damaged(str(path), "this is not a database")
    if size:
        _look(path, whole=size <= _QUICK_CHECK_BYTES)


def _left_over(path: Path) -> bool:
    """Whether a journal lies beside a file that is gone or empty. Another process that makes the file right now shows
    the same for a moment, so it is given time to finish."""
    for _ in range(_LOOKS):
        alone = _size(path) == 0 and any(map(_size, _journals(path)))
        if not alone:
            return False
        time.sleep(_BETWEEN_LOOKS_S)
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _look(path: Path, whole: bool) -> None:
    """Refuse a database that is damaged, foreign or too new, without writing a byte to it or beside it."""
    # With no journal beside it nobody has it open, and SQLite may be told to make no files of its own.
    quiet = not _journals(path)
    uri = f"{path.as_uri()}?{'immutable=1' if quiet else 'mode=ro'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as connection:
            connection.execute("PRAGMA cell_size_check=ON")
            found = connection.execute("PRAGMA quick_check(1)").fetchone() if whole else ("ok",)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if migrations.VERSION_TABLE in tables:
                (revision,) = connection.execute(f"SELECT version_num FROM {migrations.VERSION_TABLE}").fetchone()
                _refuse_newer(str(path), revision)
            elif tables:
                raise damaged(str(path), "this is a database of another program")
    except sqlite3.DatabaseError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return  # a crash left a journal that only a writer may play back, or it is locked: opening will tell
        found = None
    if found != ("ok",):
        if quiet and _journals(path):  # another process opened it under our eyes: look again, by its rules
            _look(path, whole)
        else:
            raise damaged(str(path), "the database is damaged")


def _journals(path: Path) -> list[Path]:
    """The journals beside a database file that exist: what was committed may still be only there."""
    beside = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    return [journal for journal in beside if journal.exists()]


def _refuse_newer(where: str, revision: str | None) -> None:
    if revision is not None and revision not in migrations.REVISIONS:
        raise StoreError(
            where,
            f"it was written by a newer Warmline (schema {revision}; this one knows {migrations.HEAD})",
            "Update Warmline, or set WARMLINE_STORE__URL to another database. It was left as it is.",
        )


def _pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes late; ours says which kind (_begin)
    for pragma in (
        "synchronous=FULL",  # a committed message survives a power cut
        "fullfsync=ON",  # the same on macOS
        "foreign_keys=ON",
        "secure_delete=ON",  # deleted words are overwritten, not only unlinked
        "temp_store=MEMORY",  # and never spill into temporary files
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock first: a reader that turns writer halfway could not wait for it.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")
