"""What was asked while nobody listened: looked up when a session begins, answered or told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import aiohttp
import discord
from discord.ext import commands

from bot.delivery.permissions import may_look_back
from bot.errors import DeliveryError, StoreError
from bot.intake.message_text import is_addressed
from bot.recovery.gap_tracker import ALIVE_KEY, Place
from bot.recovery.recovery import ANSWERED_WITHIN_SECONDS
from bot.recovery.screen import INTERRUPTED
from bot.streaming.backoff import Backoff

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)

_LOOK_BACK = 300  # messages of a channel
_ALIVE_EVERY = 30.0
_TRIES = 4
_END_SECONDS = 1.0  # for our task to end

_Channel = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


class Missed(commands.Cog):
    """Finds prompts that no event told of, and hands them to who answers."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot
        self._seen = bot.services.seen
        self._began_at = time.time()
        self._has_begun = False
        self._fresh: set[int] = set()  # shards with a new session, to which nothing is told again
        self._noting: asyncio.Task[None] | None = None

    async def cog_unload(self) -> None:
        """End our task."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.wait((self._noting,), timeout=_END_SECONDS)

    @commands.Cog.listener()
    async def on_shard_disconnect(self, _: int) -> None:
        """Remember since when something may be missed."""
        self._seen.lost()

    @commands.Cog.listener()
    async def on_shard_connect(self, shard_id: int) -> None:
        """Note that a session is new: that it is resumed later tells nothing of what was before it."""
        self._fresh.add(shard_id)

    @commands.Cog.listener()
    async def on_shard_ready(self, _: int) -> None:
        """Look for what a shard missed that lost its session: discord.py says "ready" again for all of them only."""
        if self._has_begun and self.bot.silent_shards.all_hear:
            await self._catch_up()

    @commands.Cog.listener()
    async def on_shard_resumed(self, _: int) -> None:
        """Note that Discord has told a shard again everything that it missed."""
        if self.bot.silent_shards.all_hear and not self._fresh:
            self._seen.caught_up(self._seen.losses)

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Look for what was missed before this start, now that all servers are known."""
        if self._has_begun:
            return
        self._has_begun = True
        self._noting = asyncio.create_task(self._note_alive(), name="note-alive")
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Find and hand over what was missed in the last hour."""
        losses = self._seen.losses
        self._fresh.clear()
        newest = {channel.id: channel.last_message_id or 0 for guild in self.bot.guilds for channel in _channels(guild)}
        # all at once: one channel that Discord is slow with holds up no other by more than its own time
        found = await asyncio.gather(*(self._insist(place) for place in self._seen.places(newest, self._may_read)))
        self._hand_over([message for messages in found for message in messages])
        if self.bot.silent_shards.all_hear:
            self._seen.caught_up(losses)

    async def _insist(self, place: Place) -> list[discord.Message]:
        """Look into a channel, again if that fails; what can't be read stays unanswered."""
        backoff = Backoff()
        while True:
            try:
                return await self._look(place)
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, StoreError) as error:
                delay = backoff.delay()
                if backoff.failures >= _TRIES or isinstance(error, discord.Forbidden | discord.NotFound):
                    log.warning("What was missed in channel %s cannot be read: %r", place.channel_id, error)
                    return []
            except Exception:  # a message that discord.py cannot make sense of
                log.exception("What was missed in channel %s cannot be read", place.channel_id)
                return []
            await asyncio.sleep(delay)

    async def _look(self, place: Place) -> list[discord.Message]:
        """Return the prompts of a channel that nobody took in, refused or replied to; close commands that were cut."""
        channel = self._channel(place)
        if channel is None or self.bot.user is None:
            return []
        me = self.bot.user
        after = discord.Object(place.after)
        found = [each async for each in channel.history(after=after, limit=_LOOK_BACK, oldest_first=True)]
        own = [each for each in found if each.author.id == me.id]
        replied_to = {each.reference.message_id for each in own if each.reference is not None}
        asked = [each for each in found if not each.author.bot and each.id not in replied_to and is_addressed(each, me)]
        waiting = {key: each for each in own if (key := _waiting_command(each, self._began_at))}
        known = await self.bot.store.known_prompts([*(each.id for each in asked), *waiting])
        for interaction_id, message in waiting.items():
            if interaction_id not in known:
                await self._close(message)
        return [each for each in asked if each.id not in known and not self._seen.was_refused(each.id)]

    def _hand_over(self, missed: list[discord.Message]) -> None:
        """Have prompts answered, or their askers told if that is too long ago."""
        # in the order of asking over all channels: that is how rates are counted
        admission = self.bot.responder.admission.apart()
        late: dict[tuple[int, int], discord.Message] = {}
        for message in sorted(missed, key=lambda each: each.id):
            if time.time() - message.created_at.timestamp() > ANSWERED_WITHIN_SECONDS:
                late[message.channel.id, message.author.id] = message  # nobody needs to be told twice
            else:
                self.bot.dispatch("missed_message", message, admission)
        for message in late.values():
            self.bot.dispatch("late_message", message)

    async def _close(self, message: discord.Message) -> None:
        """Tell who used a command that its answer will not come."""
        payload = {"content": f"{INTERRUPTED}. Please ask again.", "allowed_mentions": {"parse": []}}
        try:
            await self.bot.courier.edit_message(message.channel.id, message.id, payload)
        except DeliveryError as error:
            log.info("A command that was interrupted in channel %s cannot be told: %s", message.channel.id, error)

    def _channel(self, place: Place) -> discord.abc.Messageable | None:
        if place.is_direct:
            return self.bot.get_partial_messageable(place.channel_id, type=discord.ChannelType.private)
        channel = self.bot.get_channel(place.channel_id)
        return channel if isinstance(channel, discord.abc.Messageable) else None

    def _may_read(self, channel_id: int) -> bool:
        return may_look_back(self.bot.permissions_at(channel_id))

    async def _note_alive(self) -> None:
        """Write down every half a minute until when everything was heard: a start looks back to that."""
        while True:
            with contextlib.suppress(StoreError):  # said by whoever has something to store
                await self.bot.store.set_setting(ALIVE_KEY, str(self._seen.heard_until))
            await asyncio.sleep(_ALIVE_EVERY)


def _channels(guild: discord.Guild) -> list[_Channel]:
    return [*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads]


def _waiting_command(message: discord.Message, began_at: float) -> int | None:
    """Return which command an earlier process left *message* "thinking" about, or None if it is not such a one."""
    if not message.flags.loading or message.interaction_metadata is None:
        return None
    return message.interaction_metadata.id if message.created_at.timestamp() < began_at else None


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(Missed(bot))
