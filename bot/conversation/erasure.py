"""Erasing: what was deleted in Discord is sent to no model any more and leaves the database.

It goes in two steps. What was deleted is withdrawn at once: no later request
holds it. A question's rows are removed a moment later, since a proxy bot may
have deleted it to write it again under another name (`Erasure.restore`). A
reply whose messages are not closed yet keeps its rows until they are: a restart
needs them for that.

A database that fails forgets later, but nothing is read from it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from bot.conversation import erasure_queries as statements
from bot.conversation.erasure_queries import Deletion
from bot.conversation.schema import REWRITE_KEY, setting
from bot.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from sqlalchemy import Connection, Table

    from bot.conversation.database import Database
    from bot.conversation.erasure_queries import Done
    from bot.conversation.records import PromptRecord
    from bot.parts import Part

log = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""How long a deleted question can still turn out to have been written again by a proxy bot."""
TICK_SECONDS = 10.0
"""How often what is left to do is tried: a checkpoint, or what failed."""
TIDY_SECONDS = 3600.0
"""How often what was kept for long enough is removed."""
KEPT_SECONDS = 86400.0
"""How long the bare id of a deleted question stays: Discord may tell of the question once more."""
LEFT_SECONDS = 7 * 86400.0
"""How long after the bot left a server what was said there is kept."""

_TICKS_TO_SCRUB = 3  # each is a checkpoint, which has the disk write
_MOST_DEEDS = 10_000  # that wait for a database which fails


class Erasure:
    """What is to be erased from one database, and what was.

    The methods called ``note_…`` return at once; what they note is done in the
    background, and before anything is read.

    Attributes:
        count: how often something that may be sent was withdrawn.
        grace: for how long a withdrawn question can be restored, in seconds.
        withdrawn: the questions that can be, by id.
    """

    def __init__(self, database: Database, insert: Callable[[Table], Any]) -> None:
        self._database = database
        self._insert = insert
        self._deeds: list[Callable[[Connection], Done]] = []
        self._settling: asyncio.Task[None] | None = None
        self._has_work = asyncio.Event()
        self._is_to_scrub = True  # an earlier process may have been killed before it did
        self._tidied_at = self._scrubbed_at = float("-inf")
        self._is_trouble_told = False
        self._knows_servers = False  # whether a mark of a server that was left is up to date
        self.grace = GRACE_SECONDS
        self.count = 0
        self.withdrawn: dict[int, PromptRecord] = {}

    # Messages

    def note_deleted(
        self, message_ids: Collection[int], *, asked: Collection[int] = (), answered: Collection[int] = ()
    ) -> None:
        """Take deleted messages out of all later requests, and remove the questions among them a moment later.

        Of an answer the whole text goes if one of its messages does; the first
        message of a command's answer stands for the command. The database may
        not know yet of questions that were just *asked*, or that messages
        belong to the answers of questions that were *answered* just now.
        """
        deletion = Deletion(tuple(message_ids), tuple(asked), tuple(answered), time.time())
        self._note(lambda connection: statements.withdraw(connection, self._insert, deletion))

    def note_own_deleted(self, message_ids: Collection[int]) -> None:
        """Note that we deleted messages of answers ourselves: they are no part of these any more."""
        self._note(partial(statements.forget_messages, message_ids=tuple(message_ids)))

    def note_edited(self, message_id: int, parts: tuple[Part, ...]) -> None:
        """Remember a question with other words from now on."""
        self._note(lambda connection: statements.reword(connection, message_id, parts))

    def note_copy(self, message_id: int, copy_id: int) -> None:
        """Note that a question also stands in a second message."""
        self._note(partial(statements.add_copy, prompt_id=message_id, copy_id=copy_id))

    async def question_in(self, message_id: int) -> PromptRecord | None:
        """Return the question of a conversation that stands in a message."""
        await self.settle()
        return await self._database.run(partial(statements.question_in, message_id=message_id), is_read=True)

    async def messages_of(self, prompt_ids: Sequence[int]) -> set[int]:
        """Return the messages in which questions and their answers stand."""
        return await self._database.run(partial(statements.messages_of, prompt_ids=prompt_ids), is_read=True)

    async def restore(self, prompt_id: int, copy_id: int) -> bool:
        """Take a question that was just withdrawn back: it also stands in *copy_id*. False if it is gone."""
        self.withdrawn.pop(prompt_id, None)

        await self.settle()
        return await self._database.run(lambda connection: statements.restore(connection, prompt_id, copy_id))

    def _expire(self, prompt_id: int) -> None:
        if self.withdrawn.pop(prompt_id, None) is not None:
            self._note(lambda connection: statements.erase_withdrawn(connection, prompt_id))

    # Channels and servers

    def note_channel_deleted(self, channel_id: int) -> None:
        """Remove everything of a channel that Discord said was deleted."""
        self._note(lambda connection: statements.erase_channel(connection, channel_id))

    def note_left(self, guild_id: int, *, at: float) -> None:
        """Note that the bot left a server (*at*, Unix seconds); only the first time counts."""
        self._note(lambda connection: statements.mark_left(connection, self._insert, guild_id, at))

    def note_back(self, guild_id: int) -> None:
        """Note that the bot is in a server again."""
        self._note(lambda connection: statements.mark_back(connection, guild_id))

    def note_servers(self, guild_ids: Collection[int], *, at: float) -> None:
        """Compare with the complete list of the bot's servers: some may have been left unheard, or joined again."""
        servers, self._tidied_at, self._knows_servers = frozenset(guild_ids), float("-inf"), True
        self._note(lambda connection: statements.compare(connection, self._insert, servers, at))

    async def tidy(self, *, now: float, with_servers: bool = True) -> None:
        """Remove what has been kept for long enough: ids of questions, and what was said in servers that were left."""
        left_before = now - LEFT_SECONDS if with_servers else float("-inf")
        deleted_before = now - KEPT_SECONDS
        tidy = partial(statements.tidy, left_before=left_before, deleted_before=deleted_before)
        self._note(tidy)
        await self.settle()

    # Doing it

    def _note(self, deed: Callable[[Connection], Done]) -> None:
        self._deeds.append(deed)
        self._has_work.set()

    async def settle(self) -> None:
        """Do all that was noted, to its end even if the caller is cancelled.

        Raises:
            StoreError: the database cannot be used; it stays noted.
        """
        if self._settling is None or self._settling.done():
            if not self._deeds:
                return
            self._settling = asyncio.create_task(self._settle(), name="erasure-settle")
            self._settling.add_done_callback(_retrieve)
        await asyncio.shield(self._settling)

    async def _settle(self) -> None:
        while self._deeds:
            deeds, self._deeds = self._deeds, []
            try:
                done = await self._database.run(partial(_do, deeds))
            except StoreError:
                self._deeds = (deeds + self._deeds)[-_MOST_DEEDS:]
                raise
            for each in done:
                self.note_done(each)

    def note_done(self, done: Done) -> None:
        """Take in what was changed: its traces stand in the files, and questions can be restored for a while."""
        self._is_to_scrub = True
        if done.rows:
            self.count += 1
            self._has_work.set()
        for record in done.withdrawn:
            self.withdrawn[record.message_id] = record
            asyncio.get_running_loop().call_later(self.grace, self._expire, record.message_id)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Finish what another process began, do in the background what is noted, and at the end what this one began."""
        await self._rewrite()
        self._note(statements.erase_withdrawn)
        await self.settle()
        work = asyncio.create_task(self._work(), name="erasure")
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait((work,))
            self._note(statements.erase_withdrawn)
            with contextlib.suppress(StoreError):  # the next start does
                await self.settle()

    async def _work(self) -> None:
        while True:
            self._has_work.clear()
            try:
                await self._do_what_is_due()
                self._is_trouble_told = False
            except StoreError as error:
                if not self._is_trouble_told:
                    log.warning("What was deleted cannot be erased yet: %s", error)
                self._is_trouble_told = True
                await asyncio.sleep(TICK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._has_work.wait()

    async def _do_what_is_due(self) -> None:
        await self.settle()
        now = time.monotonic()
        if now - self._tidied_at >= TIDY_SECONDS:
            await self.tidy(now=time.time(), with_servers=self._knows_servers)
            self._tidied_at = now
        if now - self._scrubbed_at >= _TICKS_TO_SCRUB * TICK_SECONDS and await self.scrub():
            self._scrubbed_at = now

    async def scrub(self) -> bool:
        """Leave nothing of what was erased in the database's files; tell whether that is done."""
        if self._is_to_scrub:
            self._is_to_scrub = False
            self._is_to_scrub = not await self._database.checkpoint()
        return not self._is_to_scrub

    async def _rewrite(self) -> None:
        """Write SQLite's file anew if a migration wants that: its free pages hold what was removed before."""
        wanted = setting.c.key == REWRITE_KEY

        def is_wanted(connection: Connection) -> bool:
            return connection.execute(select(setting.c.key).where(wanted)).first() is not None

        try:
            if await self._database.run(is_wanted, is_read=True):
                if self._database.dialect == "sqlite":  # a call of its own: in no transaction
                    await self._database.run(lambda call: call.exec_driver_sql("VACUUM").close(), is_read=True)
                await self._database.run(lambda connection: connection.execute(delete(setting).where(wanted)))
        except StoreError as error:
            log.warning("What was removed from the database before may still stand in its file: %s", error)


def _do(deeds: list[Callable[[Connection], Done]], connection: Connection) -> list[Done]:
    return [deed(connection) for deed in deeds]


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # whoever waits for it hears of it, and so does the next who does
