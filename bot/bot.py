"""The bot: discord.py's client with our intents, our seams and our cogs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat import Chat
from bot.command_tree import CommandTree
from bot.conversation.journal import ReplyJournal
from bot.conversation.records import PromptKind
from bot.delivery.dm_fallback import DmFallback, Question, question_link
from bot.delivery.followups import Followups
from bot.delivery.http import install, trace_config
from bot.delivery.http_errors import LONGEST_WAIT_SECONDS
from bot.delivery.permissions import PERMISSIONS, Pauses, may_react, may_refer, permissions_in
from bot.delivery.reply import DiscordReply
from bot.delivery.reply_api import REQUEST_SECONDS, ReplyApi
from bot.delivery.transport import ChannelTransport, TokenTransport, Transport
from bot.gateway import GatewayBot
from bot.services import Services
from bot.silent_shards import SilentShards
from bot.streaming.transcript import Transcript

log = logging.getLogger(__name__)

COGS = (
    "cogs.errors",
    "cogs.chat",
    "cogs.permissions",
    "cogs.backfill",
    "cogs.changes",
    "cogs.stop",
    "cogs.model",
    "cogs.ask",
    "cogs.conversation",
    "cogs.help",
)


class OllamaBot(GatewayBot):
    """A Discord client that answers with local models.

    *message_content* says whether that intent may be asked for; without it the
    bot sees only messages that mention it, replies that ping it, and DMs.
    """

    def __init__(self, services: Services, *, message_content: bool, **options: Any) -> None:
        intents = discord.Intents(
            guilds=True,
            guild_messages=True,
            guild_reactions=True,
            dm_messages=True,
            dm_reactions=True,
            message_content=message_content,
        )
        # No voice here: spare the host two warnings about its libraries.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        self.invalid = services.invalid
        self.request_seconds = REQUEST_SECONDS
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            tree_cls=CommandTree,
            http_trace=trace_config(services.budget, self.invalid),
            max_ratelimit_timeout=LONGEST_WAIT_SECONDS,
            **options,
        )
        self.services = services
        self.store = services.store
        self.ollama = services.ollama
        self.catalog = services.catalog
        self.queue = services.queue
        self.responder = services.responder
        self.changes = services.changes
        self.pauses = Pauses()
        self.followups = Followups()
        self.silent_shards = SilentShards(self)
        self.chat = Chat(self)
        install(self.http)

    @property
    def sees_all_messages(self) -> bool:
        """Whether the message-content intent is on."""
        return self.intents.message_content

    @property
    def api(self) -> ReplyApi:
        """What sends replies; once logged in."""
        assert self.application_id is not None, "not logged in yet"
        return ReplyApi(self.services.line, self.application_id, invalid=self.invalid, seconds=self.request_seconds)

    @property
    def invite_link(self) -> str:
        """The page that adds the bot to a server, with the permissions it needs."""
        assert self.application_id is not None, "not logged in yet"
        return discord.utils.oauth_url(self.application_id, permissions=PERMISSIONS)

    def open_reply(
        self,
        transcript: Transcript,
        permissions: discord.Permissions | None,
        journal: ReplyJournal,
        *,
        is_closing: bool = False,
    ) -> DiscordReply:
        """Return the reply that *transcript* tells of; *permissions* are ours there, None if they are not known.

        With *is_closing* an earlier process began it, and it is only brought to its end.
        """
        prompt, api = journal.prompt, self.api
        if not is_closing and self.changes.was_deleted(prompt.message_id):  # there is nothing to stop yet
            asyncio.get_running_loop().call_soon(self.changes.note_deleted, prompt.message_id)
        if not is_closing and self.user is not None:
            asyncio.get_running_loop().call_soon(self.changes.note_taken_in, prompt.message_id, self.user)
        is_chat = prompt.kind is PromptKind.CHAT
        question_id = prompt.message_id if is_chat else None
        reply_to = question_id if may_refer(permissions) else None
        channel = ChannelTransport(api, asker_id=prompt.author_id, reply_to=reply_to)
        transport: Transport = channel
        if prompt.token:
            transport = TokenTransport(
                api,
                channel,
                prompt.token,
                prompt.message_id,
                created_at=prompt.created_at,
                followups=self.followups,
                original_id=transcript.original_id,
            )
        fallback = None
        if transcript.count() or not is_closing:  # who reads nothing of it by now has long asked again
            fallback = self.way_out(prompt.guild_id, prompt.channel_id, prompt.author_id, question_id)
        return DiscordReply(
            api,
            transcript,
            transport,
            journal,
            self.changes,
            fallback=fallback,
            pauses=self.pauses if is_chat else None,
            with_typing=is_chat and not is_closing,
            with_control=may_react(permissions) and not is_closing,  # reactions have no route over a token
        )

    def way_out(
        self, guild_id: int | None, channel_id: int, author_id: int, message_id: int | None = None
    ) -> DmFallback | None:
        """Return the way to who asked in a server, for when the channel takes no more of an answer."""
        if guild_id is None:
            return None
        question = Question(channel_id, author_id, guild_id, question_link(guild_id, channel_id, message_id))
        return DmFallback(self.api, question, self)

    def may_reach_members(self, guild_id: int) -> bool:
        """Tell whether direct messages to members of a server are worth a try."""
        return self.get_guild(guild_id) is not None and self.invalid.allows_optional

    def permissions_at(self, channel_id: int) -> discord.Permissions | None:
        """Return what the bot may do in a channel; None in direct messages and where that is not known."""
        channel = self.get_channel(channel_id)
        if not isinstance(channel, discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread):
            return None
        return permissions_in(channel, channel.guild.me)

    async def setup_hook(self) -> None:
        """Take over the replies that run, load the cogs."""
        self.services.line.connect(self.http)
        self.services.memory.connect(self, self.permissions_at)
        self.services.reruns.connect(self.chat)
        for cog in COGS:
            await self.load_extension(cog)

    async def close(self) -> None:
        """Close everything."""
        for extension in tuple(self.extensions):
            await self.unload_extension(extension)
        await self.silent_shards.close()
        await super().close()

    async def on_message(self, message: discord.Message, /) -> None:
        """Do nothing: there are no text commands, and the chat cog listens itself."""

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log what a listener raised, under a reference; it does not end anything."""
        log.error("%s failed, reference %s", event_method, secrets.token_hex(4), exc_info=sys.exception())

    async def on_ready(self) -> None:
        """Say who and where we are."""
        if not self.sees_all_messages:
            log.warning(
                "The message-content intent is off: answering mentions, DMs and replies that ping. "
                "Turn it on under Bot → Privileged Gateway Intents to answer all replies"
            )
        count = len(self.guilds)
        log.info("Ready as %s in %d server%s", self.user, count, "" if count == 1 else "s")
        log.info("Intents: %s", ", ".join(name.replace("_", " ") for name, is_on in self.intents if is_on))
        log.info("Invite: %s", self.invite_link)
