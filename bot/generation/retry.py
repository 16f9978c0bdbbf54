"""When a question is put again: only while no byte of an answer was seen, a few times, soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from bot.errors import OllamaBusy, OllamaError, OllamaUnreachable
from bot.streaming.backoff import Backoff


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a question is put again.

    Attributes:
        tries: requests at most, the first included.
        within: seconds after the first request in which the last may begin.
        base: seconds of the backoff's first step; each step is twice the one before.
        cap: seconds of its longest.
    """

    tries: int = 3
    within: float = 30.0
    base: float = 2.0
    cap: float = 8.0


DEFAULT_RETRY = RetryPolicy()


class Outage:
    """Until when others tried in vain to reach the server: who waited meanwhile need not try as often again."""

    def __init__(self) -> None:
        self._tried_until = float("-inf")

    def note(self, now: float) -> None:
        """Note that somebody gave up at *now* (seconds, monotonic)."""
        self._tried_until = now

    def end(self) -> None:
        """Note that the server is there."""
        self._tried_until = float("-inf")

    def covers(self, since: float) -> bool:
        """Tell whether others tried in vain while somebody has waited *since* then."""
        return since <= self._tried_until


def may_pass(error: OllamaError) -> bool:
    """Tell whether the same request may work in a moment: the server is busy, or just not there.

    Not a wrong name, a failed handshake or a connection that took too long:
    they need somebody's hand, or have cost their time already. Never a first
    byte that did not come: asking again would begin the model's load afresh.
    """
    return isinstance(error, OllamaBusy) or type(error) is OllamaUnreachable


class Retries:
    """The tries of one question; counts the first as made.

    The limit in time also keeps a gateway that gives up in the middle of a
    model's load (504 after a minute) from having it loaded over and over.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._backoff = Backoff(policy.base, policy.cap, rng)
        self._began_at = clock()
        self._made = 1

    @property
    def words(self) -> str:
        """Which try comes next, for example ``2 of 3``."""
        return f"{self._made} of {self._policy.tries}"

    def delay_after(self, error: OllamaError) -> float | None:
        """Return the seconds to wait before the next try, or None if *error* is to be told.

        The server's own Retry-After comes first; the backoff is added to it, so
        that all whom it sent away do not come back at once.
        """
        if not may_pass(error) or self._made >= self._policy.tries:
            return None
        asked = error.retry_after if isinstance(error, OllamaBusy) else None
        delay = (self._policy.base / 2 if asked is None else asked) + self._backoff.delay()
        if self._clock() + delay - self._began_at > self._policy.within:
            return None
        self._made += 1
        return delay
