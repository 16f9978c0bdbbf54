"""The optimum against every schedule there is, on streams small enough to try them all."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.benchmarks.optimum import best, between, shared_mean
from tests.streaming.simulated import LimiterKind, SimulatedLimiter

KINDS = pytest.mark.parametrize("kind", ["fixed", "leaky"])


def tried(count: int, rate: float, kind: LimiterKind, limit: int, period: float, trip: float, page: int = 0) -> float:
    """Return the least mean lag over all schedules whose requests go when a token is emitted, or soon after."""
    step = 1 / rate
    points = range(count + round(trip / step) + 1)
    least = math.inf
    for requests in range(1, count + 1):
        for at in itertools.combinations(points, requests):
            if any(b - a < trip / step - 1e-9 for a, b in itertools.pairwise(at)):
                continue
            cost = cost_of([i * step for i in at], count, step, SimulatedLimiter(kind, limit, period), page)
            least = min(least, cost)
    return least / count + trip / 2


def cost_of(at: list[float], count: int, step: float, limiter: SimulatedLimiter, page: int) -> float:
    """Return the summed waits of a schedule; infinite if it breaks a rule or leaves something out."""
    shown, on_page, cost = 0, 0, 0.0
    posted = False
    for moment in at:
        known = min(count, math.floor(moment / step + 1e-9) + 1)
        end = min(count, (on_page + 1) * page) if page else count
        if posted and shown == end and shown < count:
            on_page, posted = on_page + 1, False
            end = min(count, (on_page + 1) * page)
        until = min(known, end)
        if until <= shown:
            return math.inf
        if posted and limiter.hit(moment)[0]:
            return math.inf
        posted = True
        cost += sum(moment - i * step for i in range(shown, until))
        shown = until
    return cost if shown == count else math.inf


@KINDS
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_it_is_the_best_of_all_schedules(kind: LimiterKind, count: int) -> None:
    found = best(count, 10.0, kind, limit=2, period=1.0, round_trip=0.2)
    assert found.mean_lag == pytest.approx(tried(count, 10.0, kind, 2, 1.0, 0.2), rel=0.08, abs=0.005)


@KINDS
def test_it_is_never_worse_than_what_can_be_tried(kind: LimiterKind) -> None:
    for limit, period in ((1, 0.4), (2, 0.8), (3, 0.5)):
        found = best(10, 10.0, kind, limit=limit, period=period, round_trip=0.1)
        assert found.mean_lag <= tried(10, 10.0, kind, limit, period, 0.1) + 1e-9


@KINDS
def test_a_page_that_is_full_is_closed_before_the_next_is_posted(kind: LimiterKind) -> None:
    found = best(9, 10.0, kind, breaks=[5], limit=2, period=0.6, round_trip=0.1)
    assert found.mean_lag == pytest.approx(tried(9, 10.0, kind, 2, 0.6, 0.1, page=5), rel=0.08)


def test_an_endless_even_stream_is_shown_once_per_emission() -> None:
    # 5 per 5 s: a token waits half a second on average, less half a token's interval, plus the way
    assert best(4000, 40.0, "fixed").mean_lag == pytest.approx(0.5 - 0.0125 + 0.04, rel=0.03)


def test_more_freedom_is_never_worse() -> None:
    for count in (20, 150, 300):
        assert best(count, 40.0, "leaky").mean_lag <= best(count, 40.0, "fixed").mean_lag + 1e-6
        assert best(count, 40.0, "fixed", limit=6).mean_lag <= best(count, 40.0, "fixed").mean_lag + 1e-6


def test_a_lag_between_two_lengths_is_interpolated() -> None:
    assert between([10, 15, 20], lambda n: n * 2.0, nodes=2) == [20.0, 30.0, 40.0]
    assert between([7, 7], lambda n: n * 2.0) == [14.0, 14.0]


def test_the_global_limit_counts_only_where_it_binds() -> None:
    assert shared_mean(0.4, 10, 0.025) == 0.4
    assert shared_mean(0.4, 100, 0.025) == pytest.approx(1.0 + 0.04 - 0.0125)
