"""What the side panel counts: edits a second by channel, requests, refusals, tokens and lag.

Pure: it is handed the request log and the clock, and asked now and then.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.playground.lag import LagMeter

__all__ = ["Meter", "Request"]

_SECONDS = 60
_RECENT = 5.0  # seconds over which "now" is averaged: the period of Discord's own window
_MOST_CHANNELS = 4
_LAG_SECONDS = 120.0


class Request(Protocol):
    """One request of the bot in the loopback Discord's log."""

    at: float
    method: str
    route: str
    status: int
    channel_id: str | None


class Meter:
    """Sums up the log of the loopback Discord and the lag.

    Args:
        log: the requests so far, oldest first; it may drop old ones.
        lag: tells token to screen.
        tokens: returns how many tokens the model has emitted so far.
        clock: the clock of ``Request.at``, in seconds.
    """

    def __init__(
        self, log: Sequence[Request], lag: LagMeter, tokens: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._lag = lag
        self._tokens = tokens
        self._clock = clock
        self._last: Request | None = None
        self._edits: deque[tuple[float, str]] = deque()
        self._token_counts: deque[tuple[float, int]] = deque()
        self._requests = 0
        self._refused = 0

    def metrics(self, limit: int, period: float) -> dict[str, Any]:
        """Return what the panel shows; ``limit`` edits fit ``period`` seconds in each channel."""
        now = self._clock()
        for request in self._news():
            self._count(request)
        while self._edits and self._edits[0][0] < now - _SECONDS:
            self._edits.popleft()
        lag = self._lag.summary(since=now - _LAG_SECONDS)
        recent = [channel for at, channel in self._edits if at > now - _RECENT]
        return {
            "channels": self._channels(now, Counter(recent)),
            "limit": {"per_second": limit / period, "burst": limit},
            "edits_recent": len(recent) / _RECENT,
            "requests": self._requests,
            "refused": self._refused,
            "tokens_recent": self._token_rate(now),
            "lag": {"mean": lag.mean, "p95": lag.p95, "characters": lag.characters},
        }

    def _news(self) -> Iterator[Request]:
        fresh = []
        for request in reversed(self._log):
            if request is self._last:
                break
            fresh.append(request)
        if fresh:
            self._last = fresh[0]
        return reversed(fresh)

    def _count(self, request: Request) -> None:
        self._requests += 1
        self._refused += request.status == 429
        if request.method == "PATCH" and "/messages/" in request.route and request.status < 300:
            self._edits.append((request.at, str(request.channel_id or "")))

    def _channels(self, now: float, recent: Counter[str]) -> list[dict[str, Any]]:
        seconds: dict[str, list[int]] = {}
        for at, channel in self._edits:
            counts = seconds.setdefault(channel, [0] * _SECONDS)
            counts[max(0, _SECONDS - 1 - int(now - at))] += 1
        busiest = sorted(seconds, key=lambda channel: -sum(seconds[channel]))[:_MOST_CHANNELS]
        # In a steady order, so that a channel keeps its colour.
        return [
            {"id": channel, "seconds": seconds[channel], "recent": recent[channel] / _RECENT}
            for channel in sorted(busiest)
        ]

    def _token_rate(self, now: float) -> float:
        self._token_counts.append((now, self._tokens()))
        while len(self._token_counts) > 2 and self._token_counts[0][0] < now - 2:
            self._token_counts.popleft()
        (since, before), (until, after) = self._token_counts[0], self._token_counts[-1]
        return (after - before) / (until - since) if until > since else 0.0
