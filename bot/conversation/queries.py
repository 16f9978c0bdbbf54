"""The store's questions as statements, and their rows as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal_column, select

from bot.conversation.records import PromptKind, PromptRecord, PromptState
from bot.conversation.schema import channel, prompt, reply, reply_message

if TYPE_CHECKING:
    from sqlalchemy import Select

# Literals, not parameters: only so can SQLite see that a partial index fits.
_IS_WAITING = prompt.c.state == literal_column("'waiting'")
_IS_STREAMING = reply.c.state == literal_column("'streaming'")


def history(channel_id: int, before: int | None, limit: int) -> Select[Any]:
    """Select a channel's turns since its reset, newest first."""
    variant = reply.alias("variant")
    newest = (
        select(func.max(variant.c.id)).where(variant.c.prompt_id == prompt.c.message_id, variant.c.text != "")
    ).scalar_subquery()
    reset_at = select(channel.c.reset_at).where(channel.c.id == channel_id).scalar_subquery()
    found = (
        select(prompt.c.message_id, prompt.c.author_name, prompt.c.text, reply.c.text.label("reply"))
        .join_from(prompt, reply, reply.c.id == newest)
        .where(
            prompt.c.channel_id == channel_id,
            prompt.c.message_id > func.coalesce(reset_at, 0),
            prompt.c.kind == PromptKind.CHAT,
            prompt.c.state != PromptState.FORGOTTEN,
        )
        .order_by(prompt.c.message_id.desc())
        .limit(limit)
    )
    return found if before is None else found.where(prompt.c.message_id < before)


def unanswered() -> Select[Any]:
    """Select the prompts that wait, oldest first."""
    return select(prompt).where(_IS_WAITING).order_by(prompt.c.message_id)


def unfinished() -> Select[Any]:
    """Select the replies that stream, oldest first, with their prompts."""
    return (
        select(
            reply.c.id.label("reply_id"),
            reply.c.model,
            reply.c.text.label("reply_text"),
            reply.c.created_at.label("begun_at"),
            prompt,
        )
        .join_from(reply, prompt)
        .where(_IS_STREAMING)
        .order_by(reply.c.id)
    )


def unfinished_messages() -> Select[Any]:
    """Select the messages of the replies that stream: reply id, then the fields of `ReplyMessage`."""
    return (
        select(
            reply_message.c.reply_id,
            reply_message.c.ordinal,
            reply_message.c.channel_id,
            reply_message.c.message_id,
            reply_message.c.nonce,
            reply_message.c.text,
        )
        .join(reply)
        .where(_IS_STREAMING)
        .order_by(reply_message.c.reply_id, reply_message.c.ordinal)
    )


def owner(message_id: int) -> Select[Any]:
    """Select the fields of `ReplyOwner` for the reply that is shown in a message."""
    return (
        select(reply.c.id, prompt.c.message_id, prompt.c.author_id, prompt.c.channel_id, reply.c.state)
        .join_from(reply_message, reply)
        .join(prompt)
        .where(reply_message.c.message_id == message_id)
        .order_by(reply.c.id.desc())
        .limit(1)
    )


def prompt_record(row: Any) -> PromptRecord:
    """Return the prompt in a row that holds all its columns."""
    return PromptRecord(
        message_id=row.message_id,
        channel_id=row.channel_id,
        guild_id=row.guild_id,
        author_id=row.author_id,
        author_name=row.author_name,
        text=row.text,
        created_at=row.created_at,
        kind=PromptKind(row.kind),
    )
