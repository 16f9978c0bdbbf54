"""Talk to the model: mentions, replies and DMs are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord.ext import commands

if TYPE_CHECKING:
    from bot.bot import OllamaBot


class ChatListener(commands.Cog):
    """Hears messages."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    async def cog_unload(self) -> None:
        """End what is looked up for messages."""
        self.bot.chat.reader.close()

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that mentions the bot, replies to it, or is a DM."""
        await self.bot.chat.take(message)


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(ChatListener(bot))
