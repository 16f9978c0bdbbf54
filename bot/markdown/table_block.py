"""A table's rows to pieces: a code block with straight columns, or records."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.markdown.inline import render_inline
from bot.markdown.pieces import Context, Piece, Rank, TableHead
from bot.markdown.plain import plain_text
from bot.markdown.tables import MAX_WIDTH, align_rows, split_row
from bot.markdown.text import display_width, escape_markdown

_MAX_TITLE = 60
_STICKS_OUT = 16  # columns that a growing cell may take beyond the widest table: half a formula is long
_FRAME = 24  # characters of fences, quote marks and line ends around header, rule and a row


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table in the source.

    Attributes:
        start, end: its text.
        following: where the next line starts.
        whole: whether the line is there as a whole.
    """

    start: int
    end: int
    following: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What one page shows of a table.

    Attributes:
        source: the page's source.
        begin: where the rows start in it.
        rows: without header and delimiter row.
        context: what is open where they start.
        head: the header.
        fresh: whether the header's own place is on this page.
        atom_cap: how long what is never torn may be, a third of a page.
        interrupted: whether nothing follows, although the text is not complete.
    """

    source: str
    begin: int
    rows: list[Row]
    context: Context
    head: TableHead
    fresh: bool
    atom_cap: int
    interrupted: bool = False

    @property
    def prefix(self) -> str:
        """What comes before each line."""
        return "> " if self.context.quoted else ""

    def cells(self, row: Row) -> list[tuple[int, int]]:
        """Return where the cells of *row* start and end in the source; the last one takes what is left over."""
        columns = len(self.head.cells) - (self.head.column if row is self.rows[0] else 0)
        spans = split_row(self.source[row.start : row.end], columns, whole=row.whole)
        spans, surplus = spans[:columns], spans[columns:]
        if spans and any(start < end for start, end in surplus):
            spans[-1] = (spans[-1][0], surplus[-1][1])
        return [(row.start + start, row.start + end) for start, end in spans]

    def plain(self, row: Row) -> list[str]:
        """Return the cells of *row* without markup; the last of half a row may end in half a mark."""
        spans = self.cells(row)
        last = len(self.head.cells) if row.whole else len(spans) - 1
        return [plain_text(self.source[start:end], final=i != last) for i, (start, end) in enumerate(spans)]


def render_table(table: Table) -> list[Piece]:
    """Return the pieces of *table*: aligned while that is narrow enough, else and from then on as records."""
    if table.head.records:
        return _records(table)
    rows = [(row, cells) for row in table.rows if any(cells := table.plain(row)) or row.whole]
    header = [plain_text(cell) for cell in table.head.cells]
    if not any(header) and not any(cell for _, cells in rows for cell in cells):
        return []
    growing = bool(rows) and not rows[-1][0].whole
    texts = [header, *(cells for _, cells in rows)]
    lines, widths = align_rows(texts, table.head.aligns, table.head.widths, growing=growing)
    rule = "─┼─".join("─" * width for width in widths)
    most = min(MAX_WIDTH, table.atom_cap)
    # One column may hold many code points: those of an emoji sequence.
    size = len(lines[0]) + len(rule) + max(map(len, lines))
    if len(rule) > most or display_width(lines[-1]) > most + _STICKS_OUT or size > 3 * table.atom_cap - _FRAME:
        return _records(replace(table, head=replace(table.head, records=True)))
    return _aligned(table, [row for row, _ in rows], lines, rule, tuple(widths))


def _aligned(table: Table, rows: list[Row], lines: list[str], rule: str, widths: tuple[int, ...]) -> list[Piece]:
    """Return the rows as lines of a code block; each page shows the header again."""
    prefix = table.prefix
    after = Context(quoted=table.context.quoted, table=replace(table.head, widths=widths))
    top = f"{prefix}```\n{prefix}{lines[0]}\n{prefix}{rule}\n"
    if not rows:
        return [Piece(top, table.begin, Rank.NEVER, after)] if table.fresh else []
    pieces = [
        Piece(f"{prefix}{line}\n", row.following, Rank.LINE, after) for row, line in zip(rows, lines[1:], strict=True)
    ]
    pieces[0].text = top + pieces[0].text
    return pieces


def _records(table: Table) -> list[Piece]:
    context, head = table.context, table.head
    pieces: list[Piece] = []
    rows = table.rows or [Row(table.begin, table.begin, table.begin, whole=True)] * table.fresh
    for number, row in enumerate(rows):
        shown: list[Piece] = []
        spans = table.cells(row) if table.rows else []
        is_first = table.fresh and not number  # it shows every title, once
        if is_first and row.whole:
            shown = _bare_titles(table, row, spans)
        for i, span in enumerate(spans, 0 if number else head.column):
            done = row.whole or i + 1 < len(spans) + (0 if number else head.column)
            resumed = context if context.midline and not number and i == head.column else None
            shown += _cell(table, span, resumed, i, done=done, is_first=is_first)
        if shown and row.whole:
            last = shown[-1]
            last.text = last.text.rstrip() + ("\n> \n" if context.quoted else "\n\n")
            last.rank, last.end = Rank.LINE, row.following
            last.after = Context(quoted=context.quoted, table=replace(head, column=0))
        pieces += shown
    return pieces


def _bare_titles(table: Table, row: Row, spans: list[tuple[int, int]]) -> list[Piece]:
    """Return the titles of the columns that are empty in *row*, which nothing else shows; *spans* are its cells."""
    empty = [i for i in range(len(table.head.cells)) if i >= len(spans) or spans[i][0] == spans[i][1]]
    titles = [title for i in empty if (title := plain_text(table.head.cells[i]))]
    text = "".join(f"{table.prefix}**{escape_markdown(title)}:**\n" for title in titles)
    after = Context(quoted=table.context.quoted, table=table.head)
    return [Piece(text, row.start, Rank.NEVER, after)] if titles else []


def _cell(
    table: Table, span: tuple[int, int], resumed: Context | None, column: int, *, done: bool, is_first: bool
) -> list[Piece]:
    """Return the pieces of one cell of a record, its header before it unless the page was cut in it."""
    context, head = table.context, table.head
    title = plain_text(head.cells[column])
    title = title if is_first else title[:_MAX_TITLE].rstrip()
    pieces = render_inline(
        table.source,
        *span,
        context=replace(resumed, table=None) if resumed else Context(quoted=context.quoted),
        lead="" if resumed or not title else f"**{escape_markdown(title)}:** ",
        final=done,
        interrupted=table.interrupted,
        raw=False,
        in_cell=True,
        atom_cap=table.atom_cap,
    )
    here = replace(head, column=column)
    for piece in pieces:
        piece.after = replace(piece.after, table=here)
        if piece.run:
            piece.run = replace(piece.run, inside=replace(piece.run.inside, table=here))
    if pieces and done:
        last = pieces[-1]
        last.text = last.text.rstrip() + "\n"
        last.rank = Rank.SENTENCE
        last.after = Context(quoted=context.quoted, table=replace(head, column=column + 1))
    return pieces
