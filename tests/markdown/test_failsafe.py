"""A fault in the renderer: the text comes all the same."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown.dress import has_cursor
from bot.markdown.failsafe import FailsafePages
from bot.markdown.page import Page
from bot.markdown.pieces import Piece

LIMIT = 900


@pytest.fixture
def broken(monkeypatch):
    """Let rendering fail from a moment on that the test chooses."""
    render = Page.render

    def break_where(fails: Callable[[str, bool], bool]) -> None:
        def failing(page: Page, source: str, *, final: bool, interrupted: bool = False) -> list[Piece]:
            if fails(source, final or interrupted):
                raise ZeroDivisionError
            return render(page, source, final=final, interrupted=interrupted)

        monkeypatch.setattr(Page, "render", failing)

    return break_where


def numbered(begin: int, end: int) -> str:
    return "".join(f"w{n}\n" if n % 7 == 0 else f"w{n} " for n in range(begin, end))


def words(pages) -> list[int]:
    return [int(word) for word in re.findall(r"\bw(\d+)\b", "\n".join(pages))]


def shown(page: str) -> str:
    """Return what a code block shows."""
    match = re.fullmatch(r"```\n(.+?)(?: ▌)?\n```(?:\n-# .*)?", page, re.DOTALL)
    assert match, page
    assert "```" not in match[1]
    return match[1]


@pytest.mark.parametrize("chunk", [1, 5, 5000])
def test_what_cannot_be_rendered_is_shown_as_it_is_behind_what_was(broken, chunk: int, caplog) -> None:
    broken(lambda source, _: "w300" in source)
    pages = FailsafePages(limit=LIMIT)
    text = numbered(0, 300) + "**w300** ```` </b> " + numbered(301, 900)
    for at in range(0, len(text), chunk):
        pages.feed(text[at : at + chunk])
        if at % 50 == 0 and (tail := pages.tail("-# ⏳ still at it")):
            assert has_cursor(tail)
            assert len(tail) <= LIMIT
    pages.finish("-# done")
    assert pages.has_visible_text()
    assert words(pages.closed) == list(range(900))
    assert all(len(page) <= LIMIT for page in pages.closed)
    first = next(i for i, page in enumerate(pages.closed) if page.startswith("```"))
    assert first > 0
    assert "**w300**" in "".join(shown(page) for page in pages.closed[first:])
    assert pages.closed[-1].endswith("\n-# done")
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "w300" not in record.getMessage()


@pytest.mark.parametrize("ask_first", [True, False])
def test_a_fault_at_the_very_end_keeps_the_last_page(broken, ask_first: bool) -> None:
    broken(lambda _, is_end: is_end)
    pages = FailsafePages(limit=LIMIT)
    pages.feed("Hello **there**")
    assert pages.tail() == "Hello **there** ▌"
    if ask_first:
        assert pages.has_visible_text(interrupted=True)
    pages.finish("-# done", interrupted=True)
    pages.finish("-# twice")
    pages.feed("more")
    assert pages.closed == ["```\nHello **there**\n```\n-# done"]
    assert pages.tail() == ""


def test_blank_text_that_cannot_be_rendered_shows_nothing(broken) -> None:
    broken(lambda *_: True)
    pages = FailsafePages(limit=LIMIT)
    pages.feed(" \n")
    assert not pages.has_visible_text()
    pages.finish("-# nothing came")
    assert pages.closed == ["-# nothing came"]


@given(st.text(alphabet="`ab \n\u202e\u200b", max_size=3000), st.integers(1, 40))
def test_nothing_gets_out_of_the_code_blocks(text: str, chunk: int) -> None:
    pages = FailsafePages(limit=LIMIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "render", lambda *_, **__: 1 / 0)
        for at in range(0, len(text), chunk):
            pages.feed(text[at : at + chunk])
        pages.tail()
        pages.finish()
    letters = re.sub(r"[^ab]", "", text)
    assert re.sub(r"[^ab]", "", "".join(shown(page) for page in pages.closed)) == letters
    assert "\u202e" not in "".join(pages.closed)
