"""Emitted characters are matched with visible ones, whatever happens to them on the way."""

from __future__ import annotations

import pytest

from bot.playground.page.lag import LagMeter, LetterFilter, TokenStream, letters


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


SAME = "I am a stand-in, not a real model, so I can only tell you that I heard you."


def reply(content, ident, asked, *, by="Ada"):
    return {"id": ident, "content": content, "referenced_message": {"content": asked, "author": {"global_name": by}}}


def test_the_quoted_question_above_a_commands_answer_is_not_the_models():
    stream = stream_of(SAME, prompt="what is the weather like?")
    meter = LagMeter(lambda: [stream])
    assert meter.seen(message("> what is the weather like?\nI am a stand-in▌"), 9.0) == len("Iamastandin")
    assert meter.seen(message(f"> what is the weather like?\n{SAME}"), 9.0) == len(letters(SAME)) - len("Iamastandin")


def test_an_answer_to_a_command_leaves_the_next_answers_lag_alone():
    command = stream_of(SAME, prompt="what is the weather like?", step=0.0)
    command.ended = True
    mention = stream_of(SAME, prompt="⟦Ada⟧ hello", start=30.0, step=0.0)
    meter = LagMeter(lambda: [command, mention])
    meter.seen(message(f"> what is the weather like?\n{SAME}"), 0.5)
    meter.seen(reply(SAME, "2", "<@42> hello"), 30.2)
    assert meter.summary(since=30).mean == pytest.approx(0.2)


def test_a_model_that_begins_with_a_quote_is_read_as_a_whole():
    stream = stream_of("> to be or not to be\nsaid Hamlet", prompt="quote something")
    meter = LagMeter(lambda: [stream])
    assert meter.seen(message("> to be or not to be\nsaid Hamlet"), 9.0) == len(stream.text)


def test_the_mention_in_a_question_does_not_hide_whom_it_belongs_to():
    streams = [stream_of(SAME, prompt=f"⟦{who}⟧ hello @Linus, you") for who in ("Ada", "Grace")]
    meter = LagMeter(lambda: streams)
    meter.seen(reply(SAME, "1", "<@42> hello <@7>, you", by="Grace"), 9.0)
    meter.seen(reply(SAME, "2", "<@42> bye", by="Grace"), 9.0)
    assert [stream.shown > 0 for stream in streams] == [True, True]
    assert meter.summary().characters == 2 * len(letters(SAME))


def test_the_same_question_of_two_people_goes_to_each_ones_stream():
    ada, grace = (stream_of(SAME, prompt=f"⟦{who}⟧ code") for who in ("Ada", "Grace"))
    meter = LagMeter(lambda: [ada, grace])
    meter.seen(reply("I am a stand-in", "1", "<@42> code", by="Grace"), 9.0)
    assert (ada.shown, grace.shown) == (0, len("Iamastandin"))


def test_what_nobody_saw_a_minute_after_its_end_is_given_up():
    lost, fresh = stream_of(SAME, prompt="one", step=0.0), stream_of(SAME, prompt="two", start=100.0, step=0.0)
    lost.ended = True
    meter = LagMeter(lambda: [lost, fresh])
    meter.seen(message(SAME), 100.5)
    assert (lost.shown, meter.summary().mean) == (0, pytest.approx(0.5))
