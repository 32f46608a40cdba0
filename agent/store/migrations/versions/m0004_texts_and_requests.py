"""Which keys encrypt texts, and which request began a turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m0004"
down_revision = "m0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "text_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("turns", sa.Column("request", sa.String(64)))
    op.create_index("uq_turns_request", "turns", ["session_id", "request"], unique=True)
