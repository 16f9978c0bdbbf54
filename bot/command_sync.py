"""Registers the app commands when their definition changed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

import orjson
from discord import app_commands

from bot.streaming.backoff import Backoff

if TYPE_CHECKING:
    from bot.bot import OllamaBot

log = logging.getLogger(__name__)

_RETRY = (30.0, 600.0)  # base and cap, in seconds


async def sync_commands(bot: OllamaBot) -> None:
    """Register the app commands if their definition changed since last time; try until it works."""
    definition = orjson.dumps(
        [command.to_dict(bot.tree) for command in bot.tree.get_commands()], option=orjson.OPT_SORT_KEYS
    )
    digest = hashlib.sha256(definition).hexdigest()
    key = f"commands:{bot.application_id}"
    retry = Backoff(*_RETRY)
    while True:
        try:
            if await bot.store.setting(key) == digest:
                return
            await bot.tree.sync()
            await bot.store.set_setting(key, digest)
        except Exception as error:
            seconds = retry.delay()
            log.warning("The commands could not be registered: %s. Trying again in %.0f s", _told(error), seconds)
            log.debug("Registering commands failed", exc_info=error)
            await asyncio.sleep(seconds)
        else:
            names = _names(bot)
            log.info("Registered %d commands: %s", len(names), ", ".join(names))
            return


def _names(bot: OllamaBot) -> list[str]:
    """Return the commands as people use them: a group is none of its own."""
    commands = (each for each in bot.tree.walk_commands() if isinstance(each, app_commands.Command))
    return sorted(f"/{command.qualified_name}" for command in commands)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
