"""A channel's messages of the past: one that discord.py cannot read costs that one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import discord

log = logging.getLogger(__name__)

_PER_REQUEST = 100


@dataclass(slots=True)
class History:
    """What stands in a channel.

    Attributes:
        messages: oldest first.
        unreadable: the ids of those that discord.py made nothing of.
    """

    messages: list[discord.Message] = field(default_factory=list)
    unreadable: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.messages) + len(self.unreadable)


async def read_history(
    channel: discord.abc.Messageable, *, limit: int, after: int | None = None, before: int | None = None
) -> History:
    """Return the first *limit* messages after a message, or the last ones before one.

    discord.py's own ``history()`` ends at the first message that it cannot read
    (discord/abc.py), so this asks what that asks.

    Raises:
        discord.HTTPException: Discord refused it.
    """
    target: Any = await channel._get_channel()  # noqa: SLF001 - as history() does
    state = target._state  # noqa: SLF001
    history, raw = History(), [dict[str, Any]()]
    while raw and limit > 0:
        count = min(limit, _PER_REQUEST)
        raw = await state.http.logs_from(target.id, count, after=after, before=before)  # newest first
        limit = limit - len(raw) if len(raw) == count else 0
        if raw and after is not None:
            after = int(raw[0]["id"])
        elif raw:
            before = int(raw[-1]["id"])
        for each in raw:
            _take(history, state, target, each)
    history.messages.sort(key=lambda message: message.id)
    return history


def _take(history: History, state: Any, channel: Any, raw: dict[str, Any]) -> None:
    try:
        message = state.create_message(channel=channel, data=raw)
        _ = message.author  # which discord.py takes no note of if it is missing
        history.messages.append(message)
    except Exception as error:
        message_id = int(raw.get("id", 0))
        history.unreadable.add(message_id)
        log.warning("Message %d in channel %s cannot be read (%s)", message_id, channel.id, type(error).__name__)
        log.debug("That message", exc_info=error)
