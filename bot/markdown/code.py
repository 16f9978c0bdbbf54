"""Fenced code to pieces: a page may be cut at any line, the fence is opened again with its language."""

from __future__ import annotations

from dataclasses import replace

import regex

from bot.markdown.pieces import MAX_CLUSTER, PLAIN, Context, Fence, Piece, Rank, closed

__all__ = [
    "add_code_line",
    "after_line",
    "end_code",
    "fence_closes",
    "fence_start",
    "late_fence",
    "may_be_fence",
    "unbreakable",
    "without_indent",
]

_FENCE = regex.compile(r"([ \t]*)(`{3,}(?!.*`)|~{3,})[ \t]*([^\s`]*)")
_LANGUAGE = regex.compile(r"[A-Za-z0-9_+\-.#]{1,20}")  # what Discord takes for one; else it is shown as code
_LATE = regex.compile(r"`{3,}[\w+#.\-]{0,20}[ \t]*")
_QUOTING = frozenset({"markdown", "md", "mdx"})  # code that itself has fences
_LONG_LINE = 200
_CHUNK = regex.compile(r"\s{1,50}|(?=\S)\X{1,50}")


def may_be_fence(line: str) -> bool:
    """Return whether *line*, perhaps not whole, starts as a fence does."""
    return _FENCE.match(line) is not None


def fence_start(line: str, *, raw: bool) -> Fence | None:
    """Return the fence that *line* opens; Discord knows no tilde fences, so there is none in *raw* mode."""
    match = _FENCE.match(line)
    if not match or (raw and match[2][0] == "~"):
        return None
    language = _LANGUAGE.match(match[3])
    return Fence(match[2][0], len(match[2]), len(match[1].expandtabs(4)), language[0] if language else "")


def late_fence(source: str, start: int, end: int) -> int:
    """Return where a fence begins in the line of text from *start* to *end*, as at its end models write them, or -1.

    Markdown has none behind ``1.`` and text, but Discord has, and the line that closes it would open another one.
    """
    at = source.find("```", start, end)
    if at < 0 or not _LATE.fullmatch(source, at, end):
        return -1
    before = source[start:at]
    return at if not before or (before[-1] in " \t:" and before.count("`") % 2 == 0) else -1


def after_line(line: str, fence: Fence) -> Fence | None:
    """Return what of *fence* is open after *line* of its code, or None if that closes it.

    Models put Markdown with code in it between fences that are no longer than those in it.
    """
    if fence_closes(line, fence):
        return replace(fence, depth=fence.depth - 1) if fence.depth else None
    if fence.language.lower() in _QUOTING:
        inner = fence_start(line, raw=False)
        if inner and inner.mark == fence.mark and inner.length >= fence.length and inner.language:
            return replace(fence, depth=fence.depth + 1)
    return fence


def fence_closes(line: str, fence: Fence) -> bool:
    """Return whether *line* closes *fence*."""
    text = line.strip()
    return len(text) >= fence.length and not text.strip(fence.mark)


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
