"""How many requests the whole bot may send: so many in any second that Discord may count."""

from __future__ import annotations

from collections import deque

# Discord's global limit is 50 in a second. Two stay free for what is not counted
# here (the gateway's address).
GLOBAL_LIMIT = 48
GLOBAL_PERIOD = 1.0
# The second is taken so much longer, since some requests travel faster than
# others: by this share at least, by what was seen of late, by that at most.
_LEAST_JITTER, _MOST_JITTER = 0.03, 0.25
_JITTER_FADES = 0.99  # with each answer
# What leaves some of it to others comes at most so many at a time: a second's
# worth at once would leave the rest of the second to nobody.
_BURST = 12


class GlobalRate:
    """At most *limit* requests in any *period*, so in any window that the server may count.

    The period is taken longer by how much the requests' travelling times vary.
    """

    def __init__(self, limit: int = GLOBAL_LIMIT, period: float = GLOBAL_PERIOD) -> None:
        self.limit = limit
        self.blocked_until = float("-inf")
        self._spent: deque[float] = deque()
        self.nominal = period
        self._quickest = float("inf")
        self._jitter = 0.0
        self.period = period * (1 + _LEAST_JITTER)

    def free_at(self, now: float, leave: int = 0) -> float:
        """Return when a request may go that leaves *leave* turns to others."""
        while self._spent and self._spent[0] <= now - self.period:
            self._spent.popleft()
        free = max(now, self.blocked_until)
        usable = max(1, self.limit - leave)
        if len(self._spent) >= usable:
            free = max(free, self._spent[len(self._spent) - usable] + self.period)
        if leave and len(self._spent) >= _BURST < usable:
            free = max(free, self._spent[-_BURST] + self.period * _BURST / usable)
        return free

    def note_travel(self, seconds: float) -> None:
        """Learn from how long a request took, there and back."""
        self._quickest = min(self._quickest, seconds)
        self._jitter = max(self._jitter * _JITTER_FADES, seconds - self._quickest)
        share = min(max(self._jitter / self.nominal, _LEAST_JITTER), _MOST_JITTER)
        self.period = self.nominal * (1 + share)

    def spend(self, now: float) -> None:
        """Count a request that goes at *now*."""
        self._spent.append(now)

    def give_back(self, at: float) -> None:
        """Take the turn that was spent at *at* back: it was not used."""
        if at in self._spent:
            self._spent.remove(at)
