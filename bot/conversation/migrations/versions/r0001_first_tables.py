"""The first tables: prompts, replies, their messages, channels and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    _create_prompt()
    _create_reply()
    _create_reply_message()
    op.create_table(
        "channel",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("reset_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_channel"),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_setting"),
    )


def _create_prompt() -> None:
    op.create_table(
        "prompt",
        sa.Column("message_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("guild_id", sa.BigInteger),
        sa.Column("author_id", sa.BigInteger, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_prompt"),
    )
    op.create_index("ix_prompt_channel_id_message_id", "prompt", ["channel_id", "message_id"])
    _create_partial_index("ix_prompt_waiting", "prompt", "message_id", "state = 'waiting'")


def _create_reply() -> None:
    op.create_table(
        "reply",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("prompt_id", sa.BigInteger, nullable=False),
        sa.Column("variant", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("reply_tokens", sa.Integer),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_reply"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.message_id"], name="fk_reply_prompt_id", ondelete="CASCADE"),
    )
    op.create_index("ix_reply_prompt_id_variant", "reply", ["prompt_id", "variant"], unique=True)
    _create_partial_index("ix_reply_streaming", "reply", "id", "state = 'streaming'")


def _create_reply_message() -> None:
    op.create_table(
        "reply_message",
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("ordinal", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("nonce", sa.String(25), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("reply_id", "ordinal", name="pk_reply_message"),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name="fk_reply_message_reply_id", ondelete="CASCADE"),
    )
    op.create_index("ix_reply_message_message_id", "reply_message", ["message_id"])


def _create_partial_index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
