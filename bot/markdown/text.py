"""Small helpers over text as Discord counts, trims and marks it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

PAGE_LIMIT = 2000
"""Code points of a Discord message, astral ones counting once."""

_MARKUP = regex.compile(r"[\\*_~|`<>\[\]]|^[-+#]|(?<=^\d{1,9})[.)]", regex.MULTILINE)
# Besides white space: joiners and variation selectors, Hangul fillers, the empty Braille cell.
_BLANK = regex.compile(r"[\s\u200b-\u200d\ufe00-\ufe0f\u115f\u1160\u3164\uffa0\u2800]*")
_GRAPHEME = regex.compile(r"\X")


def is_blank(text: str) -> bool:
    """Return whether nobody sees anything of *text*."""
    return _BLANK.fullmatch(text) is not None


def escape_markdown(text: str) -> str:
    """Return *text* so that Discord shows it as written, mentions too (for names in sentences of our own)."""
    return _MARKUP.sub(r"\\\g<0>", text).replace("@", "@\u200b")


def graphemes(text: str) -> list[str]:
    r"""Return the grapheme clusters of *text* (Unicode UAX #29, ``\X``)."""
    return _GRAPHEME.findall(text)


def display_width(text: str) -> int:
    """Return the columns *text* takes in a monospaced font, wide and emoji clusters counting two."""
    if text.isascii():
        return len(text)
    return _wide_width(text)


@lru_cache(maxsize=1024)  # a growing table asks for the same cells again and again
def _wide_width(text: str) -> int:
    return sum(_cluster_width(cluster) for cluster in graphemes(text))


def _cluster_width(cluster: str) -> int:
    if "\ufe0f" in cluster or any(unicodedata.east_asian_width(char) in "WF" for char in cluster):
        return 2
    return 0 if all(unicodedata.category(char) in {"Mn", "Me", "Cf", "Cc"} for char in cluster) else 1
