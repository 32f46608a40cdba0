"""The schema's history: it leads to the tables of today, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from warmline.agent.store import Store, migrations
from warmline.agent.store.schema import Stored


def open_and_close(path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()


def test_the_history_leads_to_the_tables_of_today(tmp_path: Path) -> None:
    open_and_close(tmp_path / "w.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'w.db'}")
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": migrations.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Stored.metadata) == []
    engine.dispose()


def test_every_revision_is_listed_in_its_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(walked)) == migrations.REVISIONS


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    open_and_close(path)
    before = path.read_bytes()
    open_and_close(path)
    assert path.read_bytes() == before


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_alembic_is_loaded_only_when_there_is_something_to_migrate(tmp_path: Path) -> None:
    code = """
    import sys
    from warmline.agent.store import Store
    Store.open(sys.argv[1]).close()
    print("alembic" in sys.modules)
    """
    url = f"sqlite:///{tmp_path / 'w.db'}"
    assert [run(code, url).stdout.strip() for _ in range(2)] == ["True", "False"]


def test_a_kill_in_the_middle_of_a_migration_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    code = """
    import os, signal, sys
    from alembic import op
    from warmline.agent.store import Store

    create_table = op.create_table
    def create_or_die(name, *columns, **options):
        if name == "verdicts":
            os.kill(os.getpid(), signal.SIGKILL)
        return create_table(name, *columns, **options)
    op.create_table = create_or_die
    Store.open(sys.argv[1])
    """
    assert run(code, f"sqlite:///{path}").returncode == -signal.SIGKILL
    engine = create_engine(f"sqlite:///{path}")
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    open_and_close(path)


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    code = """
    import sys
    from warmline.agent.store import Store
    sys.stdin.readline()
    with Store.open(sys.argv[1]) as store:
        store.create_session()
    """
    url = f"sqlite:///{tmp_path / 'w.db'}"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), url], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(6)
    ]
    for child in children:
        assert child.stdin
        os.write(child.stdin.fileno(), b"go\n")
    assert [child.communicate(timeout=60)[1] for child in children] == [b""] * 6
    with Store.open(url) as store:
        assert len(store.sessions()) == 6
        assert store.verify_audit().ok
