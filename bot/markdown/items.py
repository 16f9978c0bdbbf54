"""What starts a list item, a task or a footnote."""

from __future__ import annotations

import re

from bot.markdown.links import footnote
from bot.markdown.pieces import MAX_INDENT

# A number needs white space after its point: "42." alone is an answer.
ITEM = re.compile(r"([ \t]{0,40})(?:([-*+])(?:[ \t]+|$)|(\d{1,9})([.)])[ \t]+)")
DEFINITION = re.compile(r" {0,3}\[\^([\w-]{1,30})\]:[ \t]*")
_TASK = re.compile(r"\[([ xX])\][ \t]+")


def is_deep(indent: str) -> bool:
    """Return whether text indented so starts no block in Markdown; to Discord it may."""
    return len(indent) > 3 or "\t" in indent


def lead(line: str, *, raw: bool) -> tuple[int, str]:
    """Return the length of what starts a list item, task or footnote in *line*, and how it is shown."""
    item = ITEM.match(line)
    note = None if item or raw else DEFINITION.match(line)
    if note:
        return note.end(), footnote(note[1]) + " "
    if item is None:
        indent = len(line) - len(line.lstrip())
        return indent, line[:indent][-MAX_INDENT:] if raw or is_deep(line[:indent]) else ""
    if raw:
        return item.end(), item[0]
    spaces = str(item[1]).replace("\t", "  ")
    marker = f"{item[3]}." if item[3] else ("*" if item[2] == "*" else "-")
    task = _TASK.match(line, item.end())
    if task:
        return task.end(), f"{spaces}{marker} {'☐' if task[1] == ' ' else '☑'} "
    return item.end(), f"{spaces}{marker} "
