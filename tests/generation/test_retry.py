"""What is asked again, how often, and when no more."""

from __future__ import annotations

import random

import pytest

from bot.errors import (
    ConnectTimeout,
    ContextOverflow,
    FirstByteTimeout,
    IdleTimeout,
    ModelMissing,
    NotOllama,
    OllamaBusy,
    OllamaError,
    OllamaNameError,
    OllamaStatusError,
    OllamaTLSError,
    OllamaUnauthorized,
    OllamaUnreachable,
    StreamCut,
    StreamError,
)
from bot.generation.retry import Outage, Retries, RetryPolicy, may_pass

URL = "http://127.0.0.1:11434"
NEVER: list[OllamaError] = [
    ConnectTimeout(URL, 10),
    ContextOverflow(URL, 400),
    FirstByteTimeout(URL, 900),
    IdleTimeout(URL, 300),
    ModelMissing(URL, "m"),
    NotOllama(URL),
    OllamaNameError(URL),
    OllamaStatusError(URL, 500),
    OllamaTLSError(URL),
    OllamaUnauthorized(URL, 401),
    StreamCut(URL),
    StreamError(URL),
]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def retries(clock: Clock, **policy: float) -> Retries:
    return Retries(RetryPolicy(**policy), clock=clock, rng=random.Random(1))  # type: ignore[arg-type]


def busy(retry_after: float | None = None) -> OllamaBusy:
    return OllamaBusy(URL, 503, "server busy", retry_after)


@pytest.mark.parametrize("error", NEVER, ids=lambda error: type(error).__name__)
def test_what_will_not_pass_is_told_at_once(error: OllamaError) -> None:
    assert not may_pass(error)
    assert retries(Clock()).delay_after(error) is None


@pytest.mark.parametrize("error", [busy(), OllamaUnreachable(URL)])
def test_three_tries_in_all_then_no_more(error: OllamaError) -> None:
    tries = retries(Clock())
    first, second = tries.delay_after(error), tries.delay_after(error)
    assert first is not None
    assert second is not None
    assert 1 < first <= 3
    assert 1 < second <= 5
    assert tries.words == "3 of 3"
    assert tries.delay_after(error) is None


def test_two_that_failed_together_do_not_come_back_together() -> None:
    delays = {Retries(RetryPolicy()).delay_after(busy()) for _ in range(20)}
    assert len(delays) == 20


@pytest.mark.parametrize("asked", [0.0, 3.0, 20.0])
def test_retry_after_is_honoured(asked: float) -> None:
    delay = retries(Clock()).delay_after(busy(asked))
    assert delay is not None
    assert asked < delay <= asked + 2


@pytest.mark.parametrize("asked", [31.0, 3600.0])
def test_a_server_that_asks_for_too_much_is_not_waited_for(asked: float) -> None:
    assert retries(Clock()).delay_after(busy(asked)) is None


def test_a_failure_that_took_long_is_not_provoked_again() -> None:
    clock = Clock()
    tries = retries(clock)
    clock.now = 60.0  # a gateway's 504 in the middle of a load
    assert tries.delay_after(OllamaBusy(URL, 504)) is None


def test_no_try_begins_after_the_limit() -> None:
    clock = Clock()
    tries = retries(clock, tries=1000, within=30.0)
    while (delay := tries.delay_after(busy())) is not None:
        clock.now += delay
        assert clock.now <= 30.0
    assert clock.now > 15.0


def test_one_try_means_none_again() -> None:
    assert retries(Clock(), tries=1).delay_after(busy()) is None


def test_an_outage_covers_who_waited_while_another_tried_and_ends_with_an_answer() -> None:
    outage = Outage()
    assert not outage.covers(0.0)
    outage.note(10.0)
    assert outage.covers(4.0)
    assert not outage.covers(10.5)
    outage.end()
    assert not outage.covers(4.0)
