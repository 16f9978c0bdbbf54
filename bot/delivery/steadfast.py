"""Delivers what can still be delivered, whatever Discord refuses.

Around a sink: an archived thread is opened again, a message that can no longer
be edited is followed by a new one, a part that Discord refuses (AutoMod, a file
too large) is replaced by words, and where the channel takes nothing more the
answer goes on as a direct message to who asked. What only needs another try
leaves as `DeliveryRetry`: the streamer comes back with the newest text.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bot.delivery import http_errors as answers
from bot.delivery.cursor import has_cursor, without_cursor
from bot.delivery.dm_fallback import DmFallback
from bot.delivery.http_errors import ARCHIVED, UNKNOWN_MESSAGE
from bot.delivery.notices import is_status, points_at_file, reason
from bot.delivery.reply_api import ClientClosed, ReplyApi
from bot.delivery.sinks import MessagesSink
from bot.errors import (
    DeliveryError,
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)
from bot.markdown.files import File
from bot.streaming.backoff import Backoff
from bot.streaming.sink import Bucket, Sent
from bot.streaming.streamer import Pages

log = logging.getLogger(__name__)

# How often a refusal that may be a hiccup is tried again with the newest text.
_SECOND_TRIES = 2
_CLOSING_TRIES = 4
_CLOSING_WAIT = 15.0
_READ_AND_REFUSED = {answers.AUTOMOD, answers.HARMFUL_LINK, answers.EXPLICIT}


class SteadfastSink:
    """A sink around another that gives up only when nothing at all can be done.

    *way_out* is the last resort, None where there is none (a direct message,
    for one). What it raises besides `DeliveryRetry` is final.
    """

    def __init__(
        self,
        sink: MessagesSink,
        courier: ReplyApi,
        channel_id: int,
        *,
        way_out: DmFallback | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._sink = sink
        self._courier = courier
        self._channel_id = channel_id
        self._way_out = way_out
        self._backoff = backoff or Backoff(cap=5.0)
        self._pages: Pages | None = None
        self._shown: list[str] = []  # what each message shows
        self._withheld: set[int] = set()  # messages with words in place of a refused part
        self._gone: set[int] = set()
        self._tries: Counter[int] = Counter()
        self._left: list[tuple[tuple[int, int], str]] = []  # what new messages stand in for: place, text so far
        self._fileless: dict[int, str] = {}  # what is said where a file may not be
        self._moved_after: int | None = None  # how many messages the channel has, when we left it
        self._is_cut = False  # nothing more could be posted

    @property
    def message_ids(self) -> Sequence[int]:
        """Return the inner sink's."""
        return self._sink.message_ids

    @property
    def messages(self) -> int:
        """How many messages were posted."""
        return len(self._shown)

    @property
    def limit(self) -> int:
        """Return the inner sink's."""
        return self._sink.limit

    def watch(self, pages: Pages) -> None:
        """Tell by *pages* which texts are final; until then all are."""
        self._pages = pages

    def is_unfinished(self, ordinal: int, text: str) -> bool:
        """Tell whether *text* is to grow in that message: it bears our mark, and is not one that ends with the like."""
        if self._pages is None or not has_cursor(text):
            return False
        closed = self._pages.closed
        return ordinal >= len(closed) or closed[ordinal] != text

    def post_bucket(self) -> Bucket:
        """Return the inner sink's."""
        return self._sink.post_bucket()

    def edit_bucket(self) -> Bucket:
        """Return the inner sink's."""
        return self._sink.edit_bucket()

    async def post(self, text: str) -> Sent:
        """Send the next message, here or elsewhere; words in its place if this very text is refused."""
        ordinal = len(self._shown)
        try:
            sent = await self._somewhere(ordinal, lambda: self._sink.post(text))
            shown = sent.text
        except (DeliveryRejected, MessageGone) as error:
            self._try_again(ordinal, error)
            sent, shown = await self._post_words(ordinal, text, error)
        self._shown.append(shown)
        self._tries.pop(ordinal, None)
        return sent

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text, or put words where a part of it is refused."""
        if file is not None and ordinal in self._fileless:
            return await self._put_fileless(ordinal, text)
        if ordinal in self._withheld and self.is_unfinished(ordinal, text):
            return Sent(text)  # it only grew, so it would be refused again
        try:
            sent = await self._edit(ordinal, text, file)
        except DeliveryRejected as error:
            if file is not None:
                return await self._without_file(ordinal, text, file, error)
            self._try_again(ordinal, error)
            return await self._put_words(ordinal, text, error)
        except MessageGone as error:
            if error.code == UNKNOWN_MESSAGE:
                self._gone.add(ordinal)
            else:
                self._try_again(ordinal, error)
            raise
        self._withheld.discard(ordinal)
        self._tries.pop(ordinal, None)
        self._shown[ordinal] = text
        return sent

    async def settle(self) -> None:
        """Take the cursor from whatever still shows one, when nothing more will come."""
        rest = "the rest went to who asked" if self._moved_after is not None else "the rest could not be shown"
        for ordinal, text in enumerate(self._shown):
            if ordinal in self._gone:
                continue
            is_last_here = ordinal == len(self._shown) - 1 and self._is_cut
            is_last_here = is_last_here or (self._moved_after is not None and ordinal == self._moved_after - 1)
            if is_last_here or self.is_unfinished(ordinal, text):
                closed = self._closed(self._bare(ordinal), f"-# ⚠️ {rest}")
                if closed != text:
                    await self._close(partial(self._sink.edit, ordinal, closed))
        line = f"-# ⚠️ {rest if self._moved_after is not None else 'continued below'}"
        for place, text in self._left:
            payload = {"content": self._closed(text, line), "allowed_mentions": {"parse": []}}
            is_closed = await self._close(partial(self._courier.edit_message, *place, payload))
            if not is_closed and self._moved_after is None:  # all of it stands below
                await self._close(partial(self._courier.delete_message, *place))

    # ------------------------------------------------------------ what can be done about a refusal

    async def _edit(self, ordinal: int, text: str, file: File | None) -> Sent:
        """Edit; open the thread, or post the text anew if editing is over for good."""
        try:
            return await self._sink.edit(ordinal, text, file)
        except DeliveryForbidden as error:
            if error.code == ARCHIVED:
                if await self._open_thread():
                    return await self._sink.edit(ordinal, text, file)
            elif file is not None:
                return await self._without_file(ordinal, text, file, error)
            else:
                self._try_again(ordinal, error)
        return await self._replace(ordinal, text, file)

    async def _replace(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Post a message anew; the one that it stands in for is closed at the end."""
        left = self._sink.place(ordinal), self._bare(ordinal)
        sent = await self._somewhere(ordinal, lambda: self._sink.replace(ordinal, text, file))
        self._left.append(left)
        return sent

    async def _somewhere(self, ordinal: int, post: Callable[[], Awaitable[Sent]]) -> Sent:
        """Post in the channel, in its thread opened again, or directly to who asked."""
        try:
            return await post()
        except DeliveryForbidden as error:
            if error.code == ARCHIVED and await self._open_thread():
                return await post()
            self._try_proxy_again(ordinal, error)
            return await self._elsewhere(ordinal, error, post)

    async def _elsewhere(self, ordinal: int, error: DeliveryError, post: Callable[[], Awaitable[Sent]]) -> Sent:
        """Post directly to who asked, this message and what follows."""
        channel_id = None
        if self._way_out is not None:
            channel_id = await self._way_out.open(error, is_rest=ordinal > 0)
        if channel_id is None:
            self._is_cut = True
            raise error
        self._sink.redirect(channel_id)
        self._moved_after = ordinal
        return await post()

    async def _open_thread(self) -> bool:
        try:
            await self._courier.open_thread(self._channel_id)
        except DeliveryRetry:
            raise
        except DeliveryError as error:
            log.info("The archived thread %s cannot be opened: %s", self._channel_id, error)
            return False
        return True

    def _try_again(self, ordinal: int, error: DeliveryError) -> None:
        """Ask for another try with the newest text, unless that would not help."""
        is_final = error.code in _READ_AND_REFUSED or (isinstance(error, MessageGone) and error.code != 0)
        limit = 1 if isinstance(error, DeliveryForbidden) else _SECOND_TRIES
        if not is_final and self._tries[ordinal] < limit:
            self._tries[ordinal] += 1
            raise DeliveryRetry(error.status, error.code, error.detail) from error
        self._tries.pop(ordinal, None)
        if isinstance(error, MessageGone):
            raise error

    def _try_proxy_again(self, ordinal: int, error: DeliveryForbidden) -> None:
        """Ask for another try after a refusal that does not bear Discord's code: a proxy's, which may pass."""
        if error.code == 0:
            self._try_again(ordinal, error)

    async def _post_words(self, ordinal: int, text: str, error: DeliveryError) -> tuple[Sent, str]:
        """Post words in place of *text*, or *text* to who asked if the channel takes not even them; tell which."""
        words = self._in_place_of(ordinal, text, "", error)
        try:
            sent = await self._somewhere(ordinal, lambda: self._sink.post(words))
        except DeliveryRejected as refusal:
            return await self._elsewhere(ordinal, refusal, lambda: self._sink.post(text)), text
        self._withhold(ordinal, error)
        return Sent(text, sent.headers), words

    async def _put_words(self, ordinal: int, text: str, error: DeliveryRejected) -> Sent:
        """Keep what was accepted of a page, and say that the rest of it was refused."""
        self._withhold(ordinal, error)
        for before in (self._bare(ordinal), ""):
            words = self._in_place_of(ordinal, text, before, error)
            if words == self._shown[ordinal]:
                return Sent(text)
            try:
                sent = await self._sink.edit(ordinal, words)
            except DeliveryRejected:
                continue
            self._shown[ordinal] = words
            return Sent(text, sent.headers)
        return await self._put_anew(ordinal, text, words)

    async def _put_anew(self, ordinal: int, text: str, words: str) -> Sent:
        """Post *text*, or else *words*, in place of a message that takes no edit at all."""
        for shown in (text, words):
            try:
                sent = await self._replace(ordinal, shown)
            except DeliveryRejected:
                continue
            self._shown[ordinal] = shown
            if shown == text:
                self._withheld.discard(ordinal)
            return Sent(text, sent.headers)
        return Sent(text)

    def _withhold(self, ordinal: int, error: DeliveryError) -> None:
        self._withheld.add(ordinal)
        log.warning("A part of an answer in channel %s was refused: %s", self._channel_id, error)

    async def _without_file(self, ordinal: int, text: str, file: File, error: DeliveryError) -> Sent:
        """Say that the file cannot be here, and give it to who asked if that is possible."""
        words = "the whole answer does not fit here, and the file with it was refused"
        if isinstance(error, DeliveryForbidden):
            words = "the whole answer does not fit here, and I may not attach files"
            if self._way_out is not None and await self._way_out.hand_over(file):
                words += "; who asked has got it directly"
        log.warning("The file of an answer in channel %s was refused: %s", self._channel_id, error)
        self._fileless[ordinal] = f"-# ⚠️ {words}"
        return await self._put_fileless(ordinal, text)

    async def _put_fileless(self, ordinal: int, text: str) -> Sent:
        """Show *text*, but say what became of the file instead of pointing at it."""
        lines = text.split("\n")
        at = max((i for i, line in enumerate(lines) if points_at_file(line)), default=len(lines))
        words = "\n".join([*lines[:at], self._fileless[ordinal], *lines[at + 1 :]])
        sent = await self._sink.edit(ordinal, words)
        self._shown[ordinal] = words
        return Sent(text, sent.headers)

    async def _close(self, edit: Callable[[], Awaitable[object]]) -> bool:
        """Try *edit* a few times; return False if Discord refuses it."""
        self._backoff.reset()
        for _ in range(_CLOSING_TRIES):
            try:
                await edit()
            except DeliveryRateLimited as error:
                await asyncio.sleep(min(error.retry_after, _CLOSING_WAIT))
            except ClientClosed:
                break
            except DeliveryRetry:
                await asyncio.sleep(self._backoff.delay())
            except DeliveryError as error:
                log.info("A message in channel %s could not be closed: %s", self._channel_id, error)
                return isinstance(error, MessageGone)
            else:
                break
        return True

    # ------------------------------------------------------------ words

    def _bare(self, ordinal: int) -> str:
        """Return what a message shows of the text: without the mark that says that more is to come."""
        text = self._shown[ordinal]
        return without_cursor(text) if self.is_unfinished(ordinal, text) else text

    def _closed(self, text: str, line: str) -> str:
        """Return a page with our closing line, if there is room for that."""
        if is_status(text):
            return line
        return f"{text}\n{line}" if len(text) + 1 + len(line) <= self.limit else text

    def _in_place_of(self, ordinal: int, refused: str, before: str, error: DeliveryError) -> str:
        """Return what is shown where Discord refused a page: what it took before, and words for the rest."""
        lines = [] if not before or is_status(before) else [before]
        lines.append(f"-# ⚠️ {reason(error)}")
        if not self.is_unfinished(ordinal, refused):  # our own closing lines come last
            lines += [line for line in refused.splitlines()[-2:] if line.startswith("-# ") and line not in lines]
        words = "\n".join(lines)
        return words if len(words) <= self.limit else "\n".join(lines[1:])
