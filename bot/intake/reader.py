"""Reads a message with all that it refers to; what Discord did not send along is looked up once.

Looking up costs an answer a few seconds at most, and never the answer: what
cannot be read is said in the quote's place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import aiohttp
import discord

from bot.conversation.store import Store
from bot.errors import StoreError
from bot.intake.history import read_history
from bot.intake.message_text import is_addressed, is_prompt, own_parts
from bot.intake.quotes import DELETED, FORBIDDEN, UNREACHABLE, forwarded, missing_quote, quote_of
from bot.parts import Part, Quote, QuoteKind

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""How long an answer waits for what Discord did not send along."""
_QUESTION_WITHIN_SECONDS = 180.0
_FORWARD_WITHIN_SECONDS = 10.0
_FORWARDS = 100  # that are remembered
_LOOK_BACK = 25  # messages of others that may stand between a question and a bare mention

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message asks.

    Attributes:
        parts: quotes, then words, then files; without words where there are none to be answered.
        question_id: an earlier message of the same author that holds the words, if the message says nothing itself.
    """

    parts: tuple[Part, ...]
    question_id: int | None = None


class MessageReader:
    """Turns Discord's messages into parts.

    Args:
        store: tells whether a thread's conversation has begun.
        may_read: tells of a channel's id whether its older messages may be read.
        sees_content: whether Discord shows us messages that are not for us.
    """

    def __init__(self, store: Store, may_read: Callable[[int], bool], *, sees_content: bool) -> None:
        self.store = store
        self.may_read = may_read
        self.sees_content = sees_content
        self.patience = PATIENCE_SECONDS
        self._forwards: OrderedDict[tuple[int, int], discord.Message] = OrderedDict()  # by channel and author
        self._looks: set[asyncio.Task[Any]] = set()
        self._latest: WeakValueDictionary[int, asyncio.Event] = WeakValueDictionary()  # by channel; set when read

    def close(self) -> None:
        """End the look-ups that nobody waits for any more."""
        for look in self._looks:
            look.cancel()

    async def read(self, message: discord.Message, me: discord.abc.User) -> Asked:
        """Return what *message* asks; the messages of a channel are done in the order in which they came."""
        before = self._latest.get(message.channel.id)
        mine = self._latest[message.channel.id] = asyncio.Event()
        try:
            asked = await _Reading(self, message, me).asked()
            if before is not None:
                await before.wait()
            return asked
        finally:
            mine.set()

    def overhear(self, message: discord.Message) -> None:
        """Remember *message*, which does not speak to us, if it is a forward: what is said about it comes right after.

        Discord's clients send the words beside a forward as a message of their own.
        """
        if message.message_snapshots:
            self._forwards[message.channel.id, message.author.id] = message
            while len(self._forwards) > _FORWARDS:
                self._forwards.popitem(last=False)

    def forward_before(self, message: discord.Message) -> discord.Message | None:
        """Return the forward that *message* belongs to, once."""
        found = self._forwards.pop((message.channel.id, message.author.id), None)
        if found is None or (message.created_at - found.created_at).total_seconds() > _FORWARD_WITHIN_SECONDS:
            return None
        return found

    async def look_up(self, look: Coroutine[Any, Any, T], seconds: float) -> T | str:
        """Return what *look* finds in so many *seconds*, or the clause that says why it cannot be read.

        It goes on when it takes longer: a request is never cancelled (see `bot.delivery.http`).
        """
        if seconds <= 0:
            look.close()
            return UNREACHABLE
        task = asyncio.create_task(_told(look), name="look-up")
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)
        await asyncio.wait([task], timeout=seconds)
        return task.result() if task.done() else UNREACHABLE


class _Reading:
    """One message that is read."""

    def __init__(self, reader: MessageReader, message: discord.Message, me: discord.abc.User) -> None:
        self._reader = reader
        self._message = message
        self._me = me
        self._deadline = time.monotonic() + reader.patience

    async def asked(self) -> Asked:
        """Return the message's parts, or those of the question before it; what its thread began with comes first."""
        starter = await self._starter()
        parts, question = await self._parts_of(self._message), None
        if not parts and (question := await self._question_before()) is not None:
            parts = await self._parts_of(question)
        if starter is not None:
            parts = (starter, *(part for part in parts if getattr(part, "source_id", None) != starter.source_id))
        return Asked(parts, question.id if question else None)

    async def _parts_of(self, message: discord.Message) -> tuple[Part, ...]:
        quotes: list[Quote] = [*await self._replied(message)]
        quotes += forwarded(message, self._me, sees_content=self._reader.sees_content)
        if (forward := self._reader.forward_before(message)) is not None:
            earlier = forwarded(forward, self._me, sees_content=self._reader.sees_content)
            quotes += (replace(quote, source_id=forward.id) for quote in earlier)
        return (*quotes, *own_parts(message, self._me))

    async def _replied(self, message: discord.Message) -> list[Quote]:
        """Return the message that *message* replies to."""
        reference = message.reference
        if message.type is not discord.MessageType.reply or reference is None or reference.message_id is None:
            return []
        found = reference.resolved or await self._fetch(message.channel, reference.message_id)
        return [self._quote(found, QuoteKind.REPLY, reference.message_id)]

    async def _starter(self) -> Quote | None:
        """Return what a thread or forum post began with, if the message is the first that is asked there."""
        thread = self._message.channel
        if not isinstance(thread, discord.Thread) or self._message.id == thread.id or await self._has_begun(thread.id):
            return None
        if not self._reader.may_read(thread.id):
            return missing_quote(QuoteKind.STARTER, FORBIDDEN, thread.id)
        first = await self._look_up(_first_message(thread))
        if isinstance(first, discord.Message) and first.type is discord.MessageType.thread_starter_message:
            resolved = first.reference.resolved if first.reference else None
            return self._quote(resolved or await self._fetch(thread.parent, thread.id), QuoteKind.STARTER, thread.id)
        if isinstance(first, discord.Message) and first.id != thread.id:
            # a thread that began with no message; a post whose first message was deleted
            is_post = isinstance(thread.parent, discord.ForumChannel)
            return missing_quote(QuoteKind.STARTER, DELETED, thread.id) if is_post else None
        return self._quote(first or UNREACHABLE, QuoteKind.STARTER, thread.id)

    async def _question_before(self) -> discord.Message | None:
        """Return what the author of a message that says nothing but our name asked just before."""
        message, reader = self._message, self._reader
        is_bare = message.reference is None and not message.stickers and message.guild is not None
        if not (is_bare and reader.sees_content and reader.may_read(message.channel.id)):
            return None
        found = await self._look_up(_messages_before(message))
        said = [each for each in found if each.author.id == message.author.id] if isinstance(found, list) else []
        if not said or not is_prompt(said[0]) or is_addressed(said[0], self._me):
            return None
        age = (message.created_at - said[0].created_at).total_seconds()
        return said[0] if age <= _QUESTION_WITHIN_SECONDS else None

    async def _has_begun(self, channel_id: int) -> bool:
        """Tell whether a conversation has begun, as far as the store tells it in time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._reader.store.has_begun(channel_id)
        except (StoreError, TimeoutError):
            return False

    def _quote(self, found: object, kind: QuoteKind, source_id: int) -> Quote:
        """Return the quote of what was *found*: a message, or the clause that says why there is none."""
        if isinstance(found, discord.Message):
            return quote_of(found, kind, self._me, sees_content=self._reader.sees_content)
        return missing_quote(kind, found if isinstance(found, str) else DELETED, source_id)

    async def _fetch(self, channel: object, message_id: int) -> discord.Message | str:
        """Return a message, or the clause that says why it cannot be read."""
        if not isinstance(channel, discord.abc.Messageable):
            return UNREACHABLE
        if not self._reader.may_read(getattr(channel, "id", 0)):
            return FORBIDDEN
        return await self._look_up(channel.fetch_message(message_id))

    async def _look_up(self, look: Coroutine[Any, Any, T]) -> T | str:
        return await self._reader.look_up(look, self._seconds)

    @property
    def _seconds(self) -> float:
        return self._deadline - time.monotonic()


async def _told(look: Coroutine[Any, Any, T]) -> T | str:
    """Return what *look* finds, or what keeps us from finding it."""
    try:
        return await look
    except discord.NotFound:
        return DELETED
    except discord.Forbidden:
        return FORBIDDEN
    # RuntimeError is what aiohttp raises on a session that is closed
    except (discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError) as error:
        log.info("A message that another refers to cannot be read: %r", error)
        return UNREACHABLE
    except Exception:
        log.exception("A message that another refers to cannot be understood")
        return UNREACHABLE


async def _first_message(thread: discord.Thread) -> discord.Message | None:
    found = (await read_history(thread, after=thread.id - 1, limit=1)).messages
    return found[0] if found else None


async def _messages_before(message: discord.Message) -> list[discord.Message]:
    return (await read_history(message.channel, before=message.id, limit=_LOOK_BACK)).messages[::-1]
