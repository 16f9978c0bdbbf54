"""What outlives a restart of the playground: channels, messages, registered commands, in one JSON file."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import orjson

from bot.playground.loopback import seed
from bot.playground.loopback.payloads import EPHEMERAL
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import State

_log = logging.getLogger(__name__)

_VERSION = 1
_DEBOUNCE_SECONDS = 0.5


class Storage:
    """Saves a world's state soon after it changed, and loads it.

    Args:
        state: what is saved.
        path: the file; its folder is made when needed.
    """

    def __init__(self, state: State, path: Path) -> None:
        self._state = state
        self._path = path
        self._saved = -1
        self._timer: asyncio.TimerHandle | None = None

    def load(self) -> None:
        """Take over what the file holds, if there is one; a broken one is moved aside and reported."""
        if not self._path.exists():
            return
        try:
            self._take(orjson.loads(self._path.read_bytes()))
        except (ValueError, KeyError, TypeError) as error:
            aside = self._path.with_suffix(".broken")
            self._path.replace(aside)
            _log.warning("%s could not be read (%s) and was moved to %s", self._path, error, aside.name)
        self._saved = self._state.revision

    def _take(self, stored: Payload) -> None:
        if stored["version"] != _VERSION:
            raise ValueError(f"version {stored['version']}")
        channels = {each["id"]: each for each in stored["channels"]}
        messages = {key: {each["id"]: each for each in value} for key, value in stored["messages"].items()}
        state = self._state
        for of_channel in messages.values():
            for message in of_channel.values():
                state.ids.seen(message["id"])
        for channel_id in channels:
            state.ids.seen(channel_id)
        state.channels.update(channels)
        state.messages.update(messages)
        state.commands.update(stored["commands"])

    def schedule(self) -> None:
        """Save within half a second if something changed; without a running loop only `save` does."""
        if self._timer is not None or self._saved == self._state.revision:
            return
        try:
            self._timer = asyncio.get_running_loop().call_later(_DEBOUNCE_SECONDS, self.save)
        except RuntimeError:
            return

    def save(self) -> None:
        """Write the file now if something changed since it was written; a crash leaves the old or the new one."""
        self.cancel()
        if self._saved == self._state.revision:
            return
        revision = self._state.revision
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".tmp")
        draft.write_bytes(orjson.dumps(self._content()))
        draft.replace(self._path)
        self._saved = revision

    def cancel(self) -> None:
        """Forget a save that is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _content(self) -> Payload:
        messages = {
            channel_id: [each for each in of_channel.values() if not each["flags"] & EPHEMERAL]
            for channel_id, of_channel in self._state.messages.items()
        }
        return {
            "version": _VERSION,
            "guild_id": seed.GUILD_ID,
            "channels": list(self._state.channels.values()),
            "messages": messages,
            "commands": self._state.commands,
        }
