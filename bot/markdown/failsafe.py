"""Pages that come whatever happens: a fault in rendering costs an answer its looks, not its text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from bot.markdown.code import unbreakable
from bot.markdown.sanitize import Sanitizer
from bot.markdown.splitter import STATE_ROOM, Splitter
from bot.markdown.text import PAGE_LIMIT, is_blank

log = logging.getLogger(__name__)

_FENCES = len("```\n\n```")


class FailsafePages:
    """A `Splitter`, and code blocks with the text as the model wrote it from where that one fails.

    Adversarial text is what models write. The splitter is tested with thousands
    of documents; should one still break it, the reader gets the rest unrendered
    and the log the traceback. See `Splitter` for the parameters.
    """

    def __init__(
        self, *, limit: int = PAGE_LIMIT, mode: Literal["discord", "raw"] = "discord", last: int | None = None
    ) -> None:
        self._rendered = Splitter(limit=limit, mode=mode, last=last)
        self._plain = _CodePages(limit - STATE_ROOM)
        self._has_failed = False

    @property
    def closed(self) -> Sequence[str]:
        """The pages that never change again, in order."""
        return self._plain.closed if self._has_failed else self._rendered.closed

    @property
    def is_nearly_full(self) -> bool:
        """Whether the open page ends at the next good place."""
        return self._rendered.is_nearly_full and not self._has_failed

    def feed(self, text: str) -> None:
        """Take the next *text*."""
        if self._has_failed:
            self._plain.feed(text)
            return
        with self._falling_back():
            self._rendered.feed(text)

    def finish(self, footer: str = "", *, interrupted: bool = False) -> None:
        """End the text; *footer* comes last, on a line of its own."""
        if not self._has_failed:
            with self._falling_back():
                self._rendered.finish(footer, interrupted=interrupted)
        if self._has_failed:
            self._plain.finish(footer)

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        """Return whether anybody sees anything of the text if it ends here."""
        if not self._has_failed:
            with self._falling_back():
                return self._rendered.has_visible_text(interrupted=interrupted)
        return self._plain.has_visible_text

    def tail(self, notice: str = "") -> str:
        """Return the open page as it may be shown now, our own *notice* below it."""
        if not self._has_failed:
            with self._falling_back():
                return self._rendered.tail(notice)
        return self._plain.tail(notice)

    @contextmanager
    def _falling_back(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            log.exception("An answer cannot be rendered; its rest is shown as it is")
            self._has_failed = True
            self._plain.take_over(self._rendered)


class _CodePages:
    """Pages of a code block each, of *limit* code points at most."""

    def __init__(self, limit: int) -> None:
        self.closed: list[str] = []
        self._sanitizer = Sanitizer()
        self._room = limit - _FENCES
        self._open = ""
        self._is_finished = False

    def take_over(self, rendered: Splitter) -> None:
        """Go on where *rendered* failed."""
        self.closed = [*rendered.closed]
        source, self._sanitizer = rendered.remainder()
        self._take(source)

    @property
    def has_visible_text(self) -> bool:
        return bool(self.closed) or not is_blank(self._open)

    def feed(self, text: str) -> None:
        if not self._is_finished:
            self._take(self._sanitizer.feed(text))

    def finish(self, footer: str) -> None:
        if self._is_finished:
            return
        self._take(self._sanitizer.flush())
        self._is_finished = True
        count = len(self.closed)
        self._close(self._open)
        self._open = ""
        if footer and len(self.closed) > count:
            self.closed[-1] += f"\n{footer}"
        elif footer:
            self.closed.append(footer)

    def _take(self, text: str) -> None:
        self._open = unbreakable(self._open + text)
        while len(self._open) > self._room:
            cut = max(self._open.rfind(space, self._room // 2, self._room) for space in "\n ") + 1 or self._room
            self._close(self._open[:cut])
            self._open = self._open[cut:]

    def tail(self, notice: str) -> str:
        if is_blank(self._open):
            return ""
        page = f"```\n{self._open.strip()} ▌\n```"
        return f"{page}\n{notice}" if notice else page

    def _close(self, text: str) -> None:
        if not is_blank(text):
            self.closed.append(f"```\n{text.strip()}\n```")
