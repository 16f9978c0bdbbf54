"""Cut a line of Markdown's inline text into tokens; what Discord lacks comes out as what it has."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import ClassVar

from bot.markdown.code import LATE
from bot.markdown.delimiters import flanking, identifier
from bot.markdown.formulas import formula_at, formula_cap, show_formula
from bot.markdown.html_tags import is_half_tag, line_break, tag_at, tagged_text
from bot.markdown.links import (
    FOOTNOTE,
    LABEL_PARTIAL,
    LINK,
    LINK_PARTIAL,
    TARGETS,
    URL,
    WIDE_PUNCTUATION,
    defused,
    footnote,
    plain_label,
    shown_link,
    trimmed,
)
from bot.markdown.sanitize import cleaned
from bot.markdown.tokens import Kind, Token

# Words with single spaces between them are one token: pages are cut inside it only where one must end.
_PLAIN_RAW = re.compile(r"[^\s\\`*_~|<\[!&]+(?: [^\s\\`*_~|<\[!&]+)*")
_PLAIN = re.compile(r"[^\s\\`*_~|<\[!&$]+(?: [^\s\\`*_~|<\[!&$]+)*")
_SPACE = re.compile(r"[^\S\n]+")
_NEWLINE = re.compile(r"\\?\n[ \t]*")
_NEWLINE_QUOTED = re.compile(r"\\?\n(?: {0,3}>(?![=\d])[ \t]?)*[ \t]*")
_NEWLINE_RAW_QUOTED = re.compile(r"\\?\n(?: {0,3}>[ \t]?)?[ \t]*")
_TICKS = re.compile(r"`{1,60}")
_PAIR = re.compile(r"`(?=`)")
_RUN = re.compile(r"\*{1,60}|_{1,60}|~{1,60}|\|{1,60}")
_ANGLE = re.compile(
    r"<(?:a?:\w{1,32}:\d{15,21}|@[!&]?\d{15,21}|#\d{15,21}|t:-?\d{1,13}(?::[tTdDfFRsS])?"
    r"|/[\w -]{1,100}:\d{15,21}|id:\w+|https?://[^\s<>]{1,1000})>"
)
_ANGLE_PARTIAL = re.compile(r"<(?:[@#:!&/]|a:?|t:?|i|b|h|s|$)[\w:!&+ ./?=%-]{0,80}")
_ANGLE_HALF = re.compile(r"<(?:(?:[@#:/]|a:|t:)[\w:&-]{0,80}|br?\s?/?|su[bp]?>?)?")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ENTITY_PARTIAL = re.compile(r"&#?\w{0,8}")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_MARKUP = re.compile(r"[\\`*_~|<>\[\]#-]")
_CODE_CAP = 300


class Lexer:
    """Tokens of ``source[start:end]``.

    *final* says that the text is complete: then half a marker is text, else it is held back.
    *interrupted* says that it is not, but that nothing follows: only what surely is half a marker is held back.
    *raw* leaves everything as written; *atom_cap* is how long what is never torn may be;
    *in_cell* says that it is a cell of a table, where a bar is escaped in code, too.
    """

    def __init__(
        self,
        source: str,
        start: int,
        end: int,
        *,
        final: bool,
        interrupted: bool = False,
        raw: bool,
        quoted: bool,
        atom_cap: int,
        in_cell: bool = False,
    ) -> None:
        self.source = source
        self.at = start
        self.begin = start
        self.end = end
        self.final = final
        self.interrupted = interrupted and not final
        self.raw = raw
        self._newline = (_NEWLINE_RAW_QUOTED if raw else _NEWLINE_QUOTED) if quoted else _NEWLINE
        self.quoted = quoted
        self.atom_cap = atom_cap
        self.in_cell = in_cell
        self.tokens: list[Token] = []

    def tokenize(self, open_code: str = "") -> list[Token]:
        """Return the tokens; *open_code* is the mark of inline code that is open at the start."""
        if open_code:
            self._code_content(open_code, self.at)
        plain = _PLAIN_RAW if self.raw else _PLAIN
        source, end = self.source, self.end
        while self.at < end:
            match = plain.match(source, self.at, end)
            if match:
                self._words(match[0], match.end())
                continue
            char = source[self.at]
            handler = self._HANDLERS.get(char)
            if handler is None or not handler(self):
                if char.isspace():
                    self._white()
                else:
                    self._text(char, self.at + 1)
        return self.tokens

    # Each handler returns whether it took something.

    def _emit(self, kind: int, text: str, end: int) -> bool:
        self.tokens.append(Token(kind, text, end))
        self.at = end
        return True

    def _text(self, text: str, end: int) -> bool:
        return self._emit(Kind.TEXT, text, end)

    def _hold(self, end: int | None = None) -> bool:
        return self._emit(Kind.HELD, "", self.end if end is None else end)

    def _white(self) -> None:
        match = self._newline.match(self.source, self.at, self.end)
        if match:
            self._emit(Kind.NEWLINE, match[0], match.end())
            return
        match = _SPACE.match(self.source, self.at, self.end)
        if match:
            self._emit(Kind.SPACE, match[0][:16], match.end())
        else:
            self._text(self.source[self.at], self.at + 1)

    def _words(self, text: str, end: int) -> None:
        url = URL.search(self.source, self.at, self.end) if "http" in text else None
        if not url or url.start() >= end:
            self._text(text, end)
            return
        before = text[: url.start() - self.at]
        words = before.rstrip()
        if words:
            self._text(words, self.at + len(words))
        if len(words) < len(before):
            self._emit(Kind.SPACE, " ", url.start())
        self._url(url[0], url.start())

    def _url(self, url: str, start: int) -> None:
        sentence = None if self.raw else WIDE_PUNCTUATION.search(url)
        url = trimmed(url[: sentence.start()] if sentence else url)
        end = start + len(url)
        if sentence and 0 < len(url) <= self.atom_cap:  # to Discord it would be part of the address
            self._emit(Kind.ATOM, f"<{url}>", end)
            return
        if len(url) > self.atom_cap:
            self._text(url, end)
        else:
            self._emit(Kind.ATOM if end < self.end or self.final else Kind.HELD, url, end)

    def _backslash(self) -> bool:
        if not self.raw and self._math():
            return True
        following = self.source[self.at + 1 : min(self.at + 2, self.end)]
        if not following:
            return self._emit(Kind.ATOM, "\\\\", self.end) if self.final else self._hold()
        if following == "\n":
            self._white()
            return True
        if following in _PUNCTUATION:
            return self._emit(Kind.ATOM, "\\" + following, self.at + 2)
        if following.isspace():
            return self._emit(Kind.ATOM, "\\\\", self.at + 1)
        return self._emit(Kind.HELD, "\\", self.at + 1)

    def _dollar(self) -> bool:
        if self.at + 1 == self.end and not self.final and not self.interrupted:
            return self._hold()
        return self._math()

    def _math(self) -> bool:
        formula = formula_at(self.source, self.at, self.end, final=self.final, cap=formula_cap(self.atom_cap))
        if formula is None:
            return False
        kind = Kind.ATOM if formula.complete else Kind.HELD
        shown = show_formula(formula, self.source[self.at : formula.end], quoted=self.quoted)
        return self._emit(kind, shown, formula.end)

    def _ticks(self) -> bool:
        match = _TICKS.match(self.source, self.at, self.end)
        mark = match[0] if match else "`"
        after = self.at + len(mark)
        if after == self.end and not self.final:
            return self._hold()
        close = self._closing_ticks(mark, after)
        if len(mark) > 2:
            return self._short_code(mark, after, close) or self._emit(Kind.ATOM, "\\`" * len(mark), after)
        optimistic = not self.final and self.end - after <= _CODE_CAP
        if close < 0 and not optimistic:
            return self._emit(Kind.ATOM, "\\`" * len(mark), after)
        self._emit(Kind.OPEN, mark, after)
        self._code_content(mark, after)
        return True

    def _short_code(self, mark: str, start: int, close: int) -> bool:
        """Take inline code from *start* to *close*, or to the end; Discord takes its *mark* for a fence."""
        stop = close if close >= 0 else self.end
        code = self.source[start:stop].replace("\n", " ").strip()
        code = code if close >= 0 else code.rstrip("`")
        if not code or (close < 0 and not code.strip("`")) or stop - start > min(_CODE_CAP, self.atom_cap):
            return False
        code = _PAIR.sub("`\u200b", code)  # which Discord would take for the end
        shown = f"`` {code} ``" if "`" in code else f"`{code}`"
        if close < 0 and not self.final and LATE.fullmatch(self.source, self.at, self.end):
            return self._hold()  # a fence, perhaps
        if close < 0:
            return not self.final and self._emit(Kind.HELD, shown, self.end)
        if self.raw and len(mark) == len("```") and code[-1] != "`":  # a block to Discord, so that it stays one
            shown = f"{mark}{code}{mark}"
        return self._emit(Kind.ATOM, shown, close + len(mark))

    def _closing_ticks(self, mark: str, start: int) -> int:
        for match in _TICKS.finditer(self.source, start, self.end):
            if len(match[0]) == len(mark):
                return match.start()
        return -1

    def _code_content(self, mark: str, start: int) -> None:
        """Take the inside of inline code from *start* to its closing *mark*, or to the end."""
        close = self._closing_ticks(mark, start)
        content = self.source[start : close if close >= 0 else self.end]
        if close < 0 and not self.final:
            content = content.rstrip("`")
        if content:
            shown = content if self.raw and not self.quoted else content.replace("\n", " ")
            has_bar = self.in_cell and "\\|" in content and len(content) <= self.atom_cap
            kind = Kind.ATOM if has_bar else Kind.TEXT
            self._emit(kind, shown.replace("\\|", "|") if has_bar else shown, start + len(content))
            self.tokens[-1].code = True
        self.at = start + len(content)
        if close >= 0:
            self._emit(Kind.CLOSE, mark, close + len(mark))
        elif self.at < self.end:
            self._hold()

    def _delimiter(self) -> bool:
        match = _RUN.match(self.source, self.at, self.end)
        if match is None:
            return False
        run, end = match[0], match.end()
        if run[0] == "_" and not self.raw and self._name(run, end):
            return True
        self._emit(Kind.DELIMITER, run, end)
        token = self.tokens[-1]
        token.can_open, token.can_close = flanking(self.source, self.begin, end - len(run), end, self.end, raw=self.raw)
        if end == self.end and not self.final:  # it may grow; what it would close is closed for the moment anyway
            token.kind, token.text = Kind.HELD, ""
        return True

    def _name(self, run: str, after: int) -> bool:
        """Take underscores that Discord would take for marks: of a name like ``__init__``, or of one in a path."""
        before = self.source[self.at - 1] if self.at > self.begin else "\n"
        if before.isalnum() or before == "_":
            return False
        end = identifier(self.source, self.at, self.end, final=self.final) if run == "__" else -1
        if end < 0 and before == "/":
            end = after
        if end < 0:
            return False
        kind = Kind.ATOM if end < self.end or self.final else Kind.HELD
        return self._emit(kind, self.source[self.at : end].replace("_", r"\_"), end)

    def _angle(self) -> bool:
        match = _ANGLE.match(self.source, self.at, self.end)
        if match:
            return self._emit(Kind.ATOM, match[0], match.end())
        if not self.raw and self._tag():
            return True
        partial = _ANGLE_HALF if self.interrupted else _ANGLE_PARTIAL
        if not self.final and partial.fullmatch(self.source, self.at, self.end):
            return self._hold()
        return False

    def _tag(self) -> bool:
        """Take a tag of HTML that can be shown otherwise."""
        source, at, end = self.source, self.at, self.end
        after = line_break(source, self.begin, at, end, in_cell=self.in_cell)
        if after >= 0:
            return self._emit(Kind.NEWLINE, "br", after)
        shown = tagged_text(source, at, end)
        if shown and shown[1] - at <= self.atom_cap:
            return self._emit(Kind.ATOM, *shown)
        if not self.final and is_half_tag(source, at, end) and not self.interrupted:
            return self._hold()
        tag = tag_at(source, self.begin, at, end, final=self.final)
        if tag is None:
            return False
        if tag.end == end and not self.final and not self.interrupted:
            return self._hold()
        # to Discord a mark right behind an address is part of it
        is_behind_url = tag.opens and self.tokens and self.tokens[-1].text.startswith("http")
        self._emit(Kind.DELIMITER, "" if is_behind_url else tag.mark, tag.end)
        token = self.tokens[-1]
        token.can_open, token.can_close, token.is_tag = tag.opens, not tag.opens, True
        return True

    def _ampersand(self) -> bool:
        if self.raw:
            return False
        match = _ENTITY.match(self.source, self.at, self.end)
        if match:
            char = html.unescape(match[0])
            if char != match[0]:
                return self._entity(char, match.end())
        if not (self.final or self._goes_on_word()) and _ENTITY_PARTIAL.fullmatch(self.source, self.at, self.end):
            return self._hold()
        return False

    def _goes_on_word(self) -> bool:
        """Whether nothing follows and the mark here is part of a word: R&D, x[0."""
        return self.interrupted and self.at > self.begin and self.source[self.at - 1].isalnum()

    def _entity(self, char: str, end: int) -> bool:
        char = cleaned(char)
        if char.isspace() or not char:
            return self._emit(Kind.SPACE, " " if char else "", end)
        return self._emit(Kind.ATOM, _MARKUP.sub(r"\\\g<0>", char), end)

    def _bang(self) -> bool:
        start = self.at
        if start + 1 == self.end and not (self.final or self.interrupted or self.raw):
            # "Hi!" is no image
            is_word = start > self.begin and self.source[start - 1].isalnum()
            return not is_word and self._hold()
        if self.source[start + 1 : min(start + 2, self.end)] != "[" or self.raw:
            return False
        self.at += 1
        if self._link(default="image"):
            return True
        self.at = start
        return False

    def _bracket(self) -> bool:
        if not self.raw:
            match = FOOTNOTE.match(self.source, self.at, self.end)
            if match:
                gap = "\u202f" if self.at > self.begin and self.source[self.at - 1] == "]" else ""
                return self._emit(Kind.ATOM, gap + footnote(match[1]), match.end())
        return self._link()

    def _link(self, default: str = "") -> bool:
        match = LINK.match(self.source, self.at, self.end)
        if (
            match
            and not self.raw
            and ((not match[2] and match[1].strip()) or (not default and self._is_call(match[2])))
        ):
            return False
        if match and len(match[0]) <= self.atom_cap:
            title = (match[3] or "").strip()[1:-1].replace('"', "'")
            shown = shown_link(match[1].strip() or default, match[2], title)
            return self._emit(Kind.ATOM, f"[{defused(match[0][1:])}" if self.raw else shown, match.end())
        if match or self.final or (self._goes_on_word() and not self.source.startswith("[^", self.at)):
            return False
        partial = LINK_PARTIAL.fullmatch(self.source, self.at, self.end)
        if partial and len(partial[0]) <= self.atom_cap:
            return self._emit(Kind.HELD, self._label(partial[1]) or default, self.end)
        partial = LABEL_PARTIAL.fullmatch(self.source, self.at, self.end)
        if partial and len(partial[0]) <= self.atom_cap:
            inner = partial[0][1:].removesuffix("]")
            is_note = inner.startswith("^") and not self.raw
            return self._emit(Kind.HELD, "" if is_note else self._label(inner), self.end)
        return False

    def _is_call(self, target: str) -> bool:
        """Whether the brackets here are no link but code in the text: f[0](x)."""
        before = self.source[self.at - 1] if self.at > self.begin else " "
        is_word = before.isascii() and (before.isalnum() or before in ")]")
        return is_word and not target.startswith(("#", "/", ".", *TARGETS))

    def _label(self, text: str) -> str:
        return text.strip().replace("```", "") if self.raw else plain_label(text)

    _HANDLERS: ClassVar[dict[str, Callable[[Lexer], bool]]] = {
        "\\": _backslash,
        "$": _dollar,
        "`": _ticks,
        "*": _delimiter,
        "_": _delimiter,
        "~": _delimiter,
        "|": _delimiter,
        "<": _angle,
        "&": _ampersand,
        "!": _bang,
        "[": _bracket,
    }
