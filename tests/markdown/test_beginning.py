"""A text that is stopped ends within the messages that are on screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown.beginning import beginning
from bot.markdown.failsafe import FailsafePages
from tests.markdown.documents import documents

FOOTER = "-# ⏹️ stopped by Ada"


def pages_of(text: str, footer: str = "", limit: int = 400) -> list[str]:
    pages = FailsafePages(limit=limit)
    pages.feed(text)
    pages.finish(footer, interrupted=True)
    return list(pages.closed)


@given(documents(), st.integers(1, 4))
def test_it_fills_no_more_pages_and_changes_none_before_the_last(text: str, count: int) -> None:
    short = beginning(text, count, FOOTER, lambda: FailsafePages(limit=400))
    assert text.startswith(short)
    shown = pages_of(short, FOOTER)
    assert len(shown) <= count
    assert shown[-1].endswith(FOOTER)
    assert shown[:-1][: count - 1] == pages_of(text)[: len(shown) - 1]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_is_cut_off_without_need(count: int) -> None:
    text = " ".join(f"word{number}" for number in range(400))
    shown = pages_of(beginning(text, count, FOOTER, lambda: FailsafePages(limit=400)), FOOTER)
    assert len(shown) == count
    assert len(shown[-1]) > 250


def test_a_text_that_fits_stays_whole() -> None:
    assert beginning("Half an answer", 1, FOOTER, FailsafePages) == "Half an answer"


def test_a_text_without_spaces_is_cut_all_the_same() -> None:
    short = beginning("字" * 3000, 1, FOOTER, FailsafePages)
    assert 1500 < len(short) < 2000
