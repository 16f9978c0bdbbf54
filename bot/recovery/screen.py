"""What an earlier process left of a reply on screen: looked up in the channel, or guessed from the journal.

A POST that was under way when the process was killed is in the journal without
an id. Its message is found again here by what makes it ours: it replies to the
prompt, belongs to the command's interaction, or shows the very text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.conversation.records import PromptKind, ReplyMessage, UnfinishedReply
from bot.delivery.control import is_stop_emoji
from bot.delivery.cursor import has_cursor, without_cursor

_PAGE = 100
_PAGES = 3  # a reply's messages stand close together; further away they are taken on trust

INTERRUPTED = "⏹️ interrupted by a restart"
"""How a reply ends that another process has to close."""

IsKnown = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of a reply.

    Attributes:
        channel_id: where it is.
        message_id: its id.
        text: what it shows, or, unless *is_certain*, what the journal says it shows.
        is_certain: it was looked up.
        has_control: our own ⏹️ is on it, as far as known.
    """

    channel_id: int
    message_id: int
    text: str
    is_certain: bool
    has_control: bool


@dataclass(slots=True)
class Screen:
    """A reply's messages.

    Attributes:
        messages: those that are there, by ordinal.
        strays: messages of ours with a cursor that no reply knows: what a new message stands in for.
        is_prompt_gone: the question was deleted.
        is_deleted: one of the messages was deleted.
    """

    messages: dict[int, Seen] = field(default_factory=dict)
    strays: list[Seen] = field(default_factory=list)
    is_prompt_gone: bool = False
    is_deleted: bool = False

    @property
    def texts(self) -> list[str]:
        """What the messages show, in order, without the cursor."""
        return [without_cursor(self.messages[ordinal].text) for ordinal in sorted(self.messages)]


class Channels(Protocol):
    """What can be asked of Discord (`bot.delivery.reply_api.ReplyApi`); raises the `DeliveryError` family only."""

    async def messages_after(self, channel_id: int, message_id: int) -> list[dict[str, Any]]:
        """Return the first hundred messages that are newer than one of them."""
        ...

    async def has_message(self, channel_id: int, message_id: int) -> bool:
        """Tell whether a message is there."""
        ...


def by_journal(reply: UnfinishedReply) -> Screen:
    """Return what the journal says of *reply*, where the channel cannot be looked into."""
    last = max((message.ordinal for message in reply.messages), default=0)
    known = [message for message in reply.messages if message.message_id is not None]
    return Screen({each.ordinal: _trusted(each, is_last=each.ordinal == last) for each in known})


async def look(channels: Channels, me: int, reply: UnfinishedReply, is_known: IsKnown) -> Screen:
    """Look *reply* up in its channel; *me* is our user, *is_known* tells whether a message is in the store.

    Raises:
        DeliveryError: the channel is gone, closed to us, or Discord has trouble.
    """
    found, is_complete = await _messages_since(channels, reply)
    screen = Screen(is_prompt_gone=await _is_prompt_gone(channels, reply, found))
    own = {int(each["id"]): each for each in found if int(each["author"]["id"]) == me}  # oldest first
    newest = max((int(each["id"]) for each in found), default=0)
    noted = {message.ordinal: message for message in reply.messages}
    taken = {message.message_id for message in reply.messages}
    # One more than was noted: a store that hung may have missed the latest.
    for ordinal in range(max(noted, default=-1) + 2):
        message = noted.get(ordinal)
        if message is None or message.message_id is None:
            free = [each for message_id, each in own.items() if message_id not in taken]
            stray = await _find_stray(free, reply, ordinal, message, is_known)
            if stray is not None:
                screen.messages[ordinal] = _seen(stray)
                taken.add(int(stray["id"]))
        elif message.message_id in own:
            screen.messages[ordinal] = _seen(own[message.message_id])
        elif message.channel_id == reply.prompt.channel_id and found and (is_complete or message.message_id <= newest):
            screen.is_deleted = True
        else:
            is_last = ordinal == max(noted)
            screen.messages[ordinal] = _trusted(message, is_last=is_last)
    ours = {seen.message_id for seen in screen.messages.values()}
    screen.strays = [
        _seen(message)
        for message_id, message in own.items()
        if message_id not in ours and has_cursor(message.get("content", "")) and not await is_known(message_id)
    ]
    return screen


async def _find_stray(
    free: Iterable[Any], reply: UnfinishedReply, ordinal: int, noted: ReplyMessage | None, is_known: IsKnown
) -> dict[str, Any] | None:
    """Return the message of ours that must be the reply's *ordinal*-th, though nobody noted its id."""
    for message in free:
        if _is_ours(message, reply, ordinal, noted) and not await is_known(int(message["id"])):
            return dict(message)
    return None


async def _messages_since(channels: Channels, reply: UnfinishedReply) -> tuple[list[dict[str, Any]], bool]:
    """Return the channel's messages from the prompt on, oldest first, and whether these are all."""
    found: list[dict[str, Any]] = []
    after = reply.prompt.message_id - 1
    wanted = {message.message_id for message in reply.messages}
    for _ in range(_PAGES):
        page = await channels.messages_after(reply.prompt.channel_id, after)
        found += sorted(page, key=lambda each: int(each["id"]))
        if len(page) < _PAGE:
            return found, True
        after = int(found[-1]["id"])
        if wanted and wanted <= {int(each["id"]) for each in found}:
            break
    return found, False


async def _is_prompt_gone(channels: Channels, reply: UnfinishedReply, found: Iterable[dict[str, Any]]) -> bool:
    if reply.prompt.kind is not PromptKind.CHAT:
        return False
    first = next(iter(found), None)
    if first is not None:
        return int(first["id"]) != reply.prompt.message_id
    # Without the right to read the history every channel looks empty.
    return not await channels.has_message(reply.prompt.channel_id, reply.prompt.message_id)


def _is_ours(message: dict[str, Any], reply: UnfinishedReply, ordinal: int, noted: ReplyMessage | None) -> bool:
    reference = (message.get("message_reference") or {}).get("message_id")
    interaction = (message.get("interaction_metadata") or message.get("interaction") or {}).get("id")
    about = interaction or reference  # a followup refers to the message before it
    if about is not None and str(about) != str(reply.prompt.message_id):
        return False
    if about is not None and (ordinal == 0 or interaction):
        return True  # a command's messages come one after the other
    return noted is not None and bool(noted.text) and message.get("content") == noted.text.strip()


def _seen(message: dict[str, Any]) -> Seen:
    reactions = message.get("reactions") or ()
    has_control = any(each.get("me") and is_stop_emoji((each.get("emoji") or {}).get("name")) for each in reactions)
    text = str(message.get("content") or "")
    return Seen(int(message["channel_id"]), int(message["id"]), text, is_certain=True, has_control=has_control)


def _trusted(message: ReplyMessage, *, is_last: bool) -> Seen:
    assert message.message_id is not None, "it has an id"
    return Seen(message.channel_id, message.message_id, message.text, is_certain=False, has_control=is_last)


def letters(text: str) -> int:
    """Return how many letters and digits *text* shows, our own lines left out."""
    lines = (line for line in text.splitlines() if not line.startswith(("-# ", INTERRUPTED)))
    return sum(char.isalnum() for line in lines for char in line)
