"""One bot at a time on a database file: two would answer every prompt twice.

The operating system holds the lock for as long as the process lives, so one
that was killed leaves none behind. The lock file stays: removing it would let a
third process lock another file of the same name.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from bot.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

# Windows keeps others from reading what is locked: lock a byte behind what is written.
_LOCKED_BYTE = 1 << 20


@contextlib.contextmanager
def claim(database: Path | None) -> Iterator[None]:
    """Hold *database* for this process alone; None is a database that is no file.

    Raises:
        StoreError: another process holds it, or the lock file cannot be made.
    """
    if database is None:
        yield
        return
    path = database.with_name(database.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"The lock file {path} cannot be created: {error.strerror}. "
            "Check DATA_DIR or DATABASE_URL and the rights of the user that runs the bot."
        ) from error
    try:
        _lock(file, database)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def lock_file(file: int) -> None:
    """Lock the open *file* (a descriptor) for as long as this process keeps it open.

    Raises:
        BlockingIOError, PermissionError: another process holds it.
        OSError: the file system knows no locks.
    """
    if sys.platform == "win32":
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(file: int, database: Path) -> None:
    try:
        lock_file(file)
    except (BlockingIOError, PermissionError):
        raise StoreError(
            f"Another bot{_holder(file)} is using {database} already. "
            "Stop that one first, or give this one a DATA_DIR of its own."
        ) from None
    except OSError as error:  # some network file systems know no locks
        log.warning("%s cannot be locked (%s): make sure that no second bot uses it", database, error.strerror)


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    number = os.read(file, 20).decode("ascii", "replace").strip()
    return f" (process {number})" if number.isdecimal() else ""
