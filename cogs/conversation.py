"""Start a channel's conversation afresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.interactions import patiently, say, writers_only
from bot.intake.message_text import shown_name

if TYPE_CHECKING:
    from bot.bot import OllamaBot


class Conversation(commands.Cog):
    """What a channel's model remembers."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @app_commands.command(name="reset")
    @writers_only()
    async def reset(self, interaction: discord.Interaction) -> None:
        """Start afresh: what was said in this channel before is not sent to the model any more."""
        assert interaction.channel_id is not None, "commands are used in channels"
        # The interaction's id is a snowflake as a message's, so it lies between
        # what was asked before (also what still waits or runs) and what comes.
        work = self.bot.store.reset(interaction.channel_id, at_message_id=interaction.id)
        await patiently(interaction, work, ephemeral=False)
        name = shown_name(interaction.user)
        await say(
            interaction,
            f"🧹 A new conversation (started by {name}): nothing from before is sent to the model any more.",
            ephemeral=False,
        )


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Conversation(bot))
