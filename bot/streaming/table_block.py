"""A table's rows to pieces: a code block with straight columns, or records."""

from __future__ import annotations

from dataclasses import replace

from bot.streaming.markdown import render_inline
from bot.streaming.pieces import Context, Piece, Rank, TableHead
from bot.streaming.plain import plain_text
from bot.streaming.tables import MAX_WIDTH, align_rows, split_row
from bot.streaming.text import escape_markdown

__all__ = ["render_table"]

_MAX_TITLE = 60


def render_table(
    source: str,
    rows: list[tuple[int, int, int]],
    context: Context,
    head: TableHead,
    *,
    fresh: bool,
    final: bool,
    atom_cap: int,
    known: list[bool],
) -> list[Piece]:
    """Return the pieces of a table.

    *rows* are start, end and following offset of each row's line in *source*, *known*
    whether each line is there as a whole. *fresh* says that the header belongs to this page.
    """
    cells = [
        [plain_text(source[start + a : start + b]) for a, b in split_row(source[start:end])[: len(head.cells)]]
        for start, end, _ in rows
    ]
    header = [plain_text(cell) for cell in head.cells]
    lines, widths = align_rows([header, *cells] if fresh else cells, head.aligns)
    if head.records or sum(widths) + 3 * (len(widths) - 1) > min(MAX_WIDTH, atom_cap):
        return _records(source, rows, context, replace(head, records=True), final=final, atom_cap=atom_cap, known=known)
    return _aligned(lines, widths, rows, context, head, fresh=fresh)


def _aligned(
    lines: list[str],
    widths: list[int],
    rows: list[tuple[int, int, int]],
    context: Context,
    head: TableHead,
    *,
    fresh: bool,
) -> list[Piece]:
    prefix = "> " if context.quoted else ""
    after = Context(quoted=context.quoted, table=replace(head, records=False))
    pieces: list[Piece] = []
    opening = f"{prefix}```\n"
    if fresh:
        rule = "─┼─".join("─" * width for width in widths)
        first = rows[0][0] if rows else 0
        pieces.append(Piece(f"{opening}{prefix}{lines[0]}\n{prefix}{rule}\n", first, Rank.NEVER, after))
        opening, lines = "", lines[1:]
    for line, (_, _, end) in zip(lines, rows, strict=True):
        pieces.append(Piece(f"{opening}{prefix}{line}\n", end, Rank.LINE, after))
        opening = ""
    return pieces


def _records(
    source: str,
    rows: list[tuple[int, int, int]],
    context: Context,
    head: TableHead,
    *,
    final: bool,
    atom_cap: int,
    known: list[bool],
) -> list[Piece]:
    pieces: list[Piece] = []
    for number, ((start, end, following), whole) in enumerate(zip(rows, known, strict=True)):
        row: list[Piece] = []
        spans = split_row(source[start:end])
        for i, (a, b) in enumerate(spans[: len(head.cells)]):
            column = i + (0 if number else head.column)
            if column >= len(head.cells):
                break
            done = whole or final or i + 1 < len(spans)
            resumed = context if context.midline and not number and not i else None
            row += _cell(source, start + a, start + b, resumed, context, head, column, done=done, atom_cap=atom_cap)
        if row and (whole or final):
            last = row[-1]
            last.text = last.text.rstrip() + ("\n> \n" if context.quoted else "\n\n")
            last.rank, last.end = Rank.LINE, following
            last.after = Context(quoted=context.quoted, table=replace(head, column=0))
        pieces += row
    return pieces


def _cell(
    source: str,
    start: int,
    end: int,
    resumed: Context | None,
    context: Context,
    head: TableHead,
    column: int,
    *,
    done: bool,
    atom_cap: int,
) -> list[Piece]:
    """Return the pieces of one cell of a record, its header before it unless the page was cut in it."""
    title = plain_text(head.cells[column])[:_MAX_TITLE].rstrip()
    lead = "" if resumed or not title else f"**{escape_markdown(title)}:** "
    base = replace(resumed, table=None) if resumed else Context(quoted=context.quoted)
    pieces = render_inline(source, start, end, context=base, lead=lead, final=done, raw=False, atom_cap=atom_cap)
    for piece in pieces:
        piece.after = replace(piece.after, table=replace(head, column=column))
    if pieces and done:
        last = pieces[-1]
        last.text = last.text.rstrip() + "\n"
        last.rank = Rank.SENTENCE
        last.after = Context(quoted=context.quoted, table=replace(head, column=column + 1))
    return pieces
