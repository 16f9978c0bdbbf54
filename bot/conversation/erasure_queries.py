"""The statements that withdraw and erase: what was deleted goes with all that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, literal_column, or_, select, update

from bot.conversation.queries import GONE, prompt_record
from bot.conversation.records import PromptKind, PromptState
from bot.conversation.schema import channel, context_window, forgotten, prompt, quoted, reply, reply_message, setting
from bot.parts import without_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Delete, Table

    from bot.conversation.records import PromptRecord
    from bot.parts import Part

_LEFT = "left:"
_MOST_IDS = 500  # in one statement
# A literal, not a parameter: only so can SQLite see that a partial index fits.
_IS_FORGOTTEN = prompt.c.state == literal_column("'forgotten'")


@dataclass(frozen=True, slots=True)
class Deletion:
    """Messages that were deleted.

    Attributes:
        message_ids: the messages.
        asked: questions among them that the database may not know yet.
        answered: questions whose answers were in them, though the database may not know of these messages yet.
        at: Unix seconds.
    """

    message_ids: Collection[int]
    asked: Collection[int]
    answered: Collection[int]
    at: float


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed: the questions that were withdrawn, and how many rows in all."""

    withdrawn: tuple[PromptRecord, ...] = ()
    rows: int = 0


def withdraw(connection: Connection, insert: Callable[[Table], Any], deletion: Deletion) -> Done:
    """Take what was deleted out of what is sent.

    Of an answer the whole text goes if one of its messages does; the first
    message of a command's answer stands for the command. Nor is any of that
    quoted any more.
    """
    found: list[PromptRecord] = []
    unsaid = set(deletion.answered)
    rows, ids = 0, list(deletion.message_ids)
    for start in range(0, len(ids), _MOST_IDS):
        some = ids[start : start + _MOST_IDS]
        shown = connection.execute(_shown_in(some)).all()
        commands = {row.prompt_id for row in shown if row.kind == PromptKind.ASK and row.ordinal == 0}
        unsaid |= {row.prompt_id for row in shown} - commands
        rows += _unquote(connection, some)
        is_meant = or_(prompt.c.message_id.in_({*some, *commands}), prompt.c.copy_id.in_(some))
        questions = connection.execute(select(prompt).where(is_meant, prompt.c.state.not_in(GONE))).all()
        found += map(prompt_record, questions)
    gone = {record.message_id for record in found}
    if gone:
        connection.execute(update(prompt).where(prompt.c.message_id.in_(gone)).values(state=PromptState.WITHDRAWN))
    if gone or deletion.asked:
        buried = [{"message_id": message_id, "at": deletion.at} for message_id in gone | set(deletion.asked)]
        connection.execute(insert(forgotten).on_conflict_do_nothing(), buried)
    pages = select(reply_message.c.message_id).join(reply).where(reply.c.prompt_id.in_(gone | unsaid))
    rows += _unquote(connection, list(filter(None, connection.execute(pages).scalars())))
    return Done(tuple(found), rows + len(found) + _unsay(connection, unsaid))


def reword(connection: Connection, prompt_id: int, parts: tuple[Part, ...]) -> Done:
    """Give a question other words."""
    is_kept = and_(prompt.c.message_id == prompt_id, prompt.c.state.not_in(GONE))
    return Done(rows=connection.execute(update(prompt).where(is_kept).values(parts=parts)).rowcount)


def add_copy(connection: Connection, prompt_id: int, copy_id: int) -> Done:
    """Note that a question also stands in a second message."""
    connection.execute(update(prompt).where(prompt.c.message_id == prompt_id).values(copy_id=copy_id))
    return Done()


def question_in(connection: Connection, message_id: int) -> PromptRecord | None:
    """Return the question of a conversation that stands in a message."""
    stands = or_(prompt.c.message_id == message_id, prompt.c.copy_id == message_id)
    chats = and_(stands, prompt.c.kind == PromptKind.CHAT, prompt.c.state.not_in(GONE))
    row = connection.execute(select(prompt).where(chats)).first()
    return prompt_record(row) if row is not None else None


def messages_of(connection: Connection, prompt_ids: Sequence[int]) -> set[int]:
    """Return the messages of the channel in which questions stand, and those of their answers that are sent."""
    asked = select(prompt.c.message_id, prompt.c.copy_id).where(prompt.c.message_id.in_(prompt_ids))
    shown = (
        select(reply_message.c.message_id)
        .join_from(reply_message, reply)
        .join(prompt, prompt.c.message_id == reply.c.prompt_id)
        .where(
            reply.c.prompt_id.in_(prompt_ids),
            reply_message.c.channel_id == prompt.c.channel_id,  # the rest of an answer may be direct messages
            reply.c.text != "",
            ~reply.c.is_deleted,
        )
    )
    found = set(connection.execute(shown).scalars())
    for message_id, copy_id in connection.execute(asked):
        # a copy that came later took the message's place, one before it has the words
        found |= {copy_id} if copy_id and copy_id > message_id else {message_id, copy_id}
    return found - {None}


def forget_messages(connection: Connection, message_ids: Collection[int]) -> Done:
    """Take messages that we deleted ourselves out of their answers."""
    connection.execute(delete(reply_message).where(reply_message.c.message_id.in_(message_ids)))
    return Done()


def restore(connection: Connection, prompt_id: int, copy_id: int) -> bool:
    """Take a question that was withdrawn back: it also stands in *copy_id*. False if it is gone."""
    withdrawn = and_(prompt.c.message_id == prompt_id, prompt.c.state == PromptState.WITHDRAWN)
    connection.execute(delete(forgotten).where(forgotten.c.message_id == prompt_id))
    back = update(prompt).where(withdrawn).values(state=PromptState.TAKEN, copy_id=copy_id)
    return connection.execute(back).rowcount == 1


def erase_withdrawn(connection: Connection, prompt_id: int | None = None) -> Done:
    """Remove a question that was withdrawn, or all of them."""
    withdrawn = prompt.c.state == PromptState.WITHDRAWN
    return erase(connection, withdrawn if prompt_id is None else and_(withdrawn, prompt.c.message_id == prompt_id))


def erase(connection: Connection, chosen: ColumnElement[bool]) -> Done:
    """Remove the *chosen* questions with their answers, open ones when they are closed."""
    found = connection.execute(update(prompt).where(chosen).values(state=PromptState.FORGOTTEN)).rowcount
    if found:
        connection.execute(_remove())
    return Done(rows=found)


def erase_channel(connection: Connection, channel_id: int) -> Done:
    """Remove everything of a channel."""
    connection.execute(delete(channel).where(channel.c.id == channel_id))
    connection.execute(delete(context_window).where(context_window.c.channel_id == channel_id))
    return erase(connection, prompt.c.channel_id == channel_id)


def mark_left(connection: Connection, insert: Callable[[Table], Any], guild_id: int, at: float) -> Done:
    """Note that the bot left a server; only the first time counts."""
    row = insert(setting).values(key=f"{_LEFT}{guild_id}", value=str(at))
    connection.execute(row.on_conflict_do_nothing())
    return Done()


def mark_back(connection: Connection, guild_id: int) -> Done:
    """Note that the bot is in a server again."""
    connection.execute(delete(setting).where(setting.c.key == f"{_LEFT}{guild_id}"))
    return Done()


def compare(connection: Connection, insert: Callable[[Table], Any], guild_ids: Collection[int], at: float) -> Done:
    """Mark which of the servers that are stored are not among those that the bot is in."""
    known = select(prompt.c.guild_id).where(prompt.c.guild_id.is_not(None)).distinct()
    for guild_id in set(connection.execute(known).scalars()) - set(guild_ids):
        mark_left(connection, insert, guild_id, at)
    for guild_id in _left(connection).keys() & set(guild_ids):
        mark_back(connection, guild_id)
    return Done()


def tidy(connection: Connection, *, left_before: float, deleted_before: float) -> Done:
    """Remove what was said in servers that were left before a time, and the ids of questions deleted before one."""
    connection.execute(delete(forgotten).where(forgotten.c.at < deleted_before))
    left = [guild_id for guild_id, at in _left(connection).items() if at <= left_before]
    return Done(rows=sum(_erase_server(connection, guild_id) for guild_id in left))


def is_forgotten(message_id: int) -> ColumnElement[bool]:
    """Tell whether a message was a question and is deleted."""
    return exists().where(forgotten.c.message_id == message_id)


def close(connection: Connection, reply_id: int) -> Done:
    """Remove what goes when a reply's ending is on screen: what only a restart needed, and what was deleted."""
    of_it = reply_message.c.reply_id == reply_id
    # nothing was wanted there: we deleted it ourselves, or were about to
    connection.execute(delete(reply_message).where(of_it, reply_message.c.text == "", reply_message.c.message_id > 0))
    connection.execute(update(reply_message).where(of_it).values(text="", shown="", first_try=""))
    withdrawn = update(reply).where(reply.c.id == reply_id, reply.c.is_deleted).values(text="", footer="", parts=())
    return Done(rows=connection.execute(withdrawn).rowcount + connection.execute(_remove()).rowcount)


def _shown_in(message_ids: list[int]) -> Any:
    """Select which answers stand in messages: the prompt's id and kind, and the message's place."""
    return (
        select(reply.c.prompt_id, prompt.c.kind, reply_message.c.ordinal)
        .join_from(reply_message, reply)
        .join(prompt)
        .where(reply_message.c.message_id.in_(message_ids))
    )


def _unsay(connection: Connection, prompt_ids: set[int]) -> int:
    """Take the answers to questions out of what is sent; the text of one that is open goes when it is closed."""
    if not prompt_ids:
        return 0
    answers = update(reply).where(reply.c.prompt_id.in_(prompt_ids))
    connection.execute(answers.where(~reply.c.is_open).values(text="", footer="", parts=()))
    return connection.execute(answers.values(is_deleted=True)).rowcount


def _remove() -> Delete:
    has_open = exists().where(reply.c.prompt_id == prompt.c.message_id, reply.c.is_open)
    return delete(prompt).where(_IS_FORGOTTEN, ~has_open)


def _left(connection: Connection) -> dict[int, float]:
    """Return which servers the bot left, and when (Unix seconds)."""
    rows = connection.execute(select(setting.c.key, setting.c.value).where(setting.c.key.startswith(_LEFT))).all()
    return {int(row.key.removeprefix(_LEFT)): float(row.value) for row in rows}


def _unquote(connection: Connection, message_ids: list[int]) -> int:
    """Erase the words of messages from the questions that quote them; return how many do."""
    if not message_ids:
        return 0
    of_them = quoted.c.source_id.in_(message_ids)
    quoting = select(prompt.c.message_id, prompt.c.parts).join(quoted).where(of_them).distinct()
    rows = connection.execute(quoting).all()
    for row in rows:
        blanked = update(prompt).where(prompt.c.message_id == row.message_id)
        connection.execute(blanked.values(parts=without_sources(row.parts, message_ids)))
    if rows:
        connection.execute(delete(quoted).where(of_them))
    return len(rows)


def _erase_server(connection: Connection, guild_id: int) -> int:
    channels = select(prompt.c.channel_id).where(prompt.c.guild_id == guild_id)
    connection.execute(delete(channel).where(channel.c.id.in_(channels)))
    connection.execute(delete(context_window).where(context_window.c.channel_id.in_(channels)))
    mark_back(connection, guild_id)
    return erase(connection, prompt.c.guild_id == guild_id).rows
