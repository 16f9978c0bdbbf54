"""What a turn is made of: frozen values without Discord and without Ollama.

Intake makes them from a Discord message, the store keeps them as JSON, the
window counts them, `bot.generation.request` turns them into what a model is sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

__all__ = [
    "Attachment",
    "Part",
    "Quote",
    "QuoteKind",
    "Text",
    "Thinking",
    "from_json",
    "sources_of",
    "text_of",
    "to_json",
    "without_sources",
]


class QuoteKind(StrEnum):
    """How a message refers to another one."""

    REPLY = "reply"
    FORWARD = "forward"
    STARTER = "starter"  # the message that a thread or a forum post began with


@dataclass(frozen=True, slots=True)
class Text:
    """What somebody wrote, readable (mentions as names) and otherwise as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Another message that this one refers to.

    Attributes:
        kind: how it refers to it.
        author: the display name of who wrote it; empty where that is not known (a forward).
        text: its words, at most 2,000 code points; empty where *missing* says why.
        source_id: the message's id; when that message is deleted, the quote is erased.
        missing: why the words are not here, as a clause for the model ("it was deleted"); empty if they are.
        is_cut: whether the message goes on after *text*.
        is_own: whether the bot wrote it.
    """

    kind: QuoteKind
    author: str
    text: str
    source_id: int | None = None
    missing: str = ""
    is_cut: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a message, of which the model is told the name."""

    name: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model thought before it answered; kept apart, never sent again."""

    text: str


Part: TypeAlias = Text | Quote | Attachment | Thinking

_KINDS: dict[str, type[Part]] = {"text": Text, "quote": Quote, "attachment": Attachment, "thinking": Thinking}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def text_of(parts: tuple[Part, ...]) -> str:
    """Return the words in *parts* that their author wrote, without quotes and thoughts."""
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def sources_of(parts: tuple[Part, ...]) -> set[int]:
    """Return the ids of the messages that *parts* quote."""
    return {part.source_id for part in parts if isinstance(part, Quote) and part.source_id is not None}


def without_sources(parts: tuple[Part, ...], deleted: Collection[int]) -> tuple[Part, ...]:
    """Return *parts* without the words of messages that were *deleted*."""
    return tuple(
        replace(part, author="", text="", missing="it was deleted", is_cut=False)
        if isinstance(part, Quote) and part.source_id in deleted
        else part
        for part in parts
    )


def to_json(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    """Return *parts* as JSON values, each with its type; fields at their default are left out."""
    return [
        {"type": _NAMES[type(part)]}
        | {
            field: getattr(part, field)
            for field, described in type(part).__dataclass_fields__.items()
            if getattr(part, field) != described.default
        }
        for part in parts
    ]


def from_json(values: list[dict[str, Any]]) -> tuple[Part, ...]:
    """Return the parts in *values*; a type that this version does not know is left out."""
    parts: list[Part] = []
    for value in values:
        fields = dict(value)
        cls = _KINDS.get(fields.pop("type", ""))
        if cls is None:
            continue
        if cls is Quote:
            fields["kind"] = QuoteKind(fields["kind"])
        parts.append(cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields}))
    return tuple(parts)
