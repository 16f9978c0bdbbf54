"""The composition root: opens what the bot works with, runs it, closes it in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator

from bot.conversation.database import file_of
from bot.conversation.db_errors import ClaimLost
from bot.conversation.store import Store
from bot.delivery import endpoint
from bot.delivery.reply_api import HttpLine
from bot.generation.admission import PromptRates
from bot.generation.models import ModelCatalog
from bot.generation.options import ReplyOptions
from bot.generation.preload import Preloader
from bot.generation.queue import ReplyQueue
from bot.generation.responder import Responder
from bot.generation.retry import DEFAULT_RETRY, RetryPolicy
from bot.generation.status import DISCORD_TIMING, StatusTiming
from bot.lock import claim
from bot.ollama.client import OllamaClient, Timeouts
from bot.recovery.changes import Changes
from bot.recovery.gap_tracker import (
    ALIVE_KEY,
    DIRECT_CHANNELS,
    DIRECT_WITHIN_SECONDS,
    REFUSED_KEY,
    GapTracker,
    snowflake,
)
from bot.recovery.memory_check import MemoryCheck
from bot.recovery.recovery import Recovery
from bot.recovery.reruns import Reruns
from bot.services import Services
from bot.settings.settings import Settings
from bot.settings.startup_warnings import shared_database
from bot.shutdown import MARGIN_SECONDS
from bot.signals import EXIT_FAILED, Stop, listening
from bot.start_report import report_ollama, report_start
from bot.streaming.budget import EditBudget
from bot.supervisor import Supervisor

log = logging.getLogger(__name__)


async def serve(settings: Settings, *, stop_with_input: bool = False) -> int:
    """Run the bot until SIGTERM, Ctrl-C or a failure that trying again cannot mend; return the exit code.

    With *stop_with_input* the end of standard input stops it as well, at once.

    Raises:
        StoreError: the database cannot be used.
    """
    report_start(settings)
    stop = Stop(settings.shutdown_grace_seconds)
    endpoint.use_api(settings.discord_api_url)
    for doubt in shared_database(file_of(settings.store_url)):
        log.warning("%s", doubt)
    with listening(stop, margin=MARGIN_SECONDS, with_input=stop_with_input):
        async with open_services(settings) as services:
            # beside the start: an Ollama that hangs holds nobody up
            report = asyncio.create_task(report_ollama(services), name="report-ollama")
            watch = asyncio.create_task(_end_without_database(services.store), name="watch-database")
            try:
                return await Supervisor(services, stop).run()
            finally:
                report.cancel()
                watch.cancel()
                await asyncio.wait((report, watch))


async def _end_without_database(store: Store) -> None:
    """End the process once another bot has the database, as a kill would: that one takes up what runs."""
    try:
        await store.watch()
    except ClaimLost as error:
        log.error("%s", error)
        os._exit(EXIT_FAILED)


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
            budget = budget or EditBudget()
            catalog = ModelCatalog(ollama, default=settings.ollama_model, num_ctx=settings.num_ctx)
            queue = ReplyQueue(settings.max_concurrent_replies)
            options = _reply_options(settings, timing, retry)
            memory = MemoryCheck(store)
            responder = Responder(ollama, store, budget, catalog, queue, options, memory)
            leftovers = await store.leftovers(at=time.time())
            queue.recovery_gate.hold(reply.prompt.channel_id for reply in leftovers)
            recovery = Recovery(
                store,
                budget,
                leftovers,
                max_messages=options.max_messages,
                mode=options.render_markdown,
                on_taken_up=queue.recovery_gate.release,
            )
            seen = await _last_seen(store)
            preloading = Preloader(
                ollama, catalog, keep_alive=settings.keep_alive, is_on=settings.preload_model == "on"
            )
            async with store.erasure.at_work(), preloading as preloader:
                preloader.want()
                line, reruns = HttpLine(), Reruns(store, responder)
                yield Services(
                    line,
                    settings,
                    store,
                    ollama,
                    catalog,
                    queue,
                    responder,
                    budget,
                    recovery,
                    preloader,
                    Changes(responder, store.erasure, line, reruns),
                    memory,
                    reruns,
                    seen=seen,
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


async def _last_seen(store: Store) -> GapTracker:
    """Return what the process before knew of its channels; a new database knows nothing, so nothing is looked up."""
    seen = GapTracker()
    alive_at = await store.setting(ALIVE_KEY)
    if alive_at is not None:
        since = snowflake(time.time() - DIRECT_WITHIN_SECONDS)
        refused = map(int, (await store.setting(REFUSED_KEY) or "").split())
        seen.recall(float(alive_at), await store.direct_channels(since=since, limit=DIRECT_CHANNELS), refused)
    return seen
