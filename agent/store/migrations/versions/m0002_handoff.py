"""The human side: tickets, what reviewers write and mark, and the outbox of the webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m0002"
down_revision = "m0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)

    def of(table: str, *, primary_key: bool = False) -> sa.Column[str]:
        target = sa.ForeignKey(f"{table}s.id", ondelete="CASCADE")
        return sa.Column(f"{table}_id", sa.String(32), target, nullable=False, primary_key=primary_key)

    op.create_table(
        "tickets",
        sa.Column("id", sa.String(32), primary_key=True),
        of("session"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("moves", sa.JSON(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("opened", moment, nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.Column("first_seen", moment),
        sa.Column("seen_by", sa.String(64)),
        sa.Column("taken_by", sa.String(64)),
        sa.Column("taken_at", moment),
        sa.Column("alive", moment),
        sa.Column("released", moment),
        sa.Column("closed", moment),
        sa.Column("closed_by", sa.String(64)),
        sa.Column("outcome", sa.String(32)),
        sa.UniqueConstraint("session_id", name="uq_tickets_session"),
    )
    op.create_index("ix_tickets_state", "tickets", ["state"])

    op.create_table(
        "ticket_notes",
        sa.Column("id", sa.Integer(), primary_key=True),
        of("ticket"),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("time", moment, nullable=False),
    )
    op.create_index("ix_ticket_notes_ticket_id", "ticket_notes", ["ticket_id"])

    op.create_table(
        "human_messages",
        sa.Column("id", sa.Integer(), primary_key=True),
        of("session"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("time", moment, nullable=False),
    )
    op.create_index("ix_human_messages_session_id", "human_messages", ["session_id"])

    op.create_table(
        "verdict_marks",
        of("turn", primary_key=True),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("time", moment, nullable=False),
    )

    op.create_table(
        "outbox",
        sa.Column("id", sa.String(32), primary_key=True),
        of("session"),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", moment, nullable=False),
        sa.Column("delivered", moment),
        sa.Column("error", sa.String(64)),
    )
    op.create_index("ix_outbox_session_id", "outbox", ["session_id"])
    waiting = sa.text("delivered IS NULL")
    op.create_index("ix_outbox_waiting", "outbox", ["due"], sqlite_where=waiting, postgresql_where=waiting)
