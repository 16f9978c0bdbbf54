"""Replies stay open until their ending is on screen; their text is kept in pieces while it grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a restart needs to know of a reply."""
    op.drop_index("ix_reply_streaming", table_name="reply")
    op.add_column("reply", sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.text("true")))
    op.add_column("reply", sa.Column("footer", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("reply", sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.execute("UPDATE reply SET is_open = false WHERE state <> 'streaming'")
    op.create_index(
        "ix_reply_open", "reply", ["id"], sqlite_where=sa.text("is_open"), postgresql_where=sa.text("is_open")
    )
    op.create_table(
        "reply_piece",
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("start", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("reply_id", "start", name="pk_reply_piece"),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name="fk_reply_piece_reply_id", ondelete="CASCADE"),
    )
