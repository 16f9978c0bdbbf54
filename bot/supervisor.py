"""Keeps one connection to Discord alive: retries what may pass, ends on what will not, winds down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp
import discord

from bot.bot import OllamaBot
from bot.delivery import endpoint
from bot.delivery.endpoint import DiscordUnreachable
from bot.errands import run_errands
from bot.gateway import SessionStartsUsedUp
from bot.services import Services
from bot.shutdown import CLOSE_SECONDS, close, wind_down
from bot.signals import EXIT_OK, EXIT_SETTINGS, Stop
from bot.streaming.backoff import Backoff

log = logging.getLogger(__name__)

# A gateway that takes us in and tells us nothing is left when so long not one more shard was launched.
_READY_SECONDS = 300.0
# A connection that got ready and lasted so long was a good one: the next failure is a new one.
_STEADY_SECONDS = 300.0

T = TypeVar("T")


class _Stopping(Exception):
    """We were told to stop while waiting for something else."""


class Supervisor:
    """Keeps a bot connected: retries what may pass, ends on what will not."""

    def __init__(self, services: Services, stopping: Stop) -> None:
        self._services = services
        self._stopping = stopping
        token = services.settings.discord_token
        assert token is not None, "the command line checked it"
        self._token = token.get_secret_value()
        self._content_refused = False
        self._unreachable = Backoff(base=2.0, cap=60.0)
        # Discord resets the token of who identifies 1000 times a day
        # (https://discord.com/developers/docs/events/gateway#session-start-limit-object).
        self._disconnected = Backoff(base=2.0, cap=600.0)

    async def run(self) -> int:
        """Return the exit code."""
        while not self._stopping.is_set():
            try:
                await self._connect()
            except _Stopping:
                break
            except discord.LoginFailure:
                log.error("Discord refused the token. Check DISCORD_TOKEN, or reset it on the application's Bot page")
                return EXIT_SETTINGS
            except discord.PrivilegedIntentsRequired:
                await self._do_without_content()
            except SessionStartsUsedUp as error:
                await self._wait_for(error.seconds, error)
            except discord.ConnectionClosed as error:
                if error.code == 4004:
                    log.error("Discord refused the token. Check DISCORD_TOKEN")
                    return EXIT_SETTINGS
                await self._wait(self._disconnected, error)
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                await self._wait(self._disconnected, error)
            except Exception as error:
                # what discord.py chokes on ends a connection, not the bot
                log.exception("The connection to Discord failed in a way that nobody expected")
                await self._wait(self._disconnected, type(error).__name__)
        return EXIT_OK

    async def _do_without_content(self) -> None:
        if self._content_refused:
            await self._wait(self._disconnected, "it refuses intents that everybody may have (code 4014)")
            return
        log.warning("Discord refused the message-content intent; going on without it")
        self._content_refused = True

    async def _connect(self) -> None:
        """Ask who we are, then run a bot until it ends or we are to stop."""
        try:
            application = await self._unless_stopping(endpoint.ask_application(self._token))
        except DiscordUnreachable as error:
            await self._wait(self._unreachable, error)
            return
        self._unreachable.reset()
        content = application.has_message_content and not self._content_refused
        began_at = time.monotonic()
        bot = OllamaBot(self._services, message_content=content)
        try:
            await self._run_bot(bot)
        finally:
            if bot.is_ready() and time.monotonic() - began_at > _STEADY_SECONDS:
                self._disconnected.reset()
        if not self._stopping.is_set():
            await self._wait(self._disconnected, "the connection ended")

    async def _unless_stopping(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work*, which is safe to cancel; raise `_Stopping` as soon as we are to stop."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _Stopping
            return task.result()
        finally:
            task.cancel()
            stop.cancel()

    async def _wait(self, backoff: Backoff, error: Exception | str) -> None:
        await self._wait_for(1 + backoff.delay(), error)

    async def _wait_for(self, seconds: float, error: Exception | str) -> None:
        log.warning("Discord is out of reach: %s. Trying again in %.0f s", error, seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _run_bot(self, bot: OllamaBot) -> None:
        """Run *bot* until it ends by itself or we are to stop.

        Raises:
            TimeoutError: it does not get ready.
        """
        running = asyncio.create_task(bot.start(self._token), name="discord")
        ready = asyncio.create_task(_ready_in_time(bot), name="ready")
        errands = asyncio.create_task(run_errands(bot), name="errands")
        stop = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            done, _ = await asyncio.wait((running, ready, stop), return_when=asyncio.FIRST_COMPLETED)
            if done == {ready}:
                ready.result()
                await asyncio.wait((running, stop), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            else:
                await wind_down(bot, self._stopping.grace)
        finally:
            # this may cut a request of discord.py; its client is thrown away
            for task in (ready, errands, stop):
                task.cancel()
            await close(bot)
            await asyncio.wait((running, ready, errands, stop), timeout=CLOSE_SECONDS)
            # discord.py goes on launching shards of a bot that is closed (discord/shard.py, launch_shard)
            running.cancel()
            if running.done() and not running.cancelled():
                running.exception()


async def _ready_in_time(bot: OllamaBot) -> None:
    """Return when *bot* is ready.

    discord.py waits without a limit for a session that Discord took in and never
    told anything, as long as heartbeats are answered.

    Raises:
        TimeoutError: it is not, and not one more of its shards was launched for a long time.
    """
    launched = -1
    while launched < len(bot.shards):
        launched = len(bot.shards)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                await bot.wait_until_ready()
                return
    raise TimeoutError("it never said that the bot is ready")
