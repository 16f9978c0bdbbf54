"""The migrations: how an older schema becomes the newest one.

A new one is begun with ``alembic revision -m "Add what"`` in the project's
root (see CONTRIBUTING) and named in `bot.conversation.schema.REVISIONS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Connection


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for *connection*, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing up to *revision*, in the transaction of *connection*."""
    command.upgrade(config(connection), revision)
