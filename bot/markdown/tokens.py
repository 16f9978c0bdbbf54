"""The tokens of inline Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


class Kind:
    """What a token is; plain numbers, for an enum's members take longer to look up than all else about a token."""

    TEXT: Final = 0  # shown exactly as in the source; a page may be cut inside it
    SPACE: Final = 1
    NEWLINE: Final = 2
    DELIMITER: Final = 3  # a run of emphasis marks
    ATOM: Final = 4  # never torn: a link, a mention, a formula
    HELD: Final = 5  # the same, but not complete yet: no cut after it
    OPEN: Final = 6  # opens inline code
    CLOSE: Final = 7


@dataclass(slots=True)
class Action:
    """What one mark of a delimiter run does: "open", "close" or stand there as "text"."""

    kind: str
    mark: str


@dataclass(slots=True)
class Token:
    """A stretch of source and how it is shown.

    Attributes:
        kind: what it is, one of `Kind`.
        text: what is shown; for delimiters and code the mark.
        end: offset in the source after it.
        code: whether it is the content of inline code.
        can_open, can_close: for delimiters.
        is_tag: for delimiters; a tag of HTML, which is not shown if it says nothing.
        actions: for delimiters, filled by the matching.
    """

    kind: int
    text: str
    end: int
    code: bool = False
    can_open: bool = False
    can_close: bool = False
    is_tag: bool = False
    actions: Sequence[Action] = ()
