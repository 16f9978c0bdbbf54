"""Which messages a connection that was lost for good may have missed.

A gateway session that can be resumed is replayed by Discord; after one that
cannot, what was written meanwhile never comes as an event. Where people have
just talked to the bot it is worth a look into the channel.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_WITHIN_SECONDS = 3600.0
_CHANNELS = 25
"""More than these are not looked at after a reconnect: each costs a request."""
_KEPT = 500


@dataclass(slots=True)
class _Channel:
    newest: int
    addressed_at: float = float("-inf")


class LastSeen:
    """The newest message seen in each channel, and when the bot was last spoken to there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._channels: OrderedDict[int, _Channel] = OrderedDict()

    def note(self, channel_id: int, message_id: int, *, is_addressed: bool) -> None:
        """Take a message in; a channel counts from the first one that spoke to the bot."""
        channel = self._channels.get(channel_id)
        if channel is None:
            if not is_addressed:
                return
            channel = self._channels[channel_id] = _Channel(message_id)
        channel.newest = max(channel.newest, message_id)
        if is_addressed:
            channel.addressed_at = self._clock()
            self._channels.move_to_end(channel_id)
        while len(self._channels) > _KEPT:
            self._channels.popitem(last=False)

    def recent(self) -> list[tuple[int, int]]:
        """Return the channels with talk of the last hour, newest first, each with its newest message."""
        horizon = self._clock() - _WITHIN_SECONDS
        recent = [(key, each.newest) for key, each in self._channels.items() if each.addressed_at > horizon]
        return recent[::-1][:_CHANNELS]
