"""Inline Markdown to pieces: what is open here, closed for the moment and opened again."""

from __future__ import annotations

import re

from bot.markdown.items import is_deep
from bot.markdown.lexer import Lexer
from bot.markdown.pieces import MAX_INDENT, Context, Piece, Rank, Run, closing, word_rank
from bot.markdown.tokens import Action, Kind, Token

_BLOCK_START = re.compile(r"(-#|#{1,3}|>{1,3}|[-*+]|\d{1,9}[.)])")
_STATE_BEHIND = re.compile(r"(?:(?:#{1,3}|>|[-*+]|\d{1,9}\.) {0,9}){1,9}-#")  # where white space before it is trimmed
_LEAD = re.compile(r"( *)(?:[-*]|\d+\.) ")
_BLOCK_IN_MARKS = re.compile(r"(?:#{1,3}|>)(?:\s|$)")


def render_inline(
    source: str,
    start: int,
    end: int,
    *,
    context: Context,
    lead: str = "",
    indent: int = 0,
    final: bool,
    raw: bool,
    atom_cap: int,
    interrupted: bool = False,
    in_cell: bool = False,
    extra: tuple[str, ...] = (),
) -> list[Piece]:
    """Return the pieces of the inline text ``source[start:end]``.

    *context* is what is open at *start* (reopened before the first piece), *lead*
    is put before the first piece (a list marker), *indent* is how far the first line was
    indented if that is not shown, *extra* are marks that this text
    opens by itself and closes at its end (a heading shown in bold). *final* says that
    the text is complete, *interrupted* that it is not, but that nothing follows, *in_cell* that it is in a table.
    """
    code = context.spans[-1] if context.spans and context.spans[-1].startswith("`") else ""
    lexer = Lexer(
        source,
        start,
        end,
        final=final,
        interrupted=interrupted,
        raw=raw,
        quoted=context.quoted,
        atom_cap=atom_cap,
        in_cell=in_cell,
    )
    tokens = lexer.tokenize(code)
    base = context.spans[:-1] if code else context.spans
    _match(tokens, (*base, *extra), final=final, raw=raw)
    emitter = _Emitter(context, lead, indent, raw=raw)
    for mark in extra:
        emitter.open(mark)
    for token in tokens:
        emitter.take(token)
    return emitter.finish(end, final=final)


def _match(tokens: list[Token], base: tuple[str, ...], *, final: bool, raw: bool) -> None:
    """Decide for every delimiter run which marks open, which close and which are text."""
    stack = _OpenMarks(raw=raw)
    for mark in base:
        stack.push(mark, None)
    for token in tokens:
        if token.kind == Kind.DELIMITER:
            token.actions = _match_run(token, stack)
    if final:
        stack.close(0)


class _OpenMarks:
    """The marks that are open, innermost last."""

    def __init__(self, *, raw: bool) -> None:
        self.raw = raw
        self._stack: list[tuple[str, Action | None]] = []
        self._depths: dict[str, list[int]] = {}  # of each mark, so that a hostile text finds no long way down

    def push(self, mark: str, action: Action | None) -> None:
        """Open *mark*; *action* is what it becomes, unless it was open before the text."""
        self._depths.setdefault(mark, []).append(len(self._stack))
        self._stack.append((mark, action))

    def find(self, char: str, left: int) -> int:
        """Return the depth of the innermost mark that *left* of *char* can close, or -1."""
        sizes = (1, 2) if left == 3 else (left,)
        marks = [shown for size in sizes if (shown := self.shown(char * size))[0] == char or size == left]
        return max([self._depths[mark][-1] for mark in marks if self._depths.get(mark)], default=-1)

    def has(self, mark: str) -> bool:
        """Return whether *mark* is open."""
        return bool(self._depths.get(mark))

    def shown(self, mark: str) -> str:
        """Return the mark that Discord has for *mark*."""
        return "**" if mark == "__" and not self.raw else mark

    def close(self, depth: int, *, keep: int = 0) -> str:
        """Forget the marks from *depth* on; all but the first *keep* of them were text. Return the first."""
        marks = self._stack[depth:]
        for mark, _ in marks:
            self._depths[mark].pop()
        for _, action in marks[keep:]:
            if action is not None:
                action.kind = "text"
        del self._stack[depth:]
        return marks[0][0] if marks else ""


def _match_run(token: Token, stack: _OpenMarks) -> list[Action]:
    """Return what the marks of a delimiter run do."""
    char, left = token.text[:1], len(token.text)
    if not token.can_open and not token.can_close:
        return [Action("text", token.text)]
    actions: list[Action] = []
    while left and token.can_close and (depth := stack.find(char, left)) >= 0:
        mark = stack.close(depth, keep=1)
        actions.append(Action("close", mark))
        left -= len(mark)
    while left:
        mark = char * min(left, 2)
        if token.can_open and not (char == "|" and stack.has(mark)):
            actions.append(Action("open", stack.shown(mark)))
            stack.push(actions[-1].mark, actions[-1])
        else:
            actions.append(Action("text", mark))
        left -= len(mark)
    return actions


def _hanging(lead: str) -> str:
    """Return what an indented line begins with that goes on with the list item that *lead* begins."""
    item = _LEAD.match(lead)
    return f"{item[1]}  " if item else ""


class _Emitter:
    """Build pieces from matched tokens, marks attached to the text they belong to."""

    def __init__(self, context: Context, lead: str, indent: int, *, raw: bool) -> None:
        self.pieces: list[Piece] = []
        self.raw = raw
        self.quoted = context.quoted
        self.spans: list[str] = list(context.spans)
        self.ignored: list[str] = []  # marks nested in themselves say nothing
        self.waiting = list(context.spans)  # opened, but nothing shown in them yet
        self.prefix = ("> " if context.quoted else "") + lead
        self.hanging = _hanging(lead)
        self.indent = indent
        # the next text must not look like the start of a block
        self.fragile = context.midline or (not raw and lead.isspace())
        self.line_start = True
        self.only_marks = False  # marks that say nothing to us, but may to Discord, are all that the line has
        self.contexts: dict[tuple[bool, tuple[str, ...]], Context] = {}

    def take(self, token: Token) -> None:
        """Render *token*."""
        kind = token.kind
        if kind == Kind.SPACE:
            self._space(token)
        elif kind == Kind.NEWLINE:
            self._newline(token)
        elif kind == Kind.DELIMITER:
            self._marks(token)
        elif kind == Kind.OPEN:
            self.open(token.text)
        elif kind == Kind.CLOSE:
            self._close(token.text, token.end)
        else:
            self._show(token)

    def open(self, mark: str) -> None:
        """Open *mark* before the next text."""
        if mark in self.spans:
            self.ignored.append(mark)
            return
        self.spans.append(mark)
        self.waiting.append(mark)

    def finish(self, end: int, *, final: bool) -> list[Piece]:
        """Return the pieces; a text that is *final* has its open marks closed."""
        if not self.pieces:
            return self.pieces
        last = self.pieces[-1]
        if final:
            text = last.text.rstrip()
            last.text = text + closing(text, tuple(mark for mark in self.spans if mark not in self.waiting))
            self.spans = []
            last.after = self._context(midline=False)
        last.end = end
        return self.pieces

    def _context(self, *, midline: bool) -> Context:
        spans = tuple(mark for mark in self.spans if mark not in self.waiting)
        key = (midline, spans)
        if key not in self.contexts:
            self.contexts[key] = Context(spans=spans, quoted=self.quoted, midline=midline)
        return self.contexts[key]

    def _show(self, token: Token) -> None:
        text = token.text
        if not text:
            if self.pieces:
                self.pieces[-1].rank = Rank.NEVER
            return
        guard = ""
        if self.line_start and not token.code:
            guard, text = self._guard(text, atom=token.kind != Kind.TEXT)
        elif self.only_marks and text.startswith("-#"):
            guard = "\\"
        self.only_marks = (self.line_start or self.only_marks) and token.code and not text.strip("*_~|\\")
        self.line_start = self.fragile = False
        opened = self.prefix + "".join(self.waiting) + guard
        self.prefix = ""
        self.waiting.clear()
        if opened.endswith("`") and text.startswith("`"):
            opened += " "
        rank = Rank.NEVER if token.kind == Kind.HELD else Rank.GRAPHEME
        context = self._context(midline=True)
        piece = Piece(opened + text, token.end, rank, context)
        if token.kind == Kind.TEXT:
            piece.run = Run(len(opened), len(piece.text), token.end, context)
        self.pieces.append(piece)

    def _guard(self, text: str, *, atom: bool) -> tuple[str, str]:
        """Keep *text* at the start of a line from being read as a state line of ours or as a block.

        Returns what comes before it and the rest of it. Discord looks for blocks inside marks
        as well, where Markdown has none.
        """
        if text.startswith(("-#", ">>>")) or (self.raw and _STATE_BEHIND.match(text)):
            return "\\", text
        if self.waiting and not self.fragile and not self.raw:
            return ("\\" if _BLOCK_IN_MARKS.match(text) else ""), text
        if (atom or self.fragile) and _BLOCK_START.match(text):
            rest = text.lstrip("0123456789")
            return text[: len(text) - len(rest)] + "\\", rest
        return "", text

    def _space(self, token: Token) -> None:
        if not self.pieces or self.line_start:
            return
        last = self.pieces[-1]
        last.end = token.end
        if token.code and self.waiting:
            self._show(Token(Kind.ATOM, token.text, token.end, code=True))
            return
        last.text += token.text
        last.rank = word_rank(last.text, last.after)

    def _newline(self, token: Token) -> None:
        if not self.pieces:
            return
        last = self.pieces[-1]
        last.text = last.text.rstrip(" ") + ("\\\n" if self.raw and token.text[0] == "\\" else "\n")
        last.end = token.end
        broken = token.text == "br"
        last.after = self._context(midline=broken or self.quoted)
        last.rank = Rank.LINE + (Rank.SPAN if last.after.spans else 0)
        indent = self._indent(token.text)
        self.prefix = ("> " if self.quoted else "") + self._shown_indent(indent)
        self.line_start, self.only_marks = True, False
        self.fragile = broken or (not self.raw and is_deep(indent))

    def _indent(self, newline: str) -> str:
        """Return the white space of the line after *newline*, a line end with what separates it from the text."""
        indent = newline[len(newline.rstrip(" \t")) :]
        return indent.removeprefix(" " if ">" in newline else "")

    def _shown_indent(self, indent: str) -> str:
        """Return what a line of the text begins with that is indented so: as written, but in a list's item."""
        if self.raw or not self.hanging:
            return indent[self.indent :][-MAX_INDENT:]
        return self.hanging if indent else ""

    def _marks(self, token: Token) -> None:
        self.fragile |= token.is_tag and self.line_start
        for action in token.actions:
            if action.kind == "open":
                self.open(action.mark)
            elif action.kind == "close":
                self._close(action.mark, token.end)
            elif not token.is_tag:
                self._show(
                    Token(Kind.ATOM, self._literal(token.text[0] * len(action.mark), token), token.end, code=True)
                )

    def _literal(self, run: str, token: Token) -> str:
        intraword = run == "_" and not token.can_open and not token.can_close
        if self.raw or intraword or run in {"~", "|"}:
            return run
        return "".join("\\" + char for char in run)

    def _close(self, mark: str, end: int) -> None:
        if mark in self.ignored:
            self.ignored.remove(mark)
            return
        if mark in self.spans:
            self.spans.remove(mark)
        if mark in self.waiting:
            self.waiting.remove(mark)
            return
        if self.pieces:
            last = self.pieces[-1]
            text = last.text.rstrip("\n")  # a mark after a <br> closes at the end of its line
            broken = last.text[len(text) :]
            last.text = text + closing(text, (mark,)) + broken
            last.end = end
            last.rank = last.rank if broken else Rank.GRAPHEME
            last.after = self._context(midline=True)
