"""Fenced code to pieces: a page may be cut at any line, the fence is opened again with its language."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import regex

from bot.markdown.items import ITEM
from bot.markdown.languages import EXTENSIONS
from bot.markdown.pieces import MAX_CLUSTER, PLAIN, Context, Fence, Piece, Rank, closed

MAX_INFO = 300
"""Characters behind the mark of a fence in which a backtick makes it inline code; text that is longer is code."""

_FENCE = regex.compile(r"([ \t]*)(`{3,}(?!`)(?![^`\n]{0,300}`)|~{3,})[ \t]*")
_LANGUAGE = regex.compile(r"[A-Za-z0-9_+\-.#]{1,20}")  # what Discord takes for one; else it is shown as code
_ATTRIBUTES = regex.compile(
    r"(?:(?:[\w.:-]++=(?:\"[^\"]*+\"|'[^']*+'|\{[^{}]*+\}|[^\s\"'{},]*+)|\{[^{}:;()]*+\})[\s,]*+)*+"
)
LATE = regex.compile(r"`{3,}[\w+#.\-]{0,20}[ \t]*")
_QUOTING = frozenset({"markdown", "md", "mdx"})  # code that itself has fences
_LONG_LINE = 200
_CHUNK = regex.compile(r"\s{1,50}|(?=\S)\X{1,50}")


class Opening(NamedTuple):
    """A fence that a line opens.

    Attributes:
        fence: how it is to be closed, and its language.
        at: where in the line its mark stands.
        code: where in the line code begins, or behind its end.
        info: what stands behind the mark.
    """

    fence: Fence
    at: int
    code: int
    info: str


def may_be_fence(line: str) -> bool:
    """Return whether *line*, perhaps not whole, starts as a fence does."""
    return _FENCE.match(line) is not None


def fence_opening(line: str, *, raw: bool) -> Opening | None:
    """Return the fence that *line* opens: at its start, behind the mark of an item or, as models do, behind text.

    Discord knows no tilde fences, so there is none in *raw* mode. Markdown has
    none behind text, but Discord has, and the line that closes it would open another one.
    """
    item = ITEM.match(line) if "```" in line or "~~~" in line else None
    begin = item.end() if item else 0
    match = _FENCE.match(line, begin)
    if match and raw and match[2][0] == "~":
        return None
    indent = len(match[1].expandtabs(4)) if match and not item else begin
    if match is None or (item and len(line) - match.end() > MAX_INFO):
        at = line.find("```", begin)
        if at < 0 or not LATE.fullmatch(line, at):
            return None
        before = line[begin:at]
        if before[-1] not in " \t:" or before.count("`") % 2:
            return None
        begin, match = at, _FENCE.match(line, at)
        if match is None:
            return None
        indent = indent or len(line) - len(line.lstrip())
    language, code = _info(line, match.end())
    fence = Fence(match[2][0], len(match[2]), indent, language)
    return Opening(fence, begin, code, line[match.end() :].strip())


def _info(line: str, start: int) -> tuple[str, int]:
    """Return the language that *line* names from *start* on, and where code begins: models begin it there, too."""
    end = len(line.rstrip())
    if start >= end:
        return "", len(line) + 1
    word = line[start:end].split(maxsplit=1)[0]
    language = word.partition("{")[0]
    rest = line[start + len(language) : end].strip() if end - start <= MAX_INFO else line
    if _LANGUAGE.fullmatch(language) and _ATTRIBUTES.fullmatch(rest):
        return language, len(line) + 1
    if word in EXTENSIONS:
        return word, end - len(line[start + len(word) : end].lstrip())
    name = word.partition(":")[0]  # py:src/main.py
    return (name if name in EXTENSIONS else ""), start


def after_line(line: str, fence: Fence) -> Fence | None:
    """Return what of *fence* is open after *line* of its code, or None if that closes it.

    Models put Markdown with code in it between fences that are no longer than those in it.
    """
    text = line.strip()
    if len(text) >= fence.length and not text.strip(fence.mark):
        return replace(fence, depth=fence.depth - 1) if fence.depth else None
    if fence.language.lower() in _QUOTING:
        opening = fence_opening(line, raw=False)
        inner = opening.fence if opening and not opening.at else None
        if inner and inner.mark == fence.mark and inner.length >= fence.length and inner.language:
            return replace(fence, depth=fence.depth + 1)
    return fence


def without_indent(line: str, indent: int) -> str:
    """Return *line* of code without the *indent* of its fence."""
    return line[min(indent, len(line) - len(line.lstrip())) :]


def add_code_line(pieces: list[Piece], line: str, end: int, code: Context, *, atom_cap: int) -> None:
    """Append one *line* of code, which ends at *end*, to *pieces*; the first with text opens the fence."""
    fence = code.fence
    text = without_indent(line, fence.indent if fence else 0)
    prefix = "> " if code.quoted else ""
    if not text.strip():
        if pieces:
            pieces[-1].text += prefix + "\n"
            pieces[-1].end = end
        return
    if not pieces:
        prefix += f"```{fence.language if fence else ''}\n{prefix}"
    inner = replace(code, midline=True)
    offset = end - len(text)
    for chunk in _chunks(text, atom_cap):
        offset += len(chunk)
        shown = unbreakable(chunk)
        if not prefix and pieces and pieces[-1].text.endswith("`") and shown.startswith("`"):
            shown = "\u200b" + shown
        pieces.append(Piece(prefix + shown, offset, Rank.GRAPHEME if chunk.strip() else Rank.NEVER, inner))
        prefix = ""
    last = pieces[-1]
    last.text += "\n"
    last.rank, last.after = Rank.LINE, code


def end_code(last: Piece) -> None:
    """Close the fence after the piece *last*."""
    text = last.text.rstrip()
    while last.after.quoted and text.endswith("\n>"):
        text = text[:-2].rstrip()
    last.text = closed(text, last.after)
    last.after = PLAIN


def _chunks(text: str, atom_cap: int) -> list[str]:
    """Return *text* as a whole, or in parts that a page may be cut between where it is long."""
    if len(text) <= min(_LONG_LINE, atom_cap):
        return [text]
    # Backticks stay together, so that three in a row are seen.
    parts = regex.split(r"(`+)", text) if "```" in text else [text]
    return [
        cluster[i : i + MAX_CLUSTER]
        for part in parts
        for cluster in _CHUNK.findall(part)
        for i in range(0, len(cluster), MAX_CLUSTER)
    ]


def unbreakable(text: str) -> str:
    """Keep code from ending Discord's code block: a zero-width space parts three backticks."""
    return text if "```" not in text else regex.sub(r"``(?=`)", "``\u200b", text)
