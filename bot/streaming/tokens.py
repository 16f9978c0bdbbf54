"""The tokens of inline Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["Action", "Kind", "Token"]


class Kind(IntEnum):
    """What a token is."""

    TEXT = 0  # shown exactly as in the source; a page may be cut inside it
    SPACE = 1
    NEWLINE = 2
    DELIMITER = 3  # a run of emphasis marks
    ATOM = 4  # never torn: a link, a mention, a formula
    HELD = 5  # the same, but not complete yet: no cut after it
    OPEN = 6  # opens inline code
    CLOSE = 7


@dataclass(slots=True)
class Action:
    """What one mark of a delimiter run does: "open", "close" or stand there as "text"."""

    kind: str
    mark: str


@dataclass(slots=True)
class Token:
    """A stretch of source and how it is shown.

    Attributes:
        kind: what it is.
        text: what is shown; for delimiters and code the mark.
        end: offset in the source after it.
        code: whether it is the content of inline code.
        can_open, can_close: for delimiters.
        actions: for delimiters, filled by the matching.
    """

    kind: Kind
    text: str
    end: int
    code: bool = False
    can_open: bool = False
    can_close: bool = False
    actions: list[Action] = field(default_factory=list)
