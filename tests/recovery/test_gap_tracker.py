"""Which channels are looked at after a session was lost, or at a start."""

from __future__ import annotations

from bot.recovery.gap_tracker import GapTracker, Place, snowflake

NOW = 1_760_000_000.0
LOST = snowflake(NOW - 90)  # with the slack


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def anywhere(_: int) -> bool:
    return True


def lost(clock: Clock | None = None) -> GapTracker:
    seen = GapTracker(clock or Clock())
    seen.lost()
    return seen


def at(seconds: float) -> int:
    """The id of a message that was written then."""
    return snowflake(NOW + seconds)


def test_nothing_is_looked_at_while_nothing_is_missed():
    seen = GapTracker(Clock())
    assert seen.places({1: at(0)}, anywhere) == []
    seen.lost()
    assert seen.places({1: at(0)}, anywhere) != []
    seen.caught_up(seen.losses)
    assert seen.places({1: at(0)}, anywhere) == []


def test_a_loss_while_catching_up_is_not_forgotten():
    seen = lost()
    before = seen.losses
    seen.lost()
    seen.caught_up(before)
    assert seen.places({1: at(0)}, anywhere) != []


def test_where_the_bot_is_talked_to_what_came_last_is_known():
    seen = GapTracker(Clock())
    seen.note(1, at(-5), is_addressed=False)
    seen.note(2, at(-9), is_addressed=True)
    seen.note(2, at(-4), is_addressed=False)
    seen.note(2, at(-8), is_addressed=False)  # out of order
    seen.lost()
    assert seen.places({1: at(-5), 2: at(1)}, anywhere) == [Place(2, at(-4), False), Place(1, LOST, False)]


def test_what_is_heard_after_a_loss_hides_nothing_that_was_written_before_it():
    seen = GapTracker(Clock())
    seen.note(1, at(-9), is_addressed=True)
    seen.lost()
    for channel in (1, 2):
        seen.note(channel, at(-1), is_addressed=True)
    newest = {1: at(-1), 2: at(-1)}
    assert seen.places(newest, anywhere) == [Place(2, LOST, False), Place(1, at(-9), False)]
    seen.caught_up(seen.losses)
    seen.lost()
    assert seen.places(newest, anywhere) == []


def test_only_channels_with_something_new_that_may_be_read_are_looked_at():
    seen = GapTracker(Clock())
    seen.note(1, at(-5), is_addressed=True)
    seen.lost()
    newest = {1: at(-5), 2: at(-100), 3: at(0), 4: at(0)}
    assert seen.places(newest, lambda key: key != 4) == [Place(3, LOST, False)]


def test_direct_messages_are_always_looked_at_since_discord_tells_nothing_of_them():
    seen = GapTracker(Clock())
    seen.note(1, at(-5), is_addressed=True, is_direct=True)
    seen.lost()
    assert seen.places({}, anywhere) == [Place(1, at(-5), True)]


def test_a_start_looks_back_to_when_the_process_before_heard_everything():
    seen = GapTracker(Clock())
    seen.recall(NOW - 600, direct=[7, 8])
    assert seen.heard_until == NOW - 600
    since = at(-690)
    assert seen.places({1: at(-680), 2: at(-700)}, anywhere) == [
        Place(7, since, True),
        Place(8, since, True),
        Place(1, since, False),
    ]


def test_what_was_written_more_than_an_hour_ago_is_left_alone():
    clock = Clock()
    seen = GapTracker(clock)
    seen.note(1, at(0), is_addressed=True)
    seen.recall(NOW, direct=[7])
    clock.now += 7200
    assert seen.places({1: at(7100), 2: at(3500)}, anywhere) == [Place(7, at(3600), True), Place(1, at(3600), False)]


def test_neither_the_memory_nor_the_requests_grow_without_bound():
    seen = lost()
    for channel in range(2000):
        seen.note(channel, at(-5) + channel, is_addressed=True, is_direct=channel % 2 == 0)
    assert len(seen._channels) == 500
    places = seen.places({channel: at(0) for channel in range(3000)}, anywhere)
    assert [each.channel_id for each in places if each.is_direct] == list(range(1998, 1948, -2))
    assert [each.channel_id for each in places if not each.is_direct] == list(range(1999, 1799, -2))
