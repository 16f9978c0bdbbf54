"""Values as the tables take them, in the spelling of each database."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bot.conversation.records import PromptState, ReplyMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

    from bot.conversation.records import PromptRecord, ReplyEnd

_MESSAGE_FIELDS = tuple(each.name for each in fields(ReplyMessage))
_LARGEST_COUNT = 2**31 - 1


def inserter(dialect: str) -> Callable[[Table], Any]:
    """Return the insert of *dialect*, which knows ``ON CONFLICT``: both spell it the same way."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415  # only the one in use

        return sqlite_insert
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415  # same

    return postgresql_insert


def prompt_row(record: PromptRecord) -> dict[str, Any]:
    """Return the row of a prompt that waits."""
    return {
        "message_id": record.message_id,
        "channel_id": record.channel_id,
        "guild_id": record.guild_id,
        "author_id": record.author_id,
        "author_name": record.author_name,
        "parts": record.parts,
        "kind": record.kind,
        "copy_id": record.copy_id,
        "state": PromptState.WAITING,
        "created_at": record.created_at,
        "token": record.token,
    }


def message_row(reply_id: int, message: ReplyMessage) -> dict[str, Any]:
    """Return the row of a message of a reply."""
    return {"reply_id": reply_id} | {name: getattr(message, name) for name in _MESSAGE_FIELDS}


def end_values(end: ReplyEnd) -> dict[str, Any]:
    """Return what the ending of a reply changes in its row."""
    values: dict[str, Any] = {
        "state": end.state,
        "text": end.text,
        "parts": end.parts,
        "footer": end.footer,
        "prompt_tokens": _count(end.prompt_tokens),
        "reply_tokens": _count(end.reply_tokens),
        "finished_at": end.at,
    }
    return values if end.model is None else values | {"model": end.model}


def _count(tokens: int | None) -> int | None:
    """Return *tokens* if it can be a count: a server may send anything."""
    return tokens if tokens is not None and 0 <= tokens <= _LARGEST_COUNT else None
