from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, make_url, text

from bot.conversation.records import PromptRecord, ReplyMessage, ReplyState
from bot.conversation.schema import metadata
from bot.parts import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from bot.conversation.store import Store

CHANNEL = 1_100_000_000_000_000_001
NOW = 1_760_000_000.25


def a_prompt(message_id: int = 10, **changes: Any) -> PromptRecord:
    values: dict[str, Any] = {
        "message_id": message_id,
        "channel_id": CHANNEL,
        "guild_id": 7,
        "author_id": 5,
        "author_name": "Ada",
        "parts": (Text(changes.pop("text", f"question {message_id}")),),
        "created_at": NOW,
    }
    return PromptRecord(**values | changes)


async def answer(
    store: Store, message_id: int, reply: str, state: ReplyState = ReplyState.COMPLETE, **changes: Any
) -> int:
    """Store a whole turn; return the reply's id."""
    await store.add_prompt(a_prompt(message_id, **changes))
    reply_id = await store.begin_reply(message_id, model="m", at=NOW)
    await store.finish_reply(reply_id, state=state, text=reply, at=NOW + 1)
    return reply_id


async def record_message(
    store: Store,
    reply_id: int,
    ordinal: int,
    *,
    nonce: str,
    channel_id: int = CHANNEL,
    message_id: int | None = None,
    text: str = "",
) -> None:
    """Write down one message of a reply."""
    await store.write_down(reply_id, messages=[ReplyMessage(ordinal, channel_id, message_id, nonce, text)])


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Another program's connection to the database at *url*; what it does is rolled back."""
    engine = create_engine(make_url(url).set(drivername="sqlite" if url.startswith("sqlite") else "postgresql+psycopg"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What another program finds in the database."""
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Keep everybody else from writing."""
    with connected(url) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            tables = ", ".join(metadata.tables)
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
        yield
