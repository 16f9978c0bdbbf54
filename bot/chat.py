"""Answers the messages that speak to the bot, or says why not."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import discord

from bot.conversation.records import PromptRecord, UnfinishedReply
from bot.delivery.notice import post_notice
from bot.delivery.permissions import may_look_back, may_refer, may_write, permissions_in
from bot.errors import BurbleError, DeliveryForbidden, PromptRefused
from bot.generation.ending import broken
from bot.intake.hints import hint, is_answerable
from bot.intake.message_text import is_addressed, is_prompt, place_of
from bot.intake.quotes import without_deleted
from bot.intake.reader import MessageReader
from bot.recovery.rebuild import rebuild
from bot.streaming.transcript import Transcript

if TYPE_CHECKING:
    from bot.bot import OllamaBot
    from bot.generation.admission import Admission

log = logging.getLogger(__name__)


class Chat:
    """The way of a message: heard, read, answered."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot
        self.reader = MessageReader(
            bot.store,
            lambda channel_id: may_look_back(bot.permissions_at(channel_id)),
            sees_content=bot.sees_all_messages,
        )
        self._seen = bot.services.seen
        self._reading: set[int] = set()

    async def take(self, message: discord.Message, admission: Admission | None = None) -> None:
        """Answer *message* if it speaks to the bot, or say why not; *admission* is that of the present or another."""
        if not self._is_for_us(message) or message.id in self._reading:  # an edit while it is read: see `Changes`
            return
        try:
            await self._answer(message, admission)
        except PromptRefused as refusal:
            self._seen.note_refused(message.id)
            if not refusal.is_repeated:
                await self._say(message, f"⚠️ {refusal.sentence()}")
        except BurbleError as error:
            sentence = error.sentence()  # has a reference, which the log is to hold
            log.warning("Prompt %s was not answered: %s", message.id, error)
            await self._say(message, f"⚠️ {sentence}")
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("Prompt %s failed, reference %s", message.id, reference)
            await self._say(message, broken(reference).line)

    async def tell_late(self, message: discord.Message) -> None:
        """Tell somebody whose question was found too late to be answered."""
        if self._is_for_us(message) and self._can_write(message):
            await self._say(message, "⏹️ I was away when you asked this. Please ask again.")

    def _is_for_us(self, message: discord.Message) -> bool:
        me = self.bot.user
        if me is None:
            return False
        speaks_to_us = is_prompt(message) and is_addressed(message, me)
        is_direct = message.guild is None
        # also what the bot says itself: else every channel that it answered in would look as if something was missed
        self._seen.note(message.channel.id, message.id, is_addressed=speaks_to_us, is_direct=is_direct)
        if not speaks_to_us:
            self.reader.overhear(message)
        if message.author.id == me.id:
            self.bot.pauses.lift(message.channel.id)
        return speaks_to_us

    def _can_write(self, message: discord.Message) -> bool:
        pauses, channel = self.bot.pauses, message.channel
        # once a minute Discord is asked, whatever we believe: an event may have been missed
        if not pauses.knows(channel.id) and not may_write(channel, message.guild.me if message.guild else None):
            pauses.pause(channel.id, "no permission to send messages")
        return pauses.admits(channel.id)

    async def _answer(self, message: discord.Message, admission: Admission | None) -> None:
        if not self._can_write(message):
            guild_id = message.guild.id if message.guild else None
            way_out = self.bot.way_out(guild_id, message.channel.id, message.author.id, message.id)
            if way_out is not None and self.bot.pauses.may_tell(message.author.id, message.channel.id):
                await way_out.explain()
            return
        was_deleted = self.bot.changes.was_deleted
        if was_deleted(message.id):
            self.bot.changes.note_unheard(message)
            return
        assert self.bot.user is not None, "messages come after READY"
        me = message.guild.me if message.guild else None
        prompt = _record(message, (me or self.bot.user).display_name)
        self.bot.responder.admit(prompt, admission)
        self._reading.add(message.id)
        try:
            asked = await self.reader.read(message, self.bot.user)
        finally:
            self._reading.discard(message.id)
        parts = without_deleted(asked.parts, was_deleted)
        if asked.question_id is not None and was_deleted(asked.question_id):
            parts = ()
        if is_answerable(message, parts):
            prompt = replace(prompt, parts=parts, copy_id=asked.question_id or self.bot.changes.copy_of(message.id))
            transcript = Transcript(message.channel.id, str(message.id))
            open_reply = partial(self.bot.open_reply, transcript, permissions_in(message.channel, me))
            await self.bot.responder.respond(prompt, open_reply)
        else:
            await self._say(message, hint(message, parts))

    async def answer_again(self, reply: UnfinishedReply) -> None:
        """Answer a question in the messages that its answer has."""
        transcript = rebuild(reply, None, ())
        transcript.begin_anew()
        open_reply = partial(self.bot.open_reply, transcript, self.bot.permissions_at(reply.prompt.channel_id))
        await self.bot.responder.respond_again(reply, open_reply)

    async def refuse(self, prompt: PromptRecord, refusal: PromptRefused) -> None:
        """Tell who asked why a question is not answered anew."""
        if not refusal.is_repeated:
            permissions = self.bot.permissions_at(prompt.channel_id)
            await self._post(prompt.channel_id, prompt.message_id, f"⚠️ {refusal.sentence()}", permissions)

    async def _say(self, message: discord.Message, sentence: str) -> None:
        permissions = permissions_in(message.channel, message.guild.me if message.guild else None)
        await self._post(message.channel.id, message.id, sentence, permissions)

    async def _post(self, channel_id: int, about: int, sentence: str, permissions: discord.Permissions | None) -> None:
        try:
            await post_notice(self.bot.api, channel_id, sentence, about=about, refer=may_refer(permissions))
        except DeliveryForbidden as error:
            self.bot.pauses.pause(channel_id, str(error))


def _record(message: discord.Message, own_name: str) -> PromptRecord:
    return PromptRecord(
        message_id=message.id,
        channel_id=message.channel.id,
        guild_id=message.guild.id if message.guild else None,
        author_id=message.author.id,
        author_name=message.author.display_name,
        parts=(),
        created_at=message.created_at.timestamp(),
        place=place_of(message.channel, message.guild),
        own_name=own_name,
    )
