"""What a killed process leaves behind, made to measure: rows in the database, messages in the channel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bot.conversation.records import Piece, PromptKind, PromptRecord, ReplyEnd, ReplyMessage
from bot.conversation.store import Store
from bot.parts import Text
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GUILD_ID
from tests.whole.stack import STOP, Stack


def posted(stack: Stack, prompt: dict[str, Any], ordinal: int, text: str, *, control: bool = False) -> dict[str, Any]:
    """A message of the bot as the killed process posted it."""
    body: dict[str, Any] = {"content": text, "nonce": f"{prompt['id']}-{ordinal}", "enforce_nonce": True}
    if ordinal == 0:
        body["message_reference"] = {"message_id": prompt["id"]}
    message = stack.world.message_rules.create(BOT_ID, prompt["channel_id"], body)
    if control:
        stack.world.react(BOT_ID, prompt["channel_id"], message["id"], STOP)
    return dict(message)


def note(prompt: dict[str, Any], ordinal: int, message: dict[str, Any] | None, text: str) -> ReplyMessage:
    """A line of the journal; without a message its POST was under way."""
    message_id = int(message["id"]) if message else None
    return ReplyMessage(ordinal, int(prompt["channel_id"]), message_id, f"{prompt['id']}-{ordinal}", text)


async def left(
    stack: Stack,
    prompt: dict[str, Any],
    *,
    text: str = "",
    notes: Sequence[ReplyMessage] = (),
    end: ReplyEnd | None = None,
    age: float = 5.0,
    attempts: int = 1,
    kind: PromptKind = PromptKind.CHAT,
    words: str = "What then?",
    token: str = "",
    moved_to: int | None = None,
) -> int:
    """Store a reply that was under way; return its id."""
    record = PromptRecord(
        message_id=int(prompt["id"]),
        channel_id=int(prompt["channel_id"]),
        guild_id=int(GUILD_ID),
        author_id=int(ADA_ID),
        author_name="Ada",
        parts=(Text(words),),
        created_at=time.time() - age,
        kind=kind,
        token=token,
    )
    async with Store.open(stack.settings.store_url) as store:
        reply_id = await store.take_in(record, model="", at=time.time() - age)
        assert reply_id is not None
        pieces = [text[i : i + 50] for i in range(0, len(text), 50)]
        for index, piece in enumerate(pieces):
            await store.write_down(reply_id, piece=Piece(50 * index, piece))
        await store.write_down(reply_id, messages=notes, end=end, moved_to=moved_to)
        for _ in range(attempts - 1):
            await store.begin_again(reply_id)
        return reply_id


def left_message(message: dict[str, Any] | None) -> bool:
    """Whether our own ⏹️ is still on a message."""
    return message is not None and any(reaction["me"] for reaction in message.get("reactions", ()))


__all__ = ["GENERAL_ID", "left", "left_message", "note", "posted"]
