"""What the operator reads: one line per record, with a last net that keeps secrets out of it."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MASK: Final = "[secret]"

# The lowest level that each library may log at. Below these discord.py prints every
# payload, and SQLAlchemy every statement with its values: people's words, that is.
_FLOORS: Final[Mapping[str, int]] = {
    "discord": logging.INFO,
    "discord.client": logging.WARNING,  # what it and the gateway tell of a connection, we tell
    "discord.gateway": logging.WARNING,
    "discord.webhook": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "alembic": logging.INFO,
    "asyncio": logging.INFO,
    "sqlalchemy": logging.WARNING,
}
_COLOURS: Final[Mapping[int, str]] = {
    logging.DEBUG: "\x1b[2m",
    logging.INFO: "\x1b[34m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_RESET = "\x1b[0m"
# Control characters, bidi controls and line separators: a name in a message must not forge a line.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What is a secret wherever it stands, known to us or not: the tokens of interactions and webhooks
# in their routes, what follows an Authorization header's scheme, a password in an address.
_CREDENTIALS = re.compile(
    r"(?<=/)((?:webhooks|interactions)/\d+/)[\w.~%-]{20,}"
    r"|\b((?:Bot|Bearer|Basic) )[\w.~+/=-]{20,}"
    r"|(//[^/\s:@\"']*:)[^/\s@\"']+(?=@)"
)
_SHORTEST_SECRET = 4  # anything shorter would mask ordinary words


class _BurbleHandler(logging.StreamHandler[TextIO]):
    """Our one handler, so that setting up twice replaces it and leaves others' alone."""


class LineFormatter(logging.Formatter):
    """``2026-01-31 18:02:11 INFO     bot.app  message``; a traceback follows on lines of its own.

    *secrets* are replaced wherever they would appear: in the message, its
    arguments, the traceback, as they are or percent-encoded; so is whatever
    stands where a credential does.
    """

    def __init__(self, *, colour: bool = False, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s  %(message)s", "%Y-%m-%d %H:%M:%S")
        self._colour = colour
        known = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        known |= {quote(secret, safe="") for secret in known}
        # The longest first: one secret may be the beginning of another.
        alternatives = "|".join(re.escape(secret) for secret in sorted(known, key=len, reverse=True))
        self._secrets = re.compile(alternatives) if alternatives else None

    def format(self, record: logging.LogRecord) -> str:
        """Return the finished text, secrets masked in all of it."""
        text = _CREDENTIALS.sub(lambda found: f"{found[1] or found[2] or found[3]}{MASK}", super().format(record))
        return text if self._secrets is None else self._secrets.sub(MASK, text)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the first line, its message kept on that one line."""
        record.message = _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], record.message)
        line = super().formatMessage(record)
        colour = _COLOURS.get(record.levelno) if self._colour else None
        level = f"{record.levelname:<8}"
        return line.replace(level, f"{colour}{level}{_RESET}", 1) if colour else line


def setup_logging(level: str | int = "INFO", *, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every record of at least *level* to *stream* (standard error), with *secrets* masked.

    Libraries keep their warnings at any level (discord.py tells there of rate
    limits), but never log people's words. Calling it again replaces what the
    last call set.
    """
    stream = sys.stderr if stream is None else stream
    handler = _BurbleHandler(stream)
    handler.setFormatter(LineFormatter(colour=_wants_colour(stream), secrets=secrets))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _BurbleHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name, floor in _FLOORS.items():
        logging.getLogger(name).setLevel(max(floor, root.level))


def _wants_colour(stream: TextIO) -> bool:
    """Colour only what a person sees in a terminal that has any (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
