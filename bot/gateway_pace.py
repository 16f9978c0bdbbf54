"""When a shard may dial the gateway again, and how many sessions Discord still lets us begin: pure, clock injected."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discord.types.gateway import SessionStartLimit

_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class RedialTiming:
    """How long a shard waits before it dials again.

    Attributes:
        first: seconds before the second try at least; the first is made at once.
        longest: seconds before any further try at most.
        steady: seconds after which a connection counts as good: the next loss is a new one.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0


class SessionStarts:
    """How many sessions may still be begun (Discord's ``session_start_limit``).

    Discord resets the token of who goes on when there is none left
    (https://discord.com/developers/docs/events/gateway#session-start-limit-object).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = self._left = 1000
        self._resets_at = clock() + _DAY_SECONDS

    def told(self, limit: SessionStartLimit) -> None:
        """Take over what Discord says of it."""
        self._total, self._left = limit["total"], limit["remaining"]
        if limit["reset_after"]:
            self._resets_at = self._clock() + limit["reset_after"] / 1000

    def take(self) -> None:
        """Note that a session is begun."""
        self._refill()
        self._left -= 1

    def wait(self, count: int = 1) -> float:
        """Return the seconds until *count* sessions may be begun."""
        self._refill()
        return 0.0 if self._left >= min(count, self._total) else self._resets_at - self._clock()

    def spacing(self) -> float:
        """Return the seconds between two of them for the rest to last: 0 while half of them are left."""
        self._refill()
        if 2 * self._left >= self._total:
            return 0.0
        return (self._resets_at - self._clock()) / max(self._left, 1)

    def _refill(self) -> None:
        now = self._clock()
        if now >= self._resets_at:
            self._left, self._resets_at = self._total, now + _DAY_SECONDS


class RedialPace:
    """The back-off of one shard: at once, then ever later, with jitter.

    Attributes:
        losses: how often the connection was lost since it last stood for long.
    """

    def __init__(self, timing: RedialTiming, starts: SessionStarts, rng: random.Random | None = None) -> None:
        self._timing = timing
        self._starts = starts
        self._rng = rng or random.Random()
        self.losses = 0

    def delay(self, *, begins_session: bool) -> float:
        """Count a loss; return the seconds until the next try."""
        before, self.losses = self.losses, self.losses + 1
        wait = self._starts.wait() if begins_session else 0.0
        if before == 0:
            return wait
        longest = min(self._timing.longest, self._timing.first * 2.0 ** min(before, 32))
        even = self._starts.spacing() if begins_session else 0.0
        return max(wait, even, self._rng.uniform(longest / 2, longest))

    def reset(self) -> None:
        """Forget the losses: the connection stands."""
        self.losses = 0
