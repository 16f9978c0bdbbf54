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
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, literal_column, or_, select, update

from bot.conversation.queries import GONE, prompt_record
from bot.conversation.records import PromptKind, PromptState
from bot.conversation.schema import (
    REWRITE_KEY,
    channel,
    context_window,
    forgotten,
    prompt,
    reply,
    reply_message,
    setting,
)
from bot.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable

    from sqlalchemy import ColumnElement, Connection, Delete, Table, Update

    from bot.conversation.database import Database
    from bot.conversation.records import PromptRecord

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

_LEFT = "left:"
_MOST_IDS = 500  # in one statement
# A literal, not a parameter: only so can SQLite see that a partial index fits.
_IS_FORGOTTEN = prompt.c.state == literal_column("'forgotten'")


class Erasure:
    """What is to be erased from one database, and what was.

    Attributes:
        count: how often something was withdrawn; a request built before the last time may hold it.
        withdrawn: questions that were deleted a moment ago, by id.
    """

    def __init__(self, database: Database, insert: Callable[[Table], Any]) -> None:
        self._database = database
        self._insert = insert
        self._deleted: dict[int, bool] = {}  # id → whether it is a question that may not be stored yet
        self._expired: set[int] = set()  # questions whose rows are to go
        self._lock = asyncio.Lock()
        self._is_to_scrub = True  # an earlier process may have been killed before it did
        self._has_work = asyncio.Event()
        self.grace = GRACE_SECONDS
        self.count = 0
        self.withdrawn: dict[int, PromptRecord] = {}

    # Messages

    async def withdraw(self, message_ids: Iterable[int], *, asked: Collection[int] = ()) -> None:
        """Take deleted messages out of all later requests, and remove the questions among them a moment later.

        Of an answer the whole text goes if one of its messages does; the first
        message of a command's answer stands for the command. *asked* are
        questions that run or wait: the database may not know them yet.

        Raises:
            StoreError: not now; it is tried again, and nothing is read before.
        """
        self._deleted |= {message_id: message_id in asked for message_id in message_ids}
        self.count += 1
        await self.settle()

    async def restore(self, prompt_id: int, copy_id: int) -> bool:
        """Take a question that was just withdrawn back: it also stands in *copy_id*. False if it is gone."""
        self.withdrawn.pop(prompt_id, None)

        def work(connection: Connection) -> bool:
            withdrawn = and_(prompt.c.message_id == prompt_id, prompt.c.state == PromptState.WITHDRAWN)
            back = update(prompt).where(withdrawn).values(state=PromptState.TAKEN, copy_id=copy_id)
            if connection.execute(back).rowcount != 1:
                return False
            connection.execute(delete(forgotten).where(forgotten.c.message_id == prompt_id))
            return True

        return await self._database.run(work)

    async def settle(self) -> None:
        """Do what is to be done and could not be so far.

        Raises:
            StoreError: the database cannot be used.
        """
        if not self._deleted and not self._expired:
            return
        async with self._lock:
            deleted, expired, now = dict(self._deleted), set(self._expired), time.time()

            def work(connection: Connection) -> tuple[list[PromptRecord], int]:
                found, changed = self._withdraw(connection, deleted, now)
                return found, changed + _erase(connection, prompt.c.message_id.in_(expired))

            self._has_work.set()
            found, changed = await self._database.run(work)
            for message_id in deleted:
                self._deleted.pop(message_id, None)
            self._expired -= expired
            self._is_to_scrub |= bool(changed)
        for record in found:
            self.withdrawn[record.message_id] = record
            asyncio.get_running_loop().call_later(self.grace, self._expire, record.message_id)

    def _expire(self, prompt_id: int) -> None:
        if self.withdrawn.pop(prompt_id, None) is not None:
            self._expired.add(prompt_id)
            self._has_work.set()

    # Channels and servers

    async def erase_channel(self, channel_id: int) -> None:
        """Remove everything of a channel that Discord said was deleted."""

        def work(connection: Connection) -> int:
            connection.execute(delete(channel).where(channel.c.id == channel_id))
            connection.execute(delete(context_window).where(context_window.c.channel_id == channel_id))
            return _erase(connection, prompt.c.channel_id == channel_id)

        self.count += 1
        self._note_changed(await self._database.run(work))

    async def note_left(self, guild_id: int, *, at: float) -> None:
        """Note that the bot left a server (*at*, Unix seconds); only the first time counts."""
        row = self._insert(setting).values(key=f"{_LEFT}{guild_id}", value=str(at)).on_conflict_do_nothing()
        await self._database.run(lambda connection: connection.execute(row))

    async def note_back(self, guild_ids: Collection[int]) -> None:
        """Note that the bot is in these servers."""
        keys = [f"{_LEFT}{guild_id}" for guild_id in guild_ids]
        rows = delete(setting).where(setting.c.key.in_(keys))
        await self._database.run(lambda connection: connection.execute(rows))

    async def note_servers(self, guild_ids: Collection[int], *, at: float) -> None:
        """Compare with the complete list of the bot's servers, and note those that it left unheard."""
        known = select(prompt.c.guild_id).where(prompt.c.guild_id.is_not(None)).distinct()
        stored = await self._database.run(lambda connection: connection.execute(known).scalars().all(), is_read=True)
        for guild_id in set(stored) - set(guild_ids):
            await self.note_left(guild_id, at=at)
        await self.note_back((await self._left()).keys() & set(guild_ids))

    async def tidy(self, *, now: float) -> None:
        """Remove what has been kept for long enough: what was said in servers that were left, ids of questions."""
        left = [guild_id for guild_id, at in (await self._left()).items() if now - at >= LEFT_SECONDS]

        def work(connection: Connection) -> int:
            connection.execute(delete(forgotten).where(forgotten.c.at < now - KEPT_SECONDS))
            return sum(_erase_server(connection, guild_id) for guild_id in left)

        self._note_changed(await self._database.run(work))

    async def _left(self) -> dict[int, float]:
        rows = select(setting.c.key, setting.c.value).where(setting.c.key.startswith(_LEFT))
        found = await self._database.run(lambda connection: connection.execute(rows).all(), is_read=True)
        return {int(row.key.removeprefix(_LEFT)): float(row.value) for row in found}

    # What is left to do, and traces

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Finish what another process began, do in the background what is left, and at the end what this one began."""
        await self._rewrite()
        await self._finish()
        work = asyncio.create_task(self._work(), name="erasure")
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait((work,))
            with contextlib.suppress(StoreError):  # the next start does
                await self.settle()
                await self._finish()

    async def _work(self) -> None:
        tidied_at = float("-inf")
        while True:
            try:
                if time.monotonic() - tidied_at >= TIDY_SECONDS:
                    await self.tidy(now=time.time())
                    tidied_at = time.monotonic()
                await self.settle()
                await self.scrub()
            except StoreError as error:
                log.warning("What was deleted is not erased yet: %s", error)
            if not self._expired:
                self._has_work.clear()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._has_work.wait()
            except TimeoutError:
                continue

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

    async def _finish(self) -> None:
        self._note_changed(
            await self._database.run(lambda connection: _erase(connection, prompt.c.state == PromptState.WITHDRAWN))
        )

    async def scrub(self) -> bool:
        """Leave nothing of what was erased in the database's files; tell whether that is done."""
        if self._is_to_scrub:
            self._is_to_scrub = False
            self._is_to_scrub = not await self._database.checkpoint()
        return not self._is_to_scrub

    def _note_changed(self, rows: int) -> None:
        self._is_to_scrub |= bool(rows)
        self._has_work.set()

    # In the database's thread

    def _withdraw(self, connection: Connection, deleted: dict[int, bool], now: float) -> tuple[list[PromptRecord], int]:
        found: list[PromptRecord] = []
        changed, ids = 0, list(deleted)
        for start in range(0, len(ids), _MOST_IDS):
            some = ids[start : start + _MOST_IDS]
            shown = connection.execute(_shown_in(some)).all()
            commands = {row.prompt_id for row in shown if row.kind == PromptKind.ASK and row.ordinal == 0}
            answered = {row.prompt_id for row in shown} - commands
            asked = or_(prompt.c.message_id.in_({*some, *commands}), prompt.c.copy_id.in_(some))
            rows = connection.execute(select(prompt).where(asked, prompt.c.state.not_in(GONE))).all()
            gone = {row.message_id for row in rows}
            found += map(prompt_record, rows)
            if gone:
                withdrawn = update(prompt).where(prompt.c.message_id.in_(gone))
                connection.execute(withdrawn.values(state=PromptState.WITHDRAWN))
            for statement in _unsay(answered) if answered else ():
                connection.execute(statement)
            self._bury(connection, gone | {message_id for message_id in some if deleted[message_id]}, now)
            changed += len(gone) + len(answered)
        return found, changed

    def _bury(self, connection: Connection, message_ids: set[int], now: float) -> None:
        if message_ids:
            rows = [{"message_id": message_id, "at": now} for message_id in message_ids]
            connection.execute(self._insert(forgotten).on_conflict_do_nothing(), rows)


def is_forgotten(message_id: int) -> ColumnElement[bool]:
    """Tell whether a message was a question and is deleted."""
    return exists().where(forgotten.c.message_id == message_id)


def close(reply_id: int) -> tuple[Update | Delete, ...]:
    """Return what goes when a reply's ending is on screen: what only a restart needed, and what was deleted."""
    return (
        update(reply_message).where(reply_message.c.reply_id == reply_id).values(text=""),
        update(reply).where(reply.c.id == reply_id, reply.c.is_deleted).values(text="", footer="", parts=()),
        _remove(),
    )


def _shown_in(message_ids: list[int]) -> Any:
    """Select which answers stand in messages: the prompt's id and kind, and the message's place."""
    return (
        select(reply.c.prompt_id, prompt.c.kind, reply_message.c.ordinal)
        .join_from(reply_message, reply)
        .join(prompt)
        .where(reply_message.c.message_id.in_(message_ids))
    )


def _unsay(prompt_ids: set[int]) -> tuple[Update, ...]:
    """Take the answers to questions out of what is sent; the text of one that is open goes when it is closed."""
    answers = update(reply).where(reply.c.prompt_id.in_(prompt_ids))
    return answers.values(is_deleted=True), answers.where(~reply.c.is_open).values(text="", footer="", parts=())


def _erase(connection: Connection, chosen: ColumnElement[bool]) -> int:
    """Remove the *chosen* questions with their answers, open ones when they are closed; return how many."""
    found = connection.execute(update(prompt).where(chosen).values(state=PromptState.FORGOTTEN)).rowcount
    if found:
        connection.execute(_remove())
    return found


def _remove() -> Delete:
    has_open = exists().where(reply.c.prompt_id == prompt.c.message_id, reply.c.is_open)
    return delete(prompt).where(_IS_FORGOTTEN, ~has_open)


def _erase_server(connection: Connection, guild_id: int) -> int:
    channels = select(prompt.c.channel_id).where(prompt.c.guild_id == guild_id)
    connection.execute(delete(channel).where(channel.c.id.in_(channels)))
    connection.execute(delete(context_window).where(context_window.c.channel_id.in_(channels)))
    connection.execute(delete(setting).where(setting.c.key == f"{_LEFT}{guild_id}"))
    return _erase(connection, prompt.c.guild_id == guild_id)
