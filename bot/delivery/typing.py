"""The typing indicator of a reply that has no text yet."""

from __future__ import annotations

import asyncio
import logging

from bot.delivery.reply_api import ReplyApi
from bot.errors import DeliveryError, DeliveryRetry

log = logging.getLogger(__name__)

# Discord shows the indicator for 10 s.
_TYPING_EVERY = 8.0


async def show_typing(api: ReplyApi, channel_id: int, text_began: asyncio.Event) -> None:
    """Show the indicator until *text_began*; it ends by that, never cancelled, and a refusal ends it."""
    while not text_began.is_set():
        pause = _TYPING_EVERY
        try:
            await api.show_typing(channel_id)
        except DeliveryRetry as error:
            log.info("No typing indicator in channel %s for now: %s", channel_id, error)
            pause = max(pause, getattr(error, "retry_after", 0.0))
        except DeliveryError as error:
            log.info("No typing indicator in channel %s: %s", channel_id, error)
            return
        try:
            async with asyncio.timeout(pause):
                await text_began.wait()
        except TimeoutError:
            continue
