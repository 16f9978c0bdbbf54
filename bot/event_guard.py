"""Events as discord.py can read them; one that it cannot read costs that event and one line in the log a minute."""

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


Payload = dict[str, Any]


def completed_message(data: Payload) -> Payload:
    """Return a message in which what is optional is not null: a reply's deleted target alone is told that way."""
    kept = {key: value for key, value in data.items() if value is not None or key == "referenced_message"}
    if isinstance(kept.get("referenced_message"), dict):
        kept["referenced_message"] = completed_message(kept["referenced_message"])
    return kept


def completed_interaction(data: Payload) -> Payload:
    """Return an interaction with its channel, of which discord.py takes no other notice than this object."""
    kept = {key: value for key, value in data.items() if value is not None}
    if "channel" not in kept and "channel_id" in kept:
        in_guild = {"type": 0, "name": "unknown", "position": 0, "guild_id": kept.get("guild_id")}
        kept["channel"] = {"id": kept["channel_id"], **(in_guild if "guild_id" in kept else {"type": 1})}
    if isinstance(kept.get("message"), dict):
        kept["message"] = completed_message(kept["message"])
    return kept


def _completed_channel(data: Payload) -> Payload:
    return {"position": 0} | data


_COMPLETED: dict[str, Callable[[Payload], Payload]] = {
    "MESSAGE_CREATE": completed_message,
    "MESSAGE_UPDATE": completed_message,
    "INTERACTION_CREATE": completed_interaction,
    "CHANNEL_CREATE": _completed_channel,
    "CHANNEL_UPDATE": _completed_channel,
}
"""What Discord may leave out, or send as null, and discord.py takes for granted."""


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
        completed = _COMPLETED.get(name)

        def parse(data: Any) -> Any:
            try:
                return parser(completed(data) if completed else data)
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
