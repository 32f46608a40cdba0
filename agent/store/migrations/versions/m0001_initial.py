"""Sessions, turns, verdicts, crisis events and the audit chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("created", moment, nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("country", sa.String(2)),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("risk", sa.JSON()),
        sa.Column("protocol", sa.JSON()),
        sa.Column("ended", moment),
    )
    op.create_index("ix_sessions_updated", "sessions", ["updated"])

    op.create_table(
        "turns",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("session_id", sa.String(32), sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("user_text", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("route", sa.String(16)),
        sa.Column("card", sa.JSON()),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("finished", moment),
        sa.Column("ms", sa.Float()),
        sa.Column("first_sentence_ms", sa.Float()),
        sa.UniqueConstraint("session_id", "number", name="uq_turns_session_number"),
    )
    pending = sa.text("status = 'pending'")
    op.create_index(
        "uq_turns_one_pending", "turns", ["session_id"], unique=True, sqlite_where=pending, postgresql_where=pending
    )

    op.create_table(
        "verdicts",
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("ms", sa.Float(), nullable=False),
    )

    op.create_table(
        "crisis_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session_id", sa.String(32), sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.id", ondelete="CASCADE"), nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("moves", sa.JSON(), nullable=False),
    )
    for column in ("session_id", "turn_id", "time"):
        op.create_index(f"ix_crisis_events_{column}", "crisis_events", [column])

    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("session_id", sa.String(32)),
        sa.Column("turn_id", sa.String(32)),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_session_id", "audit", ["session_id"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


# The insert trigger closes a side door: SQLite's INSERT OR REPLACE removes a row without firing a delete trigger.
_APPEND_ONLY = {
    "sqlite": (
        """
        CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END
        """,
        """
        CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END
        """,
        """
        CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
        WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION warmline_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'audit rows are append-only'; END $$
        """,
        """
        CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION warmline_audit_append_only()
        """,
    ),
}
