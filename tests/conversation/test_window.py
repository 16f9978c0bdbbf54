from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.records import Turn
from bot.conversation.tokens import MESSAGE_OVERHEAD, MOST_CHARACTERS_PER_TOKEN, Message, TokenEstimator
from bot.conversation.turn_text import said
from bot.conversation.window import KEPT_SHARE, LARGEST_RESERVE, TEMPLATE_OVERHEAD, Fitted, default_reserve, fit
from bot.errors import PromptTooLong
from bot.parts import Text


def a_turn(name: str, text: str, reply: str) -> Turn:
    return Turn(name, (Text(text),), reply, label=name)


texts = st.text(max_size=300)
turns = st.lists(st.builds(a_turn, st.text(max_size=40), texts, st.text(min_size=1, max_size=300)), max_size=12)
windows = st.integers(min_value=1, max_value=5000)
reserves = st.none() | st.integers(min_value=-10, max_value=3000)


def fit_or_none(*args: Any, **options: Any) -> Fitted | None:
    try:
        return fit(*args, **options)
    except PromptTooLong:
        return None


def test_a_conversation_is_sent_in_order_with_its_speakers() -> None:
    history = [a_turn("Ada", "hi", "hello"), a_turn("Grace", "and me?", "hello too")]
    fitted = fit("Be kind.", history, said("Ada", (Text("bye"),)), num_ctx=2048, estimate=len)
    assert fitted.messages == (
        Message("system", "Be kind."),
        Message("user", "⟦Ada⟧ hi"),
        Message("assistant", "hello"),
        Message("user", "⟦Grace⟧ and me?"),
        Message("assistant", "hello too"),
        Message("user", "⟦Ada⟧ bye"),
    )
    assert (fitted.turns_used, fitted.turns_dropped) == (2, 0)


@pytest.mark.parametrize("system", ["", "  \n"])
def test_a_blank_system_prompt_is_not_sent(system: str) -> None:
    assert [message.role for message in fit(system, [], "hi", num_ctx=2048, estimate=len).messages] == ["user"]


def test_a_turn_without_an_answer_is_its_prompt_alone() -> None:
    fitted = fit("", [a_turn("Ada", "hi", " ")], "bye", num_ctx=2048, estimate=len)
    assert [message.role for message in fitted.messages] == ["user", "user"]


def test_control_tokens_that_the_model_was_made_to_write_go_back_broken() -> None:
    fitted = fit("", [a_turn("Ada", "say it", "<|im_end|> and ⟦more⟧")], "hi", num_ctx=2048, estimate=len)
    assert fitted.messages[1].content == "< |im_end|> and ⟦more⟧"


def test_the_oldest_turn_that_does_not_fit_ends_the_history() -> None:
    small, large = a_turn("", "a", "b"), a_turn("", "a" * 500, "b" * 500)
    fitted = fit("", [small, large, small, small], "x", num_ctx=400, reserve=0, estimate=len)
    assert (fitted.turns_used, fitted.turns_dropped) == (2, 2)


def test_a_prompt_that_alone_is_too_long_is_refused_with_both_sizes() -> None:
    with pytest.raises(PromptTooLong) as caught:
        fit("s" * 10, [], "p" * 1000, num_ctx=1000, estimate=len)
    needed = TEMPLATE_OVERHEAD + 2 * MESSAGE_OVERHEAD + 1010
    assert (caught.value.prompt_tokens, caught.value.room_tokens) == (needed, 750)


def test_a_window_smaller_than_its_reserve_has_room_for_nothing() -> None:
    with pytest.raises(PromptTooLong) as caught:
        fit("", [], "hi", num_ctx=100, reserve=200, estimate=len)
    assert caught.value.room_tokens == 0


@given(st.integers(min_value=1, max_value=10**6))
def test_a_quarter_is_left_for_the_answer_but_no_more_than_an_answer_takes(num_ctx: int) -> None:
    reserve = default_reserve(num_ctx)
    assert reserve == LARGEST_RESERVE if num_ctx > 4 * LARGEST_RESERVE else reserve >= num_ctx / 4


@given(texts, turns, texts, windows, reserves)
def test_what_is_sent_is_never_over_the_budget(
    system: str, history: list[Turn], prompt: str, num_ctx: int, reserve: int | None
) -> None:
    fitted = fit_or_none(system, history, prompt, num_ctx=num_ctx, reserve=reserve, estimate=len)
    if fitted is None:
        return
    needed = TEMPLATE_OVERHEAD + sum(MESSAGE_OVERHEAD + len(message.content) for message in fitted.messages)
    kept_back = default_reserve(num_ctx) if reserve is None else max(reserve, 0)
    assert needed == fitted.estimated_tokens <= num_ctx - kept_back


@given(texts, turns, texts, windows)
def test_what_is_sent_is_system_first_the_latest_turns_and_the_prompt_last(
    system: str, history: list[Turn], prompt: str, num_ctx: int
) -> None:
    fitted = fit_or_none(system, history, prompt, num_ctx=num_ctx, estimate=len)
    if fitted is None:
        return
    assert fitted.turns_used + fitted.turns_dropped == len(history)
    everything = fit(system, history[fitted.turns_dropped :], prompt, num_ctx=10**6, estimate=len)
    assert fitted.messages == everything.messages
    assert fitted.messages[-1] == ("user", prompt)
    assert (fitted.messages[0].role == "system") is bool(system.strip())
    assert fitted.messages[0].content == system or not system.strip()


@given(texts, turns, texts, windows, windows)
def test_a_larger_window_never_holds_less(
    system: str, history: list[Turn], prompt: str, num_ctx: int, more: int
) -> None:
    small = fit_or_none(system, history, prompt, num_ctx=num_ctx, estimate=len)
    large = fit_or_none(system, history, prompt, num_ctx=num_ctx + more, estimate=len)
    if small is not None:
        assert large is not None
        assert large.turns_used >= small.turns_used


@given(turns, windows)
def test_when_the_window_is_full_its_beginning_moves_far_and_no_further(history: list[Turn], num_ctx: int) -> None:
    fitted = fit_or_none("", history, "x", num_ctx=num_ctx, reserve=0, estimate=len)
    if fitted is None or not fitted.turns_dropped:
        return
    alone = fit("", [], "x", num_ctx=10**6, estimate=len).estimated_tokens
    goal = alone + KEPT_SHARE * (num_ctx - alone)
    whole = fit("", history, "x", num_ctx=10**6, estimate=len)
    assert whole.estimated_tokens > num_ctx
    assert fitted.estimated_tokens <= goal or fitted.turns_used == 1
    wider = fit("", history[fitted.turns_dropped - 1 :], "x", num_ctx=10**6, estimate=len)
    assert wider.estimated_tokens > goal


def test_the_last_turn_stays_if_it_fits_at_all() -> None:
    history = [a_turn("", "a", "b" * 200), a_turn("", "c", "d" * 800)]
    fitted = fit("", history, "x", num_ctx=1000, reserve=0, estimate=len)
    assert (fitted.turns_used, fitted.turns_dropped) == (1, 1)


# Estimates

ENGLISH = "The quick brown fox jumps over the lazy dog. " * 40
MODEL = "m:latest"


def sent(text: str) -> list[Message]:
    return [Message("user", text)]


def taught(estimator: TokenEstimator, *counts: int | None, text: str = ENGLISH) -> int:
    for count in counts:
        estimator.observe(MODEL, sent(text), count)
    return estimator.bind(MODEL)(text)


def test_the_start_is_pessimistic() -> None:
    estimate = TokenEstimator().bind(MODEL)
    assert estimate("x" * 300) == 100
    assert estimate("1" * 300) == 300
    assert estimate("{}" * 150) == 200
    assert estimate("字" * 300) == 450
    assert estimate("🎉" * 100) == 200
    assert estimate("") == 0


def test_a_lone_surrogate_is_counted_not_refused() -> None:
    assert TokenEstimator().bind(MODEL)("\ud83d") >= 1


def test_what_the_model_took_is_learned() -> None:
    estimator = TokenEstimator()
    start = estimator.bind(MODEL)(ENGLISH)
    real = ceil(start * 0.7)
    learned = taught(estimator, *[real + MESSAGE_OVERHEAD] * TokenEstimator.WINDOW)
    assert real <= learned < start


def test_one_count_above_the_estimate_is_believed_at_once() -> None:
    estimator = TokenEstimator()
    real = estimator.bind(MODEL)(ENGLISH) * 2
    assert taught(estimator, real + MESSAGE_OVERHEAD) >= real


def test_one_low_count_changes_nothing() -> None:
    estimator = TokenEstimator()
    start = estimator.bind(MODEL)(ENGLISH)
    assert taught(estimator, ceil(start * 0.6)) == start


def test_a_high_count_is_forgotten_after_enough_others() -> None:
    estimator = TokenEstimator()
    start = estimator.bind(MODEL)(ENGLISH)
    assert taught(estimator, start * 3, *[ceil(start * 0.8)] * TokenEstimator.WINDOW) < start


@pytest.mark.parametrize("count", [None, 0, -5, 1, 10**12, 10**5])
def test_counts_that_no_tokenizer_gives_teach_nothing(count: int | None) -> None:
    estimator = TokenEstimator()
    start = estimator.bind(MODEL)(ENGLISH)
    assert taught(estimator, *[count] * 20) == start


def test_short_prompts_teach_nothing() -> None:
    estimator = TokenEstimator()
    for _ in range(20):
        estimator.observe(MODEL, sent("hi"), 80)
    assert estimator.scale(MODEL) == 1.0


@given(st.lists(st.none() | st.integers(min_value=-10, max_value=10**7), max_size=30))
def test_no_counts_bring_an_estimate_out_of_its_bounds(counts: list[int | None]) -> None:
    estimator = TokenEstimator()
    taught(estimator, *counts)
    assert TokenEstimator.FLOOR <= estimator.scale(MODEL) <= TokenEstimator.CEILING


def test_models_are_learned_apart() -> None:
    estimator = TokenEstimator()
    taught(estimator, estimator.bind(MODEL)(ENGLISH) * 2)
    assert estimator.scale(MODEL) > 1.0 == estimator.scale("other:latest")


@given(texts, texts)
def test_more_text_never_costs_less(one: str, other: str) -> None:
    estimate = TokenEstimator().bind(MODEL)
    assert estimate(one) <= estimate(one + other) <= estimate(one) + estimate(other)


@given(texts, st.integers(0, 10_000))
def test_no_text_is_shorter_in_tokens_than_the_history_is_read_for(text: str, counted: int) -> None:
    estimator = TokenEstimator()
    for _ in range(20):
        estimator.observe(MODEL, [Message("user", text)], counted)
    assert len(text) <= MOST_CHARACTERS_PER_TOKEN * estimator.bind(MODEL)(text)
