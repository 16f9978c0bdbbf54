"""Our own words around a model's text: the mark under what still grows, the question above, lines below.

A model may write the same mark, so a text counts as unfinished only where the
mark stands as the splitter puts it (`bot.markdown.pieces.closed`), and only
for who does not know better: a text that is known to be final never does.
"""

from __future__ import annotations

import re

from bot.markdown.text import PAGE_LIMIT, escape_markdown

REFUSED = "-# ⚠️ "
"""How a line of ours begins that says what is missing."""

_QUESTION_LENGTH = 150
_HINT = "\n-# `/stop` ends it"
_COUNT = re.compile(r"\n-# too long for \d+ messages: [\d,]+ characters so far, a file follows\Z")
_NOTICE = r"\n-# ⏳ [^\n]*"  # a state of ours below a text that grows
_CURSOR = re.compile(rf"(?: ▌(?P<closing>\n(?:> )?```)?|(?<=```)\n▌)(?:{_NOTICE})?(?:{re.escape(_HINT)})?\Z")


def has_cursor(text: str) -> bool:
    """Tell whether *text* ends with the mark that says that more is to come."""
    return _CURSOR.search(text) is not None


def without_cursor(text: str) -> str:
    """Return *text* as it was written, without that mark and our own lines below it."""
    bare = _CURSOR.sub(lambda match: match["closing"] or "", text)
    return bare if bare == text else _COUNT.sub("", bare)


def with_hint(text: str, limit: int) -> str:
    """Return *text*, which ends with the mark, with a line on how to stop it, if that fits in *limit* code points."""
    return with_line(text, _HINT.strip(), limit)


def with_line(text: str, line: str, limit: int = PAGE_LIMIT) -> str:
    """Return *text* with *line* below it, if that fits in *limit* code points."""
    return f"{text}\n{line}" if len(text) + 1 + len(line) <= limit else text


def cut_for(text: str, line: str, limit: int) -> str:
    """Return *text* with *line* below it; the end of the text makes room for that where it has to."""
    room = limit - len(line) - 1
    if len(text) > room:
        kept = text[: room - len("…\n```")]
        kept = kept[: max(kept.rfind(" "), kept.rfind("\n"), len(kept) // 2)].rstrip() + "…"
        text = f"{kept}\n```" if kept.count("```") % 2 else kept
    return f"{text}\n{line}"


def quote(question: str) -> str:
    """Return *question* as one quoted line that Discord shows as it was typed, cut when it is long."""
    line = " ".join(question.split())
    if len(line) > _QUESTION_LENGTH:
        line = line[: _QUESTION_LENGTH - 1] + "…"
    return f"> {escape_markdown(line)}\n"


def is_status(text: str) -> bool:
    """Tell whether a message shows nothing but a status line of ours."""
    return text.startswith("-# ") and "\n" not in text


def in_place_of(refused: str, accepted: str, reason: str, *, is_final: bool, limit: int) -> str:
    """Return what is shown where Discord *refused* a page: what it *accepted* before, and words for the rest."""
    lines = [accepted] if accepted else []
    lines.append(f"{REFUSED}{reason}")
    if is_final:  # our own closing lines come last
        lines += [line for line in refused.splitlines()[-2:] if line.startswith("-# ") and line not in lines]
    words = "\n".join(lines)
    return words if len(words) <= limit else "\n".join(lines[1:])
