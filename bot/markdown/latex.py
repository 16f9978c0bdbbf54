"""LaTeX formulas as readable Unicode, where that can be done."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import ClassVar

from bot.markdown.latex_symbols import ACCENTS, FACES, SUBSCRIPTS, SUPERSCRIPTS, WORDS, symbols

_PART = re.compile(r"\\(?:[A-Za-z]+\*?|.)|\s+|.", re.DOTALL)
_LINE_GAP = re.compile(r"\\\\\[[\d.]+[a-z]{2}\]")  # how far the next line is down
_SPACES = {",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": "  ", "qquad": "   ", "\\": "\n", ">": " "}
_KEPT_TEXT = (
    *("boxed", "underbrace", "overbrace", "text", "textrm", "textbf", "textit", "textsf", "texttt", "mbox"),
    *("mathrm", "mathbf", "mathit", "mathsf", "operatorname", "operatorname*", "boldsymbol", "bm", "pmb"),
)
_DROPPED = (
    *("left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr"),
    *("displaystyle", "textstyle", "limits", "nolimits", "nonumber", "notag"),
)
_CHARACTERS = {"&": " ", "~": " ", "\\": " ", "'": "′", "-": "−"}
_PRODUCT = re.compile(r"[\d.]+[^\W\d_]|[^\W\d_]√")  # below a line it takes brackets: 1/(2a)
_GROUPED = re.compile(r"[\w.∞√()ℝℂ′!'⁰-₟²³¹]+")
_MAX_DEPTH = 20


class _NotReadableError(Exception):
    """The formula has something that Unicode text cannot show."""


class _UnfinishedError(_NotReadableError):
    """The formula ends where more has to come."""


def to_unicode(tex: str, *, growing: bool = False) -> str | None:
    """Return *tex* in Unicode characters, or None if it would not read well.

    Of a formula that is still *growing*, what is half there at its end is left out ("" if that is all).
    """
    try:
        text = _Reader(_LINE_GAP.sub(r"\\\\", tex), growing=growing).read()
    except _NotReadableError:
        return None
    lines = (re.sub(r" {2,}", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line) or ("" if growing else None)


class _Reader:
    """A recursive-descent reader of the part of LaTeX's math that models write."""

    def __init__(self, tex: str, *, growing: bool) -> None:
        self._parts = _PART.findall(tex)
        self._growing = growing
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        """Return the whole formula."""
        texts: list[str] = []
        while self._at < len(self._parts):
            if self._parts[self._at] == "}":
                raise _NotReadableError
            try:
                texts.append(self._atom())
            except _UnfinishedError:
                if not self._growing:
                    raise
                break
        return "".join(texts)

    def _group(self) -> str:
        """Return the argument that comes next: a braced group or one part."""
        while self._at < len(self._parts) and self._parts[self._at].isspace():
            self._at += 1
        if self._at >= len(self._parts):
            raise _UnfinishedError
        if self._parts[self._at] != "{":
            return self._atom()
        self._at += 1
        texts: list[str] = []
        while self._at < len(self._parts) and self._parts[self._at] != "}":
            texts.append(self._atom())
        if self._at >= len(self._parts):
            raise _UnfinishedError
        self._at += 1
        return "".join(texts)

    def _atom(self) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotReadableError
        try:
            return self._read_atom()
        finally:
            self._depth -= 1

    def _read_atom(self) -> str:
        part = self._parts[self._at]
        if part == "{":
            return self._group()
        self._at += 1
        if part in "^_":
            return _shift(self._group(), SUPERSCRIPTS if part == "^" else SUBSCRIPTS, part)
        if part.startswith("\\") and len(part) > 1:
            if self._growing and self._at == len(self._parts) and part[1].isalpha():
                raise _UnfinishedError  # the name may go on
            return self._command(part[1:])
        return " " if part.isspace() else _CHARACTERS.get(part, part)

    def _command(self, name: str) -> str:
        if name in _SPACES:
            return _SPACES[name]
        if name in ACCENTS:
            return _accented(self._group(), ACCENTS[name])
        if name in FACES:
            return "".join(FACES[name].get(char, char) for char in self._group())
        reader = self._COMMANDS.get(name, _Reader._symbol)
        return reader(self, name)

    def _symbol(self, name: str) -> str:
        if name in WORDS:
            following = self._parts[self._at] if self._at < len(self._parts) else ""
            return name + (" " if following.isalnum() or following.startswith("\\") else "")
        known = symbols().get(name)
        if known is None:
            raise _NotReadableError
        return known

    def _fraction(self, name: str) -> str:
        top, bottom = self._group(), self._group()
        return f"C({top}, {bottom})" if name == "binom" else f"{_grouped(top)}/{_below(bottom)}{self._gap()}"

    def _gap(self) -> str:
        """Return what parts a fraction from a factor behind it, which else would be below the line."""
        following = self._parts[self._at] if self._at < len(self._parts) else ""
        is_factor = following.isalnum() or following in {"(", "{"} or following[1:].isalpha()
        return " " if is_factor and following[1:] not in {*_DROPPED, "end"} else ""

    def _root(self, _name: str) -> str:
        degree = ""
        if self._at < len(self._parts) and self._parts[self._at] == "[":
            try:
                end = self._parts.index("]", self._at)
            except ValueError:
                raise _UnfinishedError from None
            degree = "".join(self._parts[self._at + 1 : end]).strip()
            self._at = end + 1
        body = self._group()
        sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree)
        if sign is None:
            sign = _shift(degree, SUPERSCRIPTS, "^") + "√"
        return sign + (body if len(body) == 1 else f"({body})")

    def _environment(self, _name: str) -> str:
        name = self._group().rstrip("*")
        if name not in {"aligned", "align", "equation", "gather", "gathered", "split", "cases"}:
            raise _NotReadableError
        return "\n" if name == "cases" else ""

    def _delimiter(self, _name: str) -> str:
        r"""Skip the empty delimiter (``\left.``)."""
        if self._at < len(self._parts) and self._parts[self._at] == ".":
            self._at += 1
        return ""

    def _tag(self, _name: str) -> str:
        return f"   ({self._group().strip()})"

    def _label(self, _name: str) -> str:
        self._group()
        return ""

    def _not(self, _name: str) -> str:
        text = self._group().strip()
        return unicodedata.normalize("NFC", text[:1] + "\u0338" + text[1:])

    def _argument(self, _name: str) -> str:
        return self._group()

    def _modulus(self, _name: str) -> str:
        return f" (mod {self._group()})"

    _COMMANDS: ClassVar[dict[str, Callable[[_Reader, str], str]]] = {
        **dict.fromkeys(("frac", "dfrac", "tfrac", "binom"), _fraction),
        **dict.fromkeys(("begin", "end"), _environment),
        **dict.fromkeys(_DROPPED, _delimiter),
        **dict.fromkeys(_KEPT_TEXT, _argument),
        "sqrt": _root,
        "pmod": _modulus,
        "tag": _tag,
        "tag*": _tag,
        "label": _label,
        "not": _not,
    }


def _shift(text: str, table: dict[str, str], mark: str) -> str:
    text = text.strip().replace("−", "-")
    if text and all(char in table for char in text):
        return "".join(table[char] for char in text)
    return mark + (text if len(text) <= 1 else f"({text})")


def _grouped(text: str) -> str:
    text = text.strip()
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        return text
    return text if len(text) <= 1 or (_GROUPED.fullmatch(text) and "(" not in text) else f"({text})"


def _below(text: str) -> str:
    return f"({text.strip()})" if _PRODUCT.match(text.strip()) and _GROUPED.fullmatch(text.strip()) else _grouped(text)


def _accented(text: str, accent: str) -> str:
    if len(text) > 4:
        raise _NotReadableError
    return "".join(char + accent for char in text)
