"""Whether a growing text is in code: line by line, as the renderer finds fences."""

from __future__ import annotations

import re

from bot.markdown.code import after_line, fence_opening
from bot.markdown.pieces import Fence

_QUOTE = re.compile(r"(?: {0,3}> ?)+")
_LEAD = re.compile(r"[ \t>]*")
_MAX_LINE = 2000


class CodeState:
    """Follows a text that is handed over in parts, none of which ends within a run of backticks.

    Attributes:
        ticks: of the inline code that is open, perhaps: its end may never come.
        last: the last character.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.last = ""
        self._line = ""
        self._fence: Fence | None = None
        self._is_quoted = False

    @property
    def in_fence(self) -> bool:
        """Whether the line is code between fences."""
        return self._fence is not None

    @property
    def begins_line(self) -> bool:
        """Whether the line has no text yet."""
        return _LEAD.fullmatch(self._line) is not None

    def take(self, text: str) -> None:
        """Go on behind *text*."""
        if not text:
            return
        if text[0] == "`" and self._fence is None and not self._is_escaped():
            run = len(text) - len(text.lstrip("`"))
            self.ticks = run if not self.ticks else 0 if self.ticks == run else self.ticks
        *lines, rest = text.split("\n")
        for line in lines:
            self._end_line(self._line + line)
            self._line = ""
        if len(self._line) < _MAX_LINE:
            self._line += rest
        self.last = text[-1]

    def _is_escaped(self) -> bool:
        return not self.ticks and (len(self._line) - len(self._line.rstrip("\\"))) % 2 == 1

    def _end_line(self, line: str) -> None:
        quote = _QUOTE.match(line)
        text = line[quote.end() :] if quote else line
        if self._fence is not None:
            if self._is_quoted != bool(quote) and self._is_quoted:
                self._fence = None
            else:
                self._fence = after_line(text if self._is_quoted else line, self._fence)
            return
        opening = fence_opening(text, raw=False)
        if opening:
            self._fence, self._is_quoted, self.ticks = opening.fence, bool(quote), 0
        elif not text.strip():
            self.ticks = 0
