"""What is to be done once for each connection to Discord, when the bot is ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.bot import OllamaBot
from bot.command_sync import sync_commands
from bot.conversation.records import PromptKind, PromptRecord, UnfinishedReply
from bot.delivery.dm_fallback import DmFallback
from bot.recovery.recovery import Connection, OpenReply

log = logging.getLogger(__name__)


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

    def way_out(prompt: PromptRecord) -> DmFallback | None:
        message_id = prompt.message_id if prompt.kind is PromptKind.CHAT else None
        return bot.way_out(prompt.guild_id, prompt.channel_id, prompt.author_id, message_id)

    connection = Connection(
        bot.courier,
        bot.user.id,
        bot.pauses.pause,
        bot.changes.note_deleted,
        bot.changes.was_deleted,
        bot.permissions_at,
        bot.followups,
        way_out,
        answer,
    )
    await bot.services.recovery.run(connection)
