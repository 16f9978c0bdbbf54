"""Inline Markdown as plain text, for places where Discord shows no markup."""

from __future__ import annotations

import re
from functools import lru_cache

from bot.streaming.markdown import render_inline
from bot.streaming.pieces import PLAIN

__all__ = ["plain_text"]

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_MARKS = re.compile(r"\\(?P<kept>[!-/:-@\[-`{-~])|\*\*|\*|~~|\|\||`+|(?<!\w)_+|_+(?!\w)")
_MARKUP = re.compile(r"[\\`*_~|<\[&$]")


@lru_cache(maxsize=1024)  # a growing table asks for the same cells again and again
def plain_text(source: str, *, final: bool = True) -> str:
    """Return the text of *source* without its marks, on one line; unless *final*, half a mark at its end too."""
    source = source.strip()
    if not _MARKUP.search(source):
        return source
    pieces = render_inline(source, 0, len(source), context=PLAIN, final=final, raw=False, atom_cap=400)
    text = "".join(piece.text for piece in pieces).strip().replace("\n", " ")
    text = _MARKS.sub(lambda match: match["kept"] or "", _LINK.sub(r"\1", text))
    return text.replace("```", "'''")
