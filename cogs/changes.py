"""Hears what people change after the fact: deleted and edited messages, channels that go, servers that we leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

if TYPE_CHECKING:
    from bot.bot import OllamaBot


_ASKED_WITHIN_SECONDS = 180.0  # for an edit that makes a message a question


class Changes(commands.Cog):
    """Passes on what was changed; see `bot.recovery.changes`."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot
        self._changes = bot.changes

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Forget a message."""
        self._changes.note_deleted(payload.message_id)

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Forget several messages."""
        self._changes.note_deleted(*payload.message_ids)

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Look at what a webhook writes: it may be somebody's question."""
        if message.webhook_id is not None and self.bot.user is not None:
            self._changes.note_copy(message, self.bot.user)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Take an edit in; one that addresses us now may be a question."""
        message = payload.message
        if self.bot.user is None or not await self._changes.note_edited(message, self.bot.user):
            return
        if time.time() - message.created_at.timestamp() <= _ASKED_WITHIN_SECONDS:
            await self.bot.chat.take(message)

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Forget a channel."""
        self._changes.note_channel_deleted(channel.id, "channel")

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Forget a thread."""
        self._changes.note_channel_deleted(payload.thread_id, "thread")

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Note that we left a server; an outage is another event."""
        self._changes.note_removed(guild.id, time.time())

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Note that we are in a server again."""
        self._changes.note_back(guild.id)

    @commands.Cog.listener()
    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Note that we are in a server again: discord.py calls it so if Discord says that it is not unavailable."""
        self._changes.note_back(guild.id)

    @commands.Cog.listener()
    async def on_shard_ready(self, _: int) -> None:
        """Note that a session is new: no event tells what was changed before it."""
        self.bot.services.memory.begin_session()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Compare the list of our servers, complete now, with those that are stored."""
        self._changes.note_servers((guild.id for guild in self.bot.guilds), time.time())


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Changes(bot))
