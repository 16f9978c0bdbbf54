"""Looks back after a gap: what was asked while nobody listened is found and handed over, once.

`bot.recovery.gap_tracker` knows where something may be missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Protocol

import aiohttp
import discord

from bot.delivery.permissions import may_look_back
from bot.delivery.reply_api import NO_MENTIONS
from bot.errors import DeliveryError, StoreError
from bot.intake.history import read_history
from bot.intake.message_text import is_addressed
from bot.recovery.leftover import INTERRUPTED
from bot.recovery.recovery import ANSWERED_WITHIN_SECONDS
from bot.recovery.tasks import Tasks
from bot.streaming.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.conversation.store import Store
    from bot.delivery.reply_api import ReplyApi
    from bot.generation.admission import Admission
    from bot.recovery.gap_tracker import GapTracker, Place

log = logging.getLogger(__name__)

_LOOK_BACK = 300  # messages of a channel
_TRIES = 4

_Channel = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


class Answers(Protocol):
    """Who answers messages."""

    async def take(self, message: discord.Message, admission: Admission | None = None) -> None:
        """Answer a message that speaks to the bot, by the rates of when it was written."""

    async def tell_late(self, message: discord.Message) -> None:
        """Tell somebody that their question was found too late."""


class Backfill:
    """Finds prompts that no event told of.

    Args:
        client: tells of channels and their messages; its cache is that of the session.
        api: closes commands that an earlier process left waiting.
        gaps: knows where to look.
        store: knows what was taken in.
        answers: gets what is found.
        permissions_at: tells what the bot may do in a channel, None where that is not known.
    """

    def __init__(
        self,
        client: discord.Client,
        api: ReplyApi,
        gaps: GapTracker,
        store: Store,
        answers: Answers,
        permissions_at: Callable[[int], discord.Permissions | None],
    ) -> None:
        self._client = client
        self._api = api
        self._gaps = gaps
        self._store = store
        self._answers = answers
        self._permissions_at = permissions_at
        self._began_at = time.time()
        self._tasks = Tasks()

    async def look(self, admission: Admission) -> None:
        """Find what was missed in the last hour; have it answered by *admission*, or told that it is late."""
        newest = {
            channel.id: channel.last_message_id or 0 for guild in self._client.guilds for channel in _channels(guild)
        }
        # all at once: one channel that Discord is slow with holds up no other by more than its own time
        found = await asyncio.gather(*(self._insist(place) for place in self._gaps.places(newest, self._may_read)))
        late: dict[tuple[int, int], discord.Message] = {}
        # in the order of asking over all channels: that is how rates are counted
        for message in sorted((each for messages in found for each in messages), key=lambda each: each.id):
            if time.time() - message.created_at.timestamp() > ANSWERED_WITHIN_SECONDS:
                late[message.channel.id, message.author.id] = message  # nobody needs to be told twice
            else:
                self._tasks.spawn(self._answers.take(message, admission), f"missed-{message.id}")
        for message in late.values():
            self._tasks.spawn(self._answers.tell_late(message), f"late-{message.id}")

    async def _insist(self, place: Place) -> list[discord.Message]:
        """Look into a channel, again if that fails; what can't be read stays unanswered."""
        backoff = Backoff()
        while True:
            try:
                return await self._look_into(place)
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, StoreError) as error:
                delay = backoff.delay()
                if backoff.failures >= _TRIES or isinstance(error, discord.Forbidden | discord.NotFound):
                    log.warning("What was missed in channel %s cannot be read: %r", place.channel_id, error)
                    return []
            except Exception as error:
                log.warning("What was missed in channel %s cannot be read: %s", place.channel_id, type(error).__name__)
                log.debug("Looking into a channel failed", exc_info=error)
                return []
            await asyncio.sleep(delay)

    async def _look_into(self, place: Place) -> list[discord.Message]:
        """Return the prompts of a channel that nobody took in, refused or replied to; close commands that were cut."""
        channel, me = self._channel(place), self._client.user
        if channel is None or me is None:
            return []
        found = (await read_history(channel, after=place.after, limit=_LOOK_BACK)).messages
        own = [each for each in found if each.author.id == me.id]
        replied_to = {each.reference.message_id for each in own if each.reference is not None}
        asked = [each for each in found if not each.author.bot and each.id not in replied_to and is_addressed(each, me)]
        waiting = {key: each for each in own if (key := _waiting_command(each, self._began_at))}
        known = await self._store.known_prompts([*(each.id for each in asked), *waiting])
        for interaction_id, message in waiting.items():
            if interaction_id not in known:
                await self._close(message)
        return [each for each in asked if each.id not in known and not self._gaps.was_refused(each.id)]

    async def _close(self, message: discord.Message) -> None:
        """Tell who used a command that its answer will not come."""
        payload = {"content": f"{INTERRUPTED}. Please ask again.", "allowed_mentions": NO_MENTIONS}
        try:
            await self._api.edit_message(message.channel.id, message.id, payload)
        except DeliveryError as error:
            log.info("A command that was interrupted in channel %s cannot be told: %s", message.channel.id, error)

    def _channel(self, place: Place) -> discord.abc.Messageable | None:
        if place.is_direct:
            return self._client.get_partial_messageable(place.channel_id, type=discord.ChannelType.private)
        channel = self._client.get_channel(place.channel_id)
        return channel if isinstance(channel, discord.abc.Messageable) else None

    def _may_read(self, channel_id: int) -> bool:
        return may_look_back(self._permissions_at(channel_id))


def _channels(guild: discord.Guild) -> list[_Channel]:
    return [*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads]


def _waiting_command(message: discord.Message, began_at: float) -> int | None:
    """Return which command an earlier process left *message* "thinking" about, or None if it is not such a one."""
    if not message.flags.loading or message.interaction_metadata is None:
        return None
    return message.interaction_metadata.id if message.created_at.timestamp() < began_at else None
