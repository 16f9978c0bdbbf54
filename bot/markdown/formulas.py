"""Formulas in a text, and how they read where there is no LaTeX."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from bot.markdown.latex import to_unicode

__all__ = ["Formula", "displayed", "formula_at", "formula_cap", "formula_goes_on", "show_formula"]

_MATH = re.compile(
    r"\\\((?P<paren>(?![?*+|]|\\\)).{1,1000}?)\\\)|\\\[(?P<bracket>(?!\\\]).{1,1000}?)\\\]|\$\$(?P<double>(?:[^$\\]|\\.){1,1000}?)\$\$"
    r"|(?<![\w$])\$(?![\s$])(?P<dollar>(?:[^$\n\\`]|\\[^\n]){1,300}?)(?<![\s\\])\$(?:(?![\w$])|(?=(?:th|st|nd|rd|s)\b))",
    re.DOTALL,
)
_BARE = r"\\begin\{((?:align|equation|gather)\*?)\}"
_ENVIRONMENT = re.compile(_BARE + r".{1,1000}?\\end\{\1\}", re.DOTALL)
_PARTIAL = re.compile(r"(?:\\\((?!\\\))|\\\[(?!\\\])|\$\$|(?=" + _BARE + r"))(?P<tex>.{0,1000})", re.DOTALL)
_PARTIAL_DOLLAR = re.compile(r"(?<![\w$])\$(?![\s$])(?P<tex>(?:[^$\n\\`]|\\[^\n]){1,300})\\?")
_SURELY = re.compile(r"\\[A-Za-z]|\^")  # in what may as well be an amount of money or a variable
_DISPLAY = re.compile(r"\\\\|\\[\[\]]|\$\$")
_CLOSING = {r"\[": r"\]", "$$": "$$"}
_GAP = re.compile(r"\n[ \t>]*(?:\n|```|~~~)|\n {0,3}>(?![=\d])")
_GAP_QUOTED = re.compile(r"\n[ \t>]*(?:\n|```|~~~)|\n {0,3}[^>\s]")
_MONEY = re.compile(r"\d[\d.,]*(?:\s|(?<=\D)$|[kKmMbB]\b)")
_WORDS = re.compile(r"\d[\d, –-]*|[^\W\d_]{3,}(?:[ ,.'’-]+\w+)*")  # in brackets that were escaped: \[1\], \[optional\]


class Formula(NamedTuple):
    """A formula: what is between its marks, where it ends, and whether its closing mark is there."""

    tex: str
    end: int
    complete: bool


def formula_cap(atom_cap: int) -> int:
    """Return how long a formula may be where all else that is never torn is at most *atom_cap* long.

    It is written in several times the characters that it shows.
    """
    return atom_cap * 3 // 2


def displayed(source: str, start: int, cap: int) -> list[tuple[int, int]]:
    r"""Return where each displayed formula (``\[`` or ``$$``) from *start* on begins, and where it ends or -1."""
    formulas: list[tuple[int, int]] = []
    closing = ""
    for match in _DISPLAY.finditer(source, start):
        if closing and match.end() > formulas[-1][0] + cap:
            closing = ""
        if closing and match[0] == closing:
            formulas[-1], closing = (formulas[-1][0], match.start()), ""
        elif not closing and match[0] in _CLOSING:
            formulas.append((match.end(), -1))
            closing = _CLOSING[match[0]]
    return formulas


def formula_goes_on(
    source: str, formulas: list[tuple[int, int]], at: int, *, quoted: bool, final: bool, cap: int
) -> bool:
    r"""Return whether the line end at *at* is inside one of the *formulas* that `displayed` found.

    Their lines may look like items of a list; all of them are *quoted* or none.
    Unless the text is *final*, a closing mark may be still to come.
    """
    index = bisect_right(formulas, (at, len(source))) - 1
    if index < 0:
        return False
    opened, end = formulas[index]
    if 0 <= end < at:
        return False
    gap = _GAP_QUOTED if quoted else _GAP
    if gap.search(source, at, end if end >= 0 else len(source)):
        return False
    return end >= 0 or (not final and len(source) - opened < cap)


def formula_at(source: str, at: int, end: int, *, final: bool, cap: int) -> Formula | None:
    r"""Return the formula that begins at *at* (``\(``, ``\[``, ``$$`` or ``$``), or None.

    Unless the text is *final*, it may be half there; one longer than *cap* is none.
    """
    match = _MATH.match(source, at, end)
    if match:
        tex = match[match.lastgroup or 0]
        if match.lastgroup == "dollar" and _MONEY.match(tex):
            return None
        if match.lastgroup == "dollar" and not final and match.end() == end:
            return Formula(tex, end, complete=False) if _SURELY.search(tex) else None
        if match.lastgroup == "bracket" and (_WORDS.fullmatch(tex) or source.startswith("(", match.end(), end)):
            return None
        return _whole(tex, match.end(), cap)
    match = _ENVIRONMENT.match(source, at, end)
    if match:
        return _whole(match[0], match.end(), cap)
    return None if final else _half(source, at, end, cap)


def _whole(tex: str, end: int, cap: int) -> Formula | None:
    is_one = tex.strip() and "\n\n" not in tex and len(tex) <= cap
    return Formula(tex, end, complete=True) if is_one else None


def _half(source: str, at: int, end: int, cap: int) -> Formula | None:
    """Return the formula that begins at *at* and is not closed yet."""
    match = _PARTIAL.fullmatch(source, at, end)
    if match is None:
        match = _PARTIAL_DOLLAR.fullmatch(source, at, end)
        if match and (_MONEY.match(match["tex"]) or not _SURELY.search(match["tex"])):
            return None
    if match is None or "\n\n" in match["tex"] or len(match["tex"]) >= cap:
        return None
    return Formula(match["tex"].rstrip("\\$ "), end, complete=False)


def show_formula(tex: str, *, quoted: bool, growing: bool = False) -> str:
    """Return readable Unicode for *tex*, or inline code where there is none; in a quote, *quoted*.

    Of a formula that is still *growing* the end may be left out.
    """
    if not tex.strip():
        return ""
    readable = to_unicode(tex, growing=growing)
    if readable is not None:
        escaped = re.sub(r"([\\`*_~|<\[\]]|^[>#])", r"\\\1", readable, flags=re.MULTILINE)
        return escaped.replace("\n", "\n> ") if quoted else escaped
    source = re.sub(r"\s+", " ", tex.strip())
    return f"`` {source} ``" if "`" in source else f"`{source}`"
