"""Opening the database: where it is, whether it is ours, and which schema it has.

A fresh database is created whole from `schema` and stamped with its revision;
Alembic is imported only when the stored revision is an older one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from bot.conversation import postgresql
from bot.conversation.db_errors import REMEDIES, ClaimLost, DamagedDatabase, problem
from bot.conversation.group_commit import GroupCommit
from bot.conversation.schema import HEAD, REVISIONS, metadata
from bot.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import URL, Connection, Engine

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a call waits for another program's lock."""
WATCH_SECONDS = 5.0
"""How often the connection to a server is looked at."""

log = logging.getLogger(__name__)

T = TypeVar("T")

_CHECKPOINT_WAIT_MS = 50  # everybody else's calls wait behind it
# Calls that may wait for a database which hangs: each reply has one at a time.
_MOST_WAITING = 1000

# Alembic's own table, as alembic.runtime.migration creates it.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class Database:
    """An engine with one connection, the thread that it works in, and the words for what goes wrong with it.

    SQLAlchemy's synchronous core in a thread costs a sixth of the CPU of its
    asyncio layer over aiosqlite (measured: 0.3 against 1.9 ms a write), which
    changes threads for every cursor, execute and commit. Calls queue up for
    the one connection in order, and what waits is stored together. On a server
    that connection is also what keeps other bots off (see `postgresql`).

    Attributes:
        dialect: ``sqlite`` or ``postgresql``.
        name: what to call the database in a sentence; never with a password.
    """

    def __init__(self, url: URL) -> None:
        self.dialect = url.get_backend_name()
        self.name = url.database or ":memory:" if _is_sqlite(url) else url.set(query={}).render_as_string()
        self._engine = (
            _sqlite_engine(url) if _is_sqlite(url) else postgresql.create(url, self.name, patience=BUSY_TIMEOUT_SECONDS)
        )
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._commits = GroupCommit(self._engine, self._threads)
        self._claim_lost = asyncio.Event()
        self._waiting = 0
        self._closed = False

    async def watch(self) -> NoReturn:
        """Look at the connection to a server now and then, which makes it anew if it is lost.

        Raises:
            ClaimLost: another bot is on the database by then.
        """
        while not self._claim_lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._claim_lost.wait()
            if self.dialect != "sqlite" and not self._waiting:
                with contextlib.suppress(StoreError):
                    await self.run(lambda connection: connection.execute(select(1)), is_read=True)
        raise postgresql.claim_lost(self.name)

    async def run(self, work: Callable[[Connection], T], *, is_read: bool = False) -> T:
        """Do *work* in one transaction, to its end even if the caller is cancelled; return its result.

        The transaction may be shared with other calls (see `GroupCommit`), but
        not their errors; work that only reads says so (*is_read*). Work lets an
        error of the database through: PostgreSQL does nothing more in a
        transaction after one.

        Raises:
            StoreError: it failed, and nothing of it was stored; or too many calls wait already.
        """
        if self._closed:
            raise StoreError(f"The database {self.name} is closed: the bot is stopping.")
        if self._claim_lost.is_set():
            raise postgresql.claim_lost(self.name)
        if self._waiting >= _MOST_WAITING:
            raise StoreError(f"The database {self.name} does not keep up: {self._waiting} calls wait for it.")
        call = self._commits.submit(work, is_read=is_read)
        self._waiting += 1
        call.add_done_callback(self._count_off)
        try:
            return await asyncio.shield(call)
        except ClaimLost:
            self._claim_lost.set()
            raise
        except (SQLAlchemyError, OSError, OverflowError, UnicodeError) as error:
            # a server quotes rows in its details, which are not for the log
            raise problem(self.name, error) from (error if self.dialect == "sqlite" else None)

    async def checkpoint(self) -> bool:
        """Leave nothing in SQLite's write-ahead log; return False while another process reads from it."""
        if self.dialect != "sqlite":
            return True  # PostgreSQL's vacuum sees to it

        def checkpoint(connection: Connection) -> bool:
            wait = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
            try:
                return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait}")

        return await self.run(checkpoint, is_read=True)  # a call of its own: in no transaction

    async def close(self) -> None:
        """Finish what was begun and close the connection."""
        self._closed = True
        await self._commits.drained()
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._engine.dispose)

    def _count_off(self, _: object) -> None:
        self._waiting -= 1


@contextlib.asynccontextmanager
async def open_database(url: str, *, replace_damaged: bool = False) -> AsyncIterator[Database]:
    """Open the database at *url*, created or upgraded to the newest schema; close it at the end.

    ``sqlite:///relative/path``, ``sqlite:////absolute/path`` and
    ``postgresql://…`` need not name their drivers. With *replace_damaged* a
    damaged file is moved aside, which the log says, and a new one begun.

    Raises:
        StoreError: it cannot be used; nothing in it was changed.
    """
    try:
        database = await _open(url)
    except DamagedDatabase as error:
        path = file_of(url)
        if not replace_damaged or path is None:
            raise
        aside = await asyncio.to_thread(move_aside, path, "damaged")
        log.error("%s It is now %s, and a new one was begun. To restore a backup: burble restore FILE", error, aside)
        database = await _open(url)
    try:
        yield database
    finally:
        await database.close()


async def _open(url: str) -> Database:
    parsed = _parse(url)
    if _is_sqlite(parsed):
        await asyncio.to_thread(_prepare_file, parsed)
    database = _load(parsed)
    try:
        await database.run(lambda connection: _bring_to_head(connection, database.name))
        await database.run(_enforce_references)
    except BaseException:
        await database.close()
        raise
    return database


def file_of(url: str) -> Path | None:
    """Return the SQLite file that a database URL names, or None if it names another kind of database.

    Raises:
        StoreError: it is no database URL.
    """
    return _file_of(_parse(url))


def _file_of(url: URL) -> Path | None:
    if not _is_sqlite(url) or url.database in {None, "", ":memory:"} or "uri" in url.query:
        return None
    return Path(str(url.database))


def move_aside(path: Path, why: str) -> Path:
    """Rename a database and the files that SQLite keeps beside it; return its new name.

    Raises:
        StoreError: it cannot be renamed.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.{why}-{stamp}")
    try:
        for suffix in ("-wal", "-shm", ""):
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(f"{aside}{suffix}")
    except OSError as error:
        raise StoreError(f"The database {path} cannot be moved to {aside.name}: {error.strerror}.") from error
    return aside


def _bring_to_head(connection: Connection, name: str) -> None:
    """Create, check or upgrade the schema, all or nothing."""
    if connection.dialect.name == "sqlite":
        # A migration copies a table and drops the old one, which would take
        # along what refers to it. The driver begins a transaction before
        # changes of rows only, not of tables.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        _check_integrity(connection, name)
    else:
        postgresql.check_encoding(connection, name)
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
        # A read-only file would be found out by the first prompt only.
        connection.execute(_version.update().values(version_num=HEAD))
        return
    if revision is not None and revision not in REVISIONS:
        raise StoreError(
            f"The database {name} was written by a newer version of the bot "
            f"(schema {revision}; this one knows {HEAD}). Upgrade the bot, or restore the backup from before."
        )
    from bot.conversation.migrations import upgrade  # noqa: PLC0415  # a plain start does without Alembic

    upgrade(connection)


def _enforce_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def _check_integrity(connection: Connection, name: str) -> None:
    verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if verdict != "ok":
        raise DamagedDatabase(f"The database {name} {REMEDIES['SQLITE_CORRUPT']}.")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError) as error:
        raise StoreError("DATABASE_URL is not a database URL; an example is sqlite:///data/burble.db.") from error
    # Whatever driver a URL names, these are the synchronous ones that we use.
    backend = parsed.drivername.partition("+")[0]
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
    if backend not in drivers:
        raise StoreError(f"DATABASE_URL names {backend}; the bot knows sqlite and postgresql.")
    return parsed.set(drivername=drivers[backend])


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _load(url: URL) -> Database:
    try:
        return Database(url)
    except (ImportError, SQLAlchemyError) as error:
        raise StoreError(
            f"DATABASE_URL names {url.drivername}, which cannot be loaded here ({error}). "
            "Use sqlite:///path, or install the driver (for PostgreSQL: pip install psycopg)."
        ) from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,  # people's words are parameters, and errors end up in the log
        poolclass=StaticPool,
        pool_reset_on_return=None,
        # The driver begins a transaction before the first change, not before
        # reads, and immediately: a deferred one cannot wait for its write lock.
        connect_args={"isolation_level": "IMMEDIATE", "timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    try:
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()  # nobody else knows it yet
        raise


def _prepare_file(url: URL) -> None:
    """Create the file, readable by its owner only, and its directory if there is none."""
    path = _file_of(url)
    if path is None:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # SQLite gives its -wal and -shm files the same mode.
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be created: {error.strerror}. "
            "Check DATA_DIR or DATABASE_URL and the rights of the user that runs the bot."
        ) from error
