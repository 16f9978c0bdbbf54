"""Inline Markdown as plain text, for places where Discord shows no markup."""

from __future__ import annotations

import re
from functools import lru_cache

from bot.markdown.inline import render_inline
from bot.markdown.pieces import PLAIN

_SHOWN = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)(?P<code>.*?)(?:(?<!`)(?P=ticks)(?!`)|$)"
    r"|\[(?P<label>(?:\\.|[^\[\]\\])*)\]\((?P<target>(?:[^()]|\([^()]*\))*)\)"
    r"|<?(?P<url>https?://[^\s<>]*[^\s<>*_~|`)])>?"
    r"|\*\*|\*|~~|\|\||(?<!\w)_+|_+(?!\w)"
)
_MARKUP = re.compile(r"[\\`*_~|<\[&$]")


@lru_cache(maxsize=1024)  # a growing table asks for the same cells again and again
def plain_text(source: str, *, final: bool = True) -> str:
    """Return the text of *source* without its marks, on one line; unless *final*, half a mark at its end too."""
    source = source.strip()
    if not _MARKUP.search(source):
        return source
    pieces = render_inline(source, 0, len(source), context=PLAIN, final=final, raw=False, atom_cap=400)
    text = "".join(piece.text for piece in pieces).strip().replace("\n", " ")
    return _SHOWN.sub(_without_marks, text).replace("```", "'''")


def _without_marks(match: re.Match[str]) -> str:
    if match["ticks"]:
        return match["code"].strip().replace(r"\|", "|")  # a bar in a table's cell, even in code
    label = _SHOWN.sub(_without_marks, match["label"] or "")
    return match["escaped"] or match["url"] or (f"{label} ({match['target']})" if match["target"] else label)
