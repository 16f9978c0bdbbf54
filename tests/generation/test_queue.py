"""Order, places and numbers of the reply queue."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.records import PromptKind, PromptRecord
from bot.errors import QueueFull, ShuttingDown
from bot.generation.queue import MAX_WAITING, ReplyQueue
from bot.generation.running import RunningReply, StopCause

_ids = itertools.count(1)


def prompt(channel: int = 1, kind: PromptKind = PromptKind.CHAT) -> PromptRecord:
    """A prompt of a user who has asked nothing else: what users share is in ``test_shares``."""
    message_id = next(_ids)
    return PromptRecord(message_id, channel, None, 1000 + message_id, "Ada", "Hi", 0.0, kind)


def enter(queue: ReplyQueue, channel: int = 1, kind: PromptKind = PromptKind.CHAT) -> RunningReply:
    return queue.enter(prompt(channel, kind), lambda _: None)


def test_a_channels_chat_runs_one_at_a_time_in_order() -> None:
    queue = ReplyQueue(16)
    first, second, third = (enter(queue) for _ in range(3))
    assert [queue.is_running(reply) for reply in (first, second, third)] == [True, False, False]
    assert [queue.ahead(reply) for reply in (first, second, third)] == [0, 1, 2]
    queue.leave(first)
    assert [queue.is_running(reply) for reply in (second, third)] == [True, False]
    assert [queue.ahead(reply) for reply in (second, third)] == [0, 1]


def test_who_asked_first_comes_first_even_if_taken_in_later() -> None:
    queue = ReplyQueue(16)
    enter(queue)
    earlier, later, elsewhere = prompt(), prompt(), prompt(channel=2, kind=PromptKind.ASK)
    second = queue.enter(later, lambda _: None)
    queue.enter(elsewhere, lambda _: None)
    first = queue.enter(earlier, lambda _: None)
    assert [queue.ahead(reply) for reply in (first, second)] == [1, 2]


def test_channels_run_side_by_side_up_to_the_number() -> None:
    queue = ReplyQueue(2)
    replies = [enter(queue, channel) for channel in range(3)]
    assert [queue.is_running(reply) for reply in replies] == [True, True, False]
    assert queue.ahead(replies[2]) == 0
    queue.leave(replies[0])
    assert queue.is_running(replies[2])


def test_an_ask_passes_its_channels_chat_but_waits_for_a_free_place() -> None:
    queue = ReplyQueue(2)
    chat, waiting = enter(queue), enter(queue)
    ask = enter(queue, kind=PromptKind.ASK)
    late = enter(queue, kind=PromptKind.ASK)
    assert [queue.is_running(reply) for reply in (chat, waiting, ask, late)] == [True, False, True, False]
    assert queue.ahead(late) == 0
    queue.leave(chat)
    assert queue.is_running(waiting)


def test_a_running_ask_does_not_hold_its_channels_chat_up() -> None:
    queue = ReplyQueue(4)
    enter(queue, kind=PromptKind.ASK)
    assert queue.is_running(enter(queue))


def test_who_waits_is_told_when_the_line_moves() -> None:
    queue = ReplyQueue(4)
    told: list[tuple[int, int]] = []
    replies = [queue.enter(prompt(), lambda reply, i=i: told.append((i, queue.ahead(reply)))) for i in range(4)]
    told.clear()
    queue.leave(replies[0])
    assert told == [(2, 1), (3, 2)]
    told.clear()
    queue.leave(replies[2])
    assert told == [(3, 1)]


def test_more_than_a_channel_may_hold_is_refused_and_other_channels_are_not() -> None:
    queue = ReplyQueue(16)
    replies = [enter(queue) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(QueueFull) as caught:
        enter(queue)
    assert "in this channel" in caught.value.sentence()
    enter(queue, channel=2)
    queue.leave(replies[5])
    enter(queue)


def test_leaving_twice_gives_no_second_place_away() -> None:
    queue = ReplyQueue(1)
    first, second, third = (enter(queue, channel) for channel in range(3))
    queue.leave(first)
    queue.leave(first)
    assert [queue.is_running(reply) for reply in (second, third)] == [True, False]


def test_after_closing_nothing_is_taken_in() -> None:
    queue = ReplyQueue(1)
    queue.close(StopCause(": the bot was shut down"))
    with pytest.raises(ShuttingDown):
        enter(queue)


def test_closing_stops_who_waits_and_lets_nobody_begin() -> None:
    queue = ReplyQueue(1)
    running, waiting = enter(queue), enter(queue)
    cause = StopCause(": the bot was shut down", is_put_off=True)
    queue.close(cause)
    assert (running.cause, waiting.cause) == (None, cause)
    queue.leave(running)
    assert not queue.is_running(waiting)


async def test_in_a_held_channel_only_chat_that_is_new_waits() -> None:
    queue = ReplyQueue(16)
    queue.holds.hold([1, 1])
    owed_prompt = prompt()
    new, ask, elsewhere = enter(queue), enter(queue, kind=PromptKind.ASK), enter(queue, channel=2)
    assert [queue.is_running(reply) for reply in (new, ask, elsewhere)] == [False, True, True]
    assert queue.is_held(new)
    owed = queue.enter(owed_prompt, lambda _: None, is_owed=True)
    queue.holds.release(1)
    queue.holds.release(1)
    assert [queue.is_running(reply) for reply in (owed, new)] == [True, False]
    queue.leave(owed)
    assert queue.is_running(new)


async def test_a_turn_comes_when_those_before_have_left() -> None:
    queue = ReplyQueue(1)
    first, second = enter(queue, 1), enter(queue, 2)
    await asyncio.wait_for(queue.turn(first), 1)
    turn = asyncio.create_task(queue.turn(second))
    await asyncio.sleep(0)
    assert not turn.done()
    queue.leave(first)
    await asyncio.wait_for(turn, 1)


async def test_drained_waits_for_everybody() -> None:
    queue = ReplyQueue(1)
    await asyncio.wait_for(queue.drained(), 1)
    replies = [enter(queue, channel) for channel in range(2)]
    drained = asyncio.create_task(queue.drained())
    queue.leave(replies[1])
    await asyncio.sleep(0)
    assert not drained.done()
    queue.leave(replies[0])
    await asyncio.wait_for(drained, 1)


def test_stop_all_reaches_those_who_run_and_those_who_wait() -> None:
    queue = ReplyQueue(1)
    replies = [enter(queue) for _ in range(3)]
    replies[0].stop(StopCause(" by Ada"))
    queue.stop_all(StopCause(": the bot was shut down"))
    assert [reply.cause and reply.cause.words for reply in replies] == [
        " by Ada",
        ": the bot was shut down",
        ": the bot was shut down",
    ]


def test_a_reply_is_found_by_its_prompt_and_by_its_messages() -> None:
    class Shown:
        message_ids = (901, 902)

    queue = ReplyQueue(1)
    first, second = enter(queue, 1), enter(queue, 2)
    first.sink = Shown()  # type: ignore[assignment]
    assert queue.find(first.prompt.message_id) is first
    assert queue.find(902) is first
    assert queue.find(second.prompt.message_id) is second
    assert queue.find(903) is None
    assert queue.in_channel(2) == [second]


@given(
    limit=st.integers(1, 4),
    moves=st.lists(
        st.tuples(st.sampled_from(["chat", "ask", "leave"]), st.integers(0, 3), st.integers(0, 100)), max_size=60
    ),
)
def test_no_place_is_lost_and_no_channel_chats_twice(limit: int, moves: list[tuple[str, int, int]]) -> None:
    queue = ReplyQueue(limit)
    present: list[RunningReply] = []
    for what, channel, pick in moves:
        if what == "leave":
            if present:
                queue.leave(present.pop(pick % len(present)))
        else:
            present.append(enter(queue, channel, PromptKind(what)))
        running = [reply for reply in present if queue.is_running(reply)]
        chats = [reply.prompt.channel_id for reply in running if reply.prompt.kind is PromptKind.CHAT]
        assert len(running) <= limit
        assert len(chats) == len(set(chats))
        assert list(queue) == sorted(present, key=lambda reply: (reply not in running, list(queue).index(reply)))
        able = [
            reply
            for reply in present
            if reply not in running and (reply.prompt.kind is PromptKind.ASK or reply.prompt.channel_id not in chats)
        ]
        assert not able or len(running) == limit
    for reply in present:
        queue.leave(reply)
    assert list(queue) == []
    assert sum(queue.is_running(enter(queue, channel)) for channel in range(10)) == limit
