"""Talk to the model: mentions, replies and DMs are answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from bot.conversation.records import PromptRecord
from bot.delivery.permissions import may_write
from bot.delivery.readable import is_addressed, prompt_text
from bot.delivery.reply import DiscordReply
from bot.delivery.sinks import ChannelSink
from bot.errors import BurbleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.bot import OllamaBot
    from bot.conversation.journal import ReplyJournal

log = logging.getLogger(__name__)

_KINDS = (discord.MessageType.default, discord.MessageType.reply)


class Chat(commands.Cog):
    """Answers messages that speak to the bot."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that mentions the bot, replies to it, or is a DM."""
        me = self.bot.user
        if message.author.bot or message.type not in _KINDS or me is None or not is_addressed(message, me):
            return
        channel = message.channel
        if self.bot.pauses.is_paused(channel.id):
            return
        if not may_write(channel, message.guild.me if message.guild else None):
            self.bot.pauses.pause(channel.id, "no permission to send messages")
            return
        text = prompt_text(message, me)
        if not text:
            await self._say(message, _hint(message))
            return
        try:
            await self.bot.responder.respond(_record(message, text), self._opener(message))
        except BurbleError as error:
            log.warning("Prompt %s was not answered: %s", message.id, error)
            await self._say(message, f"⚠️ {error.sentence()}")

    def _opener(self, message: discord.Message) -> Callable[[ReplyJournal], DiscordReply]:
        guild_id = message.guild.id if message.guild else None

        def open_reply(journal: ReplyJournal) -> DiscordReply:
            return DiscordReply(
                self.bot.courier,
                message.channel.id,
                lambda on_posted: ChannelSink(
                    self.bot.courier,
                    journal,
                    on_posted,
                    channel_id=message.channel.id,
                    reply_to=message.id,
                    nonce_seed=str(message.id),
                ),
                on_forbidden=lambda why: self.bot.pauses.pause(message.channel.id, why),
                on_deleted=self.bot.note_deleted,
                way_out=self.bot.way_out(guild_id, message.channel.id, message.author.id, message.id),
            )

        return open_reply

    async def _say(self, message: discord.Message, sentence: str) -> None:
        try:
            reference = message.to_reference(fail_if_not_exists=False)
            await message.channel.send(sentence, reference=reference, mention_author=False, nonce=message.id)
        except discord.Forbidden as error:
            self.bot.pauses.pause(message.channel.id, error.text or "refused")
        except discord.DiscordException as error:
            log.warning("Could not answer message %s: %s", message.id, error)


def _record(message: discord.Message, text: str) -> PromptRecord:
    return PromptRecord(
        message_id=message.id,
        channel_id=message.channel.id,
        guild_id=message.guild.id if message.guild else None,
        author_id=message.author.id,
        author_name=message.author.display_name,
        text=text,
        created_at=message.created_at.timestamp(),
    )


def _hint(message: discord.Message) -> str:
    """Return one helpful sentence for a message without words."""
    if message.attachments:
        return "I cannot look into attachments. Please write your question as text, with the important parts pasted in."
    if message.stickers:
        return "Nice sticker! I only understand text, though: ask me something."
    if message.message_snapshots:
        return "I cannot read forwarded messages. Please paste the text and tell me what you want to know."
    return "Hi! Write your question after my name, and I will answer here. `/help` tells what else I can do."


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Chat(bot))
