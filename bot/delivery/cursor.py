"""The mark under a text that still grows, and the line that stands there where no ⏹️ can.

A model may write the same mark, so a text counts as unfinished only where the
mark stands as the splitter puts it (`bot.markdown.pieces.closed`), and only
for who does not know better: a text that is known to be final never does.
"""

from __future__ import annotations

import re

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
    return text + _HINT if len(text) + len(_HINT) <= limit else text
