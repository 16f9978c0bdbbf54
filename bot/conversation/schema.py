"""The tables: who asked what, what was answered, and in which messages it is shown.

Discord's ids are the keys wherever Discord has one, so an event that arrives
twice changes nothing. Times are Unix seconds. Nothing here belongs to one
database: the same tables stand in SQLite and in PostgreSQL.

A change to a table needs a migration beside it in ``migrations/versions`` and
its name at the end of `REVISIONS`; a test compares both ways to the schema.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)

from bot.conversation.columns import Parts, Text

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision of the schema, oldest first (the names of the migrations)."""

HEAD = REVISIONS[-1]
"""The revision that these tables are."""

REWRITE_KEY = "rewrite"
"""The setting by which a migration asks for SQLite's file to be written anew, without what was removed."""


# Names for every constraint, so that a later migration can name what it drops.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column of exactly this type.
_RowId = BigInteger().with_variant(Integer, "sqlite")

prompt = Table(
    "prompt",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("guild_id", BigInteger),
    Column("author_id", BigInteger, nullable=False),
    Column("author_name", Text, nullable=False),
    # What was written and what it refers to, as JSON (`bot.parts`).
    Column("parts", Parts, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    # Of a command's interaction, until its reply is on screen: whoever has it can write in its
    # place, for the quarter of an hour that Discord lets it live.
    Column("token", Text, nullable=False, server_default=text("''")),
    # A second message that holds it: one that a bare mention followed, or that a proxy bot wrote in its place.
    Column("copy_id", BigInteger, index=True),
    # The name that the model was told, from the first request on; null before it.
    Column("label", Text),
    # The history: one channel's prompts, newest first.
    Index(None, "channel_id", "message_id"),
)
Index(
    "ix_prompt_waiting",
    prompt.c.message_id,
    sqlite_where=prompt.c.state == "waiting",
    postgresql_where=prompt.c.state == "waiting",
)
Index(
    "ix_prompt_forgotten",
    prompt.c.message_id,
    sqlite_where=prompt.c.state == "forgotten",
    postgresql_where=prompt.c.state == "forgotten",
)

# The ids of questions that were deleted, and nothing else of them, for a day.
forgotten = Table(
    "forgotten",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
)

# Which messages the prompts quote: the words go when such a message is deleted.
quoted = Table(
    "quoted",
    metadata,
    Column("prompt_id", ForeignKey("prompt.message_id", ondelete="CASCADE"), primary_key=True),
    Column("source_id", BigInteger, primary_key=True, autoincrement=False, index=True),
)

reply = Table(
    "reply",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("prompt_id", ForeignKey("prompt.message_id", ondelete="CASCADE"), nullable=False),
    Column("variant", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt_tokens", Integer),
    Column("reply_tokens", Integer),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    # Until the ending is on screen: a restart has something to do.
    Column("is_open", Boolean, nullable=False, server_default=text("true")),
    # Our own closing words, to be shown by a restart if they were not.
    Column("footer", Text, nullable=False, server_default=text("''")),
    # How many processes have begun to answer: one that kills each must not be asked for ever.
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    # One of its messages was deleted: the question is sent without it.
    Column("is_deleted", Boolean, nullable=False, server_default=text("false")),
    # What the model gave besides its text, as JSON (`bot.parts`); never sent again.
    Column("parts", Parts, nullable=False, server_default=text("'[]'")),
    # The direct messages that the rest of it goes to, if its channel takes no more.
    Column("moved_to", BigInteger),
    # A prompt's newest reply; also what keeps two replies from sharing a number.
    Index(None, "prompt_id", "variant", unique=True),
)
Index("ix_reply_open", reply.c.id, sqlite_where=text("is_open"), postgresql_where=text("is_open"))

# What the model wrote while it writes: added to, never rewritten, so that a long
# answer costs its length once. At the end the whole goes into reply.text.
reply_piece = Table(
    "reply_piece",
    metadata,
    Column("reply_id", ForeignKey("reply.id", ondelete="CASCADE"), primary_key=True),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

reply_message = Table(
    "reply_message",
    metadata,
    Column("reply_id", ForeignKey("reply.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    # How often messages had been posted anew before: one that another stands in for keeps its row.
    Column("generation", Integer, primary_key=True, autoincrement=False, server_default=text("0")),
    Column("channel_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, index=True),
    Column("nonce", String(25), nullable=False),
    Column("text", Text, nullable=False),
    # What a restart goes on from (`bot.streaming.calls.Message`).
    Column("state", String(16), nullable=False, server_default=text("'open'")),
    Column("shown", Text, nullable=False, server_default=text("''")),
    Column("first_try", Text, nullable=False, server_default=text("''")),
    Column("is_status", Boolean, nullable=False, server_default=text("false")),
    Column("file", String(16), nullable=False, server_default=text("'none'")),
    Column("by_token", Boolean, nullable=False, server_default=text("false")),
)

channel = Table(
    "channel",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text),
    # A message id: turns whose prompt is that old or older are not sent.
    Column("reset_at", BigInteger),
)

# Where what a model is sent of a channel's conversation begins; see `bot.conversation.window`.
context_window = Table(
    "context_window",
    metadata,
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    # A message id: the prompt of the oldest turn that is sent.
    Column("begins_at", BigInteger, nullable=False),
    # Tokens that the model counted for each one estimated, and up to which prompt it counted.
    Column("scale", Double),
    Column("counted_at", BigInteger, nullable=False, server_default=text("0")),
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
