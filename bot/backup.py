"""Copies of the database: taken of a running bot, put back into a stopped one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from bot.conversation.database import file_of, move_aside
from bot.conversation.schema import REVISIONS
from bot.errors import StoreError
from bot.lock import claim


def backup(url: str, target: Path) -> None:
    """Write a consistent copy of the database at *url* to *target*, readable by its owner only.

    A bot that runs meanwhile is not held up: the copy is what one moment held.

    Raises:
        StoreError: there is no such database, or *target* exists or cannot be written.
    """
    source = _sqlite_file(url, "pg_dump")
    if not source.exists():
        raise StoreError(f"There is no database at {source} yet.")
    with _reading(source) as database:
        _copy(database, target)


def restore(url: str, source: Path) -> Path | None:
    """Put the backup *source* in the place of the database at *url*; return where that one is now, if there was one.

    Raises:
        StoreError: *source* is no sound backup, a bot is running on the database, or it cannot be replaced.
    """
    target = _sqlite_file(url, "psql")
    with claim(target), _reading(source) as database:
        _check(database, source)
        draft = target.with_name(target.name + ".restoring")
        draft.unlink(missing_ok=True)
        _copy(database, draft)
        aside = move_aside(target, "before-restore") if target.exists() else None
        draft.rename(target)
    return aside


def _sqlite_file(url: str, tool: str) -> Path:
    path = file_of(url)
    if path is None:
        raise StoreError(f"DATABASE_URL does not name an SQLite file. For PostgreSQL, use {tool}.")
    return path


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreError(f"There is no file {path}.")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be copied: {error}.") from error


def _copy(database: sqlite3.Connection, target: Path) -> None:
    """Copy *database* into the new file *target*; nothing is left of a copy that failed."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StoreError(f"{target} exists already. Name a file that does not.") from None
    except OSError as error:
        raise StoreError(f"{target} cannot be created: {error.strerror}.") from error
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            database.backup(copy)
            # One file, whatever is done with it: no -wal beside it.
            copy.execute("PRAGMA journal_mode = DELETE").close()
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _check(database: sqlite3.Connection, source: Path) -> None:
    """Refuse what is not a whole database of ours."""
    try:
        [verdict] = database.execute("PRAGMA quick_check(1)").fetchone()
        [revision] = database.execute("SELECT version_num FROM alembic_version").fetchone() or (None,)
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{source} is not a backup of this bot ({error}). Nothing was changed.") from error
    if verdict != "ok":
        raise StoreError(f"{source} is damaged. Nothing was changed.")
    if revision not in REVISIONS:
        raise StoreError(
            f"{source} was written by a newer version of the bot (schema {revision}). Nothing was changed."
        )
