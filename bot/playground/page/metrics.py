"""What the side panel counts: edits a second by channel, requests, refusals, tokens and lag.

Pure: it is handed the requests and the clock, and asked now and then.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.playground.page.lag import LagMeter

__all__ = ["Meter", "Request", "RequestLog"]

_SECONDS = 60
_RECENT = 5.0  # seconds over which "now" is averaged: the period of Discord's own window
_MOST_CHANNELS = 4  # as many as the chart has colours
_LAG_SECONDS = 120.0

# A channel's id, and the slash command whose answer is edited there, or "": Discord limits those apart.
_Series = tuple[str, str]


class Request(Protocol):
    """One request of the bot; ``at`` in seconds, ``status`` 0 while it runs."""

    at: float
    method: str
    route: str
    status: int
    channel_id: str | None
    command: str


class RequestLog(Protocol):
    """What the loopback Discord tells of its requests."""

    @property
    def log(self) -> Sequence[Request]:
        """The newest, oldest first."""

    @property
    def requests(self) -> int:
        """How many there were."""

    @property
    def refused(self) -> int:
        """How many of them got a 429."""


class Meter:
    """Sums up the requests and the lag.

    Args:
        discord: tells of the requests.
        lag: tells token to screen.
        tokens: returns how many tokens the model has emitted so far.
        clock: the clock of ``Request.at`` and of the lag, in seconds.
        name_of: returns what people call the channel of an id.
    """

    def __init__(
        self,
        discord: RequestLog,
        lag: LagMeter,
        tokens: Callable[[], int],
        clock: Callable[[], float],
        name_of: Callable[[str], str],
    ) -> None:
        self._discord = discord
        self._lag = lag
        self._tokens = tokens
        self._clock = clock
        self._name_of = name_of
        self._last: Request | None = None
        self._running: list[Request] = []
        self._edits: list[Request] = []
        self._refusals: list[Request] = []
        self._colours: dict[_Series, int] = {}
        self._token_counts: deque[tuple[float, int]] = deque()

    def metrics(self, limit: int, period: float) -> dict[str, Any]:
        """Return what the panel shows; ``limit`` edits fit ``period`` seconds in each channel."""
        now = self._clock()
        self._take_news(now)
        lag = self._lag.summary(since=now - _LAG_SECONDS)
        recent = Counter(_series(edit) for edit in self._edits if edit.at > now - _RECENT)
        return {
            "channels": self._channels(now, recent),
            "limit": {"per_second": limit / period, "burst": limit},
            "edits_recent": recent.total() / _RECENT,
            "requests": self._discord.requests,
            "refused": self._discord.refused,
            "refused_recent": len(self._refusals),
            "tokens_recent": self._token_rate(now),
            "lag": {"mean": lag.mean, "p95": lag.p95, "characters": lag.characters},
        }

    def _take_news(self, now: float) -> None:
        """Sort what has come since the last time into edits and refusals of the last minute."""
        fresh: list[Request] = []
        for request in reversed(self._discord.log):
            if request is self._last:
                break
            fresh.append(request)
        if fresh:
            self._last = fresh[0]
        seen = [*self._running, *reversed(fresh)]
        self._running = [request for request in seen if request.status == 0 and request.at > now - _SECONDS]
        self._edits = [edit for edit in self._edits if edit.at > now - _SECONDS]
        self._edits += [request for request in seen if _is_edit(request)]
        self._refusals = [refusal for refusal in self._refusals if refusal.at > now - _SECONDS]
        self._refusals += [request for request in seen if request.status == 429 and request.at > now - _SECONDS]

    def _channels(self, now: float, recent: Counter[_Series]) -> list[dict[str, Any]]:
        seconds: dict[_Series, list[int]] = {}
        for edit in self._edits:
            counts = seconds.setdefault(_series(edit), [0] * _SECONDS)
            # By the clock's own seconds, so that a bar keeps its height while it wanders to the left.
            counts[max(0, _SECONDS - 1 - (int(now) - int(edit.at)))] += 1
        busiest = sorted(seconds, key=lambda series: -sum(seconds[series]))[:_MOST_CHANNELS]
        self._colour(busiest)
        return [
            {
                "name": self._called(series),
                "colour": self._colours[series],
                "seconds": seconds[series],
                "recent": recent[series] / _RECENT,
            }
            for series in sorted(busiest)
        ]

    def _colour(self, shown: list[_Series]) -> None:
        """Give each of *shown* a colour: the one that it had, or one that none of the others has."""
        for series in shown:
            taken = [self._colours[other] for other in shown if other != series and other in self._colours]
            self._colours.setdefault(series, min(range(_MOST_CHANNELS), key=taken.count))

    def _called(self, series: _Series) -> str:
        channel, command = series
        return f"/{command} in {self._name_of(channel)}" if command else self._name_of(channel)

    def _token_rate(self, now: float) -> float:
        self._token_counts.append((now, self._tokens()))
        while len(self._token_counts) > 2 and self._token_counts[0][0] < now - 2:
            self._token_counts.popleft()
        (since, before), (until, after) = self._token_counts[0], self._token_counts[-1]
        return (after - before) / (until - since) if until > since else 0.0


def _is_edit(request: Request) -> bool:
    return request.method == "PATCH" and "/messages/" in request.route and 200 <= request.status < 300


def _series(request: Request) -> _Series:
    return request.channel_id or "", request.command
