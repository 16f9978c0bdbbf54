"""Markdown tables as aligned text, or as records where they are too wide."""

from __future__ import annotations

import re

from bot.markdown.formulas import DOLLARS
from bot.markdown.text import display_width

MAX_WIDTH = 64  # columns of a code block that a narrow window still shows unwrapped

_DELIMITER_ROW = re.compile(r"\s*+\|?\s*+:?-++:?\s*+(?:\|\s*+:?-++:?\s*+)*+\|?\s*+")
# Not possessive: CPython 3.11 miscounts a group inside a possessive repeat.
_CODE = r"(?:\\.|(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)|"
_CELL_END = re.compile(_CODE + r"[^|\\])*")
_FORMULA_CELL_END = re.compile(_CODE + DOLLARS + r"|[^|\\])*")
_CLOSED = re.compile(r"\\.|(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")


def split_row(line: str, columns: int, *, whole: bool = True) -> list[tuple[int, int]]:
    """Return start and end offsets of the cells of *line*, white space stripped; *columns* cells, if it can be read so.

    A bar between dollars may be part of a formula, and parts two prices if that gives as many cells as wanted.
    In a line that is not there as a *whole*, inline code may be open that hides the bars after it:
    then what follows the first of them is left out.
    """
    cells = _split(line, _FORMULA_CELL_END if "$" in line else _CELL_END, whole=whole)
    if len(cells) != columns and "$" in line:
        plain = _split(line, _CELL_END, whole=whole)
        return plain if len(plain) == columns else cells
    return cells


def _split(line: str, cell_end: re.Pattern[str], *, whole: bool) -> list[tuple[int, int]]:
    cells: list[tuple[int, int]] = []
    at = len(line) - len(line.lstrip())
    end = len(line.rstrip())
    if at < end and line[at] == "|":
        at += 1
    while at < end:
        match = cell_end.match(line, at, end)
        stop = match.end() if match else end
        cells.append(_stripped(line, at, stop))
        if not whole and "`" in _CLOSED.sub("", line[at:stop]):
            break
        at = stop + 1
    return cells


def _stripped(line: str, start: int, end: int) -> tuple[int, int]:
    text = line[start:end]
    lead = len(text) - len(text.lstrip())
    return (start + lead, start + len(text.rstrip())) if text.strip() else (end, end)


def is_delimiter_row(line: str) -> bool:
    """Return whether *line* is the second line of a table (``|---|:-:|``)."""
    return "-" in line and ("|" in line) and _DELIMITER_ROW.fullmatch(line) is not None


def is_row(line: str, *, barred: bool) -> bool:
    """Return whether *line* goes on with a table; one whose header begins with a bar has rows that do."""
    return line.lstrip().startswith("|") if barred else "|" in line


def parse_aligns(line: str) -> tuple[str, ...]:
    """Return "l", "r" or "c" for each column of the delimiter row *line*."""
    aligns = []
    for start, end in split_row(line, 0):
        left, right = line[start] == ":", line[end - 1] == ":"
        aligns.append("c" if left and right else "r" if right else "l")
    return tuple(aligns)


def align_rows(
    rows: list[list[str]], aligns: tuple[str, ...], least: tuple[int, ...] = (), *, growing: bool = False
) -> tuple[list[str], list[int]]:
    """Return *rows* of shown cells as lines with straight columns, and the columns' widths, *least* at the least.

    If the last cell is still *growing*, it sticks out: columns widen once for a cell, not with each of its words.
    """
    widths = list(least) or [0] * len(aligns)
    done = [*rows[:-1], rows[-1][:-1]] if growing else rows
    for row in done:
        for i, cell in enumerate(row):
            widths[i] = max(widths[i], display_width(cell))
    return [_line(row, widths, aligns) for row in rows], widths


def _line(row: list[str], widths: list[int], aligns: tuple[str, ...]) -> str:
    cells = []
    for i, width in enumerate(widths):
        cell = row[i] if i < len(row) else ""
        gap = width - display_width(cell)
        left = gap if aligns[i] == "r" else gap // 2 if aligns[i] == "c" else 0
        cells.append(" " * left + cell + " " * (gap - left))
    return " │ ".join(cells).rstrip()
