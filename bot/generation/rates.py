"""How often one may ask: token buckets, one for each user or channel."""

from __future__ import annotations

from collections import OrderedDict

_MINUTE = 60.0
# A wait that nobody notices is none; and events come in the wrong order by as much.
_SLACK = 1.0
# Buckets are forgotten when they are full again, so more than these want a flood of strangers.
_MOST_KEYS = 10_000


class TokenBuckets:
    """*per_minute* for each key, at once or spread out; 0 sets no limit.

    Pure: the caller says when, in seconds that grow for each key. A bucket is
    kept as the moment at which it is full again, and forgotten after it.
    (discord.py's cooldowns count in fixed windows, so twice as much would pass
    at the border of two, and need discord.)
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._refill = _MINUTE / per_minute if per_minute else 0.0
        self._full_at: OrderedDict[int, float] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._full_at)

    def wait(self, key: int, at: float) -> float:
        """Return how many seconds after *at* there is a token for *key*; 0 if there is one."""
        if not self.per_minute:
            return 0.0
        wait = self._full_at.get(key, at) - at - (_MINUTE - self._refill)
        return wait if wait > _SLACK else 0.0

    def take(self, key: int, at: float) -> None:
        """Take one token of *key*; `wait` has told that there is one."""
        if not self.per_minute:
            return
        self._full_at[key] = max(self._full_at.get(key, at), at) + self._refill
        self._full_at.move_to_end(key)
        while len(self._full_at) > _MOST_KEYS or next(iter(self._full_at.values())) <= at:
            self._full_at.popitem(last=False)
