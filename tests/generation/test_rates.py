"""Token buckets: so many a minute, for each key, however they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation import rates
from bot.generation.rates import TokenBuckets

NOW = 1_790_000_000.0


def took(buckets: TokenBuckets, at: float, key: int = 1) -> bool:
    if buckets.wait(key, at):
        return False
    buckets.take(key, at)
    return True


def test_a_minutes_worth_comes_at_once_then_one_at_a_time() -> None:
    buckets = TokenBuckets(10)
    assert [took(buckets, NOW) for _ in range(12)] == [True] * 10 + [False] * 2
    assert buckets.wait(1, NOW) == pytest.approx(6)
    assert buckets.wait(1, NOW + 2) == pytest.approx(4)
    assert [took(buckets, NOW + 6), took(buckets, NOW + 6)] == [True, False]


def test_what_was_refused_costs_nothing() -> None:
    buckets = TokenBuckets(1)
    assert took(buckets, NOW)
    for second in range(59):
        assert not took(buckets, NOW + second)
    assert took(buckets, NOW + 60)


def test_keys_do_not_share() -> None:
    buckets = TokenBuckets(1)
    assert took(buckets, NOW, key=1)
    assert took(buckets, NOW, key=2)
    assert not took(buckets, NOW, key=1)


def test_nought_sets_no_limit_and_keeps_nothing() -> None:
    buckets = TokenBuckets(0)
    assert all(took(buckets, NOW) for _ in range(1000))
    assert len(buckets) == 0


def test_a_bucket_that_is_full_again_is_forgotten() -> None:
    buckets = TokenBuckets(10)
    for key in range(100):
        took(buckets, NOW, key)
    assert len(buckets) == 100
    took(buckets, NOW + 61, 1000)
    assert len(buckets) == 1


def test_a_flood_of_strangers_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST_KEYS", 50)
    buckets = TokenBuckets(10)
    for key in range(1000):
        assert took(buckets, NOW, key)
    assert len(buckets) == 50


def test_two_events_in_the_wrong_order_change_little() -> None:
    buckets = TokenBuckets(2)
    assert took(buckets, NOW + 0.2)
    assert took(buckets, NOW)
    assert buckets.wait(1, NOW + 1) == pytest.approx(29.2)


@given(
    per_minute=st.integers(1, 30),
    gaps=st.lists(st.floats(0, 40, allow_nan=False), max_size=200),
)
def test_no_minute_sees_more_than_the_bucket_and_its_refill(per_minute: int, gaps: list[float]) -> None:
    buckets = TokenBuckets(per_minute)
    at, taken = NOW, []
    for gap in gaps:
        at += gap
        wait = buckets.wait(1, at)
        assert 0 <= wait <= 60 / per_minute + 0.01
        if took(buckets, at):
            taken.append(at)
        else:
            assert took(TokenBuckets(1), at)  # nobody else is held up
    for start in taken:
        within = [each for each in taken if start <= each <= start + 60]
        assert len(within) <= 2 * per_minute + 1
    if taken:
        assert len(taken) <= per_minute * (1 + (taken[-1] - taken[0] + 1) / 60) + 0.01
