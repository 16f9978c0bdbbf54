"""The app commands: who uses them without end is asked to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.delivery.interactions import TooManyCommands
from bot.generation.rates import TokenBuckets

if TYPE_CHECKING:
    from bot.bot import OllamaBot

COMMANDS_PER_MINUTE = 20
"""Commands of one user a minute: each asks Ollama or the database something."""
_UNCOUNTED = ("ask", "stop")  # the one counts as a prompt, the other must always work


class CommandTree(app_commands.CommandTree["OllamaBot"]):
    """Counts the commands of each user."""

    def __init__(self, client: OllamaBot, *, fallback_to_global: bool = True) -> None:
        super().__init__(client, fallback_to_global=fallback_to_global)
        self._buckets = TokenBuckets(COMMANDS_PER_MINUTE)

    async def interaction_check(self, interaction: discord.Interaction[OllamaBot]) -> bool:
        """Count a command.

        Raises:
            TooManyCommands: it was one too many.
        """
        name = interaction.command.qualified_name if interaction.command else ""
        if interaction.type is not discord.InteractionType.application_command or name in _UNCOUNTED:
            return True
        at = interaction.created_at.timestamp()
        wait = self._buckets.wait(interaction.user.id, at)
        if wait:
            raise TooManyCommands(wait)
        self._buckets.take(interaction.user.id, at)
        return True
