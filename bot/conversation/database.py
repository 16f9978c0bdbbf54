"""Opening the database: where it is, whether it is ours, and which schema it has.

A fresh database is created whole from `schema` and stamped with its revision;
Alembic is imported only when the stored revision is an older one.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, MetaData, String, Table, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.conversation.schema import HEAD, REVISIONS, metadata
from bot.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a call waits for another process that holds SQLite's write lock."""

READING = "burble_reading"
"""The execution option of a connection that only reads."""

# Alembic's own table, as alembic.runtime.migration creates it.
_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))

_REMEDIES = {
    "SQLITE_BUSY": "is locked by another process. Close the second bot or database tool that uses it and try again",
    "SQLITE_CANTOPEN": "cannot be opened. Check that its directory exists and that the bot may write there",
    "SQLITE_CORRUPT": "is damaged. Move it aside and restore a backup, or start without it to begin a new one",
    "SQLITE_FULL": "cannot grow: the disk is full. Free some space",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error. Check the disk and its free space",
    "SQLITE_NOTADB": "is not an SQLite database. Move it aside, or point DATABASE_URL or DATA_DIR elsewhere",
    "SQLITE_PERM": "may not be opened by the bot. Check its owner and permissions",
    "SQLITE_READONLY": "is read-only. Give the user that runs the bot the right to write it and its directory",
}


class Database:
    """An engine and the words for what goes wrong with it.

    Attributes:
        engine: for transactions that write.
        reader: the same connections, for single reads.
        name: what to call the database in a sentence; never with a password.
    """

    def __init__(self, url: URL) -> None:
        self.name = url.database or ":memory:" if _is_sqlite(url) else url.render_as_string(hide_password=True)
        self.engine = _create_engine(url)
        self.reader = self.engine.execution_options(**{READING: True})

    def problem(self, error: BaseException) -> StoreError:
        """Return *error* as a sentence that names the database and the remedy."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        name = _sqlite_error_name(cause)
        for start, remedy in _REMEDIES.items():
            if name.startswith(start):
                return StoreError(f"The database {self.name} {remedy}.")
        return StoreError(f"The database {self.name} cannot be used: {_first_line(cause)}.")


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open the database at *url*, created or upgraded to the newest schema; close it at the end.

    ``sqlite:///relative/path``, ``sqlite:////absolute/path`` and
    ``postgresql://…`` need not name their drivers.

    Raises:
        StoreError: it cannot be used; nothing in it was changed.
    """
    parsed = _parse(url)
    if _is_sqlite(parsed):
        await asyncio.to_thread(_prepare_file, parsed)
    database = _connectable(parsed)
    try:
        await _ready(database)
        yield database
    finally:
        await database.engine.dispose()


async def _ready(database: Database) -> None:
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(_bring_to_head, database.name)
    except (SQLAlchemyError, OSError) as error:
        raise database.problem(error) from error


def _bring_to_head(connection: Connection, name: str) -> None:
    """Create, check or upgrade the schema within the transaction of *connection*."""
    _check_integrity(connection, name)
    tables = set(inspect(connection).get_table_names())
    if not tables:
        metadata.create_all(connection)
        _version.create(connection)
        connection.execute(_version.insert().values(version_num=HEAD))
        return
    if _version.name not in tables:
        raise StoreError(
            f"The database {name} holds other tables, so it belongs to another program. "
            "Point DATABASE_URL or DATA_DIR elsewhere."
        )
    revision = connection.execute(select(_version.c.version_num)).scalar()
    if revision == HEAD:
        return
    if revision not in REVISIONS:
        raise StoreError(
            f"The database {name} was written by a newer version of the bot "
            f"(schema {revision}; this one knows {HEAD}). Upgrade the bot, or restore the backup from before."
        )
    from bot.conversation.migrations import upgrade  # noqa: PLC0415  # a plain start does without Alembic

    upgrade(connection)


def _check_integrity(connection: Connection, name: str) -> None:
    if connection.dialect.name != "sqlite":
        return
    verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if verdict != "ok":
        raise StoreError(f"The database {name} {_REMEDIES['SQLITE_CORRUPT']}.")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url.strip())
    except ArgumentError as error:
        raise StoreError("DATABASE_URL is not a database URL; an example is sqlite:///data/burble.db.") from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _connectable(url: URL) -> Database:
    try:
        return Database(url)
    except (ImportError, SQLAlchemyError) as error:
        raise StoreError(
            f"DATABASE_URL names {url.drivername}, which cannot be loaded here ({error}). "
            "Use sqlite:///path, or install the driver (for PostgreSQL: pip install asyncpg)."
        ) from error


def _create_engine(url: URL) -> AsyncEngine:
    if not _is_sqlite(url):
        return create_async_engine(url, pool_pre_ping=True)
    # One connection is one thread and one writer: calls queue up for it in
    # order instead of meeting SQLite's lock.
    pool: dict[str, Any] = {} if url.database in {None, "", ":memory:"} else {"pool_size": 1, "max_overflow": 0}
    engine = create_async_engine(
        url,
        # Transactions are begun by us (below), not by the driver before some statements only.
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS},
        pool_reset_on_return=None,
        **pool,
    )
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # Deferred, a transaction that reads first cannot wait for its write lock.
    if not connection.get_execution_options().get(READING):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_file(url: URL) -> None:
    """Create the file, readable by its owner only, and its directory if there is none."""
    if url.database in {None, "", ":memory:"} or "uri" in url.query:
        return
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # SQLite gives its -wal and -shm files the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be created: {error.strerror}. "
            "Check DATA_DIR or DATABASE_URL and the rights of the user that runs the bot."
        ) from error


def _sqlite_error_name(error: BaseException) -> str:
    return str(getattr(error, "sqlite_errorname", "")) if isinstance(error, sqlite3.Error) else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
