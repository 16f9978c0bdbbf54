"""Where messages may have been missed: while a session was lost, or while no process ran at all.

A gateway session that can be resumed is replayed by Discord; after one that
cannot, and after a start, what was written meanwhile never comes as an event.
Discord tells the newest message of every channel of a server when a session
begins, so only those are looked into where something is new; direct messages
are looked into where people have talked to the bot.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

WITHIN_SECONDS = 3600.0
"""What was written longer ago is left alone."""
DIRECT_CHANNELS = 25
"""Direct messages that are looked into, those of the latest talk."""
DIRECT_WITHIN_SECONDS = 7 * 86400.0
"""How long ago that talk may have been."""
ALIVE_KEY = "alive_at"
"""Where the store keeps until when everything was heard (Unix seconds)."""
REFUSED_KEY = "refused"
"""Where the store keeps which messages were refused just before a clean stop."""
# A connection that plays dead is found out after a minute.
_SLACK_SECONDS = 90.0
# More than these are not looked at: each costs a request.
_CHANNELS = 100
_KEPT = 500
_REFUSED_KEPT = 500
_DISCORD_EPOCH = 1_420_070_400.0  # an id holds the milliseconds since then


@dataclass(frozen=True, slots=True)
class Place:
    """A channel to look into.

    Attributes:
        channel_id: the channel.
        after: the message after which something may be missing.
        is_direct: it is one of direct messages.
    """

    channel_id: int
    after: int
    is_direct: bool


@dataclass(slots=True)
class _Channel:
    """Where people talk to the bot.

    Attributes:
        heard: the message up to which none was missed; 0 if that is not known.
        newest: the newest that was heard of.
    """

    heard: int
    newest: int
    is_direct: bool


class GapTracker:
    """Until when everything was heard, where people talk to the bot, and what came last there.

    *clock* tells Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._channels: OrderedDict[int, _Channel] = OrderedDict()  # that of the latest talk last
        self._lost_at: float | None = None
        self._refused: deque[int] = deque(maxlen=_REFUSED_KEPT)
        self.losses = 0
        """How often the connection was lost."""

    def recall(self, alive_at: float, direct: Iterable[int], refused: Iterable[int] = ()) -> None:
        """Note what an earlier process left: when it last heard everything, whose *direct* messages it answered.

        The channel of the latest talk comes first. *refused* are messages that it refused.
        """
        self._refused.extend(refused)
        self._lost_at = alive_at
        for channel_id in reversed(list(direct)):
            self._channels[channel_id] = _Channel(0, 0, is_direct=True)

    def note(self, channel_id: int, message_id: int, *, is_addressed: bool, is_direct: bool = False) -> None:
        """Take a message in; a channel counts from the first one that spoke to the bot.

        What is heard after a loss says nothing of what was written before it.
        """
        channel = self._channels.get(channel_id)
        if channel is None:
            if not is_addressed:
                return
            channel = self._channels[channel_id] = _Channel(0, 0, is_direct)
        channel.newest = max(channel.newest, message_id)
        if self._lost_at is None:
            channel.heard = channel.newest
        if is_addressed:
            self._channels.move_to_end(channel_id)
        while len(self._channels) > _KEPT:
            self._channels.popitem(last=False)

    def note_refused(self, message_id: int) -> None:
        """Note a message that was refused: nothing else is known of it, and it is not to be answered later."""
        self._refused.append(message_id)

    def was_refused(self, message_id: int) -> bool:
        """Tell whether a message was refused of late."""
        return message_id in self._refused

    @property
    def refused(self) -> list[int]:
        """Messages that were refused, as far back as the next start looks."""
        since = snowflake(self.heard_until - _SLACK_SECONDS)
        return [message_id for message_id in self._refused if message_id >= since]

    def lost(self) -> None:
        """Note that from now on something may be missed."""
        self.losses += 1
        if self._lost_at is None:
            self._lost_at = self._clock()

    def caught_up(self, losses: int) -> None:
        """Note that nothing is missing as of so many *losses*."""
        if losses == self.losses:
            self._lost_at = None
            for channel in self._channels.values():
                channel.heard = channel.newest

    @property
    def heard_until(self) -> float:
        """Until when (Unix seconds) nothing was missed."""
        return self._clock() if self._lost_at is None else self._lost_at

    def places(self, newest: Mapping[int, int], may_read: Callable[[int], bool]) -> list[Place]:
        """Return where to look, the latest talk first; nothing if nothing was missed.

        *newest* are the newest messages of the servers' channels, as Discord
        tells them; *may_read* tells where the bot may look.
        """
        if self._lost_at is None:
            return []
        horizon = self._clock() - WITHIN_SECONDS
        since = snowflake(max(self._lost_at - _SLACK_SECONDS, horizon))
        known = [
            Place(key, max(each.heard or since, snowflake(horizon)), each.is_direct)
            for key, each in reversed(self._channels.items())
        ]
        others = sorted(set(newest) - set(self._channels), key=lambda key: newest[key], reverse=True)
        inside = [each for each in known if not each.is_direct] + [Place(key, since, is_direct=False) for key in others]
        direct = [each for each in known if each.is_direct][:DIRECT_CHANNELS]
        fresh: list[Place] = []
        for place in inside:
            if newest.get(place.channel_id, 0) > place.after and may_read(place.channel_id):
                fresh.append(place)
                if len(fresh) == _CHANNELS:
                    break
        return direct + fresh


def snowflake(seconds: float) -> int:
    """Return the smallest id that Discord gives at a time (Unix seconds)."""
    return max(0, int((seconds - _DISCORD_EPOCH) * 1000)) << 22
