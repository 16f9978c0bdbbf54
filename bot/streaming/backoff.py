"""How long to wait before the next try."""

from __future__ import annotations

import random


class Backoff:
    """Exponential backoff with full jitter.

    The n-th delay is drawn evenly from (0, min(cap, base·2ⁿ)] seconds, so that
    many replies that failed together do not come back together.
    """

    def __init__(self, base: float = 0.5, cap: float = 15.0, rng: random.Random | None = None) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or random.Random()
        self.failures = 0

    def delay(self) -> float:
        """Count a failure; return the seconds to wait after it."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return ceiling * (1 - self._rng.random())

    def reset(self) -> None:
        """Forget the failures: it worked."""
        self.failures = 0
