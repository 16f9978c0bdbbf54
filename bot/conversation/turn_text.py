"""A turn's parts as the text that a model is sent: what is quoted stands before the words, marked as such.

Only we can write ⟦ ⟧ (see `bot.conversation.speaker_labels`), so nobody's words
pass for a quote of somebody else's. Pure: the same label and parts give the
same text, today and after a restart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import replace

from bot.conversation.speaker_labels import clean_name, speak
from bot.parts import Attachment, Part, Quote, QuoteKind, text_of

QUOTE_LENGTH = 2000
"""Code points of a quote at most: what a Discord message holds."""

_NO_WORDS = "(no words of their own: answer what is quoted)"
_CUT = "\n⟦the quote is cut here⟧"


def said(label: str, parts: tuple[Part, ...]) -> str:
    """Return a person's message as the model gets it, signed with *label* unless that is empty."""
    words = text_of(parts) or (_NO_WORDS if any(isinstance(part, Quote) for part in parts) else "")
    if names := ", ".join(part.name for part in parts if isinstance(part, Attachment)):
        words += f"\n(attached, not visible to you: {names})"
    return "\n".join([*(_quoted(part) for part in parts if isinstance(part, Quote)), speak(label, words)])


def without(parts: tuple[Part, ...], *, known: Collection[int], is_first: bool) -> tuple[Part, ...]:
    """Return *parts* without the quotes that are no news to the model; without words, they are what is asked about.

    Args:
        parts: of a prompt that was not sent yet.
        known: ids of messages that stand right before it anyway.
        is_first: it begins the conversation, so what its thread began with belongs to it.
    """
    if not text_of(parts):
        return parts
    return tuple(
        part
        for part in parts
        if not isinstance(part, Quote)
        or (part.source_id not in known and (is_first or part.kind is not QuoteKind.STARTER))
    )


def trimmed(parts: tuple[Part, ...], room: int, estimate: Callable[[str], int]) -> tuple[Part, ...]:
    """Return *parts* with quotes cut to `QUOTE_LENGTH`, and to *room* tokens together, in equal shares."""
    quotes = sum(isinstance(part, Quote) for part in parts)
    result: list[Part] = []
    for part in parts:
        if isinstance(part, Quote):
            part = _shortened(part, room // quotes, estimate)  # noqa: PLW2901  # the shorter one goes on
            room -= estimate(_quoted(part))
            quotes -= 1
        result.append(part)
    return tuple(result)


def _shortened(quote: Quote, room: int, estimate: Callable[[str], int]) -> Quote:
    def cost(length: int) -> int:
        return estimate(_quoted(_cut(quote, length)))

    longest = min(len(quote.text), QUOTE_LENGTH)
    if cost(longest) > room:
        longest = max(bisect_right(range(longest), room, key=cost) - 1, 0)
    return _cut(quote, longest)


def _cut(quote: Quote, length: int) -> Quote:
    if length >= len(quote.text):
        return quote
    return replace(quote, text=quote.text[:length].rstrip(), is_cut=True)


def _quoted(quote: Quote) -> str:
    author = "you" if quote.is_own else clean_name(quote.author) if quote.author else "somebody"
    match quote.kind:
        case QuoteKind.REPLY:
            what = f"what {author} wrote, which this message replies to"
        case QuoteKind.FORWARD:
            what = f"what {author} wrote elsewhere, forwarded with this message"
        case QuoteKind.STARTER:
            what = f"what {author} wrote, which this thread began with"
    if quote.missing:
        return f"⟦quoted: {what}; its words are missing: {speak('', quote.missing)}⟧"
    lines = "".join(f"\n> {line}" for line in speak("", quote.text).split("\n"))
    return f"⟦quoted: {what}⟧{lines}{_CUT if quote.is_cut else ''}"
