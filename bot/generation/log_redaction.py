"""Keeps people's words, and the model's, out of the log."""

from __future__ import annotations

import re

_WINDOW = 16
"""Code points in common that are no coincidence."""
_SHORTEST = 8
"""Code points of a whole text that is looked for; anything shorter could be part of a cause."""
# Ollama quotes what a model wrote when it cannot read it (model/parsers: "raw='…'").
_LONG_QUOTE = re.compile(r"(['\"ˋ“])[^'\"ˋ”]{60,}(['\"ˋ”]|$)")
_MASK = "[…]"


def discreet(text: str, *said: str) -> str:
    """Return an error's *text* without what *said* holds, and without long quotations.

    Servers quote in their errors what they could not read, and that may be
    the question or the answer.

    >>> discreet("cannot parse: tell me about my divorce", "Please tell me about my divorce")
    'cannot parse:[…]'
    """
    text = _LONG_QUOTE.sub(rf"\1{_MASK}\2", text)
    hidden = [False] * len(text)
    for words in (" ".join(each.split()).replace("`", "ˋ") for each in said):
        size = min(_WINDOW, len(words))
        if size < _SHORTEST:
            continue
        for start in range(len(text) - size + 1):
            if text[start : start + size] in words:
                hidden[start : start + size] = [True] * size
    return re.sub("\0+", _MASK, "".join("\0" if hide else char for char, hide in zip(text, hidden, strict=True)))
