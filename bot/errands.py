"""What is to be done once for each connection to Discord, when the bot is ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.bot import OllamaBot
from bot.command_sync import sync_commands

log = logging.getLogger(__name__)


async def run_errands(bot: OllamaBot) -> None:
    """Do what is to be done once per connection, when the bot is ready."""
    await bot.wait_until_ready()
    await asyncio.gather(
        _logged("Closing open replies", bot.services.recovery.run(bot)),
        _logged("Registering commands", sync_commands(bot)),
    )


async def _logged(what: str, errand: Coroutine[Any, Any, None]) -> None:
    """Await *errand*; nobody else would hear of what it raises."""
    try:
        await errand
    except Exception:
        log.exception("%s failed", what)
