"""Reactions on messages.

A stored message has ``reactions`` as Discord shows them to the bot, and in each
``user_ids``, which is ours: who reacted, in order.
"""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.content import emoji_key, emoji_payload
from bot.playground.loopback.errors import WorldError, missing_permissions
from bot.playground.loopback.messages import Messages
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.state import DM, State, is_thread

_DISTINCT = 20


class Reactions:
    """Adds and removes reactions.

    Args:
        state: where the messages are kept.
        messages: finds those that can be seen.
    """

    def __init__(self, state: State, messages: Messages) -> None:
        self._state = state
        self._messages = messages

    def add(self, user_id: str, channel_id: str, message_id: str, emoji: str) -> None:
        """React. A new emoji needs ADD_REACTIONS; doing it twice changes nothing.

        Raises:
            WorldError: 10014 for no emoji, 30010 after 20 different ones, 50083
                in an archived thread, 50001 and 50013.
        """
        state = self._state
        channel = state.channel(channel_id)
        bits = state.require(user_id, channel, Permission.READ_MESSAGE_HISTORY)
        self._refuse_archived(channel)
        message = self._messages.visible(channel_id, message_id)
        wanted = emoji_payload(emoji)
        reactions: list[Payload] = message.get("reactions", [])
        found = _find(reactions, wanted)
        if found is None:
            if Permission.ADD_REACTIONS not in bits:
                raise missing_permissions()
            if len(reactions) >= _DISTINCT:
                raise WorldError(400, 30010, "Maximum number of reactions reached (20)")
            message["reactions"] = [*reactions, _reaction(wanted, [user_id])]
        elif user_id in found["user_ids"]:
            return
        else:
            wanted = found["emoji"]
            added = _reaction(wanted, [*found["user_ids"], user_id])
            message["reactions"] = [added if each is found else each for each in reactions]
        event = self._event(channel, message, wanted, user_id)
        event["message_author_id"] = message["author"]["id"]
        if "guild_id" in channel and user_id in state.members:
            event["member"] = state.members[user_id]
        state.touch()
        state.emit("MESSAGE_REACTION_ADD", event)

    def remove(self, user_id: str, channel_id: str, message_id: str, emoji: str, *, of: str | None = None) -> None:
        """Take back one's own reaction, or with MANAGE_MESSAGES that ``of`` another user."""
        state = self._state
        channel = state.channel(channel_id)
        owner = of or user_id
        bits = state.require(user_id, channel)
        if owner != user_id:
            self._require_manage(channel, bits)
        self._refuse_archived(channel)
        message = self._messages.visible(channel_id, message_id)
        found = _find(message.get("reactions", []), emoji_payload(emoji))
        if found is None or owner not in found["user_ids"]:
            return
        left = [each for each in found["user_ids"] if each != owner]
        kept = [_reaction(found["emoji"], left) if each is found else each for each in message["reactions"]]
        message["reactions"] = [each for each in kept if each["count"]]
        state.touch()
        state.emit("MESSAGE_REACTION_REMOVE", self._event(channel, message, found["emoji"], owner))

    def clear(self, user_id: str, channel_id: str, message_id: str, emoji: str | None = None) -> None:
        """Remove all reactions, or all of one emoji; needs MANAGE_MESSAGES."""
        state = self._state
        channel = state.channel(channel_id)
        self._require_manage(channel, state.require(user_id, channel))
        message = self._messages.visible(channel_id, message_id)
        event: Payload = {"channel_id": channel_id, "message_id": message_id}
        if "guild_id" in channel:
            event["guild_id"] = channel["guild_id"]
        state.touch()
        if emoji is None:
            message["reactions"] = []
            state.emit("MESSAGE_REACTION_REMOVE_ALL", event)
        else:
            wanted = emoji_payload(emoji)
            key = emoji_key(wanted)
            message["reactions"] = [each for each in message.get("reactions", []) if emoji_key(each["emoji"]) != key]
            state.emit("MESSAGE_REACTION_REMOVE_EMOJI", {**event, "emoji": wanted})

    def users(self, user_id: str, channel_id: str, message_id: str, emoji: str) -> list[Payload]:
        """Return who reacted with an emoji."""
        self._state.require(user_id, self._state.channel(channel_id), Permission.READ_MESSAGE_HISTORY)
        message = self._messages.visible(channel_id, message_id)
        found = _find(message.get("reactions", []), emoji_payload(emoji))
        return [] if found is None else [self._state.users[each] for each in found["user_ids"]]

    @staticmethod
    def _require_manage(channel: Payload, bits: Permission) -> None:
        if channel["type"] == DM:
            raise WorldError(403, 50003, "Cannot execute action on this channel type")
        if Permission.MANAGE_MESSAGES not in bits:
            raise missing_permissions()

    @staticmethod
    def _refuse_archived(channel: Payload) -> None:
        if is_thread(channel) and channel["thread_metadata"]["archived"]:
            raise WorldError(400, 50083, "Thread is archived")

    @staticmethod
    def _event(channel: Payload, message: Payload, emoji: Payload, user_id: str) -> Payload:
        event: Payload = {
            "user_id": user_id,
            "channel_id": channel["id"],
            "message_id": message["id"],
            "emoji": emoji,
            "type": 0,
            "burst": False,
        }
        if "guild_id" in channel:
            event["guild_id"] = channel["guild_id"]
        return event


def _find(reactions: list[Payload], emoji: Payload) -> Payload | None:
    key = emoji_key(emoji)
    return next((each for each in reactions if emoji_key(each["emoji"]) == key), None)


def _reaction(emoji: Payload, user_ids: list[str]) -> Payload:
    return {
        "emoji": emoji,
        "count": len(user_ids),
        "count_details": {"burst": 0, "normal": len(user_ids)},
        "burst_colors": [],
        "me": seed.BOT_ID in user_ids,
        "me_burst": False,
        "user_ids": user_ids,
    }
