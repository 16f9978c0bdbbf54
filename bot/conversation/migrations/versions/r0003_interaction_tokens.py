"""A command's token is kept while its reply is open, so that a restart can answer over it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the token of a command to its prompt."""
    op.add_column("prompt", sa.Column("token", sa.Text, nullable=False, server_default=sa.text("''")))
