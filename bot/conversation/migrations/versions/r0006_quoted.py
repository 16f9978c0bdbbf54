"""Which messages a prompt quotes: the words go when such a message is deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table; what an earlier bot stored quotes nothing."""
    op.create_table(
        "quoted",
        sa.Column("prompt_id", sa.BigInteger, nullable=False),
        sa.Column("source_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", "source_id", name="pk_quoted"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.message_id"], name="fk_quoted_prompt_id", ondelete="CASCADE"),
    )
    op.create_index("ix_quoted_source_id", "quoted", ["source_id"])
