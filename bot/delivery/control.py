"""The ⏹️ under a running reply: put on its newest message, taken away at the end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bot.delivery.reply_api import ClientClosed, ReplyApi
from bot.errors import DeliveryError, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.streaming.backoff import Backoff

log = logging.getLogger(__name__)

STOP_EMOJI = "⏹️"

_TRIES = 6
# How often a refusal that may be a hiccup is tried again: each may count towards a ban.
_SECOND_TRIES = 2
# Nobody waits longer for a button: whatever Discord names as the wait.
_LONGEST_WAIT = 30.0


def is_stop_emoji(name: str | None) -> bool:
    """Tell whether a reaction's emoji is the stop button, with or without U+FE0F."""
    return name is not None and name.removesuffix("\ufe0f") == STOP_EMOJI.removesuffix("\ufe0f")


@dataclass(frozen=True, slots=True)
class _Place:
    """A message, and where it is."""

    channel_id: int
    message_id: int


class StopControl:
    """Keeps the bot's own ⏹️ on one message at a time.

    `show` and `end` only say what is wanted; `run` brings it about, one request
    at a time, and is never cancelled. A failure costs the control, never the reply.
    *channel_id* is where the reaction of who clicked is taken away.
    """

    def __init__(self, courier: ReplyApi, channel_id: int, *, backoff: Backoff | None = None) -> None:
        self._courier = courier
        self._channel_id = channel_id
        self._backoff = backoff or Backoff()
        self._wanted: _Place | None = None
        self._placed: _Place | None = None
        self._clicked: tuple[int, int] | None = None
        self._usable = True
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def is_usable(self) -> bool:
        """Whether it was not refused so far."""
        return self._usable

    def show(self, channel_id: int, message_id: int) -> None:
        """Want the control on that message."""
        if not self._ended:
            self._wanted = _Place(channel_id, message_id)
            self._changed.set()

    def end(self, clicked: tuple[int, int] | None = None) -> None:
        """Want it gone, and also the reaction of who *clicked* it (message id, user id)."""
        self._wanted = None
        self._ended = True
        self._clicked = clicked
        self._changed.set()

    async def run(self) -> None:
        """Carry the wishes out until the end."""
        while True:
            if self._placed is not None and self._placed != self._wanted:
                await self._remove(self._placed)
                self._placed = None
            elif self._wanted is not None and self._placed is None and self._usable:
                await self._add(self._wanted)
            elif self._ended:
                break
            else:
                await self._changed.wait()
                self._changed.clear()
        if self._clicked is not None:
            message_id, user_id = self._clicked
            await self._remove(_Place(self._channel_id, message_id), user_id)

    async def _add(self, place: _Place) -> None:
        # Even a try that failed may have reached the message: it is removed at the end.
        self._placed = place
        try:
            await self._courier.add_reaction(place.channel_id, place.message_id, STOP_EMOJI)
        except DeliveryRetry as error:
            if self._backoff.failures >= _TRIES or isinstance(error, ClientClosed):
                self._usable = False
                self._report(error)
                return
            await self._pause(error)
            if self._placed == self._wanted:
                self._placed = None
        except DeliveryError as error:
            # a deleted message says nothing about the next one
            self._usable = isinstance(error, MessageGone)
            self._placed = None
            if self._wanted == place:
                self._wanted = None
            self._report(error)
        else:
            self._backoff.reset()

    async def _remove(self, place: _Place, user_id: int | None = None) -> None:
        self._backoff.reset()
        while True:
            try:
                await self._courier.remove_reaction(place.channel_id, place.message_id, STOP_EMOJI, user_id)
            except DeliveryError as error:
                if _is_settled(error, self._backoff.failures):
                    self._report(error)
                    return
                await self._pause(error)
            else:
                self._backoff.reset()
                return

    async def _pause(self, error: DeliveryError) -> None:
        delay = self._backoff.delay()
        if isinstance(error, DeliveryRateLimited):
            delay = min(error.retry_after, _LONGEST_WAIT)
        await asyncio.sleep(delay)

    def _report(self, error: DeliveryError) -> None:
        log.info("The stop control of channel %s could not be changed: %s", self._channel_id, error)


def _is_settled(error: DeliveryError, failures: int) -> bool:
    """Tell whether another try to take a reaction away, after so many *failures*, would end alike."""
    if isinstance(error, DeliveryRetry):
        return isinstance(error, ClientClosed) or failures >= _TRIES
    return error.code != 0 or failures >= _SECOND_TRIES  # without Discord's code it is a proxy's page
