"""One helpful sentence for a message that holds nothing to be answered."""

from __future__ import annotations

import discord

from bot.markdown.text import escape_markdown
from bot.parts import Part, Quote, QuoteKind, Text


def is_answerable(parts: tuple[Part, ...]) -> bool:
    """Tell whether there are words in *parts*: somebody's own, or those of what they refer to."""
    return any(isinstance(part, Text | Quote) and part.text for part in parts)


def hint(message: discord.Message, parts: tuple[Part, ...]) -> str:
    """Return what to tell who wrote *message*, whose *parts* are not answerable."""
    missing = [part.missing for part in parts if isinstance(part, Quote) and part.kind is not QuoteKind.STARTER]
    if missing:
        why = escape_markdown(missing[-1])
        return f"I cannot read the message that you refer to: {why}. Please paste what I should know of it."
    if message.attachments:
        return "I cannot look into attachments. Please write your question as text, with the important parts pasted in."
    if message.stickers:
        return "Nice sticker! I only understand text, though: ask me something."
    return "Hi! Write your question after my name, and I will answer here. `/help` tells what else I can do."
