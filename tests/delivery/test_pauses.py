"""A pause where the bot may not write: a minute at most, one try after it, one word to each person in ten minutes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.permissions import Pauses


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pause_lasts_a_minute_and_then_one_question_tries():
    clock = Clock()
    pauses = Pauses(clock)
    pauses.pause(1, "403")
    assert not pauses.admits(1)
    clock.now += 59.9
    assert not pauses.admits(1)
    clock.now += 0.2
    assert [pauses.admits(1) for _ in range(3)] == [True, False, False]
    assert pauses.admits(2)


def test_a_lifted_pause_is_none():
    pauses = Pauses(Clock())
    pauses.pause(1, "403")
    pauses.lift(1)
    assert [pauses.admits(1) for _ in range(3)] == [True, True, True]


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 3), st.integers(1, 2)), max_size=60))
def test_nobody_hears_twice_of_a_channel_in_ten_minutes(asked: list[tuple[float, int, int]]):
    clock, told = Clock(), {}
    pauses = Pauses(clock)
    for wait, user_id, channel_id in asked:
        clock.now += wait
        since = clock.now - told.get((user_id, channel_id), float("-inf"))
        assert pauses.may_tell(user_id, channel_id) is (since >= 600)
        if since >= 600:
            told[user_id, channel_id] = clock.now


def test_the_log_hears_of_a_channel_once_in_ten_minutes(caplog):
    clock = Clock()
    pauses = Pauses(clock)
    for _ in range(20):
        pauses.pause(1, "403")
        clock.now += 61
    assert caplog.text.count("Cannot write in channel 1") == 2
