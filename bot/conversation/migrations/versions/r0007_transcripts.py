"""Each message of a reply keeps what a restart goes on from; one that another stands in for keeps its row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = "reply_id, ordinal, channel_id, message_id, nonce, text"


def upgrade() -> None:
    """Make the table anew, since its key changes; what a message was to show counts as shown."""
    op.add_column("reply", sa.Column("moved_to", sa.BigInteger))
    op.execute(f"CREATE TABLE old_reply_message AS SELECT {_COLUMNS} FROM reply_message")  # noqa: S608 - constants
    op.drop_table("reply_message")
    op.create_table(
        "reply_message",
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer, autoincrement=False, nullable=False, server_default=sa.text("0")),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("nonce", sa.String(25), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default=sa.text("'open'")),
        sa.Column("shown", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("first_try", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("is_status", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("file", sa.String(16), nullable=False, server_default=sa.text("'none'")),
        sa.Column("by_token", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("reply_id", "ordinal", "generation", name="pk_reply_message"),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name="fk_reply_message_reply_id", ondelete="CASCADE"),
    )
    op.execute(f"INSERT INTO reply_message ({_COLUMNS}, shown) SELECT {_COLUMNS}, text FROM old_reply_message")  # noqa: S608 - constants
    op.execute("DROP TABLE old_reply_message")
    op.create_index("ix_reply_message_message_id", "reply_message", ["message_id"])
