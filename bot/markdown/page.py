"""One page in the making: its pieces, where it may end, and how it reads closed."""

from __future__ import annotations

from bot.markdown.blocks import BlockReader
from bot.markdown.pieces import PLAIN, Context, Piece, Rank, closed
from bot.markdown.text import is_blank

_EXPANSION = 2  # rendered characters that one more of the source adds at most, but for oddities
# A page ends at the first place that is good enough for how full it is, so that it ends
# before anything of the next page is on screen: shares of the limit for the end of a
# block, of a line, of a line of code or a row, of a sentence, of a word.
_BLOCK, _LINE, _ROW, _SENTENCE, _WORD = 0.85, 0.9, 0.94, 0.94, 0.97
_NEARLY = 0.82  # from here on it is watched for one
_LEVELS = (_NEARLY, _SENTENCE, _WORD, 1.0)


class Page:
    """The pieces of the source that follows the last cut.

    Complete blocks are rendered once; only the open one is rendered again.

    Attributes:
        start: what is open where it starts.
        settled: how many of the pieces that `render` returned last belong to complete blocks.
        growth: how many characters one more of the source may add to what `render` returned last.
        open_context: what is open at the end of the source, if nothing of the open block is shown.
    """

    def __init__(self, context: Context, *, raw: bool, limit: int) -> None:
        self.start = context
        self._at = 0
        self._context = context
        self._stable: list[Piece] = []
        self._raw = raw
        self._atom_cap = limit // 3
        self.settled = 0
        self.growth = _EXPANSION
        self.open_context = context

    def render(self, source: str, *, final: bool, interrupted: bool = False) -> list[Piece]:
        """Return the pieces of *source*, which extends that of the call before.

        *final* says that it is complete, *interrupted* that it is not, but that nothing follows.
        """
        reader = BlockReader(source, final=final, interrupted=interrupted, raw=self._raw, atom_cap=self._atom_cap)
        while self._at < len(source):
            block = reader.read(self._at, self._context)
            if not block.complete or (block.end <= self._at and not final):
                self.growth = _EXPANSION + sum([piece.after.table is not None for piece in block.pieces])
                self.open_context = block.context
                self.settled = len(self._stable)
                return self._stable + block.pieces
            self._stable += block.pieces
            self._at = max(block.end, self._at + 1)
            self._context = block.context
        self.growth, self.open_context = _EXPANSION, PLAIN
        self.settled = len(self._stable)
        return self._stable


def next_level(length: int, limit: int) -> float:
    """Return the length above *length* from which more kinds of ends are good enough."""
    return next((share * limit for share in _LEVELS if share * limit > length), limit)


def is_nearly_full(length: int, limit: int) -> bool:
    """Return whether a page of *length* may end at the next good place."""
    return length >= _NEARLY * limit


def take_page(pieces: list[Piece], settled: int, limit: int) -> list[Piece]:
    """Return those first *pieces* that are full enough for a page; [] if it should go on.

    The first *settled* pieces belong to blocks that are complete. Of the last
    one more may come otherwise, so that no page ends with it.
    """
    taken = _take(pieces, settled, limit)
    if not taken and size(pieces) >= _SENTENCE * limit:
        taken = _take(words(pieces), 0, limit)
    return taken


def _take(pieces: list[Piece], settled: int, limit: int) -> list[Piece]:
    total = 0
    for i, piece in enumerate(pieces[: max(settled, len(pieces) - 1)]):
        length = total + len(closed(piece.text.rstrip(), piece.after))
        if _least_share(piece) * limit <= length <= limit:
            return pieces[: i + 1]
        total += len(piece.text)
    return []


def _least_share(piece: Piece) -> float:
    """Return how full a page must be to end after *piece*."""
    if piece.rank == Rank.BLOCK:
        return _BLOCK
    if piece.rank == Rank.LINE:
        return _ROW if piece.after.in_code_block else _LINE
    if piece.rank == Rank.SENTENCE:
        return _SENTENCE
    return _WORD if piece.rank < Rank.HEADING else float("inf")


def words(pieces: list[Piece]) -> list[Piece]:
    """Return *pieces* as finely as a page may be cut."""
    return [word for piece in pieces for word in piece.words()]


def size(pieces: list[Piece]) -> int:
    """Return how long a page of *pieces* is, closing marks included."""
    if not pieces:
        return 0
    last = pieces[-1]
    whole = sum([len(piece.text) for piece in pieces])
    return whole - len(last.text) + len(closed(last.text.rstrip(), last.after))


def choose_cut(pieces: list[Piece], limit: int) -> int:
    """Return how many *pieces* the page takes: the best kind of end in its second half, the last such.

    The last piece is never the end: more of it may come.
    """
    best, best_rank = 0, Rank.NEVER + 1
    total = 0
    for i, piece in enumerate(pieces[:-1]):
        if total > limit:
            break
        rank = piece.rank if total + len(piece.text) >= limit // 2 else max(piece.rank, Rank.GRAPHEME)
        if rank <= best_rank and total + len(closed(piece.text.rstrip(), piece.after)) <= limit:
            best, best_rank = i + 1, rank
        total += len(piece.text)
    return best


def latest_cut(pieces: list[Piece], limit: int) -> int:
    """Return how many *pieces* the page takes if it is to show as much as there is room for; 0 if none ends a word."""
    most = min(fit(pieces, limit), len(pieces) - 1)
    return next((count for count in range(most, 0, -1) if pieces[count - 1].rank < Rank.HEADING), 0)


def fit(pieces: list[Piece], limit: int) -> int:
    """Return how many of *pieces* fit on a page."""
    total = 0
    for i, piece in enumerate(pieces):
        if total + len(closed(piece.text.rstrip(), piece.after)) > limit:
            return i
        total += len(piece.text)
    return len(pieces)


def _join(pieces: list[Piece]) -> tuple[str, Context]:
    """Return the text of *pieces* trimmed as Discord does, without closing marks, and what is open after it."""
    if not pieces:
        return "", PLAIN
    after = pieces[-1].after
    text = "".join(piece.text for piece in pieces).strip()
    while after.quoted and text.endswith("\n>"):
        text = text[:-2].rstrip()
    return text, after


def show(pieces: list[Piece], cursor: str = "") -> str:
    """Return *pieces* as valid Markdown: all that is open closed, *cursor* where text will go on; "" if blank."""
    text, after = _join(pieces)
    if is_blank(text):
        return ""
    return closed(text, after, cursor)
