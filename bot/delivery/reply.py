"""A reply as it stands in Discord: its sink, the typing indicator, the stop control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bot.delivery.control import StopControl
from bot.delivery.cursor import with_hint
from bot.delivery.dm_fallback import DmFallback
from bot.delivery.http_errors import LOCKED, UNKNOWN_MESSAGE
from bot.delivery.reply_api import Answer, ReplyApi
from bot.delivery.sinks import MessagesSink
from bot.delivery.steadfast import SteadfastSink
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.markdown.files import File
from bot.streaming.sink import Bucket, Sent
from bot.streaming.streamer import Pages

log = logging.getLogger(__name__)

# Discord shows the indicator for 10 s.
_TYPING_EVERY = 8.0


class DiscordReply:
    """One reply in one channel; made with a function that opens its sink.

    *on_forbidden* is told when Discord lets us post nothing there, *on_deleted*
    which of the messages somebody deleted; *was_deleted* tells of a message
    whether that was heard before its id was known. *way_out* is where the rest
    goes when the channel takes no more. Without a control (*with_control*, or
    Discord refuses it) a line under the growing text names the command instead.
    Typing and control are tasks of this object; `close` waits for both. They end
    by flag: a request to Discord is never cancelled.
    """

    def __init__(
        self,
        courier: ReplyApi,
        channel_id: int,
        open_sink: Callable[[Callable[[Answer], None]], MessagesSink],
        *,
        on_forbidden: Callable[[str], None],
        on_deleted: Callable[[int], None] = lambda _: None,
        was_deleted: Callable[[int], bool] = lambda _: False,
        way_out: DmFallback | None = None,
        with_typing: bool = True,
        with_control: bool = True,
    ) -> None:
        self._courier = courier
        self._channel_id = channel_id
        self._on_forbidden = on_forbidden
        self._on_deleted = on_deleted
        self._was_deleted = was_deleted
        self._with_typing = with_typing
        self._with_control = with_control
        self._sink = SteadfastSink(open_sink(self._on_posted), courier, channel_id, way_out=way_out)
        self._control = StopControl(courier, channel_id)
        self._newest: Answer | None = None
        self._offered = False
        self._has_trouble = False
        self._text_began = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages so far."""
        return self._sink.message_ids

    @property
    def has_control(self) -> bool:
        """Whether ⏹️ can be used, as far as known."""
        return self._with_control and self._control.is_usable

    def watch(self, pages: Pages) -> None:
        """Tell by *pages* which texts are final."""
        self._sink.watch(pages)

    def post_bucket(self) -> Bucket:
        """Return the sink's."""
        return self._sink.post_bucket()

    def edit_bucket(self) -> Bucket:
        """Return the sink's."""
        return self._sink.edit_bucket()

    async def post(self, text: str) -> Sent:
        """Send the next message."""
        shown = self._hinted(self._sink.messages, text)
        with self._noting_trouble():
            try:
                sent = await self._sink.post(shown)
                return Sent(text, sent.headers) if sent.text == shown else sent
            except DeliveryForbidden as error:
                if error.code != LOCKED:
                    self._on_forbidden(str(error))
                raise

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text."""
        with self._noting_trouble():
            try:
                sent = await self._sink.edit(ordinal, self._hinted(ordinal, text), file)
                return Sent(text, sent.headers)
            except MessageGone as error:
                if error.code == UNKNOWN_MESSAGE:
                    self._on_deleted(self.message_ids[ordinal])
                raise

    def _hinted(self, ordinal: int, text: str) -> str:
        if self._offered and not self.has_control and self._sink.is_unfinished(ordinal, text):
            return with_hint(text, self._sink.limit)
        return text

    @contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        """Log the first of a row of failures, and its end."""
        try:
            yield
        except DeliveryRateLimited:
            raise  # logged where all of them are seen
        except DeliveryRetry as error:
            if not self._has_trouble:
                log.warning("Discord does not take an answer in channel %s, trying on: %s", self._channel_id, error)
            self._has_trouble = True
            raise
        if self._has_trouble:
            log.info("Discord takes the answer in channel %s again", self._channel_id)
        self._has_trouble = False

    def begin(self) -> None:
        """Start the typing indicator; nobody waits for it."""
        if self._with_typing:
            self._spawn(self._type(), "typing")

    def text_began(self) -> None:
        """Let the typing indicator run out."""
        self._text_began.set()

    def offer_stop(self) -> None:
        """Put the stop control on the newest message, now and as messages follow; or name the command from now on."""
        if self._offered:
            return
        self._offered = True
        if not self._with_control:
            return
        self._spawn(self._control.run(), "stop-control")
        if self._newest is not None:
            self._control.show(self._newest.channel_id, self._newest.message_id)
        elif self.message_ids:
            self._control.show(self._channel_id, self.message_ids[-1])

    async def close(self, clicked: tuple[int, int] | None) -> None:
        """Take cursor and control away (and the reaction of who *clicked* it), end the typing."""
        self._text_began.set()
        await self._sink.settle()
        if clicked is not None and not (self._offered and self._with_control):
            self._spawn(self._control.run(), "stop-control")
        self._control.end(clicked)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_posted(self, answer: Answer) -> None:
        self._newest = answer
        if self._was_deleted(answer.message_id):
            self._on_deleted(answer.message_id)
        elif self._offered:
            self._control.show(answer.channel_id, answer.message_id)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"{name}-{self._channel_id}"))

    async def _type(self) -> None:
        while not self._text_began.is_set():
            try:
                await self._courier.show_typing(self._channel_id)
            except DeliveryRetry as error:
                log.info("No typing indicator in channel %s for now: %s", self._channel_id, error)
            except DeliveryError as error:
                log.info("No typing indicator in channel %s: %s", self._channel_id, error)
                return
            try:
                async with asyncio.timeout(_TYPING_EVERY):
                    await self._text_began.wait()
            except TimeoutError:
                continue
