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


def may_write(channel: discord.abc.MessageableChannel, me: discord.Member | None) -> bool:
    """Tell whether the bot may send messages to *channel*; DMs always, until Discord refuses."""
    if me is None or isinstance(channel, discord.DMChannel | discord.GroupChannel | discord.PartialMessageable):
        return True
    permissions = channel.permissions_for(me)
    if isinstance(channel, discord.Thread):
        return permissions.view_channel and permissions.send_messages_in_threads
    return permissions.view_channel and permissions.send_messages


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
