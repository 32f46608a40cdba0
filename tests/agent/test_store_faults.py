"""When the database cannot be used: the person is told what is wrong and what to do, and no file is harmed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from warmline.agent.store import Store, StoreError
from warmline.guards.types import RiskLevel, Verdict

SECRET = "I have never told anybody this"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one conversation, closed."""
    path = tmp_path / "warmline.db"
    with Store.open(f"sqlite:///{path}") as store:
        session = store.create_session("US")
        for _ in range(20):
            turn = store.begin_turn(session.id, SECRET + " x" * 500)
            store.finish_turn(turn, reply="I hear you.", verdict=Verdict(level=RiskLevel.NONE), route="support")
    return path


def refusal(url: str | Path) -> str:
    with pytest.raises(StoreError) as refused:
        Store.open(url if isinstance(url, str) else f"sqlite:///{url}")
    return str(refused.value)


def fingerprint(path: Path) -> dict[str, str]:
    """Every file in the folder and what is in it."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.parent.iterdir()}


# Files that are not ours, or not whole


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my diary\n" * 1000)
    before = fingerprint(path)
    message = refusal(path)
    assert str(path) in message and "not a database" in message
    assert f"mkdir kept && mv {path} kept/" in message and "WARMLINE_STORE__URL" in message
    assert fingerprint(path) == before


@pytest.mark.parametrize("page", [0, 1, 3, 7], ids="page {}".format)
def test_a_damaged_file_is_named_and_left_byte_for_byte(path: Path, page: int) -> None:
    raw = bytearray(path.read_bytes())
    start = 100 if page == 0 else page * 4096
    raw[start : start + 600] = b"\xa5" * 600
    path.write_bytes(raw)
    before = fingerprint(path)
    message = refusal(path)
    assert str(path) in message and "damaged" in message and "left as it is" in message
    assert fingerprint(path) == before


def test_a_file_cut_in_half_is_named_and_left_alone(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    before = fingerprint(path)
    assert "damaged" in refusal(path)
    assert fingerprint(path) == before


def test_a_file_of_only_a_header_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "warmline.db"
    path.write_bytes(b"SQLite format 3\0")
    assert "damaged" in refusal(path)
    assert path.read_bytes() == b"SQLite format 3\0"


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = fingerprint(path)
    assert "another program" in refusal(path)
    assert fingerprint(path) == before


def test_another_programs_alembic_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        other.execute("INSERT INTO alembic_version VALUES ('3f2a')")
        other.execute("CREATE TABLE users (name TEXT)")
    other.close()
    before = fingerprint(path)
    assert "another program" in refusal(path)
    assert fingerprint(path) == before


def test_a_newer_database_asks_for_an_update_and_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as later:
        later.execute("UPDATE warmline_version SET version_num = 'm0999'")
    later.close()
    before = fingerprint(path)
    message = refusal(path)
    assert "newer Warmline" in message and "m0999" in message and "Update Warmline" in message
    assert fingerprint(path) == before


@pytest.mark.parametrize("empty", [True, False], ids=["emptied", "gone"])
def test_a_journal_whose_database_is_gone_is_left_alone(path: Path, empty: bool) -> None:
    """SQLite would take it for the new file's own, and messages that only the journal holds would be lost."""
    with Store.open(f"sqlite:///{path}") as store:
        store.create_session()
        journal = path.with_name("warmline.db-wal").read_bytes()
    path.write_bytes(b"") if empty else path.unlink()
    path.with_name("warmline.db-wal").write_bytes(journal)
    before = fingerprint(path)
    message = refusal(path)
    assert "journal is still there" in message and "warmline.db-wal" in message
    assert fingerprint(path) == before


def test_a_damaged_file_with_a_journal_keeps_both(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.create_session()
        parts = {name: path.with_name(name).read_bytes() for name in ("warmline.db", "warmline.db-wal")}
    parts["warmline.db"] = parts["warmline.db"][:8192] + b"\xa5" * 4096 + parts["warmline.db"][12288:]
    for name, raw in parts.items():
        path.with_name(name).write_bytes(raw)
    message = refusal(path)
    assert f"mv {path} {path}-wal" in message
    assert {name: path.with_name(name).read_bytes() for name in parts} == parts


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "warmline.db"
    path.touch()
    Store.open(f"sqlite:///{path}").close()
    assert path.read_bytes().startswith(b"SQLite format 3\0")


# Places that cannot be written


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    message = refusal(tmp_path / "data" / "warmline.db")
    assert "cannot be opened" in message and "WARMLINE_STORE__URL" in message


def test_a_read_only_database_is_refused_at_the_start_and_left_alone(path: Path) -> None:
    before = fingerprint(path)
    message = refusal(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert "cannot be opened for writing" in message and "write access" in message
    assert fingerprint(path)[path.name] == before[path.name]


def test_a_folder_without_write_access_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        assert "Permission denied" in refusal(tmp_path / "warmline.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_without_write_access_is_refused_at_the_start(path: Path) -> None:
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write anywhere")
    before = fingerprint(path)
    assert "cannot be opened for writing" in refusal(path)
    assert fingerprint(path)[path.name] == before[path.name]


def test_a_locked_database_asks_to_close_the_other_program(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    message = refusal(f"sqlite:///{path}?timeout=0.05")
    other.close()
    assert "locked by another program" in message


def test_a_lock_during_a_turn_loses_nothing_and_can_be_tried_again(path: Path) -> None:
    with Store.open(f"sqlite:///{path}?timeout=0.05") as store:
        turn = store.begin_turn(store.sessions()[0].id, "hello")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.finish_turn(turn, reply="hi", verdict=Verdict(level=RiskLevel.NONE), route="support")
        other.close()
        done = store.finish_turn(turn, reply="hi", verdict=Verdict(level=RiskLevel.NONE), route="support")
        assert store.turn(turn.id) == done


def test_a_file_that_was_moved_away_while_open_takes_no_message(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        session_id = store.sessions()[0].id
        path.rename(path.with_suffix(".moved"))
        with pytest.raises(StoreError, match="moved or deleted"):
            store.begin_turn(session_id, "hello")


# Write turns until the disk refuses, then say what was promised and what was said.
FILL = textwrap.dedent(
    """
    import sys
    from warmline.agent.store import Store, StoreError
    from warmline.guards.types import Verdict

    prepare, url = sys.argv[1:]
    with Store.open(url) as store:
        session = store.create_session()
        exec(prepare)
        begun = 0
        try:
            while begun < 5000:
                turn = store.begin_turn(session.id, f"{begun} " + "secret words " * 400)
                begun += 1
                store.finish_turn(turn, reply="reply " * 200, verdict=Verdict(level="none"), route="support")
        except StoreError as error:
            print(begun)
            print(error)
            sys.exit(0)
    sys.exit("the disk never filled up")
    """
)

LIMIT_FILE_SIZE = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
LIMIT_PAGES = (
    "from sqlalchemy import event; engine = store._database._engine; engine.dispose();"
    "event.listen(engine, 'connect', lambda raw, _: raw.execute('PRAGMA max_page_count=120'))"
)


def fill(url: str, prepare: str) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-c", FILL, prepare, url], capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stderr
    begun, message = result.stdout.splitlines()
    return int(begun), message


@pytest.mark.skipif(find_spec("resource") is None, reason="needs POSIX limits")
@pytest.mark.parametrize(
    ("prepare", "problem"),
    [(LIMIT_FILE_SIZE, "disk reported an error"), (LIMIT_PAGES, "disk is full")],
    ids=["file size limit", "page limit"],
)
def test_a_disk_that_fills_up_is_told_and_loses_no_kept_message(tmp_path: Path, prepare: str, problem: str) -> None:
    url = f"sqlite:///{tmp_path / 'warmline.db'}"
    begun, message = fill(url, prepare)
    assert problem in message and "free" in message.lower() and "secret" not in message
    with Store.open(url) as store:
        (session,) = store.sessions()
        assert session.turns == begun > 5
        assert store.verify_audit().ok


def test_a_full_file_system_is_told_and_loses_no_kept_message(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        url = f"sqlite:///{tmp_path / 'warmline.db'}"
        begun, message = fill(url, "")
        assert "disk is full" in message and "Free some space" in message
        shutil.copytree(tmp_path, tmp_path.parent / "rescued")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    with Store.open(f"sqlite:///{tmp_path.parent / 'rescued' / 'warmline.db'}") as store:
        assert store.sessions()[0].turns == begun


# What messages say, and what they never say


def test_no_error_quotes_what_a_person_wrote(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        with store._database.writing() as connection:
            connection.exec_driver_sql("DROP TABLE crisis_events")
            connection.exec_driver_sql("ALTER TABLE turns RENAME COLUMN user_text TO gone")
        with pytest.raises(StoreError) as refused:
            store.begin_turn(store.sessions()[0].id, SECRET)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_no_log_quotes_what_a_person_wrote(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="sqlalchemy")
    with Store.open(f"sqlite:///{path}") as store:
        turn = store.begin_turn(store.sessions()[0].id, SECRET)
        store.finish_turn(turn, reply=SECRET, verdict=Verdict(level=RiskLevel.NONE, reason=SECRET), route="support")
        assert store.turn(turn.id) is not None
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", ["", "warmline.db", "mysql://root@localhost/warmline", "nonsense://x", "sqlite:/x"])
def test_a_wrong_url_is_answered_with_a_good_one(url: str) -> None:
    message = refusal(url)
    assert "WARMLINE_STORE__URL" in message and "sqlite:////home/me/warmline.db" in message


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="the driver is installed")
def test_a_missing_driver_is_answered_with_what_to_install() -> None:
    assert "pip install 'warmline[postgres]'" in refusal("postgresql+psycopg://me:hunter2@localhost/warmline")


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in refusal("postgresql+psycopg://me:hunter2@localhost:1/warmline")
