"""Refused requests are counted, and what is not needed is left out long before a ban."""

from __future__ import annotations

import pytest

from bot.delivery.invalid_request_guard import SPARE_AT, WARN_AT, InvalidRequestGuard


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_counted_and_forgotten_after_ten_minutes():
    clock = Clock()
    invalid = InvalidRequestGuard(clock)
    for status in (401, 403, 429):
        invalid.note(status, "user")
    assert invalid.count == 3
    clock.now = 599.0
    assert invalid.count == 3
    clock.now = 601.0
    assert invalid.count == 0


@pytest.mark.parametrize(("status", "scope"), [(200, None), (404, None), (400, None), (500, None), (429, "shared")])
def test_what_discord_does_not_count_is_not_counted(status: int, scope: str | None):
    invalid = InvalidRequestGuard(Clock())
    invalid.note(status, scope)
    assert invalid.count == 0


def test_optional_requests_stop_well_before_the_ban_and_come_back(caplog):
    clock = Clock()
    invalid = InvalidRequestGuard(clock)
    for _ in range(SPARE_AT - 1):
        invalid.note(403, None)
    assert invalid.allows_optional
    invalid.note(403, None)
    assert not invalid.allows_optional
    assert SPARE_AT * 4 < 10_000
    for _ in range(100_000):
        invalid.note(429, "user")
    assert caplog.text.count("it bans for ten thousand") == 2
    clock.now = 601.0
    assert invalid.allows_optional


def test_a_second_flood_is_told_again(caplog):
    clock = Clock()
    invalid = InvalidRequestGuard(clock)
    for at in (0.0, 601.0):
        clock.now = at
        assert invalid.count == 0
        for _ in range(WARN_AT):
            invalid.note(403, None)
    assert caplog.text.count("Check the bot's permissions") == 2
