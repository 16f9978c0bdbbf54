"""Of our own messages the model's words are quoted, and nothing that we put around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.quotes import without_marks
from bot.markdown.dress import quote
from bot.markdown.splitter import Splitter
from bot.streaming.plan import overlong_line
from tests.markdown.documents import documents

STATES = [
    "-# ⏳ the model's last words came <t:1790000000:R>",
    "-# `/stop` ends it",
    "-# ⚠️ interrupted: Discord took no more of this answer",
    "-# the whole answer, 12,345 characters, is in the attached file\n-# ⏹️ stopped by Ada",
    overlong_line(8, 12345),
]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("The tide ▌", "The tide"),
        ("The tide ▌\n-# ⏳ the model's last words came <t:1:R>\n-# `/stop` ends it", "The tide"),
        ("```py\nx = 1 ▌\n```", "```py\nx = 1\n```"),
        ("```py\nx = 1\n```\n▌", "```py\nx = 1\n```"),
        ("> ```py\n> x ▌\n> ```", "> ```py\n> x\n> ```"),
        ("-# ⏳ waiting for llama3.2 · asked <t:1:R> · ⏹️ or `/stop` ends it", ""),
        ("▌", ""),
        ("a ▌ b", "a ▌ b"),
        ("\\-# no state of ours", "\\-# no state of ours"),
    ],
)
def test_marks_are_left_out(shown: str, words: str):
    assert without_marks(shown, is_command=False) == words


@given(text=documents(), cut=st.integers(0, 400), states=st.lists(st.sampled_from(STATES), max_size=3))
def test_what_grows_and_what_has_ended_is_quoted_as_the_words_that_it_shows(text: str, cut: int, states: list[str]):
    growing = Splitter(limit=2000)
    growing.feed(text[:cut])
    bare = Splitter(limit=2000, cursor="")
    bare.feed(text[:cut])
    below = "".join(f"\n{state}" for state in states)
    assert without_marks(growing.tail() + below, is_command=False) == bare.tail().strip()
    for page in growing.closed:
        assert without_marks(page + below, is_command=False) == page.strip()


@given(question=st.text(min_size=1, max_size=300), words=documents())
def test_the_question_above_a_commands_answer_is_left_out(question: str, words: str):
    page = words[:1500].strip()
    assert without_marks(quote(question) + page, is_command=True) == without_marks(page, is_command=False)
