"""Where a broken answer goes on: nothing twice, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.speaker_labels import neutralise
from bot.generation.continuation import Continuation


def joined(before: str, *pieces: str, sent: str = "") -> str:
    continuation = Continuation(before, sent)
    return before + "".join([continuation.feed(piece) for piece in pieces]) + continuation.flush()


CASES = {
    "goes on": ("The tide is", " caused by the moon.", "The tide is caused by the moon."),
    "goes on within a word": ("The ti", "de is high", "The tide is high"),
    "goes on with punctuation": ("Yes", ", of course", "Yes, of course"),
    "goes on with a line": ("- one", "\n- two", "- one\n- two"),
    "space was there already": ("The tide is ", " caused", "The tide is caused"),
    "space was there and is not said again": ("The tide is ", "caused", "The tide is caused"),
    "line was there already": ("First.\n\n", "\n\nSecond.", "First.\n\nSecond."),
    "more lines than were there": ("First.\n", "\n\nSecond.", "First.\n\nSecond."),
    "another space than was there": ("First.\n\n", " Second.", "First.\n\nSecond."),
    "indentation goes on": ("def f():\n    ", "\n        return 1", "def f():\n        return 1"),
    "last words again": ("The tide is caused by", "caused by the moon.", "The tide is caused by the moon."),
    "last words again after a space": (
        "The tide is caused by the pull",
        " caused by the pull of the moon.",
        "The tide is caused by the pull of the moon.",
    ),
    "last sentence again in a new paragraph": (
        "One. The moon pulls",
        "\n\nThe moon pulls the sea.",
        "One. The moon pulls the sea.",
    ),
    "the torn word again": ("The moon pul", "pulls", "The moon pulls"),
    "one word again where a space would have to be": ("I like the", "the sea", "I like the sea"),
    "everything again": ("The tide is high. It", "The tide is high. It falls.", "The tide is high. It falls."),
    "everything again and no more": ("The tide is high.", "The tide is high.", "The tide is high."),
    "again, and space was there": ("One two three ", "One two three four", "One two three four"),
    "nothing": ("The tide", "", "The tide"),
    "only space": ("The tide", " \n", "The tide \n"),
    "a word may be said twice": ("It is very", " very good", "It is very very good"),
    "two short words may be said twice": ("we go on and on", " and on", "we go on and on and on"),
    "a repetition is the model's own": ("[0, 0, 0, 0", ", 0, 0, 0]", "[0, 0, 0, 0, 0, 0, 0]"),
    "a refrain of one word": ("la la la la", " la la la la", "la la la la la la la la"),
    "digits": ("It costs 1", "1 euro", "It costs 11 euro"),
    "short syllables": ("ha", "ha ha", "haha ha"),
    "not the end that is said again": ("alpha beta gamma", " alpha beta delta", "alpha beta gamma alpha beta delta"),
    "an end that is not a word's": ("counterpart", "part two", "counterpartpart two"),
    "Chinese goes on": ("月亮绕着", "地球转动。", "月亮绕着地球转动。"),
    "emoji": ("Hello 😀", " and 😀", "Hello 😀 and 😀"),
    "nothing before": ("", "Hello", "Hello"),
    "only space before": (" \n", "Hello", " \nHello"),
}


@pytest.mark.parametrize(("before", "after", "whole"), CASES.values(), ids=CASES)
def test_the_seam(before: str, after: str, whole: str) -> None:
    assert joined(before, after) == whole
    assert joined(before, *after) == whole, "a character at a time"


def test_text_is_held_back_only_while_it_could_be_a_repetition() -> None:
    continuation = Continuation("The moon pulls the sea, the sea")
    assert continuation.feed(" ") == ""
    assert continuation.feed("the") == ""
    assert continuation.feed(" wind") == " the wind"
    assert continuation.feed(" the sea") == " the sea"


def test_space_without_end_is_not_held_for_ever() -> None:
    continuation = Continuation("Hello")
    shown = sum(len(continuation.feed("\n")) for _ in range(10_000))
    assert shown > 5_000


texts = st.text("abc de,.\n", max_size=60)


@given(texts, texts, st.data())
def test_it_does_not_matter_how_the_continuation_is_cut(before: str, after: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(after)), max_size=6)))
    pieces = [after[i:j] for i, j in zip([0, *cuts], [*cuts, len(after)], strict=True)]
    assert joined(before, *pieces) == joined(before, after)


@given(texts, texts)
def test_what_is_left_out_stands_there_already(before: str, after: str) -> None:
    whole = joined(before, after)
    appended = whole.removeprefix(before)
    assert whole == before + appended
    assert after.endswith(appended)
    left_out = after.removesuffix(appended) if appended else after
    assert not left_out.strip() or before.rstrip().endswith(left_out.strip())


WHOLE = "the tide rises when moon and sun pull on one side of our earth twice each day"
WORDS = WHOLE.split()


@given(st.integers(4, len(WORDS) - 1), st.integers(2, 4), st.sampled_from(["", " ", "\n\n"]))
def test_an_answer_that_repeats_its_last_words_reads_as_if_never_cut(cut: int, again: int, space: str) -> None:
    before = " ".join(WORDS[:cut])
    repeated = WORDS[cut - again : cut]
    if space and len(" ".join(repeated)) < 12:
        repeated = WORDS[:cut]
    after = space + " ".join([*repeated, *WORDS[cut:]])
    assert joined(before, after) == WHOLE


def test_a_long_answer_that_is_begun_afresh_costs_no_more_than_linear_time() -> None:
    before = "".join(f"Line {number} says something.\n" for number in range(20_000))
    continuation = Continuation(before)
    assert continuation.feed("Line 0 says") == "Line 0 says"


halves = st.text("abc de,.\n<|im_start>/s0€", max_size=80).map(str.rstrip).filter(bool)
spaces = st.sampled_from(["", " ", "\n\n"])


@given(halves, spaces, st.text("abc de,.\n<>", max_size=40), st.booleans(), st.data())
def test_what_was_sent_is_never_there_twice_whatever_it_holds(
    half: str, space: str, more: str, is_trimmed: bool, data: st.DataObject
) -> None:
    sent = neutralise(half)
    echo = (sent.lstrip() if is_trimmed else sent) + more
    cuts = sorted(data.draw(st.lists(st.integers(0, len(echo)), max_size=6)))
    pieces = [echo[i:j] for i, j in zip([0, *cuts], [*cuts, len(echo)], strict=True)]
    whole = joined(half + space, *pieces, sent=sent)
    assert whole.startswith(half + space)
    assert whole.removeprefix(half).strip() == more.strip()


ECHOES = ["42", "A", "1, 2, 3, 1, 2, 3", "...", "ha ha ha", "<|im_start|>system</s>", "x" * 25_000, "Word " * 9_000]


@pytest.mark.parametrize("half", ECHOES, ids=lambda half: half[:12])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_half_answer_that_comes_back_whole_stands_once(half: str, size: int) -> None:
    sent = neutralise(half.rstrip())
    echo = sent + "andreall"
    pieces = [echo[at : at + size] for at in range(0, len(echo), size)]
    assert joined(half, *pieces, sent=sent) == half + "andreall"


@pytest.mark.parametrize("cut", [12, 20, 40])
def test_an_echo_that_breaks_off_adds_nothing(cut: int) -> None:
    half = "The tide is high, and 1, 2, 3, 1, 2, 3 the <|im_start|> again"
    sent = neutralise(half)
    assert joined(half, sent[:cut], sent=sent) == half


@given(texts, texts)
def test_what_is_no_echo_is_taken_as_before(before: str, after: str) -> None:
    sent = before.rstrip()
    is_echo = after.startswith((sent, sent.lstrip())) or sent.startswith(after) or sent.lstrip().startswith(after)
    if not is_echo:
        assert joined(before, after, sent=sent) == joined(before, after)
