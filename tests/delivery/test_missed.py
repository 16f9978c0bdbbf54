"""Which channels are looked at after a session was lost."""

from __future__ import annotations

from bot.delivery.missed import LastSeen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_channels_where_the_bot_was_spoken_to_count():
    seen = LastSeen(Clock())
    seen.note(1, 10, is_addressed=False)
    seen.note(2, 11, is_addressed=True)
    seen.note(2, 15, is_addressed=False)
    seen.note(2, 12, is_addressed=False)  # out of order
    assert seen.recent() == [(2, 15)]


def test_talk_older_than_an_hour_does_not_count():
    clock = Clock()
    seen = LastSeen(clock)
    seen.note(1, 10, is_addressed=True)
    clock.now = 3000.0
    seen.note(2, 11, is_addressed=True)
    clock.now = 3700.0
    assert seen.recent() == [(2, 11)]


def test_neither_the_memory_nor_the_requests_grow_without_bound():
    seen = LastSeen(Clock())
    for channel in range(2000):
        seen.note(channel, channel, is_addressed=True)
    assert len(seen._channels) == 500
    assert [channel for channel, _ in seen.recent()] == list(range(1999, 1974, -1))
