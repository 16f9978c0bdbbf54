"""Looks after a gap whether what is remembered of a channel still stands there.

What was deleted or edited while nobody listened, no event tells of. So the
first question of a channel after a start or a lost session has the messages
looked up that the model is about to be sent: those that are gone are forgotten,
and what was edited is remembered as it stands now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import aiohttp
import discord

from bot.conversation.records import PromptKind, PromptRecord, Turn
from bot.conversation.store import Store
from bot.delivery.permissions import may_look_back
from bot.errors import StoreError
from bot.intake.edits import edited_parts
from bot.intake.history import read_history
from bot.parts import Quote, QuoteKind

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long a question waits for it; it goes on in any case, and counts for the next one."""
_REQUESTS = 3
_PER_REQUEST = 100


class MemoryCheck:
    """Checks each channel once in a session."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client: discord.Client | None = None
        self._permissions_at: Callable[[int], discord.Permissions | None] = lambda _: None
        self._checked: set[int] = set()
        self._since = 0.0
        self._running: dict[int, asyncio.Task[None]] = {}

    def connect(self, client: discord.Client, permissions_at: Callable[[int], discord.Permissions | None]) -> None:
        """Look over *client* from now on; *permissions_at* tells what the bot may do in a channel."""
        self._client, self._permissions_at = client, permissions_at

    def begin_session(self) -> None:
        """Note that a session is new: what was before it may have changed unheard."""
        self._checked.clear()
        self._since = time.time()

    async def check(self, prompt: PromptRecord, turns: Sequence[Turn]) -> None:
        """Forget what is gone of *turns*, which are about to be sent with *prompt*, or of that if it waited so long."""
        channel_id = prompt.channel_id
        turns = [] if channel_id in self._checked else [*turns]
        if prompt.created_at < self._since and prompt.kind is PromptKind.CHAT:
            said = (prompt.author_name, prompt.parts, "", prompt.message_id)
            turns.append(Turn(*said, copy_id=prompt.copy_id))
        if not turns or self._client is None:
            return
        task = self._running.get(channel_id)
        if task is None:
            task = asyncio.create_task(self._check(self._client, prompt, turns), name=f"memory-check-{channel_id}")
            self._running[channel_id] = task
            task.add_done_callback(lambda _: self._running.pop(channel_id, None))
        await asyncio.wait((task,), timeout=PATIENCE_SECONDS)  # never cancelled inside a request to Discord

    async def _check(self, client: discord.Client, prompt: PromptRecord, turns: Sequence[Turn]) -> None:
        channel_id = prompt.channel_id
        try:
            if may_look_back(self._permissions_at(channel_id)):
                await self._look(client, prompt, turns)
        except discord.HTTPException as error:
            log.info("What is remembered of channel %s cannot be compared: %s", channel_id, error)
            if error.status >= 500:
                return  # the next question has it tried again
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, StoreError) as error:
            log.warning("What is remembered of channel %s cannot be compared: %r", channel_id, error)
            return
        except Exception:
            log.exception("What is remembered of channel %s cannot be compared", channel_id)
        self._checked.add(channel_id)

    async def _look(self, client: discord.Client, prompt: PromptRecord, turns: Sequence[Turn]) -> None:
        assert client.user is not None, "questions come after READY"
        wanted = await self._store.erasure.messages_of([turn.message_id for turn in turns])
        wanted |= {source for turn in turns for source in _replied_to(turn)}
        anchor = max(prompt.message_id, prompt.copy_id or 0)
        channel = client.get_partial_messageable(prompt.channel_id)
        seen, gone = await _compare(channel, wanted, anchor)
        if gone:
            self._store.erasure.note_deleted(gone)
        for turn in turns:
            message = seen.get(turn.copy_id or turn.message_id)
            parts = edited_parts(turn.parts, message, client.user) if message is not None else turn.parts
            if not parts:
                self._store.erasure.note_deleted([turn.message_id])
            elif parts != turn.parts:
                self._store.erasure.note_edited(turn.message_id, parts)


async def _compare(
    channel: discord.PartialMessageable, wanted: set[int], anchor: int
) -> tuple[dict[int, discord.Message], set[int]]:
    """Return the messages of a channel that were found, and which of those *wanted* are gone.

    *anchor* is a message that stands there: where nothing at all is found, nothing can be said.
    """
    seen: dict[int, discord.Message] = {}
    there: set[int] = set()  # also what cannot be read
    gone: set[int] = set()
    newest = max({anchor, *wanted})
    for _ in range(_REQUESTS):
        page = await read_history(channel, limit=_PER_REQUEST, before=newest + 1)
        seen |= {each.id: each for each in page.messages}
        there |= seen.keys() | page.unreadable
        if not there:
            break
        lowest = min(there) if len(page) == _PER_REQUEST else 0
        covered = {message_id for message_id in wanted if message_id >= lowest}
        gone |= covered - there
        wanted = wanted - covered
        if not wanted:
            break
        newest = max(wanted)
    return seen, gone


def _replied_to(turn: Turn) -> list[int]:
    """Return the messages of the same channel that a turn quotes."""
    return [
        part.source_id
        for part in turn.parts
        if isinstance(part, Quote) and part.kind is QuoteKind.REPLY and part.source_id and not part.missing
    ]
