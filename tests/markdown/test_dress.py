"""Our cursor is told from the same character in the model's text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.markdown.dress import has_cursor, with_hint, without_cursor
from bot.markdown.splitter import Splitter
from bot.streaming.plan import overlong_line

HINT = "\n-# `/stop` ends it"
SNIPPETS = st.sampled_from(
    [
        "word ",
        "▌",
        " ▌",
        "▌\n",
        "**",
        "*",
        "`",
        "```py\n",
        "```\n",
        "\n",
        "\n\n",
        "> ",
        "- ",
        "||",
        "| a | b |\n",
        "|-|-|\n",
    ]
)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("Hello ▌", "Hello"),
        ("**Hello** ▌", "**Hello**"),
        ("```py\nx = 1 ▌\n```", "```py\nx = 1\n```"),
        ("> ```py\n> x ▌\n> ```", "> ```py\n> x\n> ```"),
        ("```py\nx\n```\n▌", "```py\nx\n```"),
        ("A ▌ and ▌ ▌", "A ▌ and ▌"),
        ("Hello ▌\n-# ⏳ the model's last words came <t:1:R>", "Hello"),
        ("```py\nx = 1 ▌\n```\n-# ⏳ quiet", "```py\nx = 1\n```"),
        ("-# too long for 8 messages: 9 characters so far, a file follows ▌", None),
    ],
)
def test_the_cursor_goes_and_the_rest_stays(shown: str, text: str | None):
    text = shown[:-2] if text is None else text
    assert has_cursor(shown)
    assert without_cursor(shown) == text
    assert without_cursor(with_hint(shown, 2000)) == text


def test_the_line_that_counts_goes_with_it_but_not_from_under_a_final_text():
    counted = f"The last page\n{overlong_line(8, 12345)}"
    assert without_cursor(counted) == "The last page"
    assert without_cursor(counted.removesuffix(" ▌")) == counted.removesuffix(" ▌")


@pytest.mark.parametrize(
    "text", ["", "▌", "Half a block: ▌.", "A ▌ in the middle", "▌▌▌", "`▌`", "```\n▌\n```", "**bold ▌**", "a\n▌"]
)
def test_the_models_own_block_is_no_cursor(text: str):
    assert not has_cursor(text)
    assert without_cursor(text) == text


@example("**```py\nword ```\n", "raw")  # marks close after what ends like a code block
@given(st.lists(SNIPPETS, max_size=30).map("".join), st.sampled_from(["discord", "raw"]))
def test_every_growing_page_has_one_and_loses_nothing_else(text: str, mode):
    splitter = Splitter(mode=mode)
    splitter.feed(text)
    page = splitter.tail()
    bare = Splitter(mode=mode, cursor="")
    bare.feed(text)
    assert has_cursor(page) is bool(page)
    if page:
        assert without_cursor(page) == bare.tail()
        assert without_cursor(with_hint(page, 2000)) == bare.tail()


def test_a_hint_that_does_not_fit_is_left_out():
    page = "x" * 1998 + " ▌"
    assert with_hint(page, 2000) == page
    assert with_hint("x ▌", 2000) == f"x ▌{HINT}"
