"""Blocks of Markdown (paragraphs, lists, headings, code, tables) to pieces of a page."""

from __future__ import annotations

import re
from dataclasses import replace

from bot.streaming.code import add_code_line, end_code, fence_closes, fence_start, may_be_fence
from bot.streaming.links import footnote
from bot.streaming.markdown import render_inline
from bot.streaming.pieces import PLAIN, Context, Fence, Piece, Rank, TableHead, closed
from bot.streaming.table_block import Row, Table, render_table
from bot.streaming.tables import is_delimiter_row, is_row, parse_aligns, split_row

__all__ = ["Block", "BlockReader"]

RULE = "─" * 12

_QUOTE = re.compile(r" {0,3}>(?:[ \t]|(?=[^>\s])|(?=\n|$)|(?=>))")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
# A number needs white space after its point: "42." alone is an answer.
_ITEM = re.compile(r"([ \t]{0,40})(?:([-*+])(?:[ \t]+|$)|(\d{1,9})([.)])[ \t]+)")
_TASK = re.compile(r"\[([ xX])\][ \t]+")
_HEAD = re.compile(r"[ \t]*\|(?!\|)")  # models begin them so; two bars are a spoiler
_MAX_HEAD = 300  # characters of header and delimiter row that are held back
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")
_DEFINITION = re.compile(r" {0,3}\[\^([\w-]{1,30})\]:[ \t]*")
_REPL = re.compile(r">>>(?: |$)")
_HALF = re.compile(r"[ \t]*+(?:[-*_+=#>~` \t|:]++|\d{1,9}[.)]?|\[\^[^\]\n]{0,30}(?:\]:?)?)[ \t]*+")


class Block:
    """A rendered block.

    Attributes:
        pieces: what is shown of it.
        end: offset in the source where the next block starts.
        complete: whether more text can no longer change it.
        context: what is open after it, if it is not complete.
    """

    __slots__ = ("complete", "context", "end", "pieces")

    def __init__(self, pieces: list[Piece], end: int, *, complete: bool, context: Context = PLAIN) -> None:
        self.context = context
        self.pieces = pieces
        self.end = end
        self.complete = complete


class BlockReader:
    """Read the blocks of a source one by one.

    *source* is the text of the page so far, *final* says that it is complete,
    *interrupted* that it is not, but that nothing follows.
    """

    def __init__(self, source: str, *, final: bool, raw: bool, atom_cap: int, interrupted: bool = False) -> None:
        self.source = source
        self.final = final
        self.interrupted = interrupted
        self.raw = raw
        self.atom_cap = atom_cap

    def read(self, at: int, context: Context) -> Block:
        """Return the block that starts at *at* where *context* is open."""
        if context.fence:
            return self._fence(at, context, context.fence)
        if context.table:
            return self._table(at, context, context.table)
        if context.midline or context.spans:
            return self._paragraph(at, context, "")
        return self._block(at)

    # Lines

    def _line_end(self, at: int) -> int:
        end = self.source.find("\n", at)
        return len(self.source) if end < 0 else end

    def _known(self, at: int) -> bool:
        """Whether the line at *at* is there as a whole."""
        return self.final or self.source.find("\n", at) >= 0

    def _after_quote(self, at: int) -> tuple[bool, int]:
        """Return whether the line at *at* is quoted, and where its text starts."""
        quoted = False
        if not _REPL.match(self.source, at):
            match = _QUOTE.match(self.source, at)
            while match:
                quoted, at = True, match.end()
                match = _QUOTE.match(self.source, at)
        return quoted, at

    def _is_half(self, line: str) -> bool:
        """Whether *line* so far shows only marks whose meaning depends on what follows."""
        return _HALF.fullmatch(line) is not None and not (self.interrupted and line.strip().isdigit())

    # Blocks

    def _block(self, at: int) -> Block:
        end = self._line_end(at)
        if not self.source[at:end].strip():
            return Block([], min(end + 1, len(self.source)), complete=end < len(self.source) or self.final)
        quoted, start = self._after_quote(at)
        line = self.source[start:end]
        context = Context(quoted=quoted)
        if not self._known(at) and self._is_half(line):
            return Block([], end, complete=False)
        fence = fence_start(line, raw=self.raw)
        if fence:
            return self._fence(min(end + 1, len(self.source)), context, fence)
        return self._text_block(start, end, context)

    def _text_block(self, start: int, end: int, context: Context) -> Block:
        """Return the block whose first line, without quote marks, is from *start* to *end*."""
        line = self.source[start:end]
        if not self.raw and _RULE.fullmatch(line):
            return self._finish([Piece(("> " if context.quoted else "") + RULE, end, Rank.BLOCK)], end)
        heading = _HEADING.match(line)
        if heading:
            return self._heading(start, end, heading, context)
        table = self._table_head(start, end, quoted=context.quoted)
        if table:
            head, rows = table
            return self._table(rows, replace(context, table=head), head, fresh=True)
        if self._may_be_table(start, end):
            return Block([], len(self.source), complete=False)
        lead_end, lead = self._lead(line)
        return self._paragraph(start + lead_end, context, lead)

    def _finish(self, pieces: list[Piece], end: int, *, rank: int = Rank.BLOCK) -> Block:
        """Return a block whose last line ends at *end*, with the blank lines after it."""
        following = min(end + 1, len(self.source))
        blank = False
        while following < len(self.source):
            stop = self._line_end(following)
            if self.source[following:stop].strip() or not self._known(following):
                break
            blank, following = True, min(stop + 1, len(self.source))
        complete = self.final or blank or bool(self.source[following:].strip())
        if pieces:
            last = pieces[-1]
            last.text = last.text.rstrip() + ("\n\n" if blank else "\n")
            last.rank = rank if blank or rank == Rank.HEADING else max(Rank.LINE, rank)
            last.end = following
            last.after = PLAIN
        return Block(pieces, following, complete=complete)

    def _heading(self, start: int, end: int, heading: re.Match[str], context: Context) -> Block:
        stop = end
        if not self.raw and self._known(start):
            title = self.source[start + heading.end() : end].rstrip()
            bare = title.rstrip("#")
            stop = start + heading.end() + len(bare.rstrip() if bare[-1:].isspace() else title)
        level = len(heading[1])
        deep = level > 3 and not self.raw
        pieces = render_inline(
            self.source,
            start + heading.end(),
            stop,
            context=context,
            lead="" if deep else heading[1] + " ",
            final=self._known(start),
            interrupted=self.interrupted,
            raw=self.raw,
            atom_cap=self.atom_cap,
            extra=("**",) if deep else (),
        )
        if not self._known(start):
            return Block(pieces, end, complete=False)
        return self._finish(pieces, end, rank=Rank.HEADING)

    def _lead(self, line: str) -> tuple[int, str]:
        """Return the length of what starts a list item, task or footnote in *line*, and how it is shown."""
        item = _ITEM.match(line)
        note = None if item or self.raw else _DEFINITION.match(line)
        if note:
            return note.end(), footnote(note[1]) + " "
        if item is None:
            return len(line) - len(line.lstrip()), ""
        if self.raw:
            return item.end(), item[0]
        indent = str(item[1]).replace("\t", "  ")
        marker = f"{item[3]}." if item[3] else ("*" if item[2] == "*" else "-")
        task = _TASK.match(line, item.end())
        if task:
            return task.end(), f"{indent}{marker} {'☐' if task[1] == ' ' else '☑'} "
        return item.end(), f"{indent}{marker} "

    def _paragraph(self, start: int, context: Context, lead: str) -> Block:
        """Render the run of lines whose text starts at *start*; marks may span its lines."""
        end = self._line_end(start)
        while end < len(self.source) and self._known(end + 1) and self._continues(end + 1, context):
            end = self._line_end(end + 1)
        ended = self.final or (end < len(self.source) and self._breaks(end + 1, context))
        stop = end
        if not ended and end < len(self.source) and self._continues(end + 1, context):
            stop = len(self.source)
        pieces = render_inline(
            self.source,
            start,
            stop,
            context=context,
            lead=lead,
            final=ended,
            interrupted=self.interrupted,
            raw=self.raw,
            atom_cap=self.atom_cap,
        )
        if not ended:
            return Block(pieces, stop, complete=False)
        return self._finish(pieces, end)

    def _breaks(self, at: int, context: Context) -> bool:
        """Whether it is certain that the line at *at*, perhaps not whole, ends the paragraph before it."""
        start = self._after_quote(at)[1]
        if self._may_be_table(start, self._line_end(start)):
            return False
        if self._known(at):
            return True
        line = self.source[start:]
        unsure = not line.strip() or self._is_half(line) or may_be_fence(line)
        return not unsure and not self._continues(at, context)

    def _continues(self, at: int, context: Context) -> bool:
        """Whether the line at *at* goes on with the paragraph before it."""
        quoted, start = self._after_quote(at)
        end = self._line_end(start)
        line = self.source[start:end]
        if quoted != context.quoted or not line.strip():
            return False
        if not self._known(at) and self._is_half(line):
            return False
        if fence_start(line, raw=self.raw) or _ITEM.match(line) or _HEADING.match(line) or _RULE.fullmatch(line):
            return False
        if _DEFINITION.match(line):
            return False
        return self._table_head(start, end, quoted=quoted) is None and not self._may_be_table(start, end)

    # Code

    def _fence(self, at: int, context: Context, fence: Fence) -> Block:
        """Render code from *at* on."""
        quoted = context.quoted
        code = Context(quoted=quoted, fence=fence)
        pieces: list[Piece] = []
        at_start = at
        while at < len(self.source):
            midline = context.midline and at == at_start
            line_quoted, start = self._after_quote(at) if quoted and not midline else (quoted, at)
            end = self._line_end(start)
            line = self.source[start:end]
            if line_quoted != quoted or (not midline and fence_closes(line, fence)):
                closed = line_quoted == quoted
                if self._known(at) or not closed:
                    return self._fence_end(pieces, end if closed else at - 1)
                return Block(pieces, len(self.source), complete=False, context=code)
            if not self._known(at) and line.strip() and not line.strip().strip(fence.mark):
                break
            add_code_line(pieces, line, end, code, atom_cap=self.atom_cap)
            if end < len(self.source) and pieces:
                pieces[-1].end = end + 1
            at = min(end + 1, len(self.source))
        if self.final:
            return self._fence_end(pieces, len(self.source))
        return Block(pieces, len(self.source), complete=False, context=code)

    def _fence_end(self, pieces: list[Piece], end: int) -> Block:
        if pieces:
            end_code(pieces[-1])
        return self._finish(pieces, end)

    # Tables

    def _table_head(self, start: int, end: int, *, quoted: bool) -> tuple[TableHead, int] | None:
        """Return the header of the table whose first line is from *start* to *end*, and where its rows start."""
        if self.raw or "|" not in self.source[start:end] or end >= len(self.source):
            return None
        next_quoted, second = self._after_quote(end + 1)
        stop = self._line_end(second)
        rule = self.source[second:stop]
        if next_quoted != quoted or not is_delimiter_row(rule) or _ITEM.match(rule):
            return None
        header = self.source[start:end].lstrip()
        cells = tuple(header[a:b] for a, b in split_row(header))
        aligns = parse_aligns(rule)
        if len(cells) < len(aligns) or (len(cells) > len(aligns) and self._known(second)):
            return None
        aligns = (aligns + ("l",) * len(cells))[: len(cells)]
        return TableHead(cells, aligns, barred=header.startswith("|")), min(stop + 1, len(self.source))

    def _may_be_table(self, start: int, end: int) -> bool:
        """Whether the line from *start* to *end* may be a table's header once more is there."""
        if self.raw or self.final or self.interrupted or len(self.source) - start > _MAX_HEAD:
            return False
        if not _HEAD.match(self.source, start, end):
            return False
        second = self._after_quote(min(end + 1, len(self.source)))[1]
        return not self._known(second) and not self.source[second:].strip("|:- \t>")

    def _table(self, at: int, context: Context, head: TableHead, *, fresh: bool = False) -> Block:
        begin = at
        rows: list[Row] = []
        ended = False
        while at < len(self.source):
            midline = context.midline and not rows
            quoted, start = (context.quoted, at) if midline else self._after_quote(at)
            end = self._line_end(start)
            line = self.source[start:end]
            if quoted != context.quoted or not (midline or is_row(line, barred=head.barred)):
                ended = self._known(at) or self.interrupted or (head.barred and bool(line.strip()))
                break
            following = min(end + 1, len(self.source))
            rows.append(Row(start, end, following, whole=self._known(at)))
            at = following
        pieces = render_table(
            Table(
                self.source,
                begin,
                rows,
                context,
                head,
                fresh=fresh,
                atom_cap=self.atom_cap,
                interrupted=self.interrupted,
            )
        )
        if not (ended or self.final):
            return Block(pieces, len(self.source), complete=False)
        return self._table_end(pieces, at)

    def _table_end(self, pieces: list[Piece], at: int) -> Block:
        if pieces:
            last = pieces[-1]
            last.text = closed(last.text.rstrip(), last.after)
            last.after = PLAIN
        end = at - 1 if at and self.source[at - 1] == "\n" else at
        return self._finish(pieces, end)
