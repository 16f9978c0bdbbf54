"""Tells the gap tracker what the gateway's sessions go through, and looks back when all shards hear again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from discord.ext import commands

from bot.errors import StoreError
from bot.recovery.backfill import Backfill
from bot.recovery.gap_tracker import ALIVE_KEY

if TYPE_CHECKING:
    from bot.bot import OllamaBot

_ALIVE_EVERY = 30.0
_END_SECONDS = 1.0  # for our task to end


class GapListener(commands.Cog):
    """Looks for what was asked while nobody listened."""

    def __init__(self, bot: OllamaBot) -> None:
        self.bot = bot
        self._gaps = bot.services.seen
        self._backfill = Backfill(bot, bot.api, self._gaps, bot.store, bot.chat, bot.permissions_at)
        self._has_begun = False
        self._fresh: set[int] = set()  # shards with a new session, to which nothing is told again
        self._noting: asyncio.Task[None] | None = None

    async def cog_unload(self) -> None:
        """End our task."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.wait((self._noting,), timeout=_END_SECONDS)

    @commands.Cog.listener()
    async def on_shard_disconnect(self, _: int) -> None:
        """Remember since when something may be missed."""
        self._gaps.lost()

    @commands.Cog.listener()
    async def on_shard_connect(self, shard_id: int) -> None:
        """Note that a session is new: that it is resumed later tells nothing of what was before it."""
        self._fresh.add(shard_id)

    @commands.Cog.listener()
    async def on_shard_ready(self, _: int) -> None:
        """Look for what a shard missed that lost its session: discord.py says "ready" again for all of them only."""
        if self._has_begun and self.bot.silent_shards.all_hear:
            await self._catch_up()

    @commands.Cog.listener()
    async def on_shard_resumed(self, _: int) -> None:
        """Note that Discord has told a shard again everything that it missed."""
        if self.bot.silent_shards.all_hear and not self._fresh:
            self._gaps.caught_up(self._gaps.losses)

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Look for what was missed before this start, now that all servers are known."""
        if self._has_begun:
            return
        self._has_begun = True
        self._noting = asyncio.create_task(self._note_alive(), name="note-alive")
        await self._catch_up()

    async def _catch_up(self) -> None:
        losses = self._gaps.losses
        self._fresh.clear()
        await self._backfill.look(self.bot.responder.admission.apart())
        if self.bot.silent_shards.all_hear:
            self._gaps.caught_up(losses)

    async def _note_alive(self) -> None:
        """Write down every half a minute until when everything was heard: a start looks back to that."""
        while True:
            with contextlib.suppress(StoreError):  # said by whoever has something to store
                await self.bot.store.set_setting(ALIVE_KEY, str(self._gaps.heard_until))
            await asyncio.sleep(_ALIVE_EVERY)


async def setup(bot: OllamaBot) -> None:
    """Add the cog."""
    await bot.add_cog(GapListener(bot))
