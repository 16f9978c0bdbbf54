"""The values that rendering hands to the splitter: pieces of a page and what is open after each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import regex

_WORD = re.compile(r"\S+\s*|\s+")
_SENTENCE_END = re.compile(r"[.!?…:;。！？][\"'”’)\]*_」』）]*\s*$")
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")  # scripts without spaces
_CHUNK = regex.compile(r"[^\s。！？]{0,8}[。！？][」』）]*\s*|\X{1,8}\s*")
_LONG_WORD = 48
MAX_CLUSTER = 64  # longer than any real cluster; what is longer must be cut somewhere
MAX_INDENT = 40  # of a line of text that is left as written


class Rank:
    """How well a page may end after a piece, the best first; plain numbers, for speed."""

    BLOCK: Final = 0
    LINE: Final = 1
    SENTENCE: Final = 2
    WORD: Final = 3
    SPAN: Final = 4  # added to the three above inside inline markup
    HEADING: Final = 8  # between a heading and its text
    GRAPHEME: Final = 9
    NEVER: Final = 10


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code fence of the source.

    Attributes:
        mark: its character, a backtick or a tilde.
        length: how many of them; the closing one has at least as many.
        indent: white space before it, taken off each line of code.
        language: the first word of its info string, or "".
        depth: how many fences are open in it that end as it does.
    """

    mark: str
    length: int
    indent: int
    language: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class TableHead:
    """What the rows of a table need to know when a page was cut inside it.

    Attributes:
        cells: source text of the header cells.
        aligns: "l", "r" or "c" for each column.
        column: the cell in which the page was cut, 0 for between rows.
        records: whether rows are written as "Header: value" lines.
        widths: of the columns on the page before, so that they stay.
        barred: whether the header begins with a bar, and so do the rows.
    """

    cells: tuple[str, ...]
    aligns: tuple[str, ...]
    column: int = 0
    records: bool = False
    widths: tuple[int, ...] = ()
    barred: bool = True


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


@dataclass(frozen=True, slots=True)
class Run:
    """The part of a piece that stands there as in the source, so that it can be cut.

    Attributes:
        start, stop: its place in the text of the piece.
        end: offset in the source after it.
        inside: what is open in it.
    """

    start: int
    stop: int
    end: int
    inside: Context


@dataclass(slots=True)
class Piece:
    """Rendered text that is only torn inside its run.

    Attributes:
        text: what is shown, with opening marks before and closing marks and white space after it.
        end: offset in the source after it.
        rank: how well a page may end after it.
        after: what is open after it.
        run: the part that may be cut between words, or where a word is too long.
    """

    text: str
    end: int
    rank: int
    after: Context = PLAIN
    run: Run | None = None

    def words(self) -> list[Piece]:
        """Return the pieces that a page may end between."""
        run = self.run
        if run is None:
            return [self]
        end = run.end - (run.stop - run.start)
        pieces: list[Piece] = []
        for match in _WORD.finditer(self.text, run.start, run.stop):
            for part in _parts(match[0]):
                end += len(part)
                rank = word_rank(part, run.inside) if part[-1].isspace() or _WIDE.search(part) else Rank.GRAPHEME
                pieces.append(Piece(part, end, rank, run.inside))
        first, last = pieces[0], pieces[-1]
        first.text = self.text[: run.start] + first.text
        last.text += self.text[run.stop :]
        last.end, last.rank, last.after = self.end, self.rank, self.after
        return pieces


def word_rank(text: str, after: Context) -> int:
    """Return how well a page may end after *text*, which ends a word."""
    rank = Rank.SENTENCE if _SENTENCE_END.search(text) else Rank.WORD
    return rank + (Rank.SPAN if after.spans else 0)


def _parts(word: str) -> list[str]:
    """Return *word* in one part, or in several that no grapheme spans where it may have to be cut."""
    if len(word) <= _LONG_WORD and (word.isascii() or not _WIDE.search(word)):
        return [word]
    return [
        cluster[i : i + MAX_CLUSTER] for cluster in _CHUNK.findall(word) for i in range(0, len(cluster), MAX_CLUSTER)
    ]


def closing(text: str, spans: tuple[str, ...]) -> str:
    """Return the marks that close *spans* after *text*, which ends without white space."""
    marks = "".join(reversed(spans))
    return " " + marks if marks.startswith("`") and text.endswith("`") else marks


def closed(text: str, after: Context, cursor: str = "") -> str:
    """Return *text*, which ends without white space, with all that is open *after* it closed, and *cursor*."""
    if after.in_code_block:
        return text + cursor + ("\n> ```" if after.quoted else "\n```")
    text += closing(text, after.spans)
    if cursor and text.endswith("```"):
        cursor = "\n" + cursor.strip()
    return text + cursor
