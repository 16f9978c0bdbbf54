"""Blocks of Markdown (paragraphs, lists, headings, code, tables) to pieces of a page."""

from __future__ import annotations

import re
from dataclasses import replace

from bot.markdown.code import MAX_INFO, Opening, add_code_line, after_line, end_code, fence_opening, may_be_fence
from bot.markdown.formulas import displayed, formula_cap, formula_goes_on
from bot.markdown.inline import render_inline
from bot.markdown.items import DEFINITION, ITEM, lead
from bot.markdown.languages import EXTENSIONS
from bot.markdown.lines import Block, LineReader
from bot.markdown.pieces import PLAIN, Context, Fence, Piece, Rank, TableHead, closed
from bot.markdown.table_block import Row, Table, render_table
from bot.markdown.tables import is_delimiter_row, is_row, parse_aligns, split_row

RULE = "─" * 12

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_HEAD = re.compile(r"[ \t]*\|(?!\|)")  # models begin them so; two bars are a spoiler
_MAX_HEAD = 300  # characters of header and delimiter row that are held back
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")


class BlockReader(LineReader):
    """Read the blocks of a source one by one.

    *source* is the text of the page so far, *final* says that it is complete,
    *interrupted* that it is not, but that nothing follows.
    """

    def __init__(self, source: str, *, final: bool, raw: bool, atom_cap: int, interrupted: bool = False) -> None:
        super().__init__(source, final=final, raw=raw, interrupted=interrupted)
        self.atom_cap = atom_cap
        self._displayed_from = -1
        self._displayed: list[tuple[int, int]] = []

    def read(self, at: int, context: Context) -> Block:
        """Return the block that starts at *at* where *context* is open."""
        if context.fence:
            return self._fence(at, context, context.fence)
        if context.table:
            return self._table(at, context, context.table)
        if context.midline or context.spans:
            return self._paragraph(at, context, "")
        return self._block(at, quoted=context.quoted and self.source.startswith("```", at))

    # Blocks

    def _block(self, at: int, *, quoted: bool) -> Block:
        """Return the block at *at*; code in the middle of a line is *quoted* if its line is."""
        end = self.line_end(at)
        if not self.source[at:end].strip():
            return Block([], min(end + 1, len(self.source)), complete=end < len(self.source) or self.final)
        has_mark, start = self.after_quote(at)
        quoted = quoted or has_mark
        line = self.source[start:end]
        context = Context(quoted=quoted)
        if quoted and not self.raw and not line.strip():
            return Block([], min(end + 1, len(self.source)), complete=self.known(at))
        if not self.known(at) and self.is_half(line):
            return Block([], end, complete=False)
        # behind text or the mark of an item the fence is read once more, for its line says how far it is indented
        begin = start if not at or self.source[at - 1] == "\n" else self.line_start(at)
        opening = fence_opening(self.source[begin:end], raw=self.raw)
        if opening and begin + opening.at == start:
            return self._fence_start(opening, begin, end, context)
        return self._text_block(start, end, context)

    def _text_block(self, start: int, end: int, context: Context) -> Block:
        """Return the block whose first line, without quote marks, is from *start* to *end*."""
        line = self.source[start:end]
        if not self.raw and _RULE.fullmatch(line):
            pieces = [Piece(("> " if context.quoted else "") + RULE, end, Rank.BLOCK)]
            return self.finished(pieces, end, quoted=context.quoted)
        heading = _HEADING.match(line)
        if heading:
            return self._heading(start, end, heading, context)
        table = self._table_head(start, end, quoted=context.quoted)
        if table:
            head, rows = table
            return self._table(rows, replace(context, table=head), head, fresh=True)
        if self._may_be_table(start, end):
            return Block([], len(self.source), complete=False)
        lead_end, shown = lead(line, raw=self.raw)
        is_first = not self.source[:start].strip()  # its indentation is trimmed away
        indent = lead_end if not shown or (is_first and shown.isspace() and not self.raw) else 0
        return self._paragraph(start + lead_end, context, shown, indent=indent)

    def _heading(self, start: int, end: int, heading: re.Match[str], context: Context) -> Block:
        stop = end
        if not self.raw and self.known(start):
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
            lead="" if deep else heading[0] if self.raw else heading[1] + " ",
            final=self.known(start),
            interrupted=self.interrupted,
            raw=self.raw,
            atom_cap=self.atom_cap,
            extra=("**",) if deep else (),
        )
        if not self.known(start):
            return Block(pieces, end, complete=False)
        return self.finished(pieces, end, quoted=context.quoted, rank=Rank.HEADING)

    def _paragraph(self, start: int, context: Context, lead: str, *, indent: int = 0) -> Block:
        """Render the run of lines whose text starts at *start*; marks may span its lines."""
        end = self.line_end(start)
        fence = self._late_fence(start, end, context)
        while fence < 0 and end < len(self.source) and self.known(end + 1) and self._goes_on(start, end, context):
            is_text = self._continues(end + 1, context)  # not a line that a formula only may take in
            begin, end = end + 1, self.line_end(end + 1)
            fence = self._late_fence(begin, end, context) if is_text else -1
        if fence >= 0:
            return self._before_fence(start, fence, context, lead)
        in_formula = self._in_formula(start, end, context)
        ended = self.final or (end < len(self.source) and not in_formula and self._breaks(end + 1, context))
        stop = end
        if not ended and end < len(self.source) and (in_formula or self._continues(end + 1, context)):
            stop = len(self.source)
        pieces = render_inline(
            self.source,
            start,
            stop,
            context=context,
            lead=lead,
            indent=indent,
            final=ended,
            interrupted=self.interrupted,
            raw=self.raw,
            atom_cap=self.atom_cap,
        )
        if not ended:
            return Block(pieces, stop, complete=False)
        return self.finished(pieces, end, quoted=context.quoted)

    def _late_fence(self, start: int, end: int, context: Context) -> int:
        """Return where code begins in the line of a paragraph from *start* to *end*, or -1."""
        if end >= len(self.source) or "```" not in self.source[start:end]:
            return -1
        in_code = context.spans and context.spans[-1].startswith("`")
        opening = None if in_code else fence_opening(self.source[start:end], raw=self.raw)
        return start + opening.at if opening else -1

    def _before_fence(self, start: int, end: int, context: Context, lead: str) -> Block:
        """Return the paragraph from *start* that code follows at *end*, in its last line."""
        pieces = render_inline(
            self.source, start, end, context=context, lead=lead, final=True, raw=self.raw, atom_cap=self.atom_cap
        )
        if not pieces and (marker := lead.strip(" -*+")):
            pieces = [Piece(("> " if context.quoted else "") + marker, end, Rank.HEADING)]
        after = Context(quoted=context.quoted)
        if pieces:
            last = pieces[-1]
            last.text, last.end, last.rank, last.after = f"{last.text.rstrip()}\n", end, Rank.HEADING, after
        return Block(pieces, end, complete=True, context=after)

    def _goes_on(self, start: int, end: int, context: Context) -> bool:
        """Whether the paragraph from *start* goes on after its line that ends at *end*."""
        return self._continues(end + 1, context) or self._in_formula(start, end, context)

    def _in_formula(self, start: int, end: int, context: Context) -> bool:
        """Whether a displayed formula is open where a line of the paragraph from *start* ends: all is part of it."""
        if self.raw or end >= len(self.source) or self.after_quote(end + 1)[0] != context.quoted:
            return False
        cap = formula_cap(self.atom_cap)
        if start != self._displayed_from:  # once for all lines of the paragraph
            self._displayed_from, self._displayed = start, displayed(self.source, start, cap)
        formulas = self._displayed
        return formula_goes_on(self.source, formulas, end, quoted=context.quoted, final=self.final, cap=cap)

    def _breaks(self, at: int, context: Context) -> bool:
        """Whether it is certain that the line at *at*, perhaps not whole, ends the paragraph before it."""
        quoted, start = self.after_quote(at)
        end = self.line_end(start)
        if self._may_be_table(start, end):
            return False
        if not self.known(end + 1) and self._table_head(start, end, quoted=quoted):
            return False  # once all of its second line is there, it may be none
        if self.known(at):
            return True
        line = self.source[start:]
        unsure = not line.strip() or self.is_half(line) or may_be_fence(line)
        return not unsure and not self._continues(at, context)

    def _continues(self, at: int, context: Context) -> bool:
        """Whether the line at *at* goes on with the paragraph before it."""
        quoted, start = self.after_quote(at)
        end = self.line_end(start)
        line = self.source[start:end]
        if quoted != context.quoted or not line.strip():
            return False
        if not self.known(at) and self.is_half(line):
            return False
        if self._opens_fence(line) or ITEM.match(line) or _HEADING.match(line) or _RULE.fullmatch(line):
            return False
        if DEFINITION.match(line):
            return False
        return self._table_head(start, end, quoted=quoted) is None and not self._may_be_table(start, end)

    # Code

    def _opens_fence(self, line: str) -> bool:
        opening = fence_opening(line, raw=self.raw)
        return opening is not None and not opening.at

    def _fence_start(self, opening: Opening, begin: int, end: int, context: Context) -> Block:
        """Render the code of the fence that the line from *begin* to *end* opens; it begins perhaps in that line."""
        code, fence = begin + opening.code, opening.fence
        if code <= end:
            if not (self.known(code) or self.interrupted or end - code > MAX_INFO):
                return Block([], len(self.source), complete=False)  # inline code, perhaps, or more of a language
            return self._fence(code, replace(context, midline=True), fence)
        name = "" if opening.info.lower() in EXTENSIONS else opening.info
        return self._fence(min(end + 1, len(self.source)), context, fence, name=name)

    def _fence(self, at: int, context: Context, fence: Fence, *, name: str = "") -> Block:
        """Render code from *at* on; without any, *name* is what the fence was put around."""
        quoted = context.quoted
        code = Context(quoted=quoted, fence=fence)
        pieces: list[Piece] = []
        at_start = at
        while at < len(self.source):
            midline = context.midline and at == at_start
            line_quoted, start = self.after_quote(at) if quoted and not midline else (quoted, at)
            end = self.line_end(start)
            line = self.source[start:end]
            following = fence if midline or line_quoted != quoted else after_line(line, fence)
            if line_quoted != quoted or following is None:
                closed = line_quoted == quoted
                if self.known(at) or not closed:
                    return self._fence_end(pieces, end if closed else at - 1, name, quoted=quoted)
                return Block(pieces, len(self.source), complete=False, context=code)
            if not self.known(at) and line.strip() and not line.strip().strip(fence.mark):
                break
            fence = following
            code = Context(quoted=quoted, fence=fence)
            add_code_line(pieces, line, end, code, atom_cap=self.atom_cap)
            if end < len(self.source) and pieces:
                pieces[-1].end = end + 1
            at = min(end + 1, len(self.source))
        if self.final or (self.interrupted and not pieces):
            return self._fence_end(pieces, len(self.source), name, quoted=quoted)
        return Block(pieces, len(self.source), complete=False, context=code)

    def _fence_end(self, pieces: list[Piece], end: int, name: str, *, quoted: bool) -> Block:
        if not pieces and name:
            code = Context(quoted=quoted, fence=Fence("`", 3, 0, ""))
            add_code_line(pieces, name, end, code, atom_cap=self.atom_cap)
        if pieces:
            end_code(pieces[-1])
        return self.finished(pieces, end, quoted=quoted)

    # Tables

    def _table_head(self, start: int, end: int, *, quoted: bool) -> tuple[TableHead, int] | None:
        """Return the header of the table whose first line is from *start* to *end*, and where its rows start."""
        if self.raw or "|" not in self.source[start:end] or end >= len(self.source):
            return None
        next_quoted, second = self.after_quote(end + 1)
        stop = self.line_end(second)
        rule = self.source[second:stop]
        if not self.known(second):
            rule = rule.rstrip(" \t|:")  # half a column
        if next_quoted != quoted or not is_delimiter_row(rule) or ITEM.match(rule):
            return None
        header = self.source[start:end].lstrip()
        aligns = parse_aligns(rule)
        cells = tuple(header[a:b] for a, b in split_row(header, len(aligns)))
        if len(cells) < len(aligns) or (len(cells) > len(aligns) and self.known(second)):
            return None
        if 2 * sum(len(cell) + 4 for cell in cells) > 3 * self.atom_cap - 24:
            return None  # as the titles of a record they would not fit on a page
        aligns = (aligns + ("l",) * len(cells))[: len(cells)]
        return TableHead(cells, aligns, barred=header.startswith("|")), min(stop + 1, len(self.source))

    def _may_be_table(self, start: int, end: int) -> bool:
        """Whether the line from *start* to *end* may be a table's header once more is there."""
        if self.raw or self.final or self.interrupted or len(self.source) - start > _MAX_HEAD:
            return False
        if not _HEAD.match(self.source, start, end):
            return False
        second = self.after_quote(min(end + 1, len(self.source)))[1]
        return not self.known(second) and not self.source[second:].strip("|:- \t>")

    def _table(self, at: int, context: Context, head: TableHead, *, fresh: bool = False) -> Block:
        begin = at
        rows: list[Row] = []
        ended = False
        while at < len(self.source):
            midline = context.midline and not rows
            quoted, start = (context.quoted, at) if midline else self.after_quote(at)
            end = self.line_end(start)
            line = self.source[start:end]
            if quoted != context.quoted or not (midline or is_row(line, barred=head.barred)):
                ended = self.known(at) or self.interrupted or (head.barred and bool(line.strip()))
                break
            following = min(end + 1, len(self.source))
            rows.append(Row(start, end, following, whole=self.known(at)))
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
        return self._table_end(pieces, at, quoted=context.quoted)

    def _table_end(self, pieces: list[Piece], at: int, *, quoted: bool) -> Block:
        if pieces:
            last = pieces[-1]
            last.text = closed(last.text.rstrip(), last.after)
            last.after = PLAIN
        end = at - 1 if at and self.source[at - 1] == "\n" else at
        return self.finished(pieces, end, quoted=quoted)
