"""Formulas in a text, and how they read where there is no LaTeX."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from bot.markdown.latex import to_unicode

DOLLARS = (
    r"(?<![\w$])\$(?![\s$)\]},.;:])(?:[^$\n\\`]|\\[^\n]){1,300}?(?<![\s\\(\[{])\$(?:(?![\w$])|(?=(?:th|st|nd|rd|s)\b))"
)
"""What looks like a formula between dollars, on one line; a group of the pattern would be one of who uses it."""

_MATH = re.compile(
    r"\\\((?P<paren>(?![?*+|]|\\\)).{1,1000}?)\\\)|\\\[(?P<bracket>(?!\\\]).{1,1000}?)\\\]"
    r"|(?<!\$)\$\$(?![$)\].,;:])(?P<double>(?:[^$\\]|\\.){1,1000}?)\$\$|(?P<dollar>" + DOLLARS + ")",
    re.DOTALL,
)
# A command, or something raised or lowered as formulas have it: without, dollars are money, variables or cells of
# a sheet, and brackets with a backslash are escaped ones. Regular expressions have commands of one letter.
_TEX = re.compile(
    r"\\[A-Za-z]{2}|\^\{|_\{|[\w)\]}|'!]\s?\^\s?[\w{(\\+*'-]|(?<![A-Za-z_]{2})[\w)\]}|']_[A-Za-z0-9](?![A-Za-z_])"
)
_COMMAND = re.compile(r"\\[A-Za-z]{2}")
_BARE = r"\\begin\{((?:align|equation|gather)\*?)\}"
_ENVIRONMENT = re.compile(_BARE + r".{1,1000}?\\end\{\1\}", re.DOTALL)
_PARTIAL = re.compile(
    r"(?:\\\((?!\\\))|\\\[(?!\\\])|(?<!\$)\$\$(?![$)\].,;:])|(?=" + _BARE + r"))(?P<tex>.{0,1000})", re.DOTALL
)
_PARTIAL_DOLLAR = re.compile(r"(?<![\w$])\$(?![\s$)\]},.;:])(?P<tex>(?:[^$\n\\`]|\\[^\n]){1,300})\\?")
_SURELY = re.compile(r"\\[A-Za-z]|\^")  # in what may as well be an amount of money or a variable
_DISPLAY = re.compile(r"\\\\|\\[\[\]]|(?<!\$)\$\$(?!\$)")
_CLOSING = {r"\[": r"\]", "$$": "$$"}
_GAP = re.compile(r"\n[ \t>]*(?:\n|```|~~~)|\n {0,3}>(?![=\d])")
_GAP_QUOTED = re.compile(r"\n[ \t>]*(?:\n|```|~~~)|\n {0,3}[^>\s]")
_MONEY = re.compile(r"\d[\d.,]*(?:\s|(?<=\D)$|[kKmMbB]\b)")
_QUOTE_MARKS = re.compile(r"\n(?: {0,3}>(?![=\d])[ \t]?)+")
_BRACKETS = re.compile(r"\\.|([(\[{])|([)\]}])", re.DOTALL)


class Formula(NamedTuple):
    """A formula.

    Attributes:
        tex: what is between its marks.
        end: where it ends.
        complete: whether its closing mark is there.
        marks: what is shown around it, if nothing but its lines tells that it is one.
    """

    tex: str
    end: int
    complete: bool
    marks: tuple[str, str] = ("", "")


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
        if match.lastgroup == "dollar":
            tex = tex[1:-1]
            if not final and match.end() == end:
                return Formula(tex, end, complete=False) if _SURELY.search(tex) else None
            return _whole(tex, match.end(), cap) if _is_in_dollars(tex, source[match.end() : end][:1]) else None
        if _TEX.search(tex):
            return _whole(tex, match.end(), cap)
        return _plain(source, match, tex, cap) if match.lastgroup != "paren" else None
    match = _ENVIRONMENT.match(source, at, end)
    if match:
        return _whole(match[0], match.end(), cap)
    return None if final else _half(source, at, end, cap)


def _is_in_dollars(tex: str, following: str) -> bool:
    """Whether *tex* between two dollars is a formula, and not what stands between two prices or shell variables."""
    if not _TEX.search(tex) or _MONEY.match(tex) or (following in {"(", "{"} and not _COMMAND.search(tex)):
        return False
    depth = 0
    for match in _BRACKETS.finditer(tex):
        depth += bool(match[1]) - bool(match[2])
        if depth < 0:
            return False
    return depth == 0


def _plain(source: str, match: re.Match[str], tex: str, cap: int) -> Formula | None:
    """Return the displayed formula without any command that stands on lines of its own, its marks kept, or None."""
    is_alone = tex.lstrip(" \t>")[:1] == "\n" and not source[: match.start()].rpartition("\n")[2].strip(" \t>")
    formula = _whole(tex, match.end(), cap) if is_alone and not set(tex) & set("{}\\") else None
    opening = source[match.start() : match.start() + 2]
    return formula and formula._replace(marks=(opening, _CLOSING[opening]))


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


def show_formula(formula: Formula, source: str, *, quoted: bool) -> str:
    """Return readable Unicode for *formula*, written as *source*, or inline code where there is none.

    In a quote it is *quoted*. Of a formula that is still growing the end may be left out.
    """
    tex = _QUOTE_MARKS.sub("\n", formula.tex) if quoted else formula.tex
    if not tex.strip():
        return ""
    readable = to_unicode(tex, growing=not formula.complete)
    if readable is not None:
        escaped = re.sub(r"([\\`*_~|<\[\]]|^[>#])", r"\\\1", readable, flags=re.MULTILINE)
        opening, closing = formula.marks
        return opening + (escaped.replace("\n", "\n> ") if quoted else escaped) + closing
    if formula.complete and source.startswith(("\\(", "\\[")) and "\\begin" not in tex:
        tex = _QUOTE_MARKS.sub("\n", source)  # a regular expression, perhaps
    code = re.sub(r"\s+", " ", tex.strip())
    return f"`` {code} ``" if "`" in code else f"`{code}`"
