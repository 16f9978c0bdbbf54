"""Closes in words what an earlier process left unfinished on screen."""

from __future__ import annotations

import logging
import time

from bot.conversation.records import ReplyMessage, ReplyState, UnfinishedReply
from bot.conversation.store import Store
from bot.delivery.http import Courier
from bot.errors import DeliveryError

log = logging.getLogger(__name__)

_LINE = "-# ⏹️ interrupted by a restart"
_PAGE_LIMIT = 2000


def closed_text(text: str, cursor: str) -> str:
    """Return a page's last text without its cursor and with our closing line."""
    kept = text.replace(cursor, "", 1) if text.count(cursor) == 1 else text
    if kept.startswith("-# ") and "\n" not in kept:  # only a status was shown
        return _LINE
    kept = kept.rstrip()
    return f"{kept[: _PAGE_LIMIT - len(_LINE) - 1]}\n{_LINE}" if kept else _LINE


async def close_interrupted(store: Store, courier: Courier, *, cursor: str = " ▌") -> None:
    """Mark replies that still streamed when the last process ended, on screen and in the store."""
    for reply in await store.unfinished_replies():
        text = reply.text or "\n".join(message.text for message in reply.messages)
        posted = [message for message in reply.messages if message.message_id is not None]
        if posted:
            await _close_message(reply, posted[-1], courier, cursor)
        await store.finish_reply(
            reply.reply_id, state=ReplyState.INTERRUPTED, text=text.replace(cursor, ""), at=time.time()
        )
        log.info("Reply %d was interrupted by a restart; closed", reply.reply_id)


async def _close_message(reply: UnfinishedReply, message: ReplyMessage, courier: Courier, cursor: str) -> None:
    assert message.message_id is not None
    payload = {"content": closed_text(message.text, cursor), "allowed_mentions": {"parse": []}}
    try:
        await courier.edit_message(message.channel_id, message.message_id, payload)
    except DeliveryError as error:
        log.warning("The interrupted reply %d could not be closed on screen: %s", reply.reply_id, error)
