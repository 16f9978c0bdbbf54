"""Which runs of marks can open or close emphasis, and which are arithmetic, file names or identifiers."""

from __future__ import annotations

import re

_BEFORE = ")]"
_GLOB = re.compile(
    r"\*\.\w{1,8}(?=[\s,;:)\]\"'./]|\Z)|\*\*/\*|\*{1,2}/(?=\s|\Z)"
)  # *.py, **/*.js, the end of a comment
_BEFORE_GLOB = "/(\"'[,"
_MATH = re.compile("[\u0370-\u03ff\u00b2\u00b3\u00b9\u2070-\u2079]")  # Greek, raised digits
# So a star ends that began inside a word, and is the end of the word as well: walk*ed*.
_WORD_END = re.compile(r"[^\s*]{1,60}\*(?![A-Za-z0-9(*])")
_IDENTIFIER = re.compile(r"__([A-Za-z][A-Za-z0-9_]{0,30}?)__(?![A-Za-z0-9_])")
_IDENTIFIER_PARTIAL = re.compile(r"__([A-Za-z][A-Za-z0-9_]{0,30})")
_DUNDERS = (
    "abs add aenter aexit aiter all and anext annotations author await bases bool builtins bytes cached call "
    "class class_getitem construct contains copy deepcopy del delattr delete delitem destruct dict dir dirname "
    "doc enter eq exit file filename float floordiv format func future ge get getattr getattribute getitem gt "
    "hash iadd import index init init_subclass instancecheck int invert invoke iter le len loader lt main "
    "matmul missing mocks mod module mro mul name ne neg new next or package path pos post_init pow prepare "
    "proto pycache qualname radd reduce repr reversed round self set set_name setattr setitem sizeof slots "
    "snapshots spec str sub subclasshook tests toString truediv typename version wrapped xor "
    "CLASS DATE DIR FILE FUNCTION LINE METHOD NAMESPACE TIME VA_ARGS"
)
_NAMES = frozenset(_DUNDERS.split())


def identifier(source: str, at: int, end: int, *, final: bool) -> int:
    """Return where the name in two underscores ends that begins at *at* (``__init__``), or -1 if it is bold text.

    Unless the text is *final*, it may be half there.
    """
    match = _IDENTIFIER.match(source, at, end)
    if match is None:
        partial = None if final else _IDENTIFIER_PARTIAL.fullmatch(source, at, end)
        is_half = partial and any(f"{name}__".startswith(partial[1]) for name in _NAMES)
        return end if is_half else -1
    before, after = source[max(at - 1, 0) : at], source[match.end() : min(match.end() + 1, end)]
    is_name = match[1] in _NAMES or before in {".", "/"} or after in {"(", "/"}
    return match.end() if is_name else -1


def flanking(source: str, begin: int, at: int, stop: int, end: int, *, raw: bool) -> tuple[bool, bool]:
    """Return whether the marks ``source[at:stop]`` of the text from *begin* to *end* can open and close emphasis."""
    run = source[at:stop]
    before = source[at - 1] if at > begin else "\n"
    after = source[stop] if stop < end else "\n"
    if (run[0] in "~|" and len(run) != 2) or len(run) > 3:
        return False, False
    can_open, can_close = _flanks(after, before, len(run)), _flanks(before, after, len(run))
    if run[0] == "_":
        can_open = can_open and not (before.isalnum() or before == "_")
        can_close = can_close and not (after.isalnum() or after == "_")
    if run[0] == "|" and not raw:
        can_open = can_open and _may_open_spoiler(source, begin, at)
        return can_open, can_close and _may_close_spoiler(source, begin, at, after)
    if raw or run[0] != "*":
        return can_open, can_close
    is_glob = (before.isspace() or before in _BEFORE_GLOB) and _GLOB.match(source, at, end)
    if is_glob or (before == "/" and after.isspace()):
        return False, False
    can_open = can_open and after not in ")]}"
    can_close = can_close and before not in "([{"
    return _unless_operator(source, begin, at, stop, end, can_open=can_open, can_close=can_close)


def _may_close_spoiler(source: str, begin: int, at: int, after: str) -> bool:
    """Whether no operand stands behind the bars at *at*."""
    if after in "\"'":
        return source.count(after, begin, at) % 2 == 1
    return not after.isascii() or not (after.isalnum() or after in "([{$\\")


def _may_open_spoiler(source: str, begin: int, at: int) -> bool:
    """Whether no operand stands before the bars at *at*: ``(a||b)``, ``first||' '||last``."""
    before = source[at - 1] if at > begin else " "
    if before in "\"'":
        return source.count(before, begin, at) % 2 == 1
    return not before.isascii() or not (before.isalnum() or before in ")]}$%;\\")


def _flanks(inner: str, outer: str, length: int) -> bool:
    """Whether a mark between these two characters can have its text on the side of *inner*.

    CommonMark's rule, but only for single marks between letters of scripts with spaces: Discord
    takes every ``**`` beside text for a mark, and models mean ``**Note:**text`` so.
    """
    if inner.isspace():
        return False
    return length > 1 or inner.isalnum() or not outer.isalnum() or not outer.isascii()


def _unless_operator(
    source: str, begin: int, at: int, stop: int, end: int, *, can_open: bool, can_close: bool
) -> tuple[bool, bool]:
    """Return what stars can do, which is nothing between two operands: ``2*3``, ``x**2``, ``(a+b)*c``, ``a*b*c``."""
    length = stop - at
    if length > 2 or at == begin or stop == end:
        return can_open, can_close
    before, after = source[at - 1], source[stop]
    if not (_is_operand(before, _BEFORE) and _is_operand(after, "(-+")):
        return can_open, can_close
    is_letter = before not in _BEFORE and (at - 1 == begin or not source[at - 2].isalnum())
    if after in "-+":
        return can_open and not (before.isdigit() or is_letter), can_close
    if before.isdigit() or after.isdigit():
        return False, can_close and length > 1 and not after.isdigit()
    if before in _BEFORE:
        return can_open and length > 1 and after != "(", can_close and after != "("
    can_open = can_open and not is_letter
    if length == 1 and after != "(":
        can_open = can_open and _WORD_END.match(source, stop, end) is not None
    return can_open, can_close


def _is_operand(char: str, brackets: str) -> bool:
    return char in brackets or (char.isalnum() and (char.isascii() or _MATH.match(char) is not None))
