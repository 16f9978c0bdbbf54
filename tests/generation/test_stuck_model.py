"""A model that answers nobody is recognised late, but surely; a busy one never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation.stuck_model import StuckModelWatch

MODEL = "llama3.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> StuckModelWatch:
    return StuckModelWatch(after=300, waits=2, clock=clock)


def test_one_question_alone_proves_nothing(watch: StuckModelWatch, clock: Clock) -> None:
    watch.asked(MODEL)
    clock.now += 3000
    assert not watch.is_stuck(MODEL)


def test_two_that_wait_side_by_side_prove_it_after_twice_the_time(watch: StuckModelWatch, clock: Clock) -> None:
    watch.asked(MODEL)
    watch.asked(MODEL)
    clock.now += 599
    assert not watch.is_stuck(MODEL)
    clock.now += 1
    assert watch.is_stuck(MODEL)


def test_two_one_after_the_other_prove_it(watch: StuckModelWatch, clock: Clock) -> None:
    first = watch.asked(MODEL)
    clock.now += 900
    watch.left(first)
    assert not watch.is_stuck(MODEL)
    watch.asked(f"{MODEL}:latest")
    assert not watch.is_stuck(MODEL)
    clock.now += 300
    assert watch.is_stuck(MODEL)


def test_who_leaves_early_does_not_count(watch: StuckModelWatch, clock: Clock) -> None:
    for _ in range(5):
        wait = watch.asked(MODEL)
        clock.now += 299
        watch.left(wait)
    watch.asked(MODEL)
    clock.now += 1000
    assert not watch.is_stuck(MODEL)


def test_an_answer_to_anybody_clears_the_suspicion(watch: StuckModelWatch, clock: Clock) -> None:
    watch.asked(MODEL)
    watch.asked(MODEL)
    lucky = watch.asked(MODEL)
    clock.now += 700
    assert watch.is_stuck(MODEL)
    watch.answered(lucky)
    assert not watch.is_stuck(MODEL)
    clock.now += 700
    assert not watch.is_stuck(MODEL), "one of ours is being answered: the others are in line"
    watch.left(lucky)
    assert not watch.is_stuck(MODEL)
    clock.now += 600
    assert watch.is_stuck(MODEL)


def test_models_are_judged_apart(watch: StuckModelWatch, clock: Clock) -> None:
    watch.asked(MODEL)
    watch.asked("qwen3:8b")
    clock.now += 3000
    assert not watch.is_stuck(MODEL)
    assert not watch.is_stuck("qwen3:8b")
    assert not watch.is_stuck("never asked")


def test_evidence_grows_stale(watch: StuckModelWatch, clock: Clock) -> None:
    first = watch.asked(MODEL)
    clock.now += 900
    watch.left(first)
    clock.now += 4000
    watch.asked(MODEL)
    clock.now += 300
    assert not watch.is_stuck(MODEL)


def test_it_is_told_once_until_there_is_an_answer(watch: StuckModelWatch, clock: Clock) -> None:
    one, two = watch.asked(MODEL), watch.asked(MODEL)
    assert watch.tell_once(MODEL)
    assert not watch.tell_once(MODEL)
    watch.answered(one)
    watch.left(one)
    assert watch.tell_once(MODEL)
    watch.left(two)


def test_nothing_is_kept_of_a_model_that_answers(watch: StuckModelWatch) -> None:
    for number in range(100):
        wait = watch.asked(f"model{number}")
        watch.answered(wait)
        watch.left(wait)
    assert not watch._models


@given(st.lists(st.tuples(st.sampled_from(["ask", "answer", "leave"]), st.integers(0, 400)), max_size=60))
def test_a_model_that_answers_within_the_time_is_never_suspected(events: list[tuple[str, int]]) -> None:
    clock = Clock()
    watch = StuckModelWatch(after=300, waits=2, clock=clock)
    open_waits = []
    for event, seconds in events:
        if event == "ask":
            open_waits.append(watch.asked(MODEL))
        elif open_waits:
            wait = open_waits.pop(0)
            if event == "answer":
                watch.answered(wait)
            watch.left(wait)
        # somebody is answered every time before twice the limit is over
        clock.now += seconds
        heard = watch.asked(MODEL)
        watch.answered(heard)
        watch.left(heard)
        assert not watch.is_stuck(MODEL)
