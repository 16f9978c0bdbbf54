"""Formulas in a text, and how they read where there is no LaTeX."""

from __future__ import annotations

import re
from typing import NamedTuple

from bot.streaming.latex import to_unicode

__all__ = ["Formula", "formula_at", "show_formula"]

_MATH = re.compile(
    r"\\\((?P<paren>(?!\\\)).{1,1000}?)\\\)|\\\[(?P<bracket>(?!\\\]).{1,1000}?)\\\]|\$\$(?P<double>[^$]{1,1000}?)\$\$"
    r"|(?<![\w$])\$(?![\s$])(?P<dollar>(?:[^$\n\\`]|\\[^\n]){1,300}?)(?<![\s\\])\$(?![\w$])",
    re.DOTALL,
)
_PARTIAL = re.compile(r"(?:\\\((?!\\\))|\\\[(?!\\\])|\$\$)(.{0,600})", re.DOTALL)
_MONEY = re.compile(r"\d[\d.,]*(?:\s|$|[kKmMbB]\b)")


class Formula(NamedTuple):
    """A formula: what is between its marks, where it ends, and whether its closing mark is there."""

    tex: str
    end: int
    complete: bool


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
