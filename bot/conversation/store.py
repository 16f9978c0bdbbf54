"""The store: prompts, replies and the journal of their messages, over restarts.

Every method is one short transaction, done in a thread of the database's. A
caller that is cancelled leaves it running to its end: a last word that was
handed over is stored. Whatever fails is a `StoreError`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import and_, case, func, insert, select, union, update

from bot.conversation import queries
from bot.conversation.database import open_database
from bot.conversation.erasure import Erasure
from bot.conversation.erasure_queries import Done, close, is_forgotten
from bot.conversation.records import (
    Piece,
    PromptRecord,
    PromptState,
    ReplyEnd,
    ReplyMessage,
    ReplyOwner,
    ReplyState,
    Turn,
    UnfinishedReply,
)
from bot.conversation.rows import end_values, inserter, message_row, prompt_row
from bot.conversation.schema import channel, forgotten, prompt, quoted, reply, setting
from bot.conversation.windows import Windows
from bot.parts import sources_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy.sql.dml import UpdateBase

    from bot.conversation.database import Database

_TOKEN_SECONDS = 15 * 60.0  # how long Discord lets an interaction's token live


class Store:
    """What was said, in the database at one URL.

    Made by `open`. Times are Unix seconds, ids are Discord's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = inserter(database.dialect)
        # Built once: they run once per edit of every running reply.
        self._record_message = queries.record_message(self._insert)
        self._add_piece = queries.add_piece(self._insert)
        self._drop_pieces = queries.drop_pieces()
        self._drop_token = queries.drop_token()
        self.erasure = Erasure(database, self._insert)
        self.windows = Windows(database, self._insert)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, replace_damaged: bool = False) -> AsyncIterator[Store]:
        """Open the database at *url* (created or upgraded if need be) and close it at the end.

        With *replace_damaged* a damaged file is moved aside, which the log says, and a new one begun.

        Raises:
            StoreError: it cannot be used; the message names it and the remedy.
        """
        async with open_database(url, replace_damaged=replace_damaged) as database:
            yield cls(database)

    async def watch(self) -> NoReturn:
        """See to it that no other bot is on the database.

        Raises:
            ClaimLost: one is.
        """
        await self._database.watch()

    # Prompts

    async def add_prompt(self, record: PromptRecord) -> bool:
        """Take in a prompt; return False (and change nothing) if its message was taken in before."""
        return await self._database.run(lambda connection: self._add_prompt(connection, record))

    async def take_in(self, record: PromptRecord, *, model: str, at: float) -> int | None:
        """Take in a prompt and begin its reply, both or nothing; return the reply's id, or None if it was known.

        There is no moment at which a prompt is stored that nobody answers.
        """

        def take_in(connection: Connection) -> int | None:
            if not self._add_prompt(connection, record):
                return None
            return _begin(connection, record.message_id, model, at)

        return await self._database.run(take_in)

    def _add_prompt(self, connection: Connection, record: PromptRecord) -> bool:
        if connection.scalar(select(is_forgotten(record.message_id))):
            return False
        # not by counting rows: a driver need not know how many it inserted
        adding = self._insert(prompt).values(**prompt_row(record)).on_conflict_do_nothing()
        if connection.execute(adding.returning(prompt.c.message_id)).first() is None:
            return False
        sources = [{"prompt_id": record.message_id, "source_id": source} for source in sources_of(record.parts)]
        if sources:
            connection.execute(insert(quoted), sources)
        return True

    async def close_prompt(self, message_id: int) -> None:
        """Note that nobody will answer a prompt any more: stopped while it waited, or refused."""
        waiting = and_(prompt.c.message_id == message_id, prompt.c.state == PromptState.WAITING)
        await self._write(update(prompt).where(waiting).values(state=PromptState.CLOSED))

    async def unanswered_prompts(self) -> list[PromptRecord]:
        """Return the prompts that were taken in and wait for a reply, oldest first."""
        return [queries.prompt_record(row) for row in await self._read(queries.unanswered())]

    async def known_prompts(self, message_ids: Sequence[int]) -> set[int]:
        """Return which of these messages were taken in as prompts."""
        if not message_ids:
            return set()
        known = select(prompt.c.message_id).where(prompt.c.message_id.in_(message_ids))
        deleted = select(forgotten.c.message_id).where(forgotten.c.message_id.in_(message_ids))
        return {row.message_id for row in await self._read(union(known, deleted))}

    async def direct_channels(self, *, since: int, limit: int) -> list[int]:
        """Return the direct messages with prompts newer than the message *since*, the latest talk first."""
        return [row.channel_id for row in await self._read(queries.direct_channels(since, limit))]

    # Replies and their journal

    async def begin_reply(self, prompt_id: int, *, model: str, at: float) -> int:
        """Begin a reply to a stored prompt; return its id. A prompt's replies are counted as variants from 0."""
        return await self._database.run(lambda connection: _begin(connection, prompt_id, model, at))

    async def begin_again(self, reply_id: int) -> None:
        """Note that another process begins to answer a reply that an earlier one left without a word."""
        await self._write(queries.begin_again(reply_id))

    async def write_down(
        self,
        reply_id: int,
        *,
        messages: Sequence[ReplyMessage] = (),
        piece: Piece | None = None,
        end: ReplyEnd | None = None,
        moved_to: int | None = None,
        is_shown: bool = False,
        is_anew: bool = False,
    ) -> None:
        """Keep a reply's journal; what is given is stored together or not at all.

        Args:
            reply_id: the reply.
            messages: what its messages are about to show, before it is sent.
                Again with the id when the POST told it; left out later, the
                known id stays for as long as the nonce is the same.
            piece: what the model wrote since the last one.
            end: how the reply ended.
            moved_to: the direct messages that the rest of it goes to.
            is_shown: its ending is on screen, so a restart has nothing to do.
            is_anew: pieces from before do not count any more, nor what messages showed.
        """

        def write(connection: Connection) -> Done | None:
            if is_anew:
                connection.execute(queries.blank_messages(reply_id))
            if messages:
                connection.execute(self._record_message, [message_row(reply_id, message) for message in messages])
            if is_anew:
                connection.execute(self._drop_pieces, {"ended": reply_id})
            if piece is not None:
                part = {"reply_id": reply_id, "start": piece.start, "text": piece.text}
                connection.execute(self._add_piece, part)
            changes = (end_values(end) if end else {}) | ({"is_open": False} if is_shown else {})
            changes |= {"moved_to": moved_to} if moved_to else {}
            if changes:
                connection.execute(update(reply).where(reply.c.id == reply_id).values(**changes))
            if end is not None:
                connection.execute(self._drop_pieces, {"ended": reply_id})
            if is_shown:
                connection.execute(self._drop_token, {"shown": reply_id})
                return close(connection, reply_id)
            return None

        if closed := await self._database.run(write):
            self.erasure.note_done(closed)

    async def finish_reply(self, reply_id: int, *, state: ReplyState, text: str, at: float, **more: Any) -> None:
        """Store how a reply ended, everything being on screen; *more* are fields of `ReplyEnd`."""
        await self.write_down(reply_id, end=ReplyEnd(state, text, at=at, **more), is_shown=True)

    async def reply_by_message(self, message_id: int) -> ReplyOwner | None:
        """Return whose reply is shown in a message, or None if it shows none."""
        rows = await self._read(queries.owner(message_id))
        if not rows:
            return None
        reply_id, prompt_id, author_id, channel_id, state = rows[0]
        return ReplyOwner(reply_id, prompt_id, author_id, channel_id, ReplyState(state))

    async def unfinished_replies(self) -> list[UnfinishedReply]:
        """Return the replies whose ending is not on screen as far as the store knows, oldest first.

        At start these are the ones that a kill or a crash cut off.
        """
        messages: dict[int, list[ReplyMessage]] = {}
        for reply_id, *shown in await self._read(queries.unfinished_messages()):
            messages.setdefault(reply_id, []).append(ReplyMessage(*shown))
        pieces: dict[int, list[str]] = {}
        for reply_id, text in await self._read(queries.unfinished_pieces()):
            pieces.setdefault(reply_id, []).append(text)
        return [
            UnfinishedReply(
                reply_id=row.reply_id,
                prompt=queries.prompt_record(row),
                model=row.model,
                state=ReplyState(row.reply_state),
                text=row.reply_text or "".join(pieces.get(row.reply_id, ())),
                footer=row.footer,
                attempts=row.attempts,
                created_at=row.begun_at,
                messages=tuple(messages.get(row.reply_id, ())),
                moved_to=row.moved_to,
                is_deleted=row.is_deleted,
            )
            for row in await self._read(queries.unfinished())
        ]

    async def is_reopenable(self, prompt_id: int, *, finished_after: float) -> bool:
        """Tell whether `reopen` would begin an answer anew."""
        await self.erasure.settle()
        return bool(await self._read(queries.reopenable(prompt_id, finished_after)))

    async def reopen(self, prompt_id: int, *, finished_after: float | None) -> UnfinishedReply | None:
        """Begin a question's answer anew in its messages; None if that cannot be.

        Without *finished_after* (Unix seconds) it is the channel's latest or not;
        with it, it must be, and have ended later than that.
        """
        found = queries.reopenable(prompt_id, finished_after)

        def work(connection: Connection) -> int | None:
            reply_id = connection.scalar(found)
            if reply_id is not None:
                connection.execute(queries.reopen(reply_id))
            return reply_id

        reply_id = await self._database.run(work)
        return next((each for each in await self.unfinished_replies() if each.reply_id == reply_id), None)

    async def leftovers(self, *, at: float) -> list[UnfinishedReply]:
        """Return what an earlier process left to be done, oldest first; asked before any new prompt is taken in.

        A prompt that no reply was begun for gets one, begun *at* (Unix seconds).
        """
        await self._write(queries.drop_dead_tokens(at - _TOKEN_SECONDS))
        for record in await self.unanswered_prompts():
            await self.begin_reply(record.message_id, model="", at=at)
        return await self.unfinished_replies()

    # Conversations

    async def history(
        self,
        channel_id: int,
        *,
        since: int = 0,
        before: int | None = None,
        limit_turns: int = 100,
        limit_characters: float = inf,
    ) -> list[Turn]:
        """Return a channel's latest turns since its reset, oldest first.

        A turn is a prompt of kind chat with its newest reply that has text,
        however that reply ended. A prompt that got no word of an answer is
        left out: the model would answer it beside the new one. One whose answer
        was deleted is there without it.

        Args:
            channel_id: the channel, thread or DM.
            since: the oldest prompt that counts.
            before: the prompt that is being answered; only older ones count.
            limit_turns: at most so many.
            limit_characters: at most so many in all: a hundred of the longest replies would fill the memory.
        """
        await self.erasure.settle()
        latest = queries.history(channel_id, before, limit_turns, since)
        read = partial(queries.turns, latest=latest, limit_characters=limit_characters)
        return await self._database.run(read, is_read=True)

    async def has_begun(self, channel_id: int) -> bool:
        """Tell whether a channel's conversation has begun: it has turns, or was reset."""
        rows = await self._read(queries.has_begun(channel_id))
        return bool(rows[0].has_begun)

    async def reset(self, channel_id: int, *, at_message_id: int) -> None:
        """Start a channel afresh: turns whose prompt is *at_message_id* or older are kept, but not sent any more."""
        statement = self._insert(channel).values(id=channel_id, reset_at=at_message_id)
        later = func.coalesce(channel.c.reset_at, 0) > statement.excluded.reset_at
        reset_at = case((later, channel.c.reset_at), else_=statement.excluded.reset_at)
        await self._write(statement.on_conflict_do_update(index_elements=[channel.c.id], set_={"reset_at": reset_at}))

    async def channel_model(self, channel_id: int) -> str | None:
        """Return the model chosen for a channel, or None if none was."""
        rows = await self._read(select(channel.c.model).where(channel.c.id == channel_id))
        return rows[0].model if rows else None

    async def set_channel_model(self, channel_id: int, model: str | None) -> None:
        """Choose a channel's model; None goes back to the default."""
        statement = self._insert(channel).values(id=channel_id, model=model)
        await self._write(
            statement.on_conflict_do_update(index_elements=[channel.c.id], set_={"model": statement.excluded.model})
        )

    async def setting(self, key: str) -> str | None:
        """Return what was stored under *key*, or None."""
        rows = await self._read(select(setting.c.value).where(setting.c.key == key))
        return rows[0].value if rows else None

    async def set_setting(self, key: str, value: str) -> None:
        """Store *value* under *key*, in place of what was there."""
        statement = self._insert(setting).values(key=key, value=value)
        await self._write(
            statement.on_conflict_do_update(index_elements=[setting.c.key], set_={"value": statement.excluded.value})
        )

    async def _read(self, statement: Executable) -> Sequence[Any]:
        return await self._database.run(lambda connection: connection.execute(statement).all(), is_read=True)

    async def _write(self, statement: UpdateBase) -> None:
        await self._database.run(lambda connection: connection.execute(statement))


def _begin(connection: Connection, prompt_id: int, model: str, at: float) -> int:
    row = queries.begin_reply(prompt_id, model=model, at=at)
    reply_id = connection.execute(row).scalar_one()
    connection.execute(queries.take_prompt(prompt_id))
    return reply_id
