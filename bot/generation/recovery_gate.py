"""Channels in which new prompts wait until what an earlier process left there has taken its place in line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

HOLD_SECONDS = 10.0
"""How long a new prompt waits for that at most: whatever holds it up, the channel goes on."""


class RecoveryGate:
    """The channels that are held; *on_release* is called when one is let go."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release = on_release
        self._timers: dict[int, asyncio.TimerHandle | None] = {}

    def __contains__(self, channel_id: int) -> bool:
        """Tell whether a channel is held."""
        return channel_id in self._timers

    def hold(self, channel_ids: Iterable[int]) -> None:
        """Hold channels until they are released."""
        self._timers |= dict.fromkeys(channel_ids)

    def release(self, channel_id: int) -> None:
        """Let a channel go on, if it is held."""
        if channel_id not in self._timers:
            return
        timer = self._timers.pop(channel_id)
        if timer is not None:
            timer.cancel()
        self._on_release()

    def note_waiting(self, channel_id: int) -> None:
        """Note that a new prompt waits in a channel: from now on that is held for `HOLD_SECONDS` at most."""
        if channel_id in self._timers and self._timers[channel_id] is None:
            loop = asyncio.get_running_loop()
            self._timers[channel_id] = loop.call_later(HOLD_SECONDS, self._give_up, channel_id)

    def _give_up(self, channel_id: int) -> None:
        log.warning("What was left in channel %s is not taken up in time; new prompts there go first", channel_id)
        self.release(channel_id)
