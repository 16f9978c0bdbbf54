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

_PAUSE_SECONDS = 600.0


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
    """Channels that refused us: nothing is tried there for ten minutes, and one line is logged.

    Requests that are refused with 403 count towards Discord's ban for invalid
    requests (https://discord.com/developers/docs/topics/rate-limits).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, float] = {}

    def is_paused(self, channel_id: int) -> bool:
        """Tell whether nothing is to be tried there."""
        return self._clock() < self._until.get(channel_id, 0.0)

    def pause(self, channel_id: int, why: str) -> None:
        """Note a refusal; logged unless it is known."""
        if not self.is_paused(channel_id):
            log.warning("Cannot write in channel %s (%s); leaving it alone for 10 minutes", channel_id, why)
        now = self._clock()
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until[channel_id] = now + _PAUSE_SECONDS

    def lift(self, channel_id: int) -> None:
        """End a pause: something changed there."""
        self._until.pop(channel_id, None)
