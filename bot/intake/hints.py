"""One helpful sentence for a message that holds nothing to be answered."""

from __future__ import annotations

import discord

from bot.markdown.text import escape_markdown
from bot.parts import Attachment, Part, Quote, QuoteKind, Text


def is_answerable(message: discord.Message, parts: tuple[Part, ...]) -> bool:
    """Tell whether there are words in the *parts* of *message*: somebody's own, or, beside no file, those quoted."""
    if message.stickers or any(isinstance(part, Attachment) for part in parts):
        return any(isinstance(part, Text) for part in parts)
    return any(isinstance(part, Text | Quote) and part.text for part in parts)


def hint(message: discord.Message, parts: tuple[Part, ...]) -> str:
    """Return what to tell who wrote *message*, whose *parts* are not answerable."""
    if message.attachments:
        return "I cannot look into attachments. Please write your question as text, with the important parts pasted in."
    if message.stickers:
        return "Nice sticker! I only understand text, though: ask me something."
    quotes = [part for part in parts if isinstance(part, Quote) and part.kind is not QuoteKind.STARTER]
    if missing := [quote.missing for quote in quotes if quote.missing]:
        why = escape_markdown(missing[-1])
        return f"I cannot read the message that you refer to: {why}. Please paste what I should know of it."
    return "Hi! Write your question after my name, and I will answer here. `/help` tells what else I can do."
