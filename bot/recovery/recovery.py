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
from dataclasses import dataclass
from typing import Any, Literal

import discord

from bot.conversation.journal import ReplyJournal
from bot.conversation.records import PromptKind, PromptRecord, ReplyState, UnfinishedReply
from bot.conversation.store import Store
from bot.delivery.control import STOP_EMOJI
from bot.delivery.cursor import without_cursor
from bot.delivery.dm_fallback import DmFallback
from bot.delivery.followups import Followups
from bot.delivery.permissions import may_look_back, may_react, may_refer
from bot.delivery.reply import DiscordReply
from bot.delivery.reply_api import Answer, ReplyApi
from bot.delivery.sinks import Journal, MessagesSink
from bot.delivery.steadfast import SteadfastSink
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRetry, MessageGone, StoreError
from bot.recovery.closing import PAGE_LIMIT, ClosingJournal, final_pages, footer_of, header_of, open_sink, shown_texts
from bot.recovery.screen import INTERRUPTED, Screen, Seen, by_journal, letters, look
from bot.streaming.backoff import Backoff
from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer

log = logging.getLogger(__name__)

ANSWERED_WITHIN_SECONDS = 600.0
"""How old a prompt may be to be answered after a restart; who asked earlier is told to ask again."""
ATTEMPTS = 3
"""So many processes begin to answer a prompt: it could be what kills them."""

_CHANNELS_AT_ONCE = 6
_DISCORD_EPOCH = 1_420_070_400.0  # an id holds the milliseconds since then

OpenReply = Callable[[ReplyJournal], DiscordReply]
AnswerAgain = Callable[[UnfinishedReply, OpenReply, int], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Connection:
    """What recovery needs of a bot that is ready.

    Attributes:
        courier: sends the requests.
        me: our user's id.
        pause: told of a channel that refuses us, and why.
        note_deleted: told of a message of ours that somebody deleted.
        was_deleted: tells of a message whether somebody deleted it lately.
        permissions: what we may do in a channel, None where that is not known.
        followups: which messages of commands the gateway told of.
        way_out: where an answer goes when its channel takes no more, or None.
        answer: answers a prompt in the reply that a function opens, with so many code points to a message.
    """

    courier: ReplyApi
    me: int
    pause: Callable[[int, str], None]
    note_deleted: Callable[[int], None]
    was_deleted: Callable[[int], bool]
    permissions: Callable[[int], discord.Permissions | None]
    followups: Followups
    way_out: Callable[[PromptRecord], DmFallback | None]
    answer: AnswerAgain


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
        self._on_taken_up = on_taken_up
        self._budget = budget
        self._left = {reply.reply_id: reply for reply in leftovers}
        self._max_messages = max_messages
        self._mode: Literal["discord", "raw"] = mode
        self._clock = clock
        self._began_at = clock()
        self._answering: set[asyncio.Task[None]] = set()
        self._strays: dict[int, Seen] = {}
        self._adopted: set[int] = set()

    async def run(self, connection: Connection) -> None:
        """Do what is left, a few channels at a time; what Discord does not take now is tried again until it does."""
        backoff = Backoff(base=5.0, cap=300.0)
        while self._left:
            channels: dict[int, list[UnfinishedReply]] = {}
            for reply in self._left.values():
                channels.setdefault(reply.prompt.channel_id, []).append(reply)
            gate = asyncio.Semaphore(_CHANNELS_AT_ONCE)
            await asyncio.gather(*(self._recover_channel(connection, replies, gate) for replies in channels.values()))
            if self._left:
                await asyncio.sleep(5.0 + backoff.delay())

    async def _recover_channel(
        self, connection: Connection, replies: Sequence[UnfinishedReply], gate: asyncio.Semaphore
    ) -> None:
        async with gate:
            for reply in replies:
                try:
                    await self._recover(connection, reply)
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
            await self._close_strays(connection, channel_id)

    async def _recover(self, connection: Connection, reply: UnfinishedReply) -> None:
        screen = await self._look(connection, reply)
        self._adopted |= {seen.message_id for seen in screen.messages.values()}
        self._strays |= {seen.message_id: seen for seen in screen.strays}
        if reply.state is ReplyState.STREAMING and not reply.text and not any(map(letters, shown_texts(reply, screen))):
            is_gone = screen.is_prompt_gone or reply.is_deleted
            if screen.is_deleted or (is_gone and not screen.messages):
                await self._finish(reply, "")
                return
            if not is_gone and self._is_worth_answering(reply):
                await self._clear_away(connection, reply, screen)
                if await self._begin_again(reply):
                    self._answer(connection, reply, screen)
                    return
        text = await self._close(connection, reply, screen)
        await self._clear_away(connection, reply, screen)
        await self._finish(reply, text)

    async def _look(self, connection: Connection, reply: UnfinishedReply) -> Screen:
        if not may_look_back(connection.permissions(reply.prompt.channel_id)):
            return by_journal(reply)  # where the past may not be read, every channel looks empty
        try:
            return await look(connection.courier, connection.me, reply, self._is_known)
        except (DeliveryForbidden, MessageGone):
            if not reply.prompt.token:
                raise
            return by_journal(reply)  # a command's token reaches where we cannot look

    async def _is_known(self, message_id: int) -> bool:
        try:
            return await self._store.reply_by_message(message_id) is not None
        except StoreError:
            return False

    def _open_sink(
        self,
        connection: Connection,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        reply: UnfinishedReply,
        screen: Screen,
    ) -> MessagesSink:
        refer = may_refer(connection.permissions(reply.prompt.channel_id))
        followups = connection.followups
        return open_sink(connection.courier, journal, on_posted, reply, screen, refer=refer, followups=followups)

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

    def _answer(self, connection: Connection, reply: UnfinishedReply, screen: Screen) -> None:
        """Answer the prompt as if it had just come; its reply lines up with the others of the channel."""
        log.info("Prompt %d waited when the bot was interrupted; answering it now", reply.prompt.message_id)
        channel_id = reply.prompt.channel_id
        is_chat = reply.prompt.kind is PromptKind.CHAT
        permissions = connection.permissions(channel_id)

        def open_reply(journal: ReplyJournal) -> DiscordReply:
            if connection.was_deleted(reply.prompt.message_id):  # there is nothing to stop yet
                asyncio.get_running_loop().call_soon(connection.note_deleted, reply.prompt.message_id)
            return DiscordReply(
                connection.courier,
                channel_id,
                lambda on_posted: self._open_sink(connection, journal, on_posted, reply, screen),
                on_forbidden=lambda why: connection.pause(channel_id, why) if is_chat else None,
                on_deleted=connection.note_deleted,
                was_deleted=connection.was_deleted,
                way_out=connection.way_out(reply.prompt),
                with_typing=is_chat,
                with_control=may_react(permissions),
            )

        page_limit = PAGE_LIMIT - len(header_of(reply))
        task = asyncio.create_task(
            connection.answer(reply, open_reply, page_limit), name=f"answer-again-{reply.reply_id}"
        )
        self._answering.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    # ------------------------------------------------------------ closing

    async def _close(self, connection: Connection, reply: UnfinishedReply, screen: Screen) -> str:
        """Bring every message of the reply to its final text; return what the model wrote.

        Raises:
            DeliveryError: Discord does not take it.
        """
        page_limit = PAGE_LIMIT - len(header_of(reply))
        shown = shown_texts(reply, screen)
        text, pages = final_pages(reply, shown, page_limit, self._mode, self._max_messages)
        journal = ClosingJournal(self._store, reply.reply_id)
        inner = self._open_sink(connection, journal, lambda _: None, reply, screen)
        sink = SteadfastSink(inner, connection.courier, reply.prompt.channel_id)
        streamer = ReplyStreamer(sink, pages, self._budget, max_messages=self._max_messages)
        streamer.feed(text)
        streamer.end(footer_of(reply, text), interrupted=reply.state is not ReplyState.COMPLETE)
        is_unseen = not screen.messages and not text
        if not (is_unseen and screen.is_prompt_gone):
            await streamer.run()
            await sink.settle()
        for ordinal, seen in screen.messages.items():
            if ordinal >= streamer.messages:  # the pages are cut otherwise than they were
                await self._try(connection.courier.delete_message(seen.channel_id, seen.message_id), reply.reply_id)
        log.info("Reply %d was interrupted by a restart; closed", reply.reply_id)
        return text

    async def _clear_away(self, connection: Connection, reply: UnfinishedReply, screen: Screen) -> None:
        """Take our own ⏹️ off."""
        for seen in screen.messages.values():
            if seen.has_control:
                await self._try(
                    connection.courier.remove_reaction(seen.channel_id, seen.message_id, STOP_EMOJI), reply.reply_id
                )

    async def _close_strays(self, connection: Connection, channel_id: int) -> None:
        """Take the cursor off what no reply of the channel turned out to own: a later message stands in for it."""
        for message_id, seen in list(self._strays.items()):
            if seen.channel_id != channel_id:
                continue
            del self._strays[message_id]
            if message_id in self._adopted or not self._is_left_over(seen) or await self._is_known(message_id):
                continue
            text = without_cursor(seen.text) or f"-# {INTERRUPTED}"
            payload = {"content": text, "allowed_mentions": {"parse": []}}
            with contextlib.suppress(DeliveryRetry):  # not worth holding up what matters more
                await self._try(connection.courier.edit_message(channel_id, message_id, payload), message_id)
                if seen.has_control:
                    await self._try(connection.courier.remove_reaction(channel_id, message_id, STOP_EMOJI), message_id)

    def _is_left_over(self, seen: Seen) -> bool:
        """Tell whether a message is older than this process, so not of a reply that runs now."""
        return (seen.message_id >> 22) / 1000 + _DISCORD_EPOCH < self._began_at

    async def _try(self, request: Coroutine[Any, Any, object], what: int) -> None:
        try:
            await request
        except DeliveryRetry:
            raise
        except DeliveryError as error:
            log.info("Something is left of what was interrupted (%d): %s", what, error)

    async def _finish(self, reply: UnfinishedReply, text: str) -> None:
        ended = reply.state is not ReplyState.STREAMING
        try:
            if ended and text == reply.text:
                await self._store.write_down(reply.reply_id, is_shown=True)
            else:
                state = reply.state if ended else ReplyState.INTERRUPTED
                await self._store.finish_reply(reply.reply_id, state=state, text=text, at=self._clock())
        except StoreError as error:
            log.warning("Reply %d could not be recorded: %s", reply.reply_id, error)
