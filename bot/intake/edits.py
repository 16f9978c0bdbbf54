"""What a message says after somebody edited it."""

from __future__ import annotations

import discord

from bot.intake.hints import is_answerable
from bot.intake.message_text import own_parts
from bot.parts import Part, Quote


def edited_parts(parts: tuple[Part, ...], message: discord.Message, me: discord.abc.User) -> tuple[Part, ...]:
    """Return *parts* with the words and files as *message* has them now; what it refers to stays.

    Nothing changes unless its author edited it, nor where Discord hides its words from us. Nothing is returned if
    nothing is left to be answered.
    """
    if message.edited_at is None or not message.content:
        return parts
    quotes = tuple(part for part in parts if isinstance(part, Quote))
    edited = (*quotes, *own_parts(message, me))
    return edited if is_answerable(message, edited) else ()
