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
def slots(clock: Clock) -> StuckModelWatch:
    return StuckModelWatch(after=300, waits=2, clock=clock)


def test_one_question_alone_proves_nothing(slots: StuckModelWatch, clock: Clock) -> None:
    slots.asked(MODEL)
    clock.now += 3000
    assert not slots.is_stuck(MODEL)


def test_two_that_wait_side_by_side_prove_it_after_twice_the_time(slots: StuckModelWatch, clock: Clock) -> None:
    slots.asked(MODEL)
    slots.asked(MODEL)
    clock.now += 599
    assert not slots.is_stuck(MODEL)
    clock.now += 1
    assert slots.is_stuck(MODEL)


def test_two_one_after_the_other_prove_it(slots: StuckModelWatch, clock: Clock) -> None:
    first = slots.asked(MODEL)
    clock.now += 900
    slots.left(first)
    assert not slots.is_stuck(MODEL)
    slots.asked(f"{MODEL}:latest")
    assert not slots.is_stuck(MODEL)
    clock.now += 300
    assert slots.is_stuck(MODEL)


def test_who_leaves_early_does_not_count(slots: StuckModelWatch, clock: Clock) -> None:
    for _ in range(5):
        wait = slots.asked(MODEL)
        clock.now += 299
        slots.left(wait)
    slots.asked(MODEL)
    clock.now += 1000
    assert not slots.is_stuck(MODEL)


def test_an_answer_to_anybody_clears_the_suspicion(slots: StuckModelWatch, clock: Clock) -> None:
    slots.asked(MODEL)
    slots.asked(MODEL)
    lucky = slots.asked(MODEL)
    clock.now += 700
    assert slots.is_stuck(MODEL)
    slots.answered(lucky)
    assert not slots.is_stuck(MODEL)
    clock.now += 700
    assert not slots.is_stuck(MODEL), "one of ours is being answered: the others are in line"
    slots.left(lucky)
    assert not slots.is_stuck(MODEL)
    clock.now += 600
    assert slots.is_stuck(MODEL)


def test_models_are_judged_apart(slots: StuckModelWatch, clock: Clock) -> None:
    slots.asked(MODEL)
    slots.asked("qwen3:8b")
    clock.now += 3000
    assert not slots.is_stuck(MODEL)
    assert not slots.is_stuck("qwen3:8b")
    assert not slots.is_stuck("never asked")


def test_evidence_grows_stale(slots: StuckModelWatch, clock: Clock) -> None:
    first = slots.asked(MODEL)
    clock.now += 900
    slots.left(first)
    clock.now += 4000
    slots.asked(MODEL)
    clock.now += 300
    assert not slots.is_stuck(MODEL)


def test_it_is_told_once_until_there_is_an_answer(slots: StuckModelWatch, clock: Clock) -> None:
    one, two = slots.asked(MODEL), slots.asked(MODEL)
    assert slots.tell_once(MODEL)
    assert not slots.tell_once(MODEL)
    slots.answered(one)
    slots.left(one)
    assert slots.tell_once(MODEL)
    slots.left(two)


def test_nothing_is_kept_of_a_model_that_answers(slots: StuckModelWatch) -> None:
    for number in range(100):
        wait = slots.asked(f"model{number}")
        slots.answered(wait)
        slots.left(wait)
    assert not slots._models


@given(st.lists(st.tuples(st.sampled_from(["ask", "answer", "leave"]), st.integers(0, 400)), max_size=60))
def test_a_model_that_answers_within_the_time_is_never_suspected(events: list[tuple[str, int]]) -> None:
    clock = Clock()
    slots = StuckModelWatch(after=300, waits=2, clock=clock)
    open_waits = []
    for event, seconds in events:
        if event == "ask":
            open_waits.append(slots.asked(MODEL))
        elif open_waits:
            wait = open_waits.pop(0)
            if event == "answer":
                slots.answered(wait)
            slots.left(wait)
        # somebody is answered every time before twice the limit is over
        clock.now += seconds
        heard = slots.asked(MODEL)
        slots.answered(heard)
        slots.left(heard)
        assert not slots.is_stuck(MODEL)
