"""What the bot may do where, and a pause where it may not write."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import discord

log = logging.getLogger(__name__)

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    read_message_history=True,
    add_reactions=True,
    attach_files=True,
)
"""What the invite link asks for. Manage Messages is left to the admins: it only takes the asker's ⏹️ away."""

_PAUSE_SECONDS, _TOLD_SECONDS = 60.0, 600.0


def permissions_in(channel: discord.abc.MessageableChannel, me: discord.Member | None) -> discord.Permissions | None:
    """Return what the bot may do in *channel*; None in a DM, and in a thread whose channel is not known."""
    if me is None or isinstance(channel, discord.DMChannel | discord.GroupChannel | discord.PartialMessageable):
        return None
    try:
        return channel.permissions_for(me)
    except discord.ClientException:  # the thread's channel is not in the cache
        return None


def may_write(channel: discord.abc.MessageableChannel, me: discord.Member | None) -> bool:
    """Tell whether the bot may send messages to *channel*; where that is not known it may, until Discord refuses."""
    permissions = permissions_in(channel, me)
    if permissions is None:
        return True
    if isinstance(channel, discord.Thread):
        return permissions.view_channel and permissions.send_messages_in_threads
    return permissions.view_channel and permissions.send_messages


def may_refer(permissions: discord.Permissions | None) -> bool:
    """Tell whether messages may reply to others: Discord refuses that to who may not read them."""
    return permissions is None or permissions.read_message_history


def may_look_back(permissions: discord.Permissions | None) -> bool:
    """Tell whether messages of the past may be read."""
    return permissions is None or (permissions.view_channel and permissions.read_message_history)


def may_react(permissions: discord.Permissions | None) -> bool:
    """Tell whether the ⏹️ may go under messages."""
    if permissions is None:
        return True
    return permissions.view_channel and permissions.read_message_history and permissions.add_reactions


class Pauses:
    """Channels that refused us: nothing is tried there for a minute, then one question tries.

    Requests that are refused with 403 count towards Discord's ban for invalid
    requests (https://discord.com/developers/docs/topics/rate-limits).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, float] = {}
        self._told: dict[tuple[int, int], float] = {}  # when, by person (0: the log) and channel

    def is_paused(self, channel_id: int) -> bool:
        """Tell whether nothing is to be tried there."""
        return self._clock() < self._until.get(channel_id, 0.0)

    def knows(self, channel_id: int) -> bool:
        """Tell whether we were refused there of late, and nothing has changed since."""
        return channel_id in self._until

    def admits(self, channel_id: int) -> bool:
        """Tell whether a question may be answered there; of several that come after a pause the first only."""
        if self.is_paused(channel_id):
            return False
        if channel_id in self._until:
            self._until[channel_id] = self._clock() + _PAUSE_SECONDS
        return True

    def pause(self, channel_id: int, why: str) -> None:
        """Note a refusal; logged unless that was done of late."""
        if self.may_tell(0, channel_id):
            log.warning("Cannot write in channel %s (%s); leaving it alone, with a try a minute", channel_id, why)
        now = self._clock()
        self._until = {key: until for key, until in self._until.items() if until > now - _TOLD_SECONDS}
        self._until[channel_id] = now + _PAUSE_SECONDS

    def lift(self, channel_id: int) -> None:
        """End a pause: something changed there, or something could be written."""
        self._until.pop(channel_id, None)

    def may_tell(self, user_id: int, channel_id: int) -> bool:
        """Tell whether a person may be told of a channel's pause now: once in ten minutes; counts as told."""
        now = self._clock()
        if now < self._told.get((user_id, channel_id), float("-inf")) + _TOLD_SECONDS:
            return False
        self._told = {key: at for key, at in self._told.items() if now < at + _TOLD_SECONDS}
        self._told[user_id, channel_id] = now
        return True
