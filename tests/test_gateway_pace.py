"""The back-off of a shard and the count of sessions, in virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.gateway_pace import RedialPace, RedialTiming, SessionStarts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit(**changes: int) -> dict[str, int]:
    return {"total": 1000, "remaining": 1000, "reset_after": 86_400_000, "max_concurrency": 1} | changes


@given(seed=st.integers(), losses=st.integers(2, 200))
def test_the_first_try_is_at_once_and_the_others_between_one_second_and_a_minute(seed: int, losses: int):
    pace = RedialPace(RedialTiming(), SessionStarts(), random.Random(seed))
    delays = [pace.delay(begins_session=False) for _ in range(losses)]
    assert delays[0] == 0
    assert all(1 <= delay <= 60 for delay in delays[1:])
    assert all(delay >= 30 for delay in delays[6:])
    pace.reset()
    assert pace.delay(begins_session=False) == 0


def test_no_two_shards_come_back_together():
    paces = [RedialPace(RedialTiming(), SessionStarts(), random.Random(seed)) for seed in range(20)]
    for pace in paces:
        for _ in range(5):
            pace.delay(begins_session=False)
    assert len({round(pace.delay(begins_session=False), 3) for pace in paces}) == 20


@pytest.mark.parametrize("remaining", [0, 1, 5, 400, 1000])
def test_a_day_of_failures_never_uses_up_the_sessions(remaining: int):
    clock = Clock()
    starts = SessionStarts(clock)
    starts.told(limit(remaining=remaining, reset_after=40_000_000))
    pace = RedialPace(RedialTiming(), starts, random.Random(1))
    begun, end = 0, clock.now + 40_000
    while True:
        clock.now += pace.delay(begins_session=True)
        if clock.now >= end:
            break
        starts.take()
        begun += 1
    assert begun <= remaining


def test_a_day_later_all_of_them_are_there_again():
    clock = Clock()
    starts = SessionStarts(clock)
    starts.told(limit(remaining=0, reset_after=5000))
    assert starts.wait() == 5
    clock.now += 5
    assert starts.wait(1000) == 0


def test_more_shards_than_sessions_in_all_do_not_wait_for_ever():
    starts = SessionStarts(Clock())
    starts.told(limit(total=2, remaining=2))
    assert starts.wait(3) == 0


def test_a_session_that_is_resumed_waits_for_no_allowance():
    starts = SessionStarts(Clock())
    starts.told(limit(remaining=0))
    pace = RedialPace(RedialTiming(), starts)
    assert pace.delay(begins_session=False) == 0
    assert pace.delay(begins_session=False) <= 60
    assert pace.delay(begins_session=True) > 60
