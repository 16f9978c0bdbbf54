"""Stop a running reply: ⏹️ or `/stop`."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.control import STOP_EMOJI, is_stop_emoji
from bot.delivery.interactions import say
from bot.errors import DeliveryError
from bot.generation.ending import broken
from bot.generation.session import Session, StopCause
from bot.intake.message_text import shown_name

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)

_MAY_NOT = "Only who asked, or who can manage messages {where}, can stop that."


class Stop(commands.Cog):
    """Ends replies for those who may: the asker, and who can manage messages there."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        """Stop the reply that somebody reacted to with ⏹️, or whose prompt it was."""
        if not is_stop_emoji(payload.emoji.name) or self.bot.user is None or payload.user_id == self.bot.user.id:
            return
        if payload.member is not None and payload.member.bot:
            return
        try:
            await self._clicked(payload)
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("⏹️ on message %s failed, reference %s", payload.message_id, reference)
            await self._tell(payload, broken(reference).line)

    async def _clicked(self, payload: discord.RawReactionActionEvent) -> None:
        reply = self.bot.queue.find(payload.message_id)
        if reply is None:
            return
        if not self._may_stop(reply, payload):
            await self._refuse(payload)
            return
        name = payload.member or reply.prompt.author_name
        clicked = (payload.message_id, payload.user_id) if self._may_remove(payload) else None
        reply.stop(StopCause(f" by {shown_name(name)}", clicked=clicked))

    async def _refuse(self, payload: discord.RawReactionActionEvent) -> None:
        """Take the reaction of somebody who may not stop away, or tell them, once in ten minutes for a channel."""
        api = self.bot.api
        try:
            if self._may_remove(payload):
                await api.remove_reaction(payload.channel_id, payload.message_id, STOP_EMOJI, payload.user_id)
            elif self.bot.pauses.may_tell(payload.user_id, payload.channel_id) and self.bot.invalid.allows_optional:
                direct = await api.open_dm(payload.user_id)
                text = f"You clicked ⏹️ in <#{payload.channel_id}>. {_MAY_NOT.format(where='there')}"
                await api.post_notice(direct, text, about=payload.message_id, refer=False)
        except DeliveryError as error:
            log.info("Who clicked ⏹️ on message %s cannot be told that they may not: %s", payload.message_id, error)

    async def _tell(self, payload: discord.RawReactionActionEvent, sentence: str) -> None:
        try:
            await self.bot.api.post_notice(payload.channel_id, sentence, about=payload.message_id)
        except DeliveryError as error:
            log.warning("Could not tell why ⏹️ on message %s failed: %s", payload.message_id, error)

    @app_commands.command(name="stop")
    async def stop(self, interaction: discord.Interaction) -> None:
        """Stop the answers I am writing for you here (moderators: everybody's)."""
        replies = self.bot.queue.in_channel(interaction.channel_id or 0)
        mine = [reply for reply in replies if reply.prompt.author_id == interaction.user.id]
        chosen = replies if interaction.permissions.manage_messages and interaction.guild_id else mine
        if not chosen:
            text = _MAY_NOT.format(where="here") if replies else "Nothing is running here."
            await say(interaction, text, ephemeral=True)
            return
        stopped = sum(reply.stop(StopCause(f" by {shown_name(interaction.user)}")) for reply in chosen)
        text = f"Stopped {stopped} answer{'s' if stopped != 1 else ''}." if stopped else "It is stopping already."
        await say(interaction, text, ephemeral=True)

    def _may_stop(self, reply: Session, payload: discord.RawReactionActionEvent) -> bool:
        if payload.user_id == reply.prompt.author_id:
            return True
        return payload.member is not None and self._permissions(payload, payload.member).manage_messages

    def _may_remove(self, payload: discord.RawReactionActionEvent) -> bool:
        guild = self.bot.get_guild(payload.guild_id) if payload.guild_id else None
        return guild is not None and self._permissions(payload, guild.me).manage_messages

    def _permissions(self, payload: discord.RawReactionActionEvent, member: discord.Member) -> discord.Permissions:
        channel = member.guild.get_channel_or_thread(payload.channel_id)
        try:
            return channel.permissions_for(member) if channel else discord.Permissions.none()
        except discord.ClientException:  # a thread in a channel that we cannot see
            return discord.Permissions.none()


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Stop(bot))
