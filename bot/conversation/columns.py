"""The type of a column that holds what people and models write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import types

if TYPE_CHECKING:
    from sqlalchemy import Dialect

# PostgreSQL takes no NUL in a text, and neither database a lone surrogate.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Text(types.TypeDecorator[str]):
    """A text of any length, with what no database takes replaced."""

    impl = types.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return *value* as it can be stored."""
        return None if value is None else _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
