"""The ⏹️ under a running reply: put on its newest message, taken away at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

import aiohttp
import discord
from discord.http import HTTPClient

log = logging.getLogger(__name__)

STOP_EMOJI = "⏹️"


def is_stop_emoji(name: str | None) -> bool:
    """Tell whether a reaction's emoji is the stop button, with or without U+FE0F."""
    return name is not None and name.removesuffix("\ufe0f") == STOP_EMOJI.removesuffix("\ufe0f")


class StopControl:
    """Keeps the bot's own ⏹️ on one message of a channel at a time.

    `show` and `end` only say what is wanted; `run` brings it about, one request
    at a time, and is never cancelled. A failure costs the control, never the reply.
    """

    def __init__(self, http: HTTPClient, channel_id: int) -> None:
        self._http = http
        self._channel_id = channel_id
        self._wanted: int | None = None
        self._placed: int | None = None
        self._clicked: tuple[int, int] | None = None
        self._usable = True
        self._ended = False
        self._changed = asyncio.Event()

    def show(self, message_id: int) -> None:
        """Want the control on that message."""
        if not self._ended:
            self._wanted = message_id
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
                placed, self._placed = self._placed, None
                await self._try(self._http.remove_own_reaction(self._channel_id, placed, STOP_EMOJI))
            elif self._wanted is not None and self._placed is None and self._usable:
                wanted = self._wanted
                self._usable = await self._try(self._http.add_reaction(self._channel_id, wanted, STOP_EMOJI))
                self._placed = wanted if self._usable else None
            elif self._ended:
                break
            else:
                await self._changed.wait()
                self._changed.clear()
        if self._clicked is not None:
            message_id, user_id = self._clicked
            await self._try(self._http.remove_reaction(self._channel_id, message_id, STOP_EMOJI, user_id))

    async def _try(self, request: Awaitable[object]) -> bool:
        try:
            await request
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("The stop control of channel %s could not be changed: %s", self._channel_id, error)
            return False
        return True
