"""How a piece of somebody else's text, or a time, stands in a sentence."""

from __future__ import annotations

import unicodedata


def inline(text: str, limit: int) -> str:
    """Return *text* as inline code can hold it: on one line, without controls and bidi marks, cut to *limit*."""
    kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * limit])
    line = " ".join(kept.split()).replace("`", "ˋ")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def duration(seconds: float) -> str:
    """Return a time to wait in words, rounded up."""
    count, unit = (-(-seconds // 60), "minute") if seconds > 90 else (-(-seconds // 1), "second")
    return f"{count:.0f} {unit}{'s' if count != 1 else ''}"
