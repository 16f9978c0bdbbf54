"""A reply as it stands in Discord: its sink, the typing indicator, the stop control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import aiohttp
import discord
from discord.http import HTTPClient

from bot.delivery.control import StopControl
from bot.errors import DeliveryForbidden
from bot.streaming.sink import Bucket, File, Sent, Sink

log = logging.getLogger(__name__)

# Discord shows the indicator for 10 s.
_TYPING_EVERY = 8.0


class MessagesSink(Sink, Protocol):
    """A sink that knows its messages."""

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the messages so far."""
        ...


class DiscordReply:
    """One reply in one channel; made with a function that opens its sink.

    *on_forbidden* is told when Discord refuses us there. Typing and control are
    tasks of this object; `close` waits for both. They end by flag: a request to
    Discord is never cancelled.
    """

    def __init__(
        self,
        http: HTTPClient,
        channel_id: int,
        open_sink: Callable[[Callable[[int], None]], MessagesSink],
        *,
        on_forbidden: Callable[[str], None],
        with_typing: bool = True,
        with_control: bool = True,
    ) -> None:
        self._http = http
        self._channel_id = channel_id
        self._on_forbidden = on_forbidden
        self._with_typing = with_typing
        self._sink = open_sink(self._on_posted)
        self._control = StopControl(http, channel_id) if with_control else None
        self._offered = False
        self._text_began = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages so far."""
        return self._sink.message_ids

    def post_bucket(self) -> Bucket:
        """Return the sink's."""
        return self._sink.post_bucket()

    def edit_bucket(self) -> Bucket:
        """Return the sink's."""
        return self._sink.edit_bucket()

    async def post(self, text: str) -> Sent:
        """Send the next message."""
        with self._noting_refusal():
            return await self._sink.post(text)

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text."""
        with self._noting_refusal():
            return await self._sink.edit(ordinal, text, file)

    @contextmanager
    def _noting_refusal(self) -> Iterator[None]:
        try:
            yield
        except DeliveryForbidden as error:
            self._on_forbidden(str(error))
            raise

    def begin(self) -> None:
        """Start the typing indicator; nobody waits for it."""
        if self._with_typing:
            self._spawn(self._type(), "typing")

    def text_began(self) -> None:
        """Let the typing indicator run out."""
        self._text_began.set()

    def offer_stop(self) -> None:
        """Put the stop control on the newest message, now and as messages follow."""
        if self._control is None or self._offered:
            return
        self._offered = True
        self._spawn(self._control.run(), "stop-control")
        if self.message_ids:
            self._control.show(self.message_ids[-1])

    async def close(self, clicked: tuple[int, int] | None) -> None:
        """Take the control away (and the reaction of who *clicked* it), end the typing."""
        self._text_began.set()
        if self._control is not None:
            if clicked is not None and not self._offered:
                self._spawn(self._control.run(), "stop-control")
            self._control.end(clicked)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_posted(self, message_id: int) -> None:
        if self._control is not None and self._offered:
            self._control.show(message_id)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"{name}-{self._channel_id}"))

    async def _type(self) -> None:
        while not self._text_began.is_set():
            try:
                await self._http.send_typing(self._channel_id)
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.info("No typing indicator in channel %s: %s", self._channel_id, error)
                return
            try:
                async with asyncio.timeout(_TYPING_EVERY):
                    await self._text_began.wait()
            except TimeoutError:
                continue
