"""What is in a channel of a reply that an earlier process left: looked up, and nothing concluded from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.conversation.records import PromptKind, UnfinishedReply
from bot.delivery.control import is_stop_emoji
from bot.delivery.reply_api import ReplyApi

_PAGE = 100
_PAGES = 3  # a reply's messages stand close together; further away they are taken on trust


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of ours.

    Attributes:
        channel_id: where it is.
        message_id: its id.
        text: what it shows.
        about: the interaction it belongs to, or else the message it replies to; 0 for neither.
        is_command: it belongs to an interaction.
        has_control: our own ⏹️ is on it.
    """

    channel_id: int
    message_id: int
    text: str
    about: int = 0
    is_command: bool = False
    has_control: bool = False


@dataclass(slots=True)
class Found:
    """Our messages in a reply's channel since its question, oldest first.

    Attributes:
        messages: by id.
        is_complete: these are all.
        newest: the newest message of anybody that was looked at.
        is_prompt_gone: the question was deleted.
    """

    messages: dict[int, Seen] = field(default_factory=dict)
    is_complete: bool = False
    newest: int = 0
    is_prompt_gone: bool = False

    def misses(self, message_id: int) -> bool:
        """Tell whether a message would have been found if it was there."""
        return bool(self.newest) and (self.is_complete or message_id <= self.newest) and message_id not in self.messages


async def look(api: ReplyApi, me: int, reply: UnfinishedReply) -> Found:
    """Look *reply* up in its channel; *me* is our user.

    Raises:
        DeliveryError: the channel is gone, closed to us, or Discord has trouble.
    """
    messages, is_complete = await _messages_since(api, reply)
    own = [_seen(each) for each in messages if int(each["author"]["id"]) == me]
    return Found(
        {each.message_id: each for each in own},
        is_complete,
        max((int(each["id"]) for each in messages), default=0),
        await _is_prompt_gone(api, reply, messages),
    )


async def _messages_since(api: ReplyApi, reply: UnfinishedReply) -> tuple[list[dict[str, Any]], bool]:
    """Return the channel's messages from the prompt on, oldest first, and whether these are all."""
    found: list[dict[str, Any]] = []
    after = reply.prompt.message_id - 1
    wanted = {message.message_id for message in reply.messages}
    for _ in range(_PAGES):
        page = await api.messages_after(reply.prompt.channel_id, after)
        found += sorted(page, key=lambda each: int(each["id"]))
        if len(page) < _PAGE:
            return found, True
        after = int(found[-1]["id"])
        if wanted and wanted <= {int(each["id"]) for each in found}:
            break
    return found, False


async def _is_prompt_gone(api: ReplyApi, reply: UnfinishedReply, found: Iterable[dict[str, Any]]) -> bool:
    prompt = reply.prompt
    if prompt.kind is not PromptKind.CHAT:
        return False
    # a copy that came later took the message's place
    wanted = max(prompt.message_id, prompt.copy_id or 0)
    seen = {int(each["id"]) for each in found}
    if seen and (wanted in seen or wanted == prompt.message_id):
        return wanted not in seen
    # Without the right to read the history every channel looks empty.
    return not await api.has_message(prompt.channel_id, wanted)


def _seen(message: dict[str, Any]) -> Seen:
    reactions = message.get("reactions") or ()
    has_control = any(each.get("me") and is_stop_emoji((each.get("emoji") or {}).get("name")) for each in reactions)
    interaction = (message.get("interaction_metadata") or message.get("interaction") or {}).get("id")
    reference = (message.get("message_reference") or {}).get("message_id")
    return Seen(
        int(message["channel_id"]),
        int(message["id"]),
        str(message.get("content") or ""),
        int(interaction or reference or 0),  # a followup refers to the message before it
        interaction is not None,
        has_control,
    )
