"""Take out of a growing text what could hide or reorder what people read."""

from __future__ import annotations

import unicodedata

import regex

MAX_MARKS = 8  # more combining marks than any script stacks on one letter

_TAG_BASE = "\U0001f3f4"  # the black flag: England, Scotland and Wales are written with tag characters after it
_JOINERS = "\u200c\u200d"

# Everything with no shape of its own, and the combining marks (they are counted).
# Quick Unicode properties decide, so new controls are covered with regex's tables.
_SPECIAL = regex.compile(
    r"[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cs}\p{Mn}\p{Me}\u2028\u2029\ufff9-\ufffb--[\n\t]]", regex.V1
)
_ASCII_SPECIAL = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Sanitizer:
    r"""Clean a text that comes in pieces; the result does not depend on how it was cut into them.

    Line ends become ``\n``; bidi and other controls, zero-width and unassigned
    invisible characters go, except joiners and variation selectors where writing
    needs them; lone surrogates become U+FFFD; at most `MAX_MARKS` combining
    marks stay on one letter.
    """

    def __init__(self) -> None:
        self._last = ""  # the last character kept
        self._marks = 0
        self._tagged = False
        self._pending = ""  # a carriage return or high surrogate whose partner may follow

    def feed(self, text: str) -> str:
        """Return the clean form of *text*, but for a half pair at its end."""
        if self._pending:
            text = self._pending + text
            self._pending = ""
        if not text:
            return ""
        if text[-1] == "\r" or "\ud800" <= text[-1] <= "\udbff":
            text, self._pending = text[:-1], text[-1]
        return self._clean(text)

    def flush(self) -> str:
        """Return what `feed` held back; no more text follows."""
        text, self._pending = self._pending, ""
        return self._clean(text)

    def _clean(self, text: str) -> str:
        if not text:
            return ""
        if text.isascii():
            if _ASCII_SPECIAL.search(text):
                text = _ASCII_SPECIAL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
            if text:
                self._last, self._marks, self._tagged = text[-1], 0, False
            return text
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if regex.search(r"\p{Cs}", text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return self._filter(text)

    def _filter(self, text: str) -> str:
        kept: list[str] = []
        position = 0
        for match in _SPECIAL.finditer(text):
            start = match.start()
            if start > position:
                kept.append(text[position:start])
                self._last, self._marks, self._tagged = text[start - 1], 0, False
            position = match.end()
            replacement = self._judge(match[0])
            if replacement:
                kept.append(replacement)
                self._last = replacement
        if position < len(text):
            kept.append(text[position:])
            self._last, self._marks, self._tagged = text[-1], 0, False
        return "".join(kept)

    def _judge(self, char: str) -> str:
        """Return what stands for the special *char* here: itself, a line end or nothing."""
        if char in "\u2028\u2029":
            return "\n"
        if char in _JOINERS:
            return char if self._may_join() else ""
        if "\ufe00" <= char <= "\ufe0f":
            return char if self._last.strip() and not unicodedata.category(self._last).startswith(("M", "C")) else ""
        if "\U000e0020" <= char <= "\U000e007f":
            self._tagged = self._tagged or self._last == _TAG_BASE
            return char if self._tagged and self._count() else ""
        if unicodedata.category(char) in {"Mn", "Me"} and not _invisible(char):
            return char if self._count() else ""
        return ""

    def _may_join(self) -> bool:
        """Joiners belong in emoji sequences and in the letters of scripts that join; never after Latin ones."""
        if not self._last or self._last.isascii():
            return False
        category = unicodedata.category(self._last)
        return category in {"So", "Sk", "Mn", "Mc", "Lo"} or self._last in "\u2640\u2642"

    def _count(self) -> bool:
        self._marks += 1
        return self._marks <= MAX_MARKS


def cleaned(text: str) -> str:
    """Return the clean form of a whole *text*, as `Sanitizer` gives it."""
    sanitizer = Sanitizer()
    return sanitizer.feed(text) + sanitizer.flush()


def _invisible(char: str) -> bool:
    return char == "\u034f" or "\u180b" <= char <= "\u180f" or "\U000e0100" <= char <= "\U000e01ef"
