"""Who is let in, and how often one is told that one is not."""

from __future__ import annotations

import itertools
import logging

import pytest

from bot.conversation.records import PromptRecord
from bot.errors import PromptRefused, QueueFull, TooManyPrompts
from bot.generation import admission as module
from bot.generation.admission import Admission, PromptRates
from bot.generation.queue import MAX_WAITING_OF_USER, ReplyQueue
from bot.parts import Text

NOW = 1_790_000_000.0
_ids = itertools.count(1)


def prompt(at: float = NOW, *, user: int = 7, channel: int = 1) -> PromptRecord:
    return PromptRecord(next(_ids), channel, None, user, "Ada", (Text("Hi"),), at)


def admission(of_user: int = 0, of_channel: int = 0, queue: ReplyQueue | None = None) -> Admission:
    return Admission(queue or ReplyQueue(4), PromptRates(of_user, of_channel))


def refusal(door: Admission, asked: PromptRecord) -> PromptRefused:
    with pytest.raises(PromptRefused) as caught:
        door.admit(asked)
    return caught.value


def test_a_user_is_limited_over_all_channels_and_nobody_else_with_them() -> None:
    door = admission(of_user=3)
    for channel in range(3):
        door.admit(prompt(channel=channel))
    assert isinstance(refusal(door, prompt(channel=9)), TooManyPrompts)
    door.admit(prompt(user=8, channel=1))


def test_a_channel_is_limited_over_all_users_and_no_other_with_it() -> None:
    door = admission(of_channel=3)
    for user in range(3):
        door.admit(prompt(user=user))
    refused = refusal(door, prompt(user=9))
    assert isinstance(refused, TooManyPrompts)
    assert refused.by == "channel"
    door.admit(prompt(user=9, channel=2))


def test_the_sentence_names_the_limit_and_the_seconds() -> None:
    door = admission(of_user=10)
    for _ in range(10):
        door.admit(prompt())
    sentence = refusal(door, prompt(NOW + 1.5)).sentence()
    assert "10 questions a minute from one person" in sentence
    assert "in 5 seconds" in sentence


def test_who_is_refused_by_the_channels_limit_spends_nothing_of_their_own() -> None:
    door = admission(of_user=1, of_channel=1)
    door.admit(prompt(user=8))
    refusal(door, prompt(user=7))
    door.admit(prompt(user=7, channel=2))


def test_a_flood_is_told_once_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    door = admission(of_user=1)
    door.admit(prompt())
    with caplog.at_level(logging.WARNING):
        told = [not refusal(door, prompt(NOW + i / 100)).is_repeated for i in range(100)]
    assert told == [True] + [False] * 99
    assert caplog.text.count("more than 1 prompts a minute of one user") == 1


def test_it_is_told_again_when_what_was_said_is_over() -> None:
    door = admission(of_user=10)
    times = [second for second in range(40) for _ in range(10)]
    told = []
    for second in times:
        try:
            door.admit(prompt(NOW + second))
        except PromptRefused as refused:
            told += [] if refused.is_repeated else [second]
    assert told == [1, 11, 21, 31]


def test_each_user_is_told_in_each_channel_but_a_channels_limit_once_for_all() -> None:
    own = admission(of_user=1)
    own.admit(prompt())
    assert [refusal(own, prompt(channel=channel)).is_repeated for channel in (1, 2, 1)] == [False, False, True]
    shared = admission(of_channel=1)
    shared.admit(prompt())
    assert [refusal(shared, prompt(user=user)).is_repeated for user in (7, 8)] == [False, True]


def test_what_was_asked_at_long_distance_is_not_counted_as_one_flood() -> None:
    door = admission(of_user=2, of_channel=2)
    for _ in range(2):
        door.admit(prompt(NOW))
    past = door.apart()
    for minute in range(60):
        past.admit(prompt(NOW - 3600 + 60 * minute))
    refusal(door, prompt(NOW))


def test_the_queue_has_a_say_and_a_prompt_that_it_refuses_costs_no_token() -> None:
    queue = ReplyQueue(1)
    door = admission(of_user=MAX_WAITING_OF_USER + 2, queue=queue)
    for _ in range(MAX_WAITING_OF_USER + 1):
        asked = prompt()
        door.admit(asked)
        queue.enter(asked, lambda _: None)
    assert isinstance(refusal(door, prompt()), QueueFull)
    assert isinstance(refusal(door, prompt()), QueueFull)
    queue.leave(next(iter(queue)))
    door.admit(prompt())
    assert isinstance(refusal(door, prompt()), TooManyPrompts)


def test_what_was_told_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TOLD", 50)
    door = admission(of_user=1)
    for user in range(200):
        door.admit(prompt(user=user))
        refusal(door, prompt(user=user))
    assert len(door._told) == 50
    door.admit(prompt(NOW + 61, user=1))
    refusal(door, prompt(NOW + 61, user=1))
    assert len(door._told) == 1
