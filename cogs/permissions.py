"""Tries again where permissions may have come back: a role, the bot's own roles, a channel, a category, a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord.ext import commands

if TYPE_CHECKING:
    from bot.bot import OllamaBot


class Permissions(commands.Cog):
    """Lifts the pauses of a server whenever something changes in it that may end them."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    def _lift(self, guild: discord.Guild) -> None:
        for channel in (*guild.channels, *guild.threads):
            self.bot.pauses.lift(channel.id)

    @commands.Cog.listener()
    async def on_guild_channel_update(self, _: discord.abc.GuildChannel, channel: discord.abc.GuildChannel) -> None:
        """Note a changed channel or category."""
        self._lift(channel.guild)

    @commands.Cog.listener()
    async def on_guild_role_create(self, role: discord.Role) -> None:
        """Note a new role."""
        self._lift(role.guild)

    @commands.Cog.listener()
    async def on_guild_role_update(self, _: discord.Role, role: discord.Role) -> None:
        """Note a changed role."""
        self._lift(role.guild)

    @commands.Cog.listener()
    async def on_guild_role_delete(self, role: discord.Role) -> None:
        """Note a role that is gone: it may have forbidden something."""
        self._lift(role.guild)

    @commands.Cog.listener()
    async def on_member_update(self, _: discord.Member, member: discord.Member) -> None:
        """Note a role of our own, or the end of a timeout: of others we hear nothing."""
        if member == member.guild.me:
            self._lift(member.guild)

    @commands.Cog.listener()
    async def on_guild_update(self, _: discord.Guild, guild: discord.Guild) -> None:
        """Note a changed server."""
        self._lift(guild)

    @commands.Cog.listener()
    async def on_raw_thread_update(self, payload: discord.RawThreadUpdateEvent) -> None:
        """Note a thread that may be open again, known to us or not."""
        self.bot.pauses.lift(payload.thread_id)


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Permissions(bot))
