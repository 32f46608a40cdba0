"""The schema's history. A revision that was released is never edited; a change is a new file in ``versions``.

Alembic is imported only when a database is not at ``HEAD``, which is once per database and release.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

REVISIONS = ("m0001", "m0002", "m0003", "m0004")
"""Every revision, oldest first. A database at one that is not listed was written by a newer Warmline."""
HEAD = REVISIONS[-1]
VERSION_TABLE = "warmline_version"
"""Not Alembic's default name, so that an app's own migrations may live in the same PostgreSQL."""


def upgrade(connection: Connection) -> None:
    """Bring the database to ``HEAD`` inside the caller's transaction: it gets there whole or stays as it was."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    command.upgrade(config, "head")
