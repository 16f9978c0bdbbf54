"""The gateway's side of the bot: the address that the API names, every connection paced and counted, all closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket, KeepAliveHandler

from bot.delivery import endpoint
from bot.event_guard import EventGuard, completed_message
from bot.gateway_pace import RedialPace, RedialTiming, SessionStarts
from bot.shards import PacedShard, cause_of, socket_of

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0  # for a connection that was never of use


class SessionStartsUsedUp(Exception):
    """Discord takes no more sessions of ours in for so many *seconds*: going on would cost the token."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it takes no more sessions in for {seconds:.0f} s (session_start_limit)")
        self.seconds = seconds


class GatewayBot(commands.AutoShardedBot):
    """discord.py's sharded bot, whose connections are lost and found again in good order."""

    def __init__(self, *args: Any, redial: RedialTiming | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session_starts = SessionStarts()
        self._redial = redial or RedialTiming()
        EventGuard().protect(self._connection.parsers)
        self._complete_messages()

    def _complete_messages(self) -> None:
        """Have messages that are asked for read as those that come by themselves."""
        state = self._connection
        create = state.create_message

        def create_message(*, channel: Any, data: Any) -> discord.Message:
            return create(channel=channel, data=completed_message(data))  # type: ignore[arg-type]

        state.create_message = create_message  # type: ignore[method-assign]

    async def connect(self, *, reconnect: bool = True) -> None:
        """Connect to the gateway that the API names, and stay with it (see `endpoint.use_gateway`).

        Raises:
            SessionStartsUsedUp: Discord takes no more sessions in for now.
        """
        self.shard_count, url, limit = await self.http.get_bot_gateway()
        self.session_starts.told(limit)
        if seconds := self.session_starts.wait(self.shard_count):
            raise SessionStartsUsedUp(seconds)
        endpoint.use_gateway(url)
        await super().connect(reconnect=reconnect)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Count a session, and wait as discord.py does."""
        self.session_starts.take()
        await super().before_identify_hook(shard_id, initial=initial)

    async def launch_shard(self, gateway: yarl.URL, shard_id: int, *, initial: bool = False) -> None:
        """Connect a shard as discord.py does, but one that keeps its pace (see `PacedShard`)."""
        pace = RedialPace(self._redial, self.session_starts)
        while not self.is_closed():
            try:
                coro = DiscordWebSocket.from_client(self, initial=initial, gateway=gateway, shard_id=shard_id)
                ws = await asyncio.wait_for(coro, timeout=self.shard_connect_timeout)
            except Exception as error:
                initial, delay = False, pace.delay(begins_session=True)
                log.log(
                    logging.WARNING if pace.losses == 1 else logging.DEBUG,
                    "Shard %d cannot connect: %s. Trying on, less and less often",
                    shard_id,
                    cause_of(error),
                )
                log.debug("Connecting shard %d failed", shard_id, exc_info=error)
                if (unfinished := socket_of(error)) is not None and unfinished.open:
                    await unfinished.close(1000)
                await asyncio.sleep(delay)
            else:
                put = self._AutoShardedClient__queue.put_nowait  # type: ignore[attr-defined]
                shard = PacedShard(ws, self, put, pace, self._redial.steady)
                self._AutoShardedClient__shards[shard_id] = shard  # type: ignore[attr-defined]
                shard.launch()
                return

    async def on_shard_connect(self, shard_id: int) -> None:
        """Note that Discord has taken a shard in."""
        self._stands(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        """Note that Discord has taken a shard in again."""
        self._stands(shard_id)

    def _stands(self, shard_id: int) -> None:
        info = self.get_shard(shard_id)
        if info is not None and isinstance(info._parent, PacedShard):  # noqa: SLF001 - what ShardInfo stands for
            info._parent.stands()  # noqa: SLF001

    async def close(self) -> None:
        """Close every connection, those that were just being made, too."""
        await self._close_unfinished()
        await super().close()

    async def _close_unfinished(self) -> None:
        """Close connections whose making was cut after their first heartbeat: discord.py forgets them (from_client)."""
        for thread in threading.enumerate():
            if not isinstance(thread, KeepAliveHandler) or thread.ws._connection is not self._connection:  # noqa: SLF001
                continue
            shard = self.get_shard(thread.ws.shard_id or 0)
            if shard is None or shard._parent.ws is not thread.ws:  # noqa: SLF001 - closed with the rest
                thread.stop()
                with contextlib.suppress(Exception):  # it was of no use any more
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await thread.ws.close(1000)
