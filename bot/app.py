"""The composition root: opens what the bot works with, runs it, closes it in order."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import aiohttp
import discord
import orjson

from bot.bot import OllamaBot, Services
from bot.config import Settings
from bot.conversation.database import file_of
from bot.conversation.records import PromptKind, PromptRecord, UnfinishedReply
from bot.conversation.store import Store
from bot.delivery import endpoint
from bot.delivery.courier import HttpLine
from bot.delivery.endpoint import DiscordUnreachable
from bot.delivery.last_resort import LastResort
from bot.delivery.missed import (
    ALIVE_KEY,
    DIRECT_CHANNELS,
    DIRECT_WITHIN_SECONDS,
    REFUSED_KEY,
    LastSeen,
    snowflake,
)
from bot.delivery.recovery import Connection, OpenReply, Recovery
from bot.doubts import shared_database
from bot.errors import OllamaError, StoreError
from bot.generation.admission import PromptRates
from bot.generation.models import ModelCatalog
from bot.generation.preload import Preloader
from bot.generation.queue import ReplyQueue
from bot.generation.responder import ReplyOptions, Responder
from bot.generation.retry import DEFAULT_RETRY, RetryPolicy
from bot.generation.status import DISCORD_TIMING, StatusTiming
from bot.lock import claim
from bot.ollama.client import OllamaClient, Timeouts
from bot.stopping import EXIT_OK, EXIT_SETTINGS, Stop, listening
from bot.streaming.backoff import Backoff
from bot.streaming.budget import EditBudget
from bot.winding_down import CLOSE_SECONDS, MARGIN_SECONDS, close, wind_down

log = logging.getLogger(__name__)

_SYNC_RETRY = (30.0, 600.0)  # base and cap, in seconds
# A gateway that takes us in and tells us nothing is left when so long not one more shard was launched.
_READY_SECONDS = 300.0
# A connection that got ready and lasted so long was a good one: the next failure is a new one.
_STEADY_SECONDS = 300.0

T = TypeVar("T")


async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
    """Run the bot until SIGTERM, Ctrl-C or a failure that trying again cannot mend; return the exit code.

    With *stop_with_input* the end of standard input stops it as well, at once.

    Raises:
        StoreError: the database cannot be used.
    """
    stop = Stop(settings.shutdown_grace_seconds)
    endpoint.use_api(settings.discord_api_url)
    for doubt in shared_database(file_of(settings.store_url)):
        log.warning("%s", doubt)
    with listening(stop, margin=MARGIN_SECONDS, with_input=stop_with_input):
        async with open_services(settings) as services:
            # beside the start: an Ollama that hangs holds nobody up
            report = asyncio.create_task(_report_ollama(services), name="report-ollama")
            try:
                return await Supervisor(services, stop).run()
            finally:
                report.cancel()
                await asyncio.wait((report,))


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    budget: EditBudget | None = None,
    timing: StatusTiming = DISCORD_TIMING,
    retry: RetryPolicy = DEFAULT_RETRY,
) -> AsyncIterator[Services]:
    """Open the store and the model client, and put together what works on them."""
    key = settings.ollama_api_key.get_secret_value() if settings.ollama_api_key else None
    with claim(file_of(settings.store_url)):
        async with (
            Store.open(settings.store_url, replace_damaged=True) as store,
            OllamaClient(
                settings.ollama_host,
                api_key=key,
                timeouts=_timeouts(settings),
                # The playground stands between us and the server: people know it by the address they configured.
                shown_as=os.environ.get("BURBLE_OLLAMA_SHOWN_AS"),
            ) as ollama,
        ):
            await store.claim()
            budget = budget or EditBudget()
            catalog = ModelCatalog(ollama, default=settings.ollama_model, num_ctx=settings.num_ctx)
            queue = ReplyQueue(settings.max_concurrent_replies)
            options = _reply_options(settings, timing, retry)
            responder = Responder(ollama, store, budget, catalog, queue, options)
            leftovers = await store.leftovers(at=time.time())
            queue.holds.hold(reply.prompt.channel_id for reply in leftovers)
            recovery = Recovery(
                store,
                budget,
                leftovers,
                max_messages=options.max_messages,
                mode=options.render_markdown,
                on_taken_up=queue.holds.release,
            )
            seen = await _last_seen(store)
            async with Preloader(
                ollama, catalog, keep_alive=settings.keep_alive, is_on=settings.preload_model == "on"
            ) as preloader:
                preloader.want()
                line = HttpLine()
                yield Services(
                    line, settings, store, ollama, catalog, queue, responder, budget, recovery, preloader, seen=seen
                )


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=settings.connect_timeout_seconds,
        first_byte=settings.first_byte_timeout_seconds,
        idle=settings.idle_timeout_seconds,
    )


def _reply_options(settings: Settings, timing: StatusTiming, retry: RetryPolicy) -> ReplyOptions:
    return ReplyOptions(
        system_prompt=settings.system_prompt or "",
        keep_alive=settings.keep_alive,
        max_messages=settings.max_messages,
        render_markdown=settings.render_markdown,
        timing=timing,
        retry=retry,
        resumes=settings.resume_replies == "on",
        rates=PromptRates(settings.user_prompts_per_minute, settings.channel_prompts_per_minute),
    )


async def _last_seen(store: Store) -> LastSeen:
    """Return what the process before knew of its channels; a new database knows nothing, so nothing is looked up."""
    seen = LastSeen()
    alive_at = await store.setting(ALIVE_KEY)
    if alive_at is not None:
        since = snowflake(time.time() - DIRECT_WITHIN_SECONDS)
        refused = map(int, (await store.setting(REFUSED_KEY) or "").split())
        seen.recall(float(alive_at), await store.direct_channels(since=since, limit=DIRECT_CHANNELS), refused)
    return seen


async def _report_ollama(services: Services) -> None:
    try:
        version = await services.ollama.version()
        model = await services.catalog.default()
    except OllamaError as error:
        log.warning("%s The bot comes up all the same and asks again with each prompt", error.sentence())
    else:
        log.info("Ollama %s at %s, model %s", version, services.ollama.url, model)


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
                log.warning("Discord refused the message-content intent; going on without it")
                self._content_refused = True
            except discord.ConnectionClosed as error:
                if error.code == 4004:
                    log.error("Discord refused the token. Check DISCORD_TOKEN")
                    return EXIT_SETTINGS
                await self._wait(self._disconnected, error)
            except json.JSONDecodeError as error:  # its text says where, and quotes nothing
                await self._wait(self._disconnected, f"what it sent cannot be read ({error})")
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                await self._wait(self._disconnected, error)
            except Exception as error:
                # what discord.py chokes on ends a connection, not the bot
                log.exception("The connection to Discord failed in a way that nobody expected")
                await self._wait(self._disconnected, type(error).__name__)
        return EXIT_OK

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
        seconds = 1 + backoff.delay()
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


async def run_errands(bot: OllamaBot) -> None:
    """Do what is to be done once per connection, when the bot is ready."""
    await bot.wait_until_ready()
    await asyncio.gather(
        _logged("Closing open replies", recover(bot)), _logged("Registering commands", sync_commands(bot))
    )


async def _logged(what: str, errand: Coroutine[Any, Any, None]) -> None:
    """Await *errand*; nobody else would hear of what it raises."""
    try:
        await errand
    except Exception:
        log.exception("%s failed", what)


async def recover(bot: OllamaBot) -> None:
    """Bring what an earlier process left unfinished to its end; what is asked now in those channels comes after it."""
    assert bot.user is not None, "ready"

    async def answer(reply: UnfinishedReply, open_reply: OpenReply, page_limit: int) -> None:
        await bot.responder.respond_again(reply, open_reply, page_limit=page_limit)

    def way_out(prompt: PromptRecord) -> LastResort | None:
        message_id = prompt.message_id if prompt.kind is PromptKind.CHAT else None
        return bot.way_out(prompt.guild_id, prompt.channel_id, prompt.author_id, message_id)

    connection = Connection(
        bot.courier,
        bot.user.id,
        bot.pauses.pause,
        bot.note_deleted,
        bot.was_deleted,
        bot.permissions_at,
        bot.followups,
        way_out,
        answer,
    )
    await bot.services.recovery.run(connection)


async def sync_commands(bot: OllamaBot) -> None:
    """Register the app commands if their definition changed since last time; try until it works."""
    definition = orjson.dumps(
        [command.to_dict(bot.tree) for command in bot.tree.get_commands()], option=orjson.OPT_SORT_KEYS
    )
    digest = hashlib.sha256(definition).hexdigest()
    key = f"commands:{bot.application_id}"
    retry = Backoff(*_SYNC_RETRY)
    while True:
        try:
            if await bot.store.setting(key) == digest:
                return
            synced = await bot.tree.sync()
            await bot.store.set_setting(key, digest)
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, StoreError) as error:
            seconds = retry.delay()
            log.warning("The commands could not be registered: %s. Trying again in %.0f s", error, seconds)
            await asyncio.sleep(seconds)
        else:
            log.info("Registered %d commands", len(synced))
            return
