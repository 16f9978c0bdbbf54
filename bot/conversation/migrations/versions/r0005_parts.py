"""A prompt's text becomes its parts, a reply keeps what came besides its text, windows keep where they begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SQLITE = "json_array(json_object('type', 'text', 'text', parts))"
_POSTGRESQL = "json_build_array(json_build_object('type', 'text', 'text', parts))"


def upgrade() -> None:
    """Write each text as one part in its place; add labels, windows, and the parts of replies."""
    op.alter_column("prompt", "text", new_column_name="parts")
    as_json = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    op.execute(f"UPDATE prompt SET parts = CASE WHEN parts = '' THEN '[]' ELSE {as_json} END")  # noqa: S608  # constants
    op.add_column("prompt", sa.Column("label", sa.Text))
    op.add_column("reply", sa.Column("parts", sa.Text, nullable=False, server_default=sa.text("'[]'")))
    op.create_table(
        "context_window",
        sa.Column("channel_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("begins_at", sa.BigInteger, nullable=False),
        sa.Column("scale", sa.Double),
        sa.Column("counted_at", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("channel_id", "model", name="pk_context_window"),
    )
