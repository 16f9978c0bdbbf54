"""Where a text has to end so that it fills no more pages than are on screen."""

from __future__ import annotations

from collections.abc import Callable

from bot.markdown.failsafe import FailsafePages

_STEP = 64  # code points between two looks at how many pages there are
_SHORTER = 1.5  # how much more is cut off with each try


def beginning(text: str, count: int, footer: str, new_pages: Callable[[], FailsafePages]) -> str:
    """Return a beginning of *text*, as long as may be, that ends within *count* pages, *footer* below the last of them.

    *new_pages* makes the pages that it is shown in. It ends with a whole word if there is one.
    Where not even one word has room beside the footer, it is empty.
    """
    if _fits(text, count, footer, new_pages):
        return text
    pages, at = new_pages(), 0
    while at < len(text) and len(pages.closed) < count:
        pages.feed(text[at : at + _STEP])
        at += _STEP
    cut = float(len(footer) + _STEP)
    while at > 0:
        shorter = _whole_words(text, at)
        if _fits(shorter, count, footer, new_pages):
            return shorter
        at = min(int(at - cut), len(shorter) - 1)
        cut *= _SHORTER
    return ""


def _fits(text: str, count: int, footer: str, new_pages: Callable[[], FailsafePages]) -> bool:
    pages = new_pages()
    pages.feed(text)
    pages.finish(footer, interrupted=True)
    return len(pages.closed) <= count


def _whole_words(text: str, length: int) -> str:
    """Return the first *length* code points of *text*, or a few less to end with a word."""
    if length >= len(text):
        return text
    at = max(text.rfind(space, length // 2, length + 1) for space in " \n")
    return text[: at if at > 0 else length].rstrip()
