"""What can be wrong with a database, in words, with what to do about it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError

from bot.errors import StoreError

REMEDIES = {
    "SQLITE_BUSY": "is locked by another process. Close the second bot or database tool that uses it and try again",
    "SQLITE_CANTOPEN": "cannot be opened. Check that its directory exists and that the bot may write there",
    "SQLITE_CORRUPT": "is damaged. Move it aside and restore a backup, or start without it to begin a new one",
    "SQLITE_FULL": "cannot grow: the disk is full. Free some space",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error. Check the disk and its free space",
    "SQLITE_NOTADB": "is not an SQLite database. Move it aside, or point DATABASE_URL or DATA_DIR elsewhere",
    "SQLITE_PERM": "may not be opened by the bot. Check its owner and permissions",
    "SQLITE_READONLY": "is read-only. Give the user that runs the bot the right to write it and its directory",
    "25006": "is read-only. Point DATABASE_URL at a server that takes writes",
    "42501": "belongs to another role. Create it with: createdb --owner=NAME …, or give the bot's role the right to it",
    "53100": "cannot grow: the disk of the server is full. Free some space",
    "55P03": "is locked by another program. Close the database tool that uses it and try again",
}
"""By the beginning of SQLite's name for the error, or PostgreSQL's number."""

_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}


class DamagedDatabase(StoreError):
    """The file is no database (any more)."""


class ClaimLost(StoreError):
    """Another bot is on the database."""


def is_away(error: Exception | None) -> bool:
    """Return True if there was no connection to the server, so that no other call would be spared that."""
    if isinstance(error, ClaimLost):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # psycopg has no SQLSTATE for what no server told it
    return error.connection_invalidated or (
        isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
    )


def is_locked(error: Exception | None) -> bool:
    """Return True if somebody else holds a lock: against all calls that write."""
    cause = error.orig if isinstance(error, OperationalError) else None
    sqlite_name = str(getattr(cause, "sqlite_errorname", ""))
    return sqlite_name.startswith("SQLITE_BUSY") or getattr(cause, "sqlstate", "") == "55P03"


def problem(name: str, error: BaseException) -> StoreError:
    """Return what *error*, raised by the database called *name*, is to the operator."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    code = str(getattr(cause, "sqlite_errorname", "") or getattr(cause, "sqlstate", ""))
    for start, remedy in REMEDIES.items():
        if code.startswith(start):
            kind = DamagedDatabase if start in _DAMAGED else StoreError
            return kind(f"The database {name} {remedy}.")
    return StoreError(f"The database {name} cannot be used: {_first_line(cause)}.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
