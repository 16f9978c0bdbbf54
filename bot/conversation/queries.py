"""The store's longer statements, and the rows that they give as values."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, insert, literal_column, or_, select, text, update

from bot.conversation.records import PromptKind, PromptRecord, PromptState, ReplyMessage, ReplyState, Turn
from bot.conversation.schema import channel, prompt, reply, reply_message, reply_piece
from bot.parts import Quote, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Delete, Select, Table, Update
    from sqlalchemy.sql.dml import ReturningInsert

GONE = (PromptState.WITHDRAWN, PromptState.FORGOTTEN)
"""The states of a question that was deleted."""

# Literals, not parameters: only so can SQLite see that a partial index fits.
_IS_WAITING = prompt.c.state == literal_column("'waiting'")
_IS_OPEN = text("reply.is_open")
_MESSAGE_KEY = ("ordinal", "generation")


def history(channel_id: int, before: int | None, limit: int, since: int = 0) -> Select[*tuple[Any, ...]]:
    """Select a channel's turns since its reset, newest first."""
    variant = reply.alias("variant")
    is_answer = and_(variant.c.prompt_id == prompt.c.message_id, or_(variant.c.text != "", variant.c.is_deleted))
    newest = select(func.max(variant.c.id)).where(is_answer).scalar_subquery()
    reset_at = select(channel.c.reset_at).where(channel.c.id == channel_id).scalar_subquery()
    found = (
        select(
            prompt.c.message_id,
            prompt.c.author_id,
            prompt.c.author_name,
            prompt.c.parts,
            prompt.c.label.label("signed"),
            prompt.c.copy_id,
            case((reply.c.is_deleted, ""), else_=reply.c.text).label("reply"),
        )
        .join_from(prompt, reply, reply.c.id == newest)
        .where(
            prompt.c.channel_id == channel_id,
            prompt.c.message_id > func.coalesce(reset_at, 0),
            prompt.c.message_id >= since,
            prompt.c.kind == PromptKind.CHAT,
            prompt.c.state.not_in(GONE),
        )
        .order_by(prompt.c.message_id.desc())
        .limit(limit)
    )
    return found if before is None else found.where(prompt.c.message_id < before)


def turns(connection: Connection, latest: Select[*tuple[Any, ...]], limit_characters: float) -> list[Turn]:
    """Return what `history` selects, oldest first, reading back no further than *limit_characters* go."""
    found: list[Turn] = []
    with closing(connection.execute(latest, execution_options={"stream_results": True})) as rows:
        for row in rows:
            limit_characters -= len(row.reply) + sum(
                len(part.text) for part in row.parts if isinstance(part, Text | Quote)
            )
            if limit_characters < 0:
                break
            found.append(
                Turn(row.author_name, row.parts, row.reply, row.message_id, row.author_id, row.signed, row.copy_id)
            )
    return found[::-1]


def has_begun(channel_id: int) -> Select[*tuple[Any, ...]]:
    """Select whether a channel's conversation has turns or was reset."""
    turns = history(channel_id, None, 1).exists()
    resets = exists().where(channel.c.id == channel_id, channel.c.reset_at.is_not(None))
    return select(or_(turns, resets).label("has_begun"))


def unanswered() -> Select[*tuple[Any, ...]]:
    """Select the prompts that wait, oldest first."""
    return select(prompt).where(_IS_WAITING).order_by(prompt.c.message_id)


def direct_channels(since: int, limit: int) -> Select[*tuple[Any, ...]]:
    """Select the channels of direct messages with prompts newer than *since*, the latest talk first."""
    latest = func.max(prompt.c.message_id)
    return (
        select(prompt.c.channel_id)
        .where(prompt.c.guild_id.is_(None), prompt.c.message_id > since)
        .group_by(prompt.c.channel_id)
        .order_by(latest.desc())
        .limit(limit)
    )


def unfinished() -> Select[*tuple[Any, ...]]:
    """Select the replies that are open, oldest first, with their prompts."""
    return (
        select(
            reply.c.id.label("reply_id"),
            reply.c.model,
            reply.c.text.label("reply_text"),
            reply.c.state.label("reply_state"),
            reply.c.footer,
            reply.c.moved_to,
            reply.c.attempts,
            reply.c.created_at.label("begun_at"),
            or_(reply.c.is_deleted, prompt.c.state.in_((PromptState.WITHDRAWN, PromptState.FORGOTTEN))).label(
                "is_deleted"
            ),
            prompt,
        )
        .join_from(reply, prompt)
        .where(_IS_OPEN)
        .order_by(reply.c.id)
    )


def unfinished_messages() -> Select[*tuple[Any, ...]]:
    """Select the messages of the replies that are open: reply id, then the fields of `ReplyMessage`."""
    return (
        select(
            reply_message.c.reply_id,
            *(reply_message.c[each.name] for each in fields(ReplyMessage)),
        )
        .join(reply)
        .where(_IS_OPEN)
        .order_by(reply_message.c.reply_id, reply_message.c.ordinal, reply_message.c.generation)
    )


def unfinished_pieces() -> Select[*tuple[Any, ...]]:
    """Select what the models wrote in the replies that are open: reply id and text, in order."""
    return (
        select(reply_piece.c.reply_id, reply_piece.c.text)
        .join(reply)
        .where(_IS_OPEN)
        .order_by(reply_piece.c.reply_id, reply_piece.c.start)
    )


def owner(message_id: int) -> Select[*tuple[Any, ...]]:
    """Select the fields of `ReplyOwner` for the reply that is shown in a message."""
    return (
        select(reply.c.id, prompt.c.message_id, prompt.c.author_id, prompt.c.channel_id, reply.c.state)
        .join_from(reply_message, reply)
        .join(prompt)
        .where(reply_message.c.message_id == message_id)
        .order_by(reply.c.id.desc())
        .limit(1)
    )


def begin_reply(prompt_id: int, *, model: str, at: float) -> ReturningInsert[int]:
    """Insert the next variant of a prompt's replies; its id comes back."""
    before = select(func.count()).select_from(reply).where(reply.c.prompt_id == prompt_id).scalar_subquery()
    return (
        insert(reply)
        .values(prompt_id=prompt_id, variant=before, state=ReplyState.STREAMING, text="", model=model, created_at=at)
        .returning(reply.c.id)
    )


def take_prompt(prompt_id: int) -> Update:
    """Note that a prompt has a reply."""
    waiting = and_(prompt.c.message_id == prompt_id, prompt.c.state.in_((PromptState.WAITING, PromptState.CLOSED)))
    return update(prompt).where(waiting).values(state=PromptState.TAKEN)


def record_message(insert_into: Callable[[Table], Any]) -> Any:
    """Insert or update a message of a reply; the values are parameters."""
    statement = insert_into(reply_message)
    new = statement.excluded
    same_post = and_(new.message_id.is_(None), new.nonce == reply_message.c.nonce)
    changed = {each.name: new[each.name] for each in fields(ReplyMessage) if each.name not in _MESSAGE_KEY}
    return statement.on_conflict_do_update(
        index_elements=["reply_id", *_MESSAGE_KEY],
        set_=changed | {"message_id": case((same_post, reply_message.c.message_id), else_=new.message_id)},
    )


def add_piece(insert_into: Callable[[Table], Any]) -> Any:
    """Insert a part of what the model wrote; the values are parameters, and a part written again changes nothing."""
    return insert_into(reply_piece).on_conflict_do_nothing()


def drop_pieces() -> Delete:
    """Delete the parts of the reply ``ended``: its whole text is stored."""
    return delete(reply_piece).where(reply_piece.c.reply_id == bindparam("ended"))


def blank_messages(reply_id: int) -> Update:
    """Forget what the messages of a reply that are on screen were to show."""
    posted = and_(reply_message.c.reply_id == reply_id, reply_message.c.message_id.is_not(None))
    return update(reply_message).where(posted).values(text="", shown="", first_try="")


def drop_token() -> Update:
    """Forget the token of the command that the reply ``shown`` answers."""
    answered = select(reply.c.prompt_id).where(reply.c.id == bindparam("shown")).scalar_subquery()
    return update(prompt).where(prompt.c.message_id == answered, prompt.c.token != "").values(token="")


def drop_dead_tokens(before: float) -> Update:
    """Forget the tokens of commands that were used *before* (Unix seconds)."""
    return update(prompt).where(prompt.c.token != "", prompt.c.created_at < before).values(token="")


def begin_again(reply_id: int) -> Update:
    """Count one more attempt at a reply."""
    return update(reply).where(reply.c.id == reply_id).values(attempts=reply.c.attempts + 1)


def reopenable(prompt_id: int, finished_after: float | None) -> Select[int]:
    """Select the reply of a prompt that can be begun anew; see `Store.reopen`."""
    newest = select(func.max(reply.c.id)).where(reply.c.prompt_id == prompt_id).scalar_subquery()
    found = (
        select(reply.c.id)
        .join(prompt)
        .where(reply.c.id == newest, ~reply.c.is_open, ~reply.c.is_deleted, prompt.c.state.not_in(GONE))
    )
    if finished_after is None:
        return found
    other, answer = prompt.alias("other"), reply.alias("answer")
    later = (
        select(other.c.message_id)
        .join(answer, answer.c.prompt_id == other.c.message_id)
        .where(
            other.c.channel_id == prompt.c.channel_id,
            other.c.message_id > prompt_id,
            other.c.kind == PromptKind.CHAT,
            other.c.state.not_in(GONE),
            answer.c.finished_at.is_not(None),
        )
    )
    return found.where(reply.c.finished_at >= finished_after, ~later.exists())


def reopen(reply_id: int) -> Update:
    """Begin a reply anew."""
    blank = {"text": "", "footer": "", "parts": (), "finished_at": None}
    return update(reply).where(reply.c.id == reply_id).values(state=ReplyState.STREAMING, is_open=True, **blank)


def prompt_record(row: Any) -> PromptRecord:
    """Return the prompt in a row that holds all its columns."""
    return PromptRecord(
        message_id=row.message_id,
        channel_id=row.channel_id,
        guild_id=row.guild_id,
        author_id=row.author_id,
        author_name=row.author_name,
        parts=row.parts,
        created_at=row.created_at,
        kind=PromptKind(row.kind),
        token=row.token,
        copy_id=row.copy_id,
        label=row.label,
    )
