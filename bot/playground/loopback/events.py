"""Which of the world's events a gateway session receives, and in what shape."""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.payloads import without_content
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.state import DM, State

_MESSAGES, _REACTIONS, _TYPING, _GUILDS, _MEMBERS = (9, 12), (10, 13), (11, 14), (0, None), (1, None)
_INTENTS: dict[str, tuple[int, int | None]] = {
    "MESSAGE_CREATE": _MESSAGES,
    "MESSAGE_UPDATE": _MESSAGES,
    "MESSAGE_DELETE": _MESSAGES,
    "MESSAGE_DELETE_BULK": _MESSAGES,
    "MESSAGE_REACTION_ADD": _REACTIONS,
    "MESSAGE_REACTION_REMOVE": _REACTIONS,
    "MESSAGE_REACTION_REMOVE_ALL": _REACTIONS,
    "MESSAGE_REACTION_REMOVE_EMOJI": _REACTIONS,
    "TYPING_START": _TYPING,
    "GUILD_CREATE": _GUILDS,
    "GUILD_DELETE": _GUILDS,
    "CHANNEL_CREATE": _GUILDS,
    "CHANNEL_UPDATE": _GUILDS,
    "CHANNEL_DELETE": _GUILDS,
    "THREAD_CREATE": _GUILDS,
    "THREAD_UPDATE": _GUILDS,
    "THREAD_DELETE": _GUILDS,
    "GUILD_ROLE_CREATE": _GUILDS,
    "GUILD_ROLE_UPDATE": _GUILDS,
    "GUILD_ROLE_DELETE": _GUILDS,
    "GUILD_MEMBER_UPDATE": _MEMBERS,
}
"""Event → (intent bit in a guild, intent bit elsewhere; None: not sent there)."""
_CARRY_CONTENT = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})
_NULLABLE = ("guild_id", "thread", "poll", "interaction", "interaction_metadata", "message_reference", "application_id")


def filtered(
    state: State, event: str, payload: Payload, intents: int, shard: tuple[int, int], *, content: bool
) -> Payload | None:
    """Return what a session gets of an event, or None.

    Args:
        state: tells what the bot can see.
        event: the dispatch's name; those that are only ours are never sent.
        payload: its data.
        intents: what the session asked for.
        shard: (shard id, number of shards); what has no guild goes to shard 0.
        content: whether the session may read everybody's messages.
    """
    guild_id = payload.get("guild_id") or (payload["id"] if event.startswith("GUILD_") else None)
    home = (int(guild_id) >> 22) % shard[1] if guild_id else 0
    if home != shard[0]:
        return None
    if event == "INTERACTION_CREATE" or _is_own_member(event, payload):  # needs no intent
        return payload
    bits = _INTENTS.get(event)
    if bits is None:
        return None
    bit = bits[0] if guild_id else bits[1]
    if bit is None or not intents >> bit & 1 or not _is_visible(state, event, payload):
        return None
    return payload if content or event not in _CARRY_CONTENT else without_content(payload)


def sparse(event: str, payload: Payload) -> Payload:
    """Return an event without what is optional in it, or with that as null."""
    if event == "INTERACTION_CREATE":
        return {key: value for key, value in payload.items() if key != "channel"} | {"message": payload.get("message")}
    if event in {"CHANNEL_CREATE", "CHANNEL_UPDATE"}:
        return {key: value for key, value in payload.items() if key != "position"}
    if event in _CARRY_CONTENT:
        return dict.fromkeys(_NULLABLE) | payload
    return payload


def _is_own_member(event: str, payload: Payload) -> bool:
    return event == "GUILD_MEMBER_UPDATE" and payload["user"]["id"] == seed.BOT_ID


def _is_visible(state: State, event: str, payload: Payload) -> bool:
    if event.startswith("GUILD_"):
        return True
    channel_id = payload["id"] if event.startswith(("CHANNEL_", "THREAD_")) else payload["channel_id"]
    channel = state.channels.get(channel_id)
    if channel is None or channel["type"] == DM or event.startswith("CHANNEL_"):
        return True
    return Permission.VIEW_CHANNEL in state.permissions(seed.BOT_ID, channel)
