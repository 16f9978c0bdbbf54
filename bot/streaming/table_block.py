"""A table's rows to pieces: a code block with straight columns, or records."""

from __future__ import annotations

from dataclasses import replace

from bot.streaming.markdown import render_inline
from bot.streaming.pieces import Context, Piece, Rank, TableHead
from bot.streaming.plain import plain_text
from bot.streaming.tables import MAX_WIDTH, align_rows, split_row

__all__ = ["render_table"]


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
        [plain_text(source[start + a : start + b]) for a, b in split_row(source[start:end])] for start, end, _ in rows
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
    for (start, end, following), whole in zip(rows, known, strict=True):
        first = len(pieces)
        for i, (a, b) in enumerate(split_row(source[start:end])):
            column = i + (head.column if not first else 0)
            if column >= len(head.cells):
                break
            resumed = not first and not i and context.midline
            lead = "" if resumed else f"**{plain_text(head.cells[column])}:** "
            base = replace(context, table=None) if resumed else Context(quoted=context.quoted)
            part = render_inline(
                source,
                start + a,
                start + b,
                context=base,
                lead=lead,
                final=whole or final,
                raw=False,
                atom_cap=atom_cap,
            )
            for piece in part:
                piece.after = replace(piece.after, table=replace(head, column=column))
            if part:
                part[-1].text = part[-1].text.rstrip() + "\n"
                part[-1].rank = Rank.SENTENCE
                part[-1].after = Context(quoted=context.quoted, table=replace(head, column=column + 1))
                pieces += part
        if len(pieces) > first:
            pieces[-1].text = pieces[-1].text.rstrip() + ("\n> \n" if context.quoted else "\n\n")
            pieces[-1].rank = Rank.LINE
            pieces[-1].end = following
            pieces[-1].after = Context(quoted=context.quoted, table=replace(head, column=0))
    return pieces
