"""An event that discord.py cannot parse costs that event: one line in the log, the same one not again for a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, MutableMapping
from traceback import walk_tb
from typing import Any

log = logging.getLogger(__name__)

_QUIET_SECONDS = 60.0
_TOLD_KEPT = 100
# Without it there is no session: the shard begins a new one.
_VITAL = frozenset({"READY", "RESUMED"})


class EventGuard:
    """Wraps the parsers of a client.

    A KeyError in a parser passes through ``DiscordWebSocket.received_message``
    and closes the client (discord/gateway.py); the parsers are the only seam.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}  # when, by event and cause

    def protect(self, parsers: MutableMapping[str, Callable[[Any], Any]]) -> None:
        """Have every parser but the vital ones skip what it cannot read."""
        for name, parser in list(parsers.items()):
            if name not in _VITAL:
                parsers[name] = self._guarded(name, parser)

    def _guarded(self, name: str, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def parse(data: Any) -> Any:
            try:
                return parser(data)
            except Exception as error:  # noqa: BLE001 - told
                self._tell(name, error)
                return None

        return parse

    def _tell(self, name: str, error: Exception) -> None:
        *_, (frame, line) = walk_tb(error.__traceback__)
        # not its text: that may quote what somebody said
        cause = f"{type(error).__name__} in {frame.f_code.co_name}, line {line}"
        now = self._clock()
        if now - self._told.get((name, cause), float("-inf")) < _QUIET_SECONDS:
            return
        while len(self._told) >= _TOLD_KEPT:
            self._told.pop(next(iter(self._told)))
        self._told.pop((name, cause), None)
        self._told[name, cause] = now
        log.warning("An event of type %s could not be read (%s); skipped", name, cause)
        log.debug("That event", exc_info=error)
