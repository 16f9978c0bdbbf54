"""Formulas in a text, and how they read where there is no LaTeX."""

from __future__ import annotations

import re
from typing import NamedTuple

from bot.streaming.latex import to_unicode

__all__ = ["Formula", "formula_at", "formula_goes_on", "show_formula"]

_MATH = re.compile(
    r"\\\((?P<paren>(?!\\\)).{1,1000}?)\\\)|\\\[(?P<bracket>(?!\\\]).{1,1000}?)\\\]|\$\$(?P<double>[^$]{1,1000}?)\$\$"
    r"|(?<![\w$])\$(?![\s$])(?P<dollar>(?:[^$\n\\`]|\\[^\n]){1,300}?)(?<![\s\\])\$(?![\w$])",
    re.DOTALL,
)
_PARTIAL = re.compile(r"(?:\\\((?!\\\))|\\\[(?!\\\])|\$\$)(.{0,600})", re.DOTALL)
_DISPLAY = re.compile(r"\\\\|\\[\[\]]|\$\$")
_CLOSING = {r"\[": r"\]", "$$": "$$"}
_GAP = re.compile(r"\n[ \t>]*(?:\n|```|~~~)")
_MONEY = re.compile(r"\d[\d.,]*(?:\s|$|[kKmMbB]\b)")


class Formula(NamedTuple):
    """A formula: what is between its marks, where it ends, and whether its closing mark is there."""

    tex: str
    end: int
    complete: bool


def formula_goes_on(source: str, start: int, at: int, *, final: bool, cap: int) -> bool:
    r"""Return whether the line end at *at* is inside a displayed formula (``\[`` or ``$$``) of the text from *start*.

    Its lines may look like items of a list. Unless the text is *final*, its closing mark may be still to come.
    """
    opened, closing = -1, ""
    for match in _DISPLAY.finditer(source, max(start, at - cap), at):
        if opened < 0 and match[0] in _CLOSING:
            opened, closing = match.end(), _CLOSING[match[0]]
        elif match[0] == closing:
            opened, closing = -1, ""
    if opened < 0:
        return False
    end = source.find(closing, at, opened + cap)
    if _GAP.search(source, at, end if end >= 0 else len(source)):
        return False
    return end >= 0 or (not final and len(source) - opened < cap)


def formula_at(source: str, at: int, end: int, *, final: bool, cap: int) -> Formula | None:
    r"""Return the formula that begins at *at* (``\(``, ``\[``, ``$$`` or ``$``), or None.

    Unless the text is *final*, it may be half there; one longer than *cap* is none.
    """
    match = _MATH.match(source, at, end)
    if match:
        tex = match[match.lastgroup or 0]
        if match.lastgroup == "dollar" and (_MONEY.match(tex) or (not final and match.end() == end)):
            return None
        is_one = tex.strip() and "\n\n" not in tex and len(tex) <= cap
        return Formula(tex, match.end(), complete=True) if is_one else None
    partial = None if final else _PARTIAL.fullmatch(source, at, end)
    if partial and "\n\n" not in partial[1] and len(partial[1]) < cap:
        return Formula(partial[1].rstrip("\\$ "), end, complete=False)
    return None


def show_formula(tex: str, *, quoted: bool) -> str:
    """Return readable Unicode for *tex*, or inline code where there is none; in a quote, *quoted*."""
    if not tex.strip():
        return ""
    readable = to_unicode(tex)
    if readable is not None:
        escaped = re.sub(r"([\\`*_~|<\[\]]|^[>#])", r"\\\1", readable, flags=re.MULTILINE)
        return escaped.replace("\n", "\n> ") if quoted else escaped
    source = re.sub(r"\s+", " ", tex.strip())
    return f"`` {source} ``" if "`" in source else f"`{source}`"
