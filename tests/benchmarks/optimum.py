"""The best that the limits allow: the schedule of one who knows the stream in advance.

What is minimised is the mean, over the tokens of one reply, of *token emitted →
token visible*. The rules are those that bind the bot as well:

- a page's first text is a POST, whose bucket never binds here; everything later
  on that page is an edit, and edits are rationed by the channel's limiter;
- one request is under way at a time (each takes a round trip), and what it
  shows is visible half a round trip after it was sent;
- messages are filled to the last of their 2000 code points, and one that is
  full needs an edit that shows its last tokens before the next is posted;
- the last request shows everything.

Request times lie on a grid that holds every token's emission (every fourth's of
the longest streams) or is finer, down to 2.5 ms; that costs well under 1 %,
since the lag is flat around its optimum.
Over that grid dynamic programming tries every schedule:

- *fixed window*: the state is (start of the window, edits in it, last request);
  a window starts with its first edit, and the next one no sooner than a period
  later;
- *leaking*: the state is (edits so far, last request). A bucket that starts full
  and is never full again allows the k-th edit no sooner than (k - limit) tokens'
  worth after the first; letting the count start with the first moment at which
  an edit could go makes this a lower bound, which is what a comparison needs.

With many channels at once each reply is compared with its own optimum, and the
bot's global limit is allowed for by `shared_mean`: while *a* replies are
running, 50 requests per second refresh each of them every a/50 s if they are
shared equally, which is best.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

_GRID_POINTS = 800
_FINEST = 0.0025
# Nobody who may edit about once per second waits longer than so many tokens' worth between two edits.
_LONGEST_GAP = 2.5
# A full page is closed before so many tokens of the next one are waiting.
_LONGEST_OVERHANG = 150
# A page is begun within so many grid points after it could be.
_POST_WITHIN = 60
_INFINITE = math.inf


@dataclass(frozen=True)
class Optimum:
    """What the best schedule reaches, in seconds.

    Attributes:
        mean_lag: token emitted → token visible, over all tokens.
        first: first token → first text: the first request goes at once.
        last: last token → everything visible.
    """

    mean_lag: float
    first: float
    last: float


def best(
    count: int,
    rate: float,
    kind: Literal["fixed", "leaky"],
    *,
    breaks: Sequence[int] = (),
    limit: int = 5,
    period: float = 5.0,
    round_trip: float = 0.08,
) -> Optimum:
    """Return the best for *count* tokens at *rate* per second; a new page begins with each token in *breaks*."""
    mean = _best_mean(count, rate, kind, tuple(breaks), limit, period, round_trip)
    return Optimum(mean, round_trip / 2, round_trip / 2)


@functools.cache
def _best_mean(
    count: int, rate: float, kind: str, breaks: tuple[int, ...], limit: int, period: float, round_trip: float
) -> float:
    stream = _Stream(count, 1 / rate, breaks, round_trip)
    search = _fixed if kind == "fixed" else _leaky
    return search(stream, limit, period) / count + round_trip / 2


def between(counts: Sequence[int], lag: Callable[[int], float], nodes: int = 16) -> list[float]:
    """Return *lag* of each count, computed for *nodes* counts and interpolated linearly."""
    low, high = min(counts), max(counts)
    at = sorted({round(low + (high - low) * i / (nodes - 1)) for i in range(nodes)})
    lags = [lag(count) for count in at]
    result = []
    for count in counts:
        i = max(1, min(bisect_left(at, count), len(at) - 1)) if len(at) > 1 else 0
        share = (count - at[i - 1]) / (at[i] - at[i - 1]) if i else 0.0
        result.append(lags[i - 1] + share * (lags[i] - lags[i - 1]) if i else lags[0])
    return result


def shared_mean(own: float, running: int, interval: float, rate: float = 50.0, round_trip: float = 0.08) -> float:
    """Return the least mean lag at a moment at which *running* replies share *rate* requests per second.

    *own* is the best of the reply by itself, *interval* the seconds between two
    of its tokens: a token that comes in the moment of a request does not wait.
    """
    return max(own, (running / rate - interval) / 2 + round_trip / 2)


def _step(count: int, interval: float) -> float:
    """Return the grid's step: a multiple or a fraction of the tokens' interval."""
    if count > _GRID_POINTS:
        return interval * math.ceil(count / _GRID_POINTS)
    return interval / max(1, min(_GRID_POINTS // count, math.floor(interval / _FINEST)))


class _Stream:
    """Tokens and pages on the grid.

    Attributes:
        known: how many tokens there are at each grid point.
        starts: the first token of each page, and the number of tokens.
        spans: for each page the grid points whose newest token is on it, from
            and to, and the one by which it must be closed.
        sums: summed emission times of the first so many tokens.
    """

    def __init__(self, count: int, interval: float, breaks: Sequence[int], round_trip: float) -> None:
        emitted = [i * interval for i in range(count)]
        self.step = _step(count, interval)
        self.points = math.ceil(emitted[-1] / self.step - 1e-9) + 1
        self.trip = max(1, math.floor(round_trip / self.step + 1e-9))
        self.sums = [0.0, *accumulate(emitted)]
        self.known = [bisect_right(emitted, i * self.step + 1e-9) for i in range(self.points)]
        self.known[-1] = count
        self.starts = [0, *breaks, count]
        self.spans = [self._span(page) for page in range(len(self.starts) - 1)]

    def _span(self, page: int) -> tuple[int, int, int]:
        begin = bisect_right(self.known, self.starts[page])
        end = bisect_right(self.known, self.starts[page + 1])
        closed_by = bisect_right(self.known, self.starts[page + 1] + _LONGEST_OVERHANG)
        return begin, end, closed_by

    def wait(self, shown: int, until: int, at: int) -> float:
        """Return the summed waits of the tokens from *shown* to *until* if they are sent at grid point *at*."""
        return (until - shown) * at * self.step - (self.sums[until] - self.sums[shown])


class _Layer:
    """Least cost of having shown everything of the current page, by the grid point of the last request.

    Attributes:
        open: the page goes on, or it was the last.
        full: (grid point, page): that page is complete, and the next one is not posted.
    """

    __slots__ = ("full", "open")

    def __init__(self, points: int) -> None:
        self.open = [_INFINITE] * points
        self.full: dict[tuple[int, int], float] = {}

    def settle(self, stream: _Stream) -> None:
        """Post the next page after those that are complete, whenever that is best; a POST costs no edit."""
        for (before, page), cost in self.full.items():
            first, begin = stream.starts[page + 1], stream.spans[page + 1][0]
            earliest = max(before + stream.trip, begin)
            for at in range(earliest, min(stream.points, earliest + _POST_WITHIN)):
                last = min(stream.known[at], stream.starts[page + 2])
                self.open[at] = min(self.open[at], cost + stream.wait(first, last, at))
        self.full.clear()


def _edit(stream: _Stream, layer: _Layer, into: _Layer, first: int, low: int, high: int) -> None:
    """Extend every schedule in *layer* whose last request is at *first* or later by an edit at *low* to *high* - 1.

    The cost of the next edit at time t is linear in t with a slope given by the
    tokens shown before, so the best predecessor comes from a lower hull of lines
    whose slopes fall as t grows: each is added and dropped once.
    """
    for page, (begin, end, closed_by) in enumerate(stream.spans):
        if begin >= high or closed_by <= low:
            continue
        hull: deque[tuple[int, float]] = deque()
        before = max(first, begin)
        whole = stream.starts[page + 1]
        is_last = whole == stream.starts[-1]
        for at in range(max(low, before + stream.trip), min(high, closed_by)):
            for i in range(before, min(end, at - stream.trip + 1)):
                if layer.open[i] < _INFINITE and stream.known[i] < whole:
                    _add_line(hull, -stream.known[i], layer.open[i] + stream.sums[stream.known[i]])
                before = i + 1
            if not hull:
                continue
            now, shown = at * stream.step, min(stream.known[at], whole)
            cost = _lowest(hull, now) + shown * now - stream.sums[shown]
            if shown < whole or is_last:
                into.open[at] = min(into.open[at], cost)
            else:
                into.full[at, page] = min(into.full.get((at, page), _INFINITE), cost)


def _add_line(hull: deque[tuple[int, float]], slope: int, offset: float) -> None:
    """Add a line; slopes must not rise."""
    if hull and hull[-1][0] == slope:
        if hull[-1][1] <= offset:
            return
        hull.pop()
    while len(hull) > 1:
        (a, b), (c, d) = hull[-2], hull[-1]
        # the last one is nowhere lowest once the new one crosses the one before it sooner
        if (offset - b) * (a - c) > (d - b) * (a - slope):
            break
        hull.pop()
    hull.append((slope, offset))


def _lowest(hull: deque[tuple[int, float]], at: float) -> float:
    """Return the lowest line's value at *at*, which never falls from call to call."""
    while len(hull) > 1 and hull[1][0] * at + hull[1][1] <= hull[0][0] * at + hull[0][1]:
        hull.popleft()
    return hull[0][0] * at + hull[0][1]


def _first(stream: _Stream) -> _Layer:
    """Return the schedules that consist of the first POST."""
    layer = _Layer(stream.points)
    for at in range(min(stream.points, _POST_WITHIN)):
        layer.open[at] = stream.wait(0, min(stream.known[at], stream.starts[1]), at)
    return layer


def _leaky(stream: _Stream, limit: int, period: float) -> float:
    emission = period / limit
    layer = _first(stream)
    best = layer.open[-1]
    for edits in range(1, limit + math.ceil(stream.points * stream.step / emission) + 1):
        low = stream.trip + max(0, math.floor((edits - limit) * emission / stream.step))
        into = _Layer(stream.points)
        _edit(stream, layer, into, 0, low, stream.points)
        into.settle(stream)
        best = min(best, into.open[-1])
        layer = into
    return best


def _fixed(stream: _Stream, limit: int, period: float) -> float:
    gap = math.ceil(_LONGEST_GAP * period / limit / stream.step)
    window = math.ceil(period / stream.step - 1e-9)
    between = _first(stream)  # schedules whose next edit starts a window
    best = between.open[-1]
    over_at: dict[int, _Layer] = {}  # by the grid point at which their window is over
    for start in range(stream.points):
        if start in over_at:
            between = _merge(between, over_at.pop(start))
        layer = _Layer(stream.points)
        _edit(stream, between, layer, max(0, start - gap), start, start + 1)
        if layer.open[start] == _INFINITE and not layer.full:
            continue
        after = _window(stream, layer, start, min(stream.points, start + window), limit)
        best = min(best, after.open[-1])
        over_at[start + window] = after
    return best


def _window(stream: _Stream, layer: _Layer, start: int, end: int, limit: int) -> _Layer:
    """Return the best over all ways to use the window that *layer*'s edit at *start* began."""
    layer.settle(stream)
    after = _merge(layer, layer)
    for _ in range(limit - 1):
        into = _Layer(stream.points)
        _edit(stream, layer, into, start, start + 1, end)
        into.settle(stream)
        after = _merge(after, into)
        layer = into
    return after


def _merge(one: _Layer, other: _Layer) -> _Layer:
    merged = _Layer(len(one.open))
    merged.open = list(map(min, one.open, other.open))
    return merged
