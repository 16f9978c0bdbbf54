"""What tests need to speak with the loopback Discord: a running one, a bot in it, a bare REST client.

async with loopback() as discord, bot_in(discord) as bot:
    discord.world.send(ADA, GENERAL, f"<@{BOT}> hello")
    await until(lambda: discord.world.messages(GENERAL)[-1]["author"]["id"] == BOT)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import discord
import yarl
from discord.ext import commands

from bot.playground.loopback import seed
from bot.playground.loopback.discord import LimitSettings, LoopbackDiscord
from bot.playground.loopback.world import World

ADA, GRACE, LINUS, BOT = seed.ADA_ID, seed.GRACE_ID, seed.LINUS_ID, seed.BOT_ID
GENERAL, CODE, RANDOM = seed.GENERAL_ID, seed.CODE_ID, seed.RANDOM_ID
GUILD = seed.GUILD_ID
MENTION = f"<@{BOT}>"

T = TypeVar("T")


@contextlib.asynccontextmanager
async def loopback(
    *,
    scale: float = 0.01,
    kind: str = "fixed",
    latency: float = 0.0,
    data_path: Path | None = None,
    message_content: bool = True,
    response_seconds: float = 3.0,
    limits: LimitSettings | None = None,
    **world: Any,
) -> AsyncIterator[LoopbackDiscord]:
    """Run a loopback Discord whose limits' periods are a hundredth of Discord's."""
    settings = limits or LimitSettings(kind=kind, scale=scale)
    made = World(data_path=data_path, message_content=message_content, response_seconds=response_seconds, **world)
    async with LoopbackDiscord(made, limits=settings, latency=latency) as server:
        yield server


@contextlib.contextmanager
def pointed_at(server: LoopbackDiscord):
    """Lead discord.py of this process to the loopback, and back afterwards."""
    before = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    discord.http.Route.BASE = server.api_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
    try:
        yield
    finally:
        discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = before


def new_bot(**options: Any) -> commands.AutoShardedBot:
    """Make a bot with the intents of a chat bot and no commands."""
    intents = discord.Intents(
        guilds=True,
        guild_messages=True,
        guild_reactions=True,
        guild_typing=True,
        dm_messages=True,
        dm_reactions=True,
        message_content=options.pop("message_content", True),
    )
    return commands.AutoShardedBot("\0", intents=intents, help_command=None, guild_ready_timeout=0.02, **options)


@contextlib.asynccontextmanager
async def bot_in(
    server: LoopbackDiscord, bot: commands.AutoShardedBot | None = None
) -> AsyncIterator[commands.AutoShardedBot]:
    """Log a discord.py bot in and wait until it is ready; close it at the end."""
    client = bot or new_bot()
    with pointed_at(server):
        await client.login(server.token)
        running = asyncio.create_task(client.connect())
        ready = asyncio.create_task(client.wait_until_ready())
        try:
            await asyncio.wait({running, ready}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            assert ready.done(), "the bot did not become ready"
            yield client
        finally:
            ready.cancel()
            await client.close()
            await asyncio.gather(running, ready, return_exceptions=True)


class Answer(NamedTuple):
    """A REST answer."""

    status: int
    body: Any
    headers: Any


class Api:
    """A REST client without a will of its own: no retries, no waiting."""

    def __init__(self, server: LoopbackDiscord, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        headers = {"Authorization": f"Bot {self._server.token}", **options.pop("headers", {})}
        url = yarl.URL(self._server.api_url + path, encoded=True)
        async with self._session.request(method, url, json=body, headers=headers, **options) as response:
            raw = await response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            return Answer(response.status, await response.json() if is_json else raw, response.headers)


@contextlib.asynccontextmanager
async def api_of(server: LoopbackDiscord) -> AsyncIterator[Api]:
    """Open a bare REST client with the bot's token."""
    async with aiohttp.ClientSession() as session:
        yield Api(server, session)


async def until(condition: Callable[[], T], timeout: float = 5.0) -> T:
    """Wait until the condition is true and return what it gave."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
    return found


class Events:
    """Collects the world's events."""

    def __init__(self, world: World) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.stop = world.subscribe(lambda event, payload: self.seen.append((event, payload)))

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the payloads of one kind of event."""
        return [payload for name, payload in self.seen if name == event]
