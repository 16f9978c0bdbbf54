"""Brings what an earlier process left unfinished to its end, on screen and in the store.

A reply that had text is closed: its pages are made anew from what the model
wrote, so channel and row hold the same, and the last one says why it ends. One
that ended, but not on screen, is shown to its end. A prompt that nobody had
said a word to is answered after all, or told if that is too long ago. Nothing
here is undone by a further kill: it would be found and done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import discord

from bot.conversation.journal import Journals, ReplyJournal
from bot.conversation.records import ReplyEnd, ReplyState, UnfinishedReply
from bot.conversation.store import Store
from bot.delivery.control import STOP_EMOJI
from bot.delivery.deliverer import stored
from bot.delivery.permissions import may_look_back
from bot.delivery.reply import DiscordReply
from bot.delivery.reply_api import NO_MENTIONS, ReplyApi
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRetry, MessageGone, StoreError
from bot.generation.responder import Responder
from bot.markdown.dress import has_cursor, without_cursor
from bot.recovery.found import Found, Seen, look
from bot.recovery.gap_tracker import snowflake
from bot.recovery.leftover import INTERRUPTED, Leftover, letters
from bot.recovery.rebuild import rebuild, unclaimed
from bot.recovery.tasks import Tasks
from bot.streaming.backoff import Backoff
from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer
from bot.streaming.transcript import Transcript

log = logging.getLogger(__name__)

ANSWERED_WITHIN_SECONDS = 600.0
"""How old a prompt may be to be answered after a restart; who asked earlier is told to ask again."""
ATTEMPTS = 3
"""So many processes begin to answer a prompt: it could be what kills them."""

_CHANNELS_AT_ONCE = 6


class Host(Protocol):
    """A bot that is ready.

    Attributes:
        responder: answers prompts.
    """

    responder: Responder

    @property
    def api(self) -> ReplyApi:
        """What sends requests."""
        ...

    @property
    def user(self) -> discord.ClientUser | None:
        """Our user; known by now."""
        ...

    def permissions_at(self, channel_id: int) -> discord.Permissions | None:
        """Return what we may do in a channel, None where that is not known."""
        ...

    def open_reply(
        self,
        transcript: Transcript,
        permissions: discord.Permissions | None,
        journal: ReplyJournal,
        *,
        is_closing: bool = False,
    ) -> DiscordReply:
        """Return a reply, to go on as the process before would have."""
        ...


class Recovery:
    """What is left to do of an earlier process's replies.

    *leftovers* are its unfinished replies as the store knew them before any new
    one began. *max_messages* and *mode* are the settings of replies. *on_taken_up*
    is told of each channel whose replies are closed or have lined up to be answered.
    """

    def __init__(
        self,
        store: Store,
        budget: EditBudget,
        leftovers: Sequence[UnfinishedReply],
        *,
        max_messages: int = 8,
        mode: Literal["discord", "raw"] = "discord",
        on_taken_up: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._journals = Journals(store)
        self._on_taken_up = on_taken_up
        self._budget = budget
        self._left = {reply.reply_id: reply for reply in leftovers}
        self._max_messages = max_messages
        self._mode: Literal["discord", "raw"] = mode
        self._clock = clock
        self._began_at = clock()
        self._tasks = Tasks()
        self._strays: dict[int, Seen] = {}
        self._adopted: set[int] = set()

    async def run(self, host: Host) -> None:
        """Do what is left, a few channels at a time; what Discord does not take now is tried again until it does."""
        backoff = Backoff(base=5.0, cap=300.0)
        while self._left:
            channels: dict[int, list[UnfinishedReply]] = {}
            for reply in self._left.values():
                channels.setdefault(reply.prompt.channel_id, []).append(reply)
            gate = asyncio.Semaphore(_CHANNELS_AT_ONCE)
            await asyncio.gather(*(self._recover_channel(host, replies, gate) for replies in channels.values()))
            if self._left:
                await asyncio.sleep(5.0 + backoff.delay())

    async def _recover_channel(self, host: Host, replies: Sequence[UnfinishedReply], gate: asyncio.Semaphore) -> None:
        async with gate:
            for reply in replies:
                try:
                    await self._recover(host, reply)
                except DeliveryRetry as error:
                    log.warning("Reply %d cannot be closed yet: %s", reply.reply_id, error)
                    return
                except DeliveryError as error:
                    log.warning("The interrupted reply %d is out of reach: %s", reply.reply_id, error)
                    await self._finish(reply, reply.text)
                except Exception:
                    log.exception("The interrupted reply %d could not be closed", reply.reply_id)
                del self._left[reply.reply_id]
            channel_id = replies[0].prompt.channel_id
            # the tasks that answer line up in their first step, which comes before this
            asyncio.get_running_loop().call_soon(self._on_taken_up, channel_id)
            await self._close_strays(host, channel_id)

    async def _recover(self, host: Host, reply: UnfinishedReply) -> None:
        left = await self._look(host, reply)
        if left.is_prompt_gone:
            self._store.erasure.note_deleted([reply.prompt.message_id])
        if reply.state is ReplyState.STREAMING and not reply.text and not any(map(letters, left.texts())):
            is_gone = left.is_prompt_gone or reply.is_deleted
            if left.is_deleted or (is_gone and not left.transcript.count()):
                await self._finish(reply, "")
                return
            if not is_gone and self._is_worth_answering(reply):
                await self._clear_away(host, left)
                if await self._begin_again(reply):
                    self._answer(host, left)
                    return
        text = await self._close(host, left)
        await self._clear_away(host, left)
        await self._finish(reply, text)

    async def _look(self, host: Host, reply: UnfinishedReply) -> Leftover:
        found = await self._found(host, reply)
        free = unclaimed(reply, found) if found is not None else []
        free = [seen for seen in free if not await self._is_known(seen.message_id)]
        transcript = rebuild(reply, found, free)
        ours = set(transcript.message_ids())
        self._adopted |= ours
        self._strays |= {
            seen.message_id: seen for seen in free if seen.message_id not in ours and has_cursor(seen.text)
        }
        return Leftover(reply, transcript, found)

    async def _found(self, host: Host, reply: UnfinishedReply) -> Found | None:
        if not may_look_back(host.permissions_at(reply.prompt.channel_id)):
            return None  # where the past may not be read, every channel looks empty
        assert host.user is not None, "ready"
        try:
            return await look(host.api, host.user.id, reply)
        except (DeliveryForbidden, MessageGone):
            if not reply.prompt.token:
                raise
            return None  # a command's token reaches where we cannot look

    async def _is_known(self, message_id: int) -> bool:
        try:
            return await self._store.reply_by_message(message_id) is not None
        except StoreError:
            return False

    def _open(self, host: Host, left: Leftover, journal: ReplyJournal, *, is_closing: bool = False) -> DiscordReply:
        """Return the reply, to go on as the process before would have."""
        for message in left.transcript.rows():  # an id that was found is in no row yet
            journal.put(stored(message))
        permissions = host.permissions_at(left.reply.prompt.channel_id)
        return host.open_reply(left.transcript, permissions, journal, is_closing=is_closing)

    # ------------------------------------------------------------ answering after all

    def _is_worth_answering(self, reply: UnfinishedReply) -> bool:
        return reply.attempts < ATTEMPTS and self._clock() - reply.prompt.created_at <= ANSWERED_WITHIN_SECONDS

    async def _begin_again(self, reply: UnfinishedReply) -> bool:
        try:
            await self._store.begin_again(reply.reply_id)
        except StoreError as error:
            log.warning("Prompt %d is not answered again: %s", reply.prompt.message_id, error)
            return False
        return True

    def _answer(self, host: Host, left: Leftover) -> None:
        """Answer the prompt as if it had just come; its reply lines up with the others of the channel."""
        reply = left.reply
        log.info("Prompt %d waited when the bot was interrupted; answering it now", reply.prompt.message_id)
        open_reply = partial(self._open, host, left)
        work = host.responder.respond_again(reply, open_reply)
        self._tasks.spawn(work, f"answer-again-{reply.reply_id}")

    # ------------------------------------------------------------ closing

    async def _close(self, host: Host, left: Leftover) -> str:
        """Bring every message of the reply to its final text; return what the model wrote.

        Raises:
            DeliveryError: Discord does not take it.
        """
        reply = left.reply
        text, pages = left.final_pages(self._mode, self._max_messages)
        if not (left.is_prompt_gone and not left.transcript.count() and not text):
            journal = self._journals.reopen(reply.prompt, reply.reply_id)
            sender = self._open(host, left, journal, is_closing=True).deliverer
            streamer = ReplyStreamer(sender, pages, self._budget, max_messages=self._max_messages)
            streamer.feed(text)
            footer = left.footer(text)
            streamer.end(footer, interrupted=reply.state is not ReplyState.COMPLETE)
            if left.is_deleted:
                streamer.stop(footer)
            await streamer.run()
            await journal.settle()
        log.info("Reply %d was interrupted by a restart; closed", reply.reply_id)
        return text

    async def _clear_away(self, host: Host, left: Leftover) -> None:
        """Take our own ⏹️ off."""
        for channel_id, message_id in left.controls():
            await self._try(host.api.remove_reaction(channel_id, message_id, STOP_EMOJI), left.reply.reply_id)

    async def _close_strays(self, host: Host, channel_id: int) -> None:
        """Take the cursor off what no reply of the channel turned out to own: a later message stands in for it."""
        for message_id, seen in list(self._strays.items()):
            if seen.channel_id != channel_id:
                continue
            del self._strays[message_id]
            if message_id in self._adopted or not self._is_left_over(seen) or await self._is_known(message_id):
                continue
            text = without_cursor(seen.text) or f"-# {INTERRUPTED}"
            payload = {"content": text, "allowed_mentions": NO_MENTIONS}
            with contextlib.suppress(DeliveryRetry):  # not worth holding up what matters more
                await self._try(host.api.edit_message(channel_id, message_id, payload), message_id)
                if seen.has_control:
                    await self._try(host.api.remove_reaction(channel_id, message_id, STOP_EMOJI), message_id)

    def _is_left_over(self, seen: Seen) -> bool:
        """Tell whether a message is older than this process, so not of a reply that runs now."""
        return seen.message_id < snowflake(self._began_at)

    async def _try(self, request: Coroutine[Any, Any, object], what: int) -> None:
        try:
            await request
        except DeliveryRetry:
            raise
        except DeliveryError as error:
            log.info("Something is left of what was interrupted (%d): %s", what, error)

    async def _finish(self, reply: UnfinishedReply, text: str) -> None:
        journal = self._journals.reopen(reply.prompt, reply.reply_id)
        is_ended = reply.state is not ReplyState.STREAMING
        if not is_ended or text != reply.text:
            state = reply.state if is_ended else ReplyState.INTERRUPTED
            journal.end(ReplyEnd(state, text, at=self._clock()))
        await journal.close(is_shown=True)
