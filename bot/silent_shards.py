"""Which shards hear nothing at the moment; a new session for those that are connected and not taken in for long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)

# So long a connection may stand without a session, and ever longer after each new try.
_SILENT_SECONDS, _MOST_SILENT_SECONDS = 300.0, 1800.0
_END_SECONDS = 1.0  # for our tasks to end


class SilentShards:
    """Watches the shards that lost their session.

    discord.py waits without a limit to be taken in, as long as heartbeats are answered.
    """

    def __init__(self, bot: OllamaBot) -> None:
        self._bot = bot
        self._away: dict[int, asyncio.Event] = {}  # shards that hear nothing; set when one is back
        self._losses: Counter[int] = Counter()  # by shard
        self._watches: dict[int, asyncio.Task[None]] = {}  # by shard
        self._identifying = asyncio.Lock()  # Discord takes in one shard at a time
        for listener in (self.on_shard_disconnect, self.on_shard_ready, self.on_shard_resumed):
            bot.add_listener(listener)

    @property
    def all_hear(self) -> bool:
        """Whether no shard is away."""
        return not self._away

    async def close(self) -> None:
        """End our tasks."""
        tasks = list(self._watches.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """Note a loss, and watch the shard until it is back."""
        self._away.setdefault(shard_id, asyncio.Event())
        self._losses[shard_id] += 1
        task = self._watches.get(shard_id)
        if task is None or task.done():
            self._watches[shard_id] = asyncio.create_task(self._watch(shard_id), name=f"watch-shard-{shard_id}")

    async def on_shard_ready(self, shard_id: int) -> None:
        """Note that a shard hears again, in a new session."""
        self._is_back(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        """Note that a shard hears again, in the session that it had."""
        self._is_back(shard_id)

    def _is_back(self, shard_id: int) -> None:
        if (back := self._away.pop(shard_id, None)) is not None:
            back.set()

    async def _watch(self, shard_id: int) -> None:
        task = asyncio.current_task()
        assert task is not None, "runs as a task of its own"
        patience, before = _SILENT_SECONDS, 0
        # discord.py keeps it to itself when we are cancelled inside of it
        while (back := self._away.get(shard_id)) is not None and not task.cancelling():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await back.wait()
                    continue  # it may be lost again by now
            shard = self._bot.get_shard(shard_id)
            if shard is None:
                return
            losses = 0 if shard.is_closed() else self._losses[shard_id]
            if losses and losses == before and not self._bot.session_starts.wait():
                # Discord resets the token of who identifies 1000 times a day
                patience = min(2 * patience, _MOST_SILENT_SECONDS)
                async with self._identifying:
                    if shard_id in self._away and losses == self._losses[shard_id]:
                        log.warning("Discord does not take shard %d in again; trying a new session", shard_id)
                        await shard.reconnect()
            before = losses
