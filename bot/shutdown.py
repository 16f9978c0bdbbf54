"""The end of a bot that was told to stop: what runs is closed in words, what waits is left for the next start."""

from __future__ import annotations

import asyncio
import logging

from bot.bot import OllamaBot
from bot.errors import StoreError
from bot.generation.session import Phase
from bot.recovery.gap_tracker import REFUSED_KEY

log = logging.getLogger(__name__)

# After the grace the closing words get this long, what is noted after them this.
_LAST_WORDS_SECONDS = 1.0
_NOTE_SECONDS = 0.2
CLOSE_SECONDS = 0.5
"""What the connections get to close."""
MARGIN_SECONDS = _LAST_WORDS_SECONDS + _NOTE_SECONDS + CLOSE_SECONDS + 0.2
"""How long after the grace the process is gone at the latest."""


async def wind_down(bot: OllamaBot, grace: float) -> None:
    """Give running replies *grace* seconds and their last words; whatever hangs, return soon after that."""
    everybody = list(bot.queue)
    running = sum(session.phase is not Phase.QUEUED for session in everybody)
    counts = f": {running} running, {len(everybody) - running} waiting, {grace:g} s grace" if everybody else ""
    log.info("Stopping%s", counts)
    ending = asyncio.create_task(bot.responder.shutdown(grace), name="shutdown")
    done, _ = await asyncio.wait((ending,), timeout=grace + _LAST_WORDS_SECONDS)
    if not done:
        log.info("Not everything could be shown in time; the next start does the rest")
    noting = asyncio.create_task(_note_refused(bot), name="note-refused")
    await asyncio.wait((noting,), timeout=_NOTE_SECONDS)


async def _note_refused(bot: OllamaBot) -> None:
    """Write down what was refused of late: the next start looks back over it, and is not to answer it."""
    try:
        await bot.store.set_setting(REFUSED_KEY, " ".join(map(str, bot.services.seen.refused)))
    except StoreError as error:
        log.warning("What was refused of late is not noted: %s", error)


async def close(bot: OllamaBot) -> None:
    """Close the bot's connections, as far as that can be done in time."""
    closing = asyncio.create_task(bot.close(), name="close")
    await asyncio.wait((closing,), timeout=CLOSE_SECONDS)
    if closing.done() and closing.exception() is not None:
        log.debug("Closing the connection failed", exc_info=closing.exception())
