"""The lines of a source that is not all there yet, and what is made of some of them: a block."""

from __future__ import annotations

import re

from bot.markdown.pieces import PLAIN, Context, Piece, Rank

_QUOTE = re.compile(r" {0,3}>(?:[ \t]|(?=[^>\s=\d])|(?=\n|$)|(?=>(?!=)))")  # ">= 5" and ">100" are none
_RAW_QUOTE = re.compile(r" {0,3}>(?: |(?=\n|$))")
_REPL = re.compile(r">>>(?: |$)")
_HALF = re.compile(r"[ \t]*+(?:[-*_+=#>~` \t|:]++|\d{1,9}[.)]?|\[\^[^\]\n]{0,30}(?:\]:?)?)[ \t]*+")
_MAX_BLANK = 8  # lines in a row that are left as written


class Block:
    """A rendered block.

    Attributes:
        pieces: what is shown of it.
        end: offset in the source where the next block starts.
        complete: whether more text can no longer change it.
        context: what is open after it.
    """

    __slots__ = ("complete", "context", "end", "pieces")

    def __init__(self, pieces: list[Piece], end: int, *, complete: bool, context: Context = PLAIN) -> None:
        self.context = context
        self.pieces = pieces
        self.end = end
        self.complete = complete


class LineReader:
    """Looks at the lines of a source.

    *source* is the text of the page so far, *final* says that it is complete,
    *interrupted* that it is not, but that nothing follows.
    """

    def __init__(self, source: str, *, final: bool, raw: bool, interrupted: bool = False) -> None:
        self.source = source
        self.final = final
        self.interrupted = interrupted
        self.raw = raw

    def line_end(self, at: int) -> int:
        """Return where the line ends that *at* is in."""
        end = self.source.find("\n", at)
        return len(self.source) if end < 0 else end

    def known(self, at: int) -> bool:
        """Whether the line at *at* is there as a whole."""
        return self.final or self.source.find("\n", at) >= 0

    def after_quote(self, at: int) -> tuple[bool, int]:
        """Return whether the line at *at* is quoted, and where its text starts."""
        quoted = False
        if self.raw:
            match = _RAW_QUOTE.match(self.source, at)
            return match is not None, match.end() if match else at
        if not _REPL.match(self.source, at):
            match = _QUOTE.match(self.source, at)
            while match:
                quoted, at = True, match.end()
                match = _QUOTE.match(self.source, at)
        return quoted, at

    def is_half(self, line: str) -> bool:
        """Whether *line* so far shows only marks whose meaning depends on what follows."""
        return _HALF.fullmatch(line) is not None and not (self.interrupted and line.strip().isdigit())

    def line_start(self, at: int) -> int:
        """Return where the text of the line starts that *at* is in."""
        return self.after_quote(self.source.rfind("\n", 0, at) + 1)[1]

    def finished(self, pieces: list[Piece], end: int, *, quoted: bool, rank: int = Rank.BLOCK) -> Block:
        """Return a block whose last line ends at *end*, with the blank lines after it; *quoted* is whether it is."""
        following, gap, is_sure = self._gap(min(end + 1, len(self.source)), quoted=quoted)
        if pieces:
            last = pieces[-1]
            last.text = f"{last.text.rstrip()}\n{gap}"
            last.rank = rank if gap or rank == Rank.HEADING else max(Rank.LINE, rank)
            last.end = following
            last.after = Context(quoted=gap.startswith(">"))
        return Block(pieces, following, complete=is_sure)

    def _gap(self, at: int, *, quoted: bool) -> tuple[int, str, bool]:
        """Return where the blank lines from *at* on end, how they are shown, and whether that is sure."""
        begin, is_blank, is_quoted_blank = at, False, False
        while at < len(self.source) and (self.raw or not is_blank):  # what ends here may be cut off and kept
            line_quoted, start = self.after_quote(at)
            stop = self.line_end(start)
            if self.source[start:stop].strip() or not self.known(at) or (line_quoted and not quoted):
                break
            is_blank, is_quoted_blank = is_blank or not line_quoted, is_quoted_blank or line_quoted
            at = min(stop + 1, len(self.source))
        line_quoted, start = self.after_quote(at)
        goes_on = bool(self.source[start:].strip())
        is_sure = self.final or goes_on or (is_blank and not self.raw)
        if self.raw and is_blank:
            return at, "\n" * min(self.source.count("\n", begin, at), _MAX_BLANK), is_sure
        if is_quoted_blank and line_quoted and goes_on and not is_blank:
            return at, "> \n", is_sure
        return at, "\n" if is_blank or is_quoted_blank else "", is_sure
