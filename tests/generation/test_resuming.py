"""What is sent to have a model go on: everything that fits, the half answer last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.tokens import MESSAGE_OVERHEAD, Message
from bot.conversation.window import TEMPLATE_OVERHEAD, Fitted, extend

SYSTEM, PROMPT = Message("system", "s" * 10), Message("user", "p" * 20)


def fitted(*turns: tuple[int, int | None], system: bool = True) -> Fitted:
    """A conversation whose turns have questions and answers of these lengths (None: no answer)."""
    middle = []
    for asked, answered in turns:
        middle.append(Message("user", "q" * asked))
        if answered is not None:
            middle.append(Message("assistant", "a" * answered))
    first = [SYSTEM] if system else []
    return Fitted((*first, *middle, PROMPT), len(turns), 0, 0)


def partial(length: int) -> Message:
    return Message("assistant", "x" * length)


def test_what_fits_is_sent_whole() -> None:
    before = fitted((10, 10), (10, 10))
    after = extend(before, partial(50), num_ctx=1024, estimate=len)
    assert after is not None
    assert after.messages == (*before.messages, partial(50))
    assert (after.turns_used, after.turns_dropped) == (2, 0)


def test_the_oldest_turns_go_first_and_whole() -> None:
    before = fitted((100, 100), (30, None), (30, 30))
    after = extend(before, partial(300), num_ctx=620, estimate=len)
    assert after is not None
    roles = [message.role for message in after.messages]
    assert roles == ["system", "user", "user", "assistant", "user", "assistant"]
    assert after.messages[1].content == "q" * 30
    assert (after.turns_used, after.turns_dropped) == (2, 1)


def test_what_does_not_fit_alone_is_not_sent() -> None:
    assert extend(fitted((5, 5)), partial(1000), num_ctx=1024, estimate=len) is None
    assert extend(fitted(system=False), partial(1000), num_ctx=1024, estimate=len) is None


lengths = st.lists(st.tuples(st.integers(0, 200), st.none() | st.integers(0, 200)), max_size=8)


@given(lengths, st.integers(1, 900), st.integers(512, 2048), st.booleans())
def test_question_and_half_answer_always_stay_and_it_always_fits(turns, length, num_ctx, system) -> None:
    before = fitted(*turns, system=system)
    after = extend(before, partial(length), num_ctx=num_ctx, estimate=len)
    if after is None:
        assert length + 30 + 3 * MESSAGE_OVERHEAD + TEMPLATE_OVERHEAD > num_ctx - num_ctx // 16 - 11
        return
    assert after.messages[-2:] == (PROMPT, partial(length))
    assert (after.messages[0] == SYSTEM) is system
    needed = sum(MESSAGE_OVERHEAD + len(message.content) for message in after.messages) + TEMPLATE_OVERHEAD
    assert needed == after.estimated_tokens <= num_ctx - num_ctx // 16
    assert after.turns_used + after.turns_dropped == len(turns)
    if len(after.messages) > 2 + system:
        assert after.messages[int(system)].role == "user"
