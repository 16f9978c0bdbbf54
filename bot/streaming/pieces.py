"""The values that rendering hands to the splitter: pieces of a page and what is open after each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["PLAIN", "Context", "Fence", "Piece", "Rank", "TableHead", "closed", "closing"]


class Rank(IntEnum):
    """How well a page may end after a piece, the best first."""

    BLOCK = 0
    LINE = 1
    SENTENCE = 2
    WORD = 3
    SPAN = 4  # added to the three above inside inline markup
    HEADING = 8  # between a heading and its text
    GRAPHEME = 9
    NEVER = 10


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code fence of the source.

    Attributes:
        mark: its character, a backtick or a tilde.
        length: how many of them; the closing one has at least as many.
        indent: white space before it, taken off each line of code.
        language: the first word of its info string, or "".
    """

    mark: str
    length: int
    indent: int
    language: str


@dataclass(frozen=True, slots=True)
class TableHead:
    """What the rows of a table need to know when a page was cut inside it.

    Attributes:
        cells: source text of the header cells.
        aligns: "l", "r" or "c" for each column.
        column: the cell in which the page was cut, 0 for between rows.
        records: whether rows are written as "Header: value" lines.
    """

    cells: tuple[str, ...]
    aligns: tuple[str, ...]
    column: int = 0
    records: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What is open at a place in the source: enough to close a page there and to go on in the next.

    Attributes:
        spans: Discord marks of the open inline markup, outermost first.
        quoted: whether the line is in a block quote.
        midline: whether the place is inside a line of text (so nothing after it starts a block).
        fence: the open code fence.
        table: the open table.
    """

    spans: tuple[str, ...] = ()
    quoted: bool = False
    midline: bool = False
    fence: Fence | None = None
    table: TableHead | None = None

    @property
    def in_code_block(self) -> bool:
        """Whether Discord shows a code block here."""
        return self.fence is not None or (self.table is not None and not self.table.records)


PLAIN = Context()


@dataclass(slots=True)
class Piece:
    """Rendered text that is never torn.

    Attributes:
        text: what is shown, with opening marks before and closing marks and white space after it.
        end: offset in the source after it.
        rank: how well a page may end after it.
        after: what is open after it.
    """

    text: str
    end: int
    rank: int
    after: Context = PLAIN


def closing(text: str, spans: tuple[str, ...]) -> str:
    """Return the marks that close *spans* after *text*, which ends without white space."""
    marks = "".join(reversed(spans))
    return " " + marks if marks.startswith("`") and text.endswith("`") else marks


def closed(text: str, after: Context, cursor: str = "") -> str:
    """Return *text*, which ends without white space, with all that is open *after* it closed, and *cursor*."""
    if after.in_code_block:
        return text + cursor + ("\n> ```" if after.quoted else "\n```")
    if cursor and text.endswith("```"):
        cursor = "\n" + cursor.strip()
    return text + closing(text, after.spans) + cursor
