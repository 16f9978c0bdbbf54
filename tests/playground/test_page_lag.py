"""Emitted characters are matched with visible ones, whatever happens to them on the way."""

from __future__ import annotations

import pytest

from bot.playground.lag import LagMeter, LetterFilter, TokenStream, letters


def stream_of(text, *, prompt="", start=0.0, step=0.1):
    stream = TokenStream(prompt=letters(prompt))
    for number, char in enumerate(text):
        stream.feed(char, start + number * step)
    return stream


def message(content, ident="1", asked=None):
    return {"id": ident, "content": content, "referenced_message": {"content": asked} if asked else None}


def test_each_character_counts_once_with_its_own_lag():
    stream = stream_of("abcdefghij", step=1.0)
    meter = LagMeter(lambda: [stream])
    assert meter.seen(message("abcd▌"), 10.0) == 4
    assert meter.seen(message("abcdefghij"), 20.0) == 6
    assert meter.seen(message("abcdefghij"), 30.0) == 0
    summary = meter.summary()
    assert summary.characters == 10
    assert summary.mean == pytest.approx((10 + 9 + 8 + 7 + 16 + 15 + 14 + 13 + 12 + 11) / 10)
    assert meter.summary(since=15).characters == 6


def test_marks_cursor_and_state_lines_do_not_matter():
    stream = stream_of("# Title\nSome **bold text\n```python\nprint(1)")
    meter = LagMeter(lambda: [stream])
    assert meter.seen(message("# Title\nSome **bold text**\n```python\nprint(1)\n```▌\n-# thinking · 3 s"), 9.0) == len(
        letters("TitleSomeboldtextprint1")
    )


def test_a_second_page_goes_on_where_the_first_ended():
    stream = stream_of("first page of text and then the second page of text")
    meter = LagMeter(lambda: [stream])
    meter.seen(message("first page of text and"), 9.0)
    assert meter.seen(message("then the second page", ident="2"), 9.0) == len("thenthesecondpage")
    assert meter.summary().characters == len(letters("first page of text and then the second page"))


def test_equal_answers_are_told_apart_by_their_prompts():
    first = stream_of("I am a stand-in and so on", prompt="Ada: hello world")
    second = stream_of("I am a stand-in and so on", prompt="Grace: goodbye", start=5.0)
    meter = LagMeter(lambda: [first, second])
    meter.seen(message("I am a stand", asked="<@1> goodbye".replace("<@1> ", "")), 9.0)
    assert (first.shown, second.shown) == (0, len("Iamastand"))


def test_what_is_not_the_models_counts_nothing():
    meter = LagMeter(lambda: [stream_of("hello world")])
    assert meter.seen(message("Waiting for the model"), 1.0) == 0
    assert meter.seen(message("-# thinking"), 1.0) == 0
    assert meter.summary().mean is None


def test_a_rewritten_table_does_not_lose_the_rest():
    stream = stream_of("See here\n| Route name | Limit |\n|---|---|\n| posting | five |\nAnd afterwards we go on")
    meter = LagMeter(lambda: [stream])
    meter.seen(
        message("See here\n```\nRoute name  Limit\nposting     five\n```\nExtra words here. And afterwards we go on"),
        9.0,
    )
    assert stream.shown == len(stream.text)


def test_a_status_message_becomes_the_answer():
    stream = stream_of("the answer itself")
    meter = LagMeter(lambda: [stream])
    meter.seen(message("Waiting for the model"), 1.0)
    assert meter.seen(message("the answer"), 2.0) == len("theanswer")


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_filter_is_the_same_for_any_pieces(size):
    text = "a ```b``` c\n> ```py\ncode\n> ```\n-# small\n- #tag\nend"
    whole = LetterFilter()
    assert "".join(whole.feed(text[i : i + size]) for i in range(0, len(text), size)) == "abccodetagend"
