"""The types of columns that hold what people and models write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import types

from bot.parts import Part, from_json, to_json

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
        return None if value is None else _storable(value)


class Parts(types.TypeDecorator[tuple[Part, ...]]):
    """The parts of a turn, as JSON."""

    impl = types.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Part, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002 - as above
        """Return *value* as it can be stored."""
        parts = [{key: _storable(each) for key, each in part.items()} for part in to_json(value or ())]
        return orjson.dumps(parts).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Part, ...]:  # noqa: ARG002 - as above
        """Return the parts that were stored."""
        return from_json(orjson.loads(value or "[]"))


def _storable(value: Any) -> Any:
    """Return *value*; what no database takes is replaced if it is a text."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value
