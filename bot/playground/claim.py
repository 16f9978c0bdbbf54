"""One playground at a time in a data directory: two would write over each other's channels.

The operating system holds the lock for as long as the process lives, so one
that was killed leaves none behind. The file stays, and names who holds it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from bot.lock import lock_file
from bot.playground.loopback.errors import PlaygroundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Claim", "claimed"]

_log = logging.getLogger(__name__)

_NAME = "playground.lock"


class Claim:
    """A data directory that is ours; *file* is the descriptor of its lock file."""

    def __init__(self, file: int) -> None:
        self._file = file

    def note(self, url: str) -> None:
        """Leave word for who comes later where our page is."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, url.encode())


@contextlib.contextmanager
def claimed(data_dir: Path) -> Iterator[Claim]:
    """Make *data_dir* if need be and hold it for this process alone.

    Raises:
        PlaygroundError: another playground holds it, or it cannot be made or written to.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(data_dir / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PlaygroundError(
            f"The directory {data_dir} cannot be used: {error.strerror}. "
            "Name one that you may write to with --data-dir, or set DATA_DIR."
        ) from error
    try:
        _lock(file, data_dir)
        claim = Claim(file)
        claim.note("")
        yield claim
    finally:
        os.close(file)


def _lock(file: int, data_dir: Path) -> None:
    try:
        lock_file(file)
    except (BlockingIOError, PermissionError):
        raise PlaygroundError(
            f"{data_dir} is already in use by the playground{_holder(file)}. "
            "Use that one, stop it, or give this one a directory of its own with --data-dir."
        ) from None
    except OSError as error:  # some network file systems know no locks
        _log.warning("%s cannot be locked (%s): make sure that no second playground uses it", data_dir, error.strerror)


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    url = os.read(file, 200).decode("ascii", "replace").strip()
    return f" at {url}" if url.startswith("http://127.0.0.1:") else ""
