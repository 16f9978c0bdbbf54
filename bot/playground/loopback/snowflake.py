"""Discord's ids: 64-bit numbers that carry the time of their making."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

DISCORD_EPOCH_MS = 1_420_070_400_000
"""2015-01-01 in Unix milliseconds, the zero of every snowflake."""


class Snowflakes:
    """Makes ids that only grow, also when the clock is set back.

    Args:
        now: the wall clock, in Unix seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = 0

    def next(self) -> str:
        """Return a new id as Discord writes it in JSON: a decimal string."""
        stamped = (int(self._now() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last = max(stamped, self._last + 1)
        return str(self._last)

    def seen(self, snowflake: str) -> None:
        """Take note of an id from an earlier run, so that new ones sort after it."""
        self._last = max(self._last, int(snowflake))


def created_at(snowflake: str | int) -> float:
    """Return when the id was made, in Unix seconds."""
    return ((int(snowflake) >> 22) + DISCORD_EPOCH_MS) / 1000


def iso(seconds: float) -> str:
    """Write Unix seconds as Discord writes a time: ISO 8601 with microseconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
