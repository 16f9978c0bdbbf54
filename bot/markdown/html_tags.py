"""Tags of HTML that dress text: what they become where there is no HTML. Tags that a text speaks of stay in it."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from bot.markdown.latex_symbols import SUBSCRIPTS, SUPERSCRIPTS
from bot.markdown.links import plain_label, shown_link

_TAG = re.compile(r"<(/?)([A-Za-z]{1,10})((?:\s[^<>\n]{0,200})?)/?>")
_HALF = re.compile(r"</?([A-Za-z]{0,10})(\s[^<>\n]{0,200})?/?")
_MARKS = {
    **dict.fromkeys(("b", "strong", "summary"), "**"),
    **dict.fromkeys(("i", "em", "cite", "dfn", "var"), "*"),
    **dict.fromkeys(("s", "del", "strike"), "~~"),
}
_BLOCKS = frozenset({"article", "center", "details", "div", "p", "section", "summary"})
_CODE = "kbd|code|samp|tt"
_KNOWN = frozenset({*_MARKS, *_BLOCKS, *_CODE.split("|"), "abbr", "big", "font", "ins", "mark", "small", "span", "u"})
_SPOKEN_BEHIND = frozenset(".,;:!?)]}/-…")
_QUOTES = frozenset("\"'“”‘’«»")
_TAGS_ONLY = re.compile(r"[ \t>]*(?:[-*+] |\d{1,9}[.)] )?(?:</?[A-Za-z]{1,10}[^<>\n]*>[ \t]*)*")

_BREAK = re.compile(r"<br\s*/?>(?:[ \t]*(?:\n|\Z))?", re.IGNORECASE)
_ANCHOR = re.compile(
    r"<a\s[^<>\n]{0,100}?href=([\"'])(https?://[^\"'\s<>]{1,500})\1[^<>\n]{0,100}>([^<>\n]{1,200})</a>"
)
_SHIFTED = re.compile(r"<(su[bp])>([^<>\n*]{1,20})</\1>")
_KEYS = re.compile(rf"<({_CODE})>([^<>\n`]{{1,100}})</\1>")
_PARTIAL = re.compile(
    rf"<(?:su[bp]>[\w+=()-]{{0,12}}|(?:{_CODE})>[^<>\n`]{{0,100}})(?:</?[a-z]{{0,4}})?|<a\s[^<>\n]*>[^<>\n]*(?:</?a?)?"
)
_SHIFTS = {"sub": SUBSCRIPTS, "sup": SUPERSCRIPTS}


class Tag(NamedTuple):
    """A tag that is not shown: where it ends, the mark that stands for it or "", and whether that opens."""

    end: int
    mark: str
    opens: bool


def tagged_text(source: str, at: int, end: int) -> tuple[str, int] | None:
    """Return what stands for the tags that begin at *at* and the text between them, and where they end."""
    match = _ANCHOR.match(source, at, end)
    if match:
        return shown_link(plain_label(match[3]), match[2]), match.end()
    match = _SHIFTED.match(source, at, end)
    if match and all(char in _SHIFTS[match[1]] for char in match[2]):
        return "".join(_SHIFTS[match[1]][char] for char in match[2]), match.end()
    match = _KEYS.match(source, at, end)
    return (f"`{html.unescape(match[2])}`", match.end()) if match and match[2].strip() else None


def line_break(source: str, begin: int, at: int, end: int, *, in_cell: bool) -> int:
    """Return where the ``<br>`` at *at* ends, or -1 if there is none, or one that a text speaks of."""
    match = _BREAK.match(source, at, end)
    if match is None or in_cell:
        return match.end() if match else -1
    before, after = source[at - 1] if at > begin else " ", source[match.end() : end][:1]
    if _is_alone(source, begin, at, match.end(), end):
        return match.end()
    touches = not before.isspace() and before not in "([" and before not in _QUOTES
    return match.end() if touches and (match[0][-1] != ">" or not (after.isspace() or after in _SPOKEN_BEHIND)) else -1


def is_half_tag(source: str, at: int, end: int) -> bool:
    """Return whether what begins at *at* may become a tag that we know, or is one whose text is not all there."""
    match = _HALF.fullmatch(source, at, end)
    if match:
        name = match[1].lower()
        return name in _KNOWN | {"a", "br"} if match[2] else any(known.startswith(name) for known in _KNOWN | {"br"})
    return _PARTIAL.fullmatch(source, at, end) is not None


def tag_at(source: str, begin: int, at: int, end: int, *, final: bool) -> Tag | None:
    """Return the tag at *at* of the text from *begin* to *end* if it dresses text.

    It does if it touches that, or begins a line of nothing else; unless the text is *final*, so may what comes.
    """
    match = _TAG.match(source, at, end)
    name = match[2].lower() if match else ""
    if match is None or name not in _KNOWN or "://" in match[3]:
        return None
    before, after = source[at - 1] if at > begin else "\n", source[match.end() : end][:1] or "\n"
    if before in _QUOTES and after in _QUOTES:
        return None
    is_closing = bool(match[1])
    if name in _BLOCKS and _is_alone(source, begin, at, match.end(), end):
        return Tag(match.end(), _MARKS.get(name, ""), not is_closing)
    if is_closing:
        dresses = not before.isspace() and before not in "/(["
    else:
        dresses = not after.isspace() and after not in _SPOKEN_BEHIND
        dresses = dresses and (not final or name in _BLOCKS or source.find(f"</{match[2]}", at, end) >= 0)
    return Tag(match.end(), _MARKS.get(name, ""), not is_closing) if dresses else None


def _is_alone(source: str, begin: int, at: int, stop: int, end: int) -> bool:
    line = max(source.rfind("\n", begin, at) + 1, begin)
    rest = "" if source[stop - 1] == "\n" else source[stop:end].partition("\n")[0].lstrip(" \t")
    return (not rest or rest[0] == "<") and _TAGS_ONLY.fullmatch(source, line, at) is not None
