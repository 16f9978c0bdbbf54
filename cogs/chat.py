"""Talk to the model: mentions, replies and DMs are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord.ext import commands

if TYPE_CHECKING:
    from bot.bot import OllamaBot


class ChatListener(commands.Cog):
    """Hears messages, and where it may write again."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    async def cog_unload(self) -> None:
        """End what is looked up for messages."""
        self.bot.chat.reader.close()

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that mentions the bot, replies to it, or is a DM."""
        await self.bot.chat.take(message)

    @commands.Cog.listener()
    async def on_guild_channel_update(self, _: discord.abc.GuildChannel, channel: discord.abc.GuildChannel) -> None:
        """Try again where permissions may have come back."""
        self.bot.pauses.lift(channel.id)

    @commands.Cog.listener()
    async def on_thread_update(self, _: discord.Thread, thread: discord.Thread) -> None:
        """Try again where a thread may be open again."""
        self.bot.pauses.lift(thread.id)


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(ChatListener(bot))
