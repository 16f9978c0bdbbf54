"""Stored objects as Discord shows them: messages in full, members, channels, the guild."""

from __future__ import annotations

import re

from bot.playground.loopback import seed
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import DM, State, is_thread

EPHEMERAL = 1 << 6
LOADING = 1 << 7
_INTENT_GUARDED = ("embeds", "attachments", "components", "sticker_items", "message_snapshots")
_REPLY_TYPES = frozenset({19, 21, 23})


def render(state: State, message: Payload, *, nested: bool = False) -> Payload:
    """Return a message as the API shows it: with the message it refers to and absolute file URLs."""
    shown = dict(message)
    if shown.get("attachments"):
        shown["attachments"] = [
            {**each, "url": state.base_url + each["url"], "proxy_url": state.base_url + each["proxy_url"]}
            for each in shown["attachments"]
        ]
    reference = shown.get("message_reference")
    if reference and not nested and shown["type"] in _REPLY_TYPES:
        target = state.messages.get(reference["channel_id"], {}).get(reference["message_id"])
        shown["referenced_message"] = None if target is None else render(state, target, nested=True)
    return shown


def message_event(state: State, message: Payload) -> Payload:
    """Return a message as the gateway sends it: with its author's membership.

    An ephemeral message has no guild, as it travels with the direct messages.
    """
    shown = render(state, message, nested=not state.sends_referenced)
    if message["flags"] & EPHEMERAL:
        shown.pop("guild_id", None)
    elif "guild_id" in shown:
        member = state.members.get(message["author"]["id"])
        if member is not None:
            shown["member"] = {key: value for key, value in member.items() if key != "user"}
    return shown


def without_content(message: Payload) -> Payload:
    """Return what a bot without the message content intent gets of a message.

    Spared are its own messages, direct messages, those that mention it, and
    replies that ping it, unless they reply to the response of a command.
    Source: https://discord.com/developers/docs/events/gateway#message-content-intent
    """
    nested = message.get("referenced_message")
    if nested:
        message = {**message, "referenced_message": without_content(nested)}
    if "guild_id" not in message or message["author"]["id"] == seed.BOT_ID or _addresses_bot(message, nested):
        return message
    blank: Payload = {key: [] for key in _INTENT_GUARDED if key in message}
    return {**message, **blank, "content": ""}


def _addresses_bot(message: Payload, replied_to: Payload | None) -> bool:
    if not any(each["id"] == seed.BOT_ID for each in message.get("mentions", ())):
        return False
    if re.search(rf"<@!?{seed.BOT_ID}>", message["content"]):
        return True
    return replied_to is not None and replied_to["type"] not in {20, 23}


def channel_for_bot(state: State, channel: Payload) -> Payload:
    """Return a channel as an interaction carries it, with the bot's permissions in it."""
    shown = dict(channel)
    if channel["type"] != DM:
        shown["permissions"] = str(int(state.permissions(seed.BOT_ID, channel)))
    return shown


def guild_create(state: State) -> Payload:
    """Return the guild as GUILD_CREATE carries it: with the channels and threads that the bot can see."""
    channels = [each for each in state.channels.values() if each["type"] != DM]
    visible = [each for each in channels if state.permissions(seed.BOT_ID, each)]
    return {
        **state.guild,
        "joined_at": seed.JOINED_AT,
        "member_count": len(state.members),
        "members": [state.members[seed.BOT_ID]],  # of a large server Discord tells no others
        "channels": [each for each in channels if not is_thread(each)],
        "threads": [each for each in visible if is_thread(each) and not each["thread_metadata"]["archived"]],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }
