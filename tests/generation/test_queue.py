"""Order, places and numbers of the reply queue."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.records import PromptKind, PromptRecord
from bot.errors import QueueFull, ShuttingDown
from bot.generation.queue import MAX_DELIVERING, MAX_WAITING, ReplyQueue
from bot.generation.session import Phase, Session, StopCause
from bot.parts import Text

_ids = itertools.count(1)


def prompt(channel: int = 1, kind: PromptKind = PromptKind.CHAT) -> PromptRecord:
    """A prompt of a user who has asked nothing else: what users share is in ``test_shares``."""
    message_id = next(_ids)
    return PromptRecord(message_id, channel, None, 1000 + message_id, "Ada", (Text("Hi"),), 0.0, kind)


def runs(session: Session) -> bool:
    return session.phase is Phase.GENERATING


def enter(queue: ReplyQueue, channel: int = 1, kind: PromptKind = PromptKind.CHAT) -> Session:
    return queue.enter(prompt(channel, kind), lambda _: None)


def test_a_channels_chat_runs_one_at_a_time_in_order() -> None:
    queue = ReplyQueue(16)
    first, second, third = (enter(queue) for _ in range(3))
    assert [runs(reply) for reply in (first, second, third)] == [True, False, False]
    assert [queue.ahead(reply) for reply in (first, second, third)] == [0, 1, 2]
    queue.leave(first)
    assert [runs(reply) for reply in (second, third)] == [True, False]
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
    assert [runs(reply) for reply in replies] == [True, True, False]
    assert queue.ahead(replies[2]) == 0
    queue.leave(replies[0])
    assert runs(replies[2])


def test_an_ask_passes_its_channels_chat_but_waits_for_a_free_place() -> None:
    queue = ReplyQueue(2)
    chat, waiting = enter(queue), enter(queue)
    ask = enter(queue, kind=PromptKind.ASK)
    late = enter(queue, kind=PromptKind.ASK)
    assert [runs(reply) for reply in (chat, waiting, ask, late)] == [True, False, True, False]
    assert queue.ahead(late) == 0
    queue.leave(chat)
    assert runs(waiting)


def test_a_running_ask_does_not_hold_its_channels_chat_up() -> None:
    queue = ReplyQueue(4)
    enter(queue, kind=PromptKind.ASK)
    assert runs(enter(queue))


def test_who_waits_is_told_when_the_line_moves() -> None:
    queue = ReplyQueue(4)
    told: list[tuple[int, int]] = []
    replies = [queue.enter(prompt(), lambda reply, i=i: told.append((i, queue.ahead(reply)))) for i in range(4)]
    told.clear()
    queue.leave(replies[0])
    assert told == [(1, 0), (2, 1), (3, 2)]
    told.clear()
    queue.leave(replies[2])
    assert told == [(1, 0), (3, 1)]


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
    assert [runs(reply) for reply in (second, third)] == [True, False]


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
    assert not runs(waiting)


async def test_in_a_held_channel_only_chat_that_is_new_waits() -> None:
    queue = ReplyQueue(16)
    queue.recovery_gate.hold([1, 1])
    owed_prompt = prompt()
    new, ask, elsewhere = enter(queue), enter(queue, kind=PromptKind.ASK), enter(queue, channel=2)
    assert [runs(reply) for reply in (new, ask, elsewhere)] == [False, True, True]
    assert queue.is_held(new)
    owed = queue.enter(owed_prompt, lambda _: None, is_owed=True)
    queue.recovery_gate.release(1)
    queue.recovery_gate.release(1)
    assert [runs(reply) for reply in (owed, new)] == [True, False]
    queue.leave(owed)
    assert runs(new)


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
    present: list[Session] = []
    for what, channel, pick in moves:
        if what == "leave":
            if present:
                queue.leave(present.pop(pick % len(present)))
        else:
            present.append(enter(queue, channel, PromptKind(what)))
        running = [reply for reply in present if runs(reply)]
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
    assert sum(runs(enter(queue, channel)) for channel in range(10)) == limit


def test_while_one_reply_is_delivered_the_next_is_generated_and_no_other() -> None:
    queue = ReplyQueue(16)
    first, second, third = (enter(queue) for _ in range(3))
    queue.generated(first)
    assert [session.phase for session in (first, second, third)] == [Phase.DELIVERING, Phase.GENERATING, Phase.QUEUED]
    assert [queue.may_show(session) for session in (first, second, third)] == [True, False, False]
    queue.generated(second)
    assert third.phase is Phase.QUEUED, "two are to be shown before it"
    assert [queue.ahead(session) for session in (first, second, third)] == [0, 1, 2]
    queue.leave(first)
    assert queue.may_show(second)
    assert runs(third)
    queue.leave(second)
    assert queue.may_show(third)


def test_a_place_and_a_share_are_free_as_soon_as_the_model_is_done() -> None:
    queue = ReplyQueue(1)
    first, elsewhere = enter(queue, 1), enter(queue, 2)
    assert not runs(elsewhere)
    queue.generated(first)
    assert runs(elsewhere)
    assert queue.may_show(elsewhere)


def test_nobody_begins_while_far_too_much_waits_for_discord() -> None:
    queue = ReplyQueue(1)
    shown = [enter(queue, channel) for channel in range(MAX_DELIVERING)]
    for session in shown:
        queue.generated(session)
    late = enter(queue, 99)
    assert not runs(late)
    queue.leave(shown[0])
    assert runs(late)


@pytest.mark.parametrize("phase", list(Phase))
def test_stopping_counts_in_every_phase_but_the_last(phase: Phase) -> None:
    queue = ReplyQueue(1)
    session = enter(queue)
    session.phase = phase
    assert session.stop(StopCause(" by Ada")) == (phase is not Phase.DONE)
    assert not session.stop(StopCause(" by Grace")), "once is enough"


def test_a_shutdown_stops_what_is_not_complete() -> None:
    queue = ReplyQueue(16)
    delivered, generated, waiting = (enter(queue) for _ in range(3))
    queue.generated(delivered)
    queue.stop_all(StopCause(": the bot was shut down"))
    assert [session.cause is not None for session in (delivered, generated, waiting)] == [False, True, True]
