"""Read by Alembic: runs the revisions on the connection that ``migrations.upgrade`` hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,  # the caller's transaction is the only one
)
with context.begin_transaction():
    context.run_migrations()
