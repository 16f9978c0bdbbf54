"""The small helpers over text."""

from __future__ import annotations

import pytest

from bot.markdown.text import display_width, escape_markdown, graphemes


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("Ada", "Ada"),
        ("__init__ *x*", r"\_\_init\_\_ \*x\*"),
        ("# big", r"\# big"),
        ("-# small", r"\-# small"),
        ("1. one", r"1\. one"),
        ("<@123> `x` ||y|| ~~z~~ [a](b)", "\\<@\u200b123\\> \\`x\\` \\|\\|y\\|\\| \\~\\~z\\~\\~ \\[a\\](b)"),
        ("@everyone", "@\u200beveryone"),
        ("v1.2 a-b #1", "v1.2 a-b #1"),
    ],
)
def test_names_are_shown_as_written(name: str, escaped: str) -> None:
    assert escape_markdown(name) == escaped


def test_width_counts_columns() -> None:
    assert [display_width(text) for text in ("abc", "日本", "e\u0301", "👨‍👩‍👧", "❤️")] == [3, 4, 1, 2, 2]
    assert graphemes("e\u0301🇩🇪") == ["e\u0301", "🇩🇪"]
