"""Users have places in turn: nobody waits for ever, nobody has them all."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.records import PromptKind, PromptRecord
from bot.errors import QueueFull
from bot.generation.queue import MAX_WAITING, MAX_WAITING_IN_ALL, MAX_WAITING_OF_USER, ReplyQueue
from bot.generation.session import Phase, Session
from bot.parts import Text

ADA, GRACE, LINUS = 7, 8, 9
_ids = itertools.count(1)


def runs(session: Session) -> bool:
    return session.phase is Phase.GENERATING


def enter(
    queue: ReplyQueue,
    user: int,
    channel: int | None = None,
    kind: PromptKind = PromptKind.ASK,
    *,
    is_owed: bool = False,
) -> Session:
    """A prompt of *user*, in a channel of its own unless one is named."""
    message_id = next(_ids)
    channel = 10_000 + message_id if channel is None else channel
    asked = PromptRecord(message_id, channel, None, user, "Somebody", (Text("Hi"),), 0.0, kind)
    return queue.enter(asked, lambda _: None, is_owed=is_owed)


def users(queue: ReplyQueue) -> list[int]:
    return [reply.prompt.author_id for reply in queue if runs(reply)]


def served(queue: ReplyQueue, count: int) -> list[int]:
    """Let replies end one by one; return whose turn it was each time."""
    order = []
    for _ in range(count):
        before = list(queue)
        queue.leave(before[0])
        order += [r.prompt.author_id for r in queue if runs(r) and r in before[1:]][-1:]
    return order


def test_one_with_twenty_channels_does_not_hold_the_others_up() -> None:
    queue = ReplyQueue(1)
    for _ in range(8):
        enter(queue, ADA)
    for user in (GRACE, LINUS):
        enter(queue, user)
    assert users(queue) == [ADA]
    assert served(queue, 5) == [GRACE, LINUS, ADA, ADA, ADA]


def test_users_with_as_much_to_ask_go_in_turn() -> None:
    queue = ReplyQueue(1)
    for user in (ADA, GRACE, LINUS):
        for _ in range(3):
            enter(queue, user)
    assert served(queue, 8) == [GRACE, LINUS, ADA, GRACE, LINUS, ADA, GRACE, LINUS]


def test_of_one_users_replies_the_oldest_comes_first() -> None:
    queue = ReplyQueue(1)
    replies = [enter(queue, ADA) for _ in range(4)]
    for i in range(3):
        queue.leave(replies[i])
        assert runs(replies[i + 1])


def test_asking_one_by_one_is_no_way_to_the_front() -> None:
    """Two who ask again as soon as they are answered, so that one of them is always new in the line."""
    queue = ReplyQueue(1)
    for _ in range(4):
        enter(queue, ADA)
    for user in (GRACE, LINUS):
        enter(queue, user)
    order = []
    for _ in range(9):
        running = next(iter(queue))
        queue.leave(running)
        order += users(queue)
        if running.prompt.author_id != ADA:
            enter(queue, running.prompt.author_id)
    assert order == [GRACE, LINUS, ADA, GRACE, LINUS, ADA, GRACE, LINUS, ADA]


def test_who_has_least_running_comes_first() -> None:
    queue = ReplyQueue(3)
    running = [enter(queue, ADA), enter(queue, ADA), enter(queue, GRACE)]
    for user in (ADA, GRACE, LINUS):
        enter(queue, user)
    queue.leave(running[0])
    assert sorted(users(queue)) == [ADA, GRACE, LINUS]


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6), (16, 12)])
def test_the_last_quarter_of_the_places_is_for_others(places: int, most: int) -> None:
    queue = ReplyQueue(places)
    replies = [enter(queue, ADA) for _ in range(min(places + 1, most + MAX_WAITING_OF_USER))]
    assert len(users(queue)) == most
    assert queue.is_over_share(replies[-1])
    assert not queue.is_over_share(replies[0])
    if most < places:
        assert runs(enter(queue, GRACE))
    queue.leave(replies[0])
    assert users(queue).count(ADA) == most


def test_a_users_waiting_prompts_are_bounded_over_all_channels() -> None:
    queue = ReplyQueue(1)
    replies = [enter(queue, ADA) for _ in range(1 + MAX_WAITING_OF_USER)]
    with pytest.raises(QueueFull) as caught:
        enter(queue, ADA)
    assert caught.value.of == "user"
    enter(queue, GRACE)
    queue.leave(replies[3])
    enter(queue, ADA)


def test_one_user_cannot_fill_a_channels_line() -> None:
    assert MAX_WAITING_OF_USER < MAX_WAITING
    queue = ReplyQueue(4)
    for _ in range(1 + MAX_WAITING_OF_USER):
        enter(queue, ADA, channel=1, kind=PromptKind.CHAT)
    enter(queue, GRACE, channel=1, kind=PromptKind.CHAT)


def test_all_that_waits_is_bounded_and_what_need_not_wait_is_taken() -> None:
    queue = ReplyQueue(4)
    chat = PromptKind.CHAT
    for channel in range(3):
        enter(queue, LINUS, channel, chat)
    for user in range(100, 100 + MAX_WAITING_IN_ALL // MAX_WAITING_OF_USER):
        for _ in range(MAX_WAITING_OF_USER):
            enter(queue, user, channel=user % 3, kind=chat, is_owed=True)
    assert len(list(queue)) == 3 + MAX_WAITING_IN_ALL
    assert runs(enter(queue, GRACE))
    with pytest.raises(QueueFull) as caught:
        enter(queue, GRACE)
    assert caught.value.of == "all"
    assert caught.value.sentence().startswith("I am busy")


def test_an_ask_is_not_refused_for_a_line_in_which_it_does_not_stand() -> None:
    queue = ReplyQueue(4)
    for i in range(1 + MAX_WAITING):
        enter(queue, 100 + i, channel=1, kind=PromptKind.CHAT)
    assert runs(enter(queue, GRACE, channel=1))


def test_what_an_earlier_process_had_taken_in_always_finds_room() -> None:
    queue = ReplyQueue(1)
    for _ in range(3 * MAX_WAITING):
        enter(queue, ADA, channel=1, kind=PromptKind.CHAT, is_owed=True)
    assert len(list(queue)) == 3 * MAX_WAITING


@given(
    places=st.integers(1, 6),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 100)), max_size=80),
)
def test_a_place_is_free_only_if_nobody_may_have_it(places: int, moves: list[tuple[bool, int, int]]) -> None:
    queue = ReplyQueue(places)
    present: list[Session] = []
    for is_leave, user, pick in moves:
        if is_leave and present:
            queue.leave(present.pop(pick % len(present)))
        elif not is_leave:
            try:
                present.append(enter(queue, user))
            except QueueFull:
                continue
        running = users(queue)
        most = places - places // 4
        assert len(running) <= places
        assert all(running.count(user) <= most for user in running)
        waiting = {reply.prompt.author_id for reply in present if not runs(reply)}
        assert len(running) == places or all(running.count(user) == most for user in waiting)
    for reply in present:
        queue.leave(reply)
    assert queue._shares._shares == {}


@given(
    places=st.integers(1, 4),
    crowd=st.lists(st.integers(100, 110), min_size=1, max_size=60),
)
def test_who_waits_is_served_after_few_others_however_many_come(places: int, crowd: list[int]) -> None:
    """Each time a place is given back somebody new comes, as in a busy server."""
    queue = ReplyQueue(places)
    for user in range(places):
        enter(queue, user)
    mine = enter(queue, ADA + 1000)
    for passed, user in enumerate(itertools.cycle(crowd)):
        if runs(mine):
            break
        with contextlib.suppress(QueueFull):
            enter(queue, user)
        queue.leave(next(iter(queue)))
        assert passed <= places + len(set(crowd)) + 1
