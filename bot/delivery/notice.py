"""One sentence of ours to a channel: worth a few seconds of trying, not an hour."""

from __future__ import annotations

import asyncio
import logging
import time

from bot.delivery.reply_api import ReplyApi
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRateLimited, DeliveryRetry
from bot.streaming.backoff import Backoff

log = logging.getLogger(__name__)

_WITHIN_SECONDS = 10.0
"""From then on a sentence would stand beside other talk."""


async def post_notice(api: ReplyApi, channel_id: int, sentence: str, *, about: int, refer: bool) -> None:
    """Post *sentence* about a message, again for a few seconds if Discord has trouble; else it is left out.

    Raises:
        DeliveryForbidden: nothing can be written there.
    """
    backoff, until = Backoff(), time.monotonic() + _WITHIN_SECONDS
    while True:
        try:
            await api.post_notice(channel_id, sentence, about=about, refer=refer)
        except DeliveryRetry as error:
            wait = error.retry_after if isinstance(error, DeliveryRateLimited) else 0.0
            wait += backoff.delay()
            if time.monotonic() + wait > until:
                log.warning("Could not answer message %s: %s", about, error)
                return
            await asyncio.sleep(wait)
        except DeliveryForbidden:
            raise
        except DeliveryError as error:
            log.warning("Could not answer message %s: %s", about, error)
            return
        else:
            return
