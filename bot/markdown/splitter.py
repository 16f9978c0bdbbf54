"""A growing Markdown text to Discord messages, each well-formed at every moment."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Literal

from bot.markdown.page import (
    Page,
    choose_cut,
    fit,
    is_nearly_full,
    latest_cut,
    next_level,
    show,
    size,
    take_page,
    words,
)
from bot.markdown.pieces import PLAIN, Context, Piece
from bot.markdown.sanitize import Sanitizer
from bot.markdown.text import PAGE_LIMIT

STATE_ROOM = 400
"""Code points that the last page of a reply leaves for our own lines: how long the text is, how it ended."""

_STEP = 16  # source characters between two looks at a page that is full to such a share
_LINE_STEP = 8  # the same where lines end, which may be as short as one character
_FINE = 0.95
_LONG_STEP = 64  # the same before that, and for a table, whose rows all grow with one cell
_MAX_SOURCE = 4  # source of one page in pages; more of it than that shows little or nothing
_MARKER = 3  # so much of a line tells whether it goes on with the block before
_LINE_START = re.compile(r"\n\s*(?=\S)")
_MIN_LIMIT = 200
_COMPACT = 1 << 16


class Splitter:
    """Turn a growing Markdown text into Discord messages ("pages").

    Where a page ends depends on the text alone, never on how it was cut into
    `feed` calls or on when `tail` was read: the page is looked at whenever its
    source has reached lengths that follow from the text before them. It ends at
    the first place that is good enough for how full it is, so that as a rule
    nothing of the next page was on screen in this one.

    Attributes:
        is_nearly_full: whether the open page ends at the next good place.

    *limit* is in Unicode code points, as Discord counts; *cursor* is put at the
    end of the open page; *mode* "raw" leaves Markdown as the model wrote it.
    Page number *last*, if any, leaves `STATE_ROOM` free: a text that goes on past it
    is counted there, below what is on screen. It gets one page more, and no work after that.
    """

    def __init__(
        self,
        *,
        limit: int = PAGE_LIMIT,
        cursor: str = " ▌",
        mode: Literal["discord", "raw"] = "discord",
        last: int | None = None,
    ) -> None:
        if limit < _MIN_LIMIT:
            raise ValueError(f"limit must be at least {_MIN_LIMIT}")
        self._whole = limit
        self._last = last
        self._cursor = cursor
        self._raw = mode == "raw"
        self._sanitizer = Sanitizer()
        self._closed: list[str] = []
        self._characters = 0
        self._buffer = ""
        self._fresh: list[str] = []
        self._length = 0  # of the open page's source
        self._start = 0  # of the open page in the buffer
        self._turned = 0  # source before the open page
        self._lines: deque[int] = deque()  # in the whole source: where lines ahead have begun
        self._after_newline = False
        self._soonest = 0  # when to look at the open page again for the sake of a line
        self.is_nearly_full = False
        self._limit = self._room()  # of the open page
        self._page = Page(PLAIN, raw=self._raw, limit=self._limit)
        self._check = self._limit // 4
        self._window = limit * _MAX_SOURCE
        self._finished = False
        self._has_text = False  # once it is finished

    def feed(self, text: str) -> None:
        """Take the next *text*; the cost is its length's, on average."""
        self._characters += len(text)
        self._take(self._sanitizer.feed(text))

    def finish(self, footer: str = "", *, interrupted: bool = False) -> None:
        """End the text; *footer* comes last, on a line of its own. Everything is in `closed` now.

        A text that is *interrupted* was to go on: what is open in it is closed as it was
        while it grew, and half a mark at its end is dropped. Else such marks are shown as written.
        """
        if self._finished:
            return
        self._take(self._sanitizer.flush())
        self._finished = True
        final = len(self._closed)
        while self._length:
            source = self._source(self._length)
            pieces = self._page.render(source, final=not interrupted, interrupted=interrupted)
            if size(pieces) <= self._limit:
                self._close(show(pieces))
                break
            self._cut(pieces)
        self._length = 0
        self._has_text = bool(self._closed)
        if footer:
            self._add_footer(footer, final)

    @property
    def closed(self) -> Sequence[str]:
        """The pages that never change again, in order."""
        return self._closed

    @property
    def characters(self) -> int:
        """How many code points were fed."""
        return self._characters

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        """Return whether anybody sees anything of the text if it ends here (`finish`); its footer does not count."""
        if self._finished or self._closed or self.tail():
            return self._has_text if self._finished else True
        source = self._source(self._length) + copy(self._sanitizer).flush()
        page = Page(self._page.start, raw=self._raw, limit=self._limit)
        return bool(show(page.render(source, final=not interrupted, interrupted=interrupted)))

    def tail(self, notice: str = "") -> str:
        """Return the open page as it may be shown now, with the cursor; "" if nothing is visible yet.

        *notice* is a line of our own for below it, left out where it does not fit.
        """
        if self._finished or not self._length:
            return ""
        pieces = self._page.render(self._source(self._length), final=False)
        if not pieces:
            return ""
        room = self._limit - len(self._cursor)
        if size(pieces) > room:  # till the page is closed, a few characters later
            pieces = words(pieces)
            pieces = pieces[: fit(pieces, room)]
        page = show(pieces, self._cursor)
        return f"{page}\n{notice}" if page and notice and len(page) + 1 + len(notice) <= self._limit else page

    def remainder(self) -> tuple[str, Sanitizer]:
        """Return the source that no closed page shows, and what takes the rest of the text as it was going to."""
        return self._source(self._length), self._sanitizer

    def _take(self, text: str) -> None:
        if text and not self._finished and not self._is_over():
            self._note_lines(text)
            self._fresh.append(text)
            self._length += len(text)
            while (at := self._next_look()) <= self._length:
                self._look(at)
                if self._is_over():
                    self._length = 0

    def _note_lines(self, text: str) -> None:
        """Note where lines with text have begun in *text*, which is appended: there the lines before have ended."""
        at = self._turned + self._length + _MARKER
        if self._after_newline and (begun := text.lstrip()):
            self._lines.append(at + len(text) - len(begun))
            self._after_newline = False
        if "\n" in text:
            # not into the blank end: each line end there would be the start of a search to the end
            begun_lines = _LINE_START.finditer(text, 0, len(text.rstrip()))
            self._lines += [at + match.end() for match in begun_lines]
            self._after_newline = not text[text.rindex("\n") :].strip()

    def _next_look(self) -> int:
        """Return the length at which to look at the open page: a page that is nearly full may end with a line."""
        if self._lines and self.is_nearly_full:
            line = self._lines[0] - self._turned
            return min(self._check, max(line, self._soonest))
        return self._check

    def _source(self, length: int) -> str:
        """Return the first *length* characters of the open page's source."""
        if self._fresh:
            if self._start > _COMPACT:
                self._buffer, self._start = self._buffer[self._start :], 0
            self._buffer += "".join(self._fresh)
            self._fresh.clear()
        return self._buffer[self._start : self._start + length]

    def _look(self, at: int) -> None:
        """Close the page if it is full enough at this length, else set the length to look at next."""
        pieces = self._page.render(self._source(at), final=False)
        length, full = size(pieces), self._limit - len(self._cursor)
        if length > full or (pieces and at >= self._window):
            self._cut(pieces)
        elif at >= self._window:
            self._turn(at, self._page.open_context)
        elif taken := self._taken(pieces, full):
            self._close_page(taken)
        else:
            self.is_nearly_full = is_nearly_full(length, full)
            self._drop_lines(at)
            self._soonest = at + _LINE_STEP
            level = next_level(length, full)
            is_fine = level > _FINE * full and self._page.growth <= _STEP
            self._check = at + max(_STEP if is_fine else _LONG_STEP, int(level - length) // self._page.growth)

    def _taken(self, pieces: list[Piece], full: int) -> list[Piece]:
        """Return the page's pieces if it may end early; the last one that is shown takes what it can."""
        return [] if self._is_last() else take_page(pieces, self._page.settled, full)

    def _cut(self, pieces: list[Piece]) -> None:
        pieces = words(pieces)
        count = max(1, choose_cut(pieces, self._limit))
        if self._is_last():  # what was on screen of it stays there
            count = max(count, latest_cut(pieces, self._limit))
        self._close_page(pieces[:count])

    def _close_page(self, pieces: list[Piece]) -> None:
        self._close(show(pieces))
        self._turn(pieces[-1].end, pieces[-1].after)

    def _drop_lines(self, at: int) -> None:
        while self._lines and self._lines[0] <= self._turned + at:
            self._lines.popleft()

    def _turn(self, consumed: int, context: Context) -> None:
        """Start the next page after *consumed* characters of this one's source."""
        self._start += consumed
        self._length -= consumed
        self._turned += consumed
        self._soonest = 0
        self._drop_lines(0)
        self.is_nearly_full = False
        self._limit = self._room()
        self._page = Page(context, raw=self._raw, limit=self._limit)
        self._check = self._limit // 4

    def _room(self) -> int:
        """Return how long the page after the closed ones may get."""
        return max(self._whole - STATE_ROOM, _MIN_LIMIT) if self._is_last() else self._whole

    def _is_last(self) -> bool:
        """Whether the open page is the last that is shown."""
        return len(self._closed) + 1 == self._last

    def _is_over(self) -> bool:
        """Whether nothing that is still to come is shown in any page."""
        return self._last is not None and len(self._closed) > self._last

    def _close(self, text: str) -> None:
        if text:
            self._closed.append(text)

    def _add_footer(self, footer: str, final: int) -> None:
        """Put *footer* on the last page, unless it is one of the first *final*, which do not change."""
        if len(self._closed) > final and len(self._closed[-1]) + 1 + len(footer) <= self._whole:
            self._closed[-1] += "\n" + footer
        else:
            self._closed.append(footer)
