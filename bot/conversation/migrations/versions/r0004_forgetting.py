"""What is deleted is forgotten: marks for it, and no answer stands in the database twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the marks; blank what only a restart needed, and ask for the file to be written anew without it."""
    op.create_table(
        "forgotten",
        sa.Column("message_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_forgotten"),
    )
    op.add_column("prompt", sa.Column("copy_id", sa.BigInteger))
    op.create_index("ix_prompt_copy_id", "prompt", ["copy_id"])
    is_forgotten = sa.text("state = 'forgotten'")
    op.create_index(
        "ix_prompt_forgotten", "prompt", ["message_id"], sqlite_where=is_forgotten, postgresql_where=is_forgotten
    )
    op.add_column("reply", sa.Column("is_deleted", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.execute("UPDATE reply_message SET text = '' WHERE reply_id IN (SELECT id FROM reply WHERE NOT is_open)")
    op.execute("INSERT INTO setting (key, value) VALUES ('rewrite', '1')")
