"""How text comes from the model: when more of it is to be expected."""

from __future__ import annotations

_NEWS = 0.1  # how much each gap counts against those before it
_LONGEST = 1.0  # seconds; a pause says nothing of the pace before and after it


class Cadence:
    """Learns how long it takes from one piece of text to the next.

    Attributes:
        gap: the mean of late, in seconds; 0 until it is known.
    """

    def __init__(self) -> None:
        self.gap = 0.0
        self._latest = float("inf")

    def note(self, now: float) -> None:
        """Take in that text came at *now* (seconds, monotonic)."""
        gap = now - self._latest
        self._latest = now
        if 0.0 <= gap <= _LONGEST:
            self.gap += (_NEWS if self.gap else 1.0) * (gap - self.gap)
