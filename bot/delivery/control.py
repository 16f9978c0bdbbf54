"""The ⏹️ under a running reply: put on its newest message, taken away at the end."""

from __future__ import annotations

import asyncio
import logging

from bot.delivery.http_errors import ARCHIVED, ClientClosed
from bot.delivery.reply_api import ReplyApi
from bot.errors import DeliveryError, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.streaming.backoff import Backoff
from bot.streaming.calls import Place
from bot.streaming.transcript import Transcript

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


class StopControl:
    """Keeps the bot's own ⏹️ on the newest message of *transcript*.

    `offer`, `follow` and `end` only say what is wanted; `run` brings it about,
    one request at a time, and is never cancelled. A failure costs the control,
    never the reply: the text names the command then.

    Attributes:
        is_usable: whether it was not refused so far.
    """

    def __init__(
        self, api: ReplyApi, transcript: Transcript, *, is_usable: bool = True, backoff: Backoff | None = None
    ) -> None:
        self._api = api
        self._transcript = transcript
        self._backoff = backoff or Backoff()
        self.is_usable = is_usable
        self._is_offered = False
        self._is_running = False
        self._is_ended = False
        self._placed: Place | None = None
        self._gone: Place | None = None  # what was deleted under us
        self._clicked: tuple[int, int] | None = None
        self._changed = asyncio.Event()

    def offer(self) -> bool:
        """Want the control on the newest message from now on; return whether `run` is to be started for it."""
        if self._is_offered:
            return False
        self._is_offered = True
        self._transcript.names_command = not self.is_usable
        self._is_running = self.is_usable
        return self._is_running

    def follow(self) -> None:
        """Look where the newest message is."""
        self._changed.set()

    def end(self, clicked: tuple[int, int] | None = None) -> bool:
        """Want it gone, and also the reaction of who *clicked* it (message id, user id); return as `offer` does."""
        self._is_ended = True
        self._clicked = clicked
        self._changed.set()
        return clicked is not None and not self._is_running

    def _wanted(self) -> Place | None:
        if self._is_ended or not self._is_offered:
            return None
        if not self.is_usable:
            return self._placed  # even a try that failed may have reached the message: it is removed at the end
        newest = self._transcript.newest()
        return newest if newest is not None and newest != self._gone else None

    async def run(self) -> None:
        """Carry the wishes out until the end."""
        while True:
            wanted = self._wanted()
            if self._placed is not None and self._placed != wanted:
                await self._remove(self._placed)
                self._placed = None
            elif wanted is not None and self._placed is None:
                await self._add(wanted)
            elif self._is_ended:
                break
            else:
                await self._changed.wait()
                self._changed.clear()
        if self._clicked is not None:
            message_id, user_id = self._clicked
            await self._remove(Place(self._transcript.channel_id, message_id), user_id)

    async def _add(self, place: Place) -> None:
        self._placed = place
        assert place.message_id is not None, "it is on screen"
        try:
            await self._api.add_reaction(place.channel_id, place.message_id, STOP_EMOJI)
        except DeliveryRetry as error:
            if self._backoff.failures >= _TRIES or isinstance(error, ClientClosed):
                self._refused(error)
                return
            await self._pause(error)
            if self._placed == self._wanted():
                self._placed = None
        except DeliveryError as error:
            self._placed = None
            if isinstance(error, MessageGone):  # that says nothing about the next one
                self._gone = place
                self._report(error)
            else:
                self._refused(error)
        else:
            self._backoff.reset()

    def _refused(self, error: DeliveryError) -> None:
        self.is_usable = False
        self._transcript.names_command = True
        self._report(error)

    async def _remove(self, place: Place, user_id: int | None = None) -> None:
        self._backoff.reset()
        assert place.message_id is not None, "it is on screen"
        is_opened = False
        while True:
            try:
                await self._api.remove_reaction(place.channel_id, place.message_id, STOP_EMOJI, user_id)
            except DeliveryError as error:
                if error.code == ARCHIVED and not is_opened:
                    is_opened = await self._open_thread(place.channel_id)
                    if is_opened:
                        continue
                if _is_settled(error, self._backoff.failures):
                    self._report(error)
                    return
                await self._pause(error)
            else:
                self._backoff.reset()
                return

    async def _open_thread(self, channel_id: int) -> bool:
        try:
            await self._api.open_thread(channel_id)
        except DeliveryError as error:
            self._report(error)
            return False
        return True

    async def _pause(self, error: DeliveryError) -> None:
        delay = self._backoff.delay()
        if isinstance(error, DeliveryRateLimited):
            delay = min(error.retry_after, _LONGEST_WAIT)
        await asyncio.sleep(delay)

    def _report(self, error: DeliveryError) -> None:
        log.info("The stop control of channel %s could not be changed: %s", self._transcript.channel_id, error)


def _is_settled(error: DeliveryError, failures: int) -> bool:
    """Tell whether another try to take a reaction away, after so many *failures*, would end alike."""
    if isinstance(error, DeliveryRetry):
        return isinstance(error, ClientClosed) or failures >= _TRIES
    return error.code != 0 or failures >= _SECOND_TRIES  # without Discord's code it is a proxy's page
