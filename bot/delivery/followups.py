"""Which messages of a command's interaction exist, as the gateway told."""

from __future__ import annotations

from collections import deque

import discord

from bot.delivery.reply_api import Answer

_KEPT = 200  # a lost answer is looked for within seconds


class Followups:
    """The bot's latest messages that belong to interactions.

    A followup bears no nonce: whether one whose answer was lost exists cannot
    be asked. The gateway tells of it all the same, wherever the bot sees the
    channel, the right to read its history or not.
    """

    def __init__(self) -> None:
        self._latest: deque[tuple[int, Answer]] = deque(maxlen=_KEPT)

    def note(self, message: discord.Message) -> None:
        """Take in a message of the bot."""
        if message.interaction_metadata is not None:
            answer = Answer(message.id, message.channel.id, message.content, None)
            self._latest.append((message.interaction_metadata.id, answer))

    def of(self, interaction_id: int) -> list[Answer]:
        """Return the messages of an interaction, oldest first."""
        return [answer for key, answer in self._latest if key == interaction_id]
