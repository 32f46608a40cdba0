"""API keys of the service, and which conversation belongs to which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m0003"
down_revision = "m0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)

    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires", moment),
        sa.Column("revoked", moment),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    op.create_index("ix_api_keys_expires", "api_keys", ["expires"])

    op.create_table(
        "session_keys",
        sa.Column("session_id", sa.String(32), sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
        sa.Column("reference", sa.String(64)),
        sa.UniqueConstraint("key_id", "reference", name="uq_session_keys_reference"),
    )
    op.create_index("ix_session_keys_key_id", "session_keys", ["key_id"])
