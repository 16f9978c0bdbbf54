"""The loopback Discord as a process of its own, which notes when each message became visible.

python -m tests.benchmarks.discord_server fixed|leaky SECONDS_OF_A_ROUND_TRIP CHANNELS
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import Any

from bot.playground.loopback.discord import LimitSettings, LoopbackDiscord
from bot.playground.loopback.seed import ADA_ID, BOT_ID
from bot.playground.loopback.world import World
from tests.benchmarks.control import serve


class _CountingLog(deque[Any]):
    """The log of requests, with a count of refusals that outlives it."""

    refused = 0
    requests = 0

    def append(self, record: Any) -> None:
        super().append(record)
        asyncio.get_running_loop().call_soon(self._count, record)  # the status is set a moment later

    def _count(self, record: Any) -> None:
        self.requests += 1
        self.refused += record.status == 429


class Stage:
    """A world with many channels, its events and what people do there."""

    def __init__(self, discord: LoopbackDiscord, channels: int) -> None:
        self.discord = discord
        self.world = discord.world
        self.channels = [self.world.create_channel(f"bench-{i}")["id"] for i in range(channels)]
        self.log = _CountingLog(maxlen=1000)
        discord.rest.log = self.log
        self.online = asyncio.Event()
        self._seen: list[tuple[float, str, str, str]] = []
        self._shown: dict[str, str] = {}
        self.world.subscribe(self._note)

    def _note(self, event: str, payload: dict[str, Any]) -> None:
        if event == "BOT_STATUS" and payload["online"]:
            self.online.set()
        elif event == "INTERACTION_STATE" and payload["state"] == "deferred":
            # from now on the reply goes over the channel's route, as after a quarter of an hour
            self.world.expire_interaction(payload["id"])
        elif event in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and payload["author"]["id"] == BOT_ID:
            self._note_message(payload)

    def _note_message(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if content and self._shown.get(message["id"]) != content:
            self._shown[message["id"]] = content
            self._seen.append((time.monotonic(), message["channel_id"], message["id"], content))

    async def command(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Carry out what the benchmark wants."""
        if asked["do"] == "ready":
            await self.online.wait()
        elif asked["do"] == "ask":
            for delay, channel, text, is_command in asked["prompts"]:
                asyncio.get_running_loop().call_later(delay, self._ask, self.channels[channel], text, is_command)
        elif asked["do"] == "take":
            return self._take()
        return {}

    def _ask(self, channel: str, text: str, is_command: bool) -> None:
        if is_command:
            self.world.run_command(ADA_ID, channel, ["ask"], {"prompt": text})
        else:
            self.world.send(ADA_ID, channel, f"<@{BOT_ID}> {text}")

    def _take(self) -> dict[str, Any]:
        seen, self._seen = self._seen, []
        taken = {"seen": seen, "refused": self.log.refused, "requests": self.log.requests}
        self.log.refused = self.log.requests = 0
        return taken


async def _main(kind: str, latency: str, channels: str) -> None:
    limits = LimitSettings(kind="leaky" if kind == "leaky" else "fixed")
    async with LoopbackDiscord(World(), limits=limits, latency=float(latency)) as discord:
        stage = Stage(discord, int(channels))
        hello = {"url": discord.api_url, "token": discord.token, "channels": stage.channels}
        await serve(hello, stage.command)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
