"""What one person may see of the world: the snapshot of a new tab, and which events concern it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.playground.loopback.errors import WorldError
from bot.playground.loopback.permissions import Permission

if TYPE_CHECKING:
    from bot.playground.loopback.world import World

__all__ = ["channel_for", "channel_name", "history", "seen_by", "snapshot"]

_HISTORY_LENGTH = 200
_FORWARDED = frozenset({
    "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE", "MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI", "TYPING_START",
})  # fmt: skip
_CHANNEL_EVENTS = frozenset({"CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE"})
_GONE = frozenset({"CHANNEL_DELETE", "THREAD_DELETE"})


def snapshot(world: World, viewer: str) -> dict[str, Any]:
    """Return everything that a tab shows at first to *viewer*, but for messages and status."""
    direct = world.open_dm(viewer)
    guild = next(iter(world.guilds.values()))
    shared = [channel for channel in world.channels.values() if channel["type"] != direct["type"]]
    shown = [channel_for(world, viewer, channel) for channel in [*shared, direct]]
    return {
        "me": viewer,
        "bot": world.bot_user,
        "people": [{**person, "note": _standing(world, person["id"])} for person in world.people],
        "guild": {"id": guild["id"], "name": guild["name"], "roles": guild["roles"]},
        "channels": [channel for channel in shown if channel is not None],
    }


def channel_for(world: World, viewer: str, channel: dict[str, Any]) -> dict[str, Any] | None:
    """Return *channel* with what *viewer* may do there, or None if they cannot see it."""
    bits = world.permissions(viewer, channel["id"])
    return {**channel, "permissions": str(bits)} if bits & Permission.VIEW_CHANNEL else None


def channel_name(world: World, channel_id: str) -> str:
    """Return what people call a channel, as "#general" or "DM with Grace"."""
    channel = world.channels.get(channel_id)
    if channel is None:
        return "a deleted channel"
    if "recipients" in channel:
        return f"DM with {channel['recipients'][0]['global_name']}"
    return f"#{channel['name']}"


def history(world: World, viewer: str, channel_id: str) -> list[dict[str, Any]]:
    """Return the latest messages of a channel that *viewer* may see, oldest first."""
    needed = Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY
    if world.permissions(viewer, channel_id) & needed != needed:
        raise WorldError(403, 50001, "You do not have access to this channel.")
    return world.messages(channel_id, viewer)[-_HISTORY_LENGTH:]


def seen_by(world: World, viewer: str, event: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return an event as *viewer*'s tab gets it, or None if it does not concern them."""
    if event == "COMMANDS_UPDATE":
        return "COMMANDS_CHANGED", {}
    if event in _GONE:
        return event, {"id": payload["id"]}
    if event in _CHANNEL_EVENTS:
        shown = channel_for(world, viewer, payload)
        return (event, shown) if shown else ("CHANNEL_DELETE", {"id": payload["id"]})
    return (event, payload) if _concerns(world, viewer, event, payload) else None


def _concerns(world: World, viewer: str, event: str, payload: dict[str, Any]) -> bool:
    if event == "INTERACTION_STATE":
        return bool(payload["user_id"] == viewer)
    if event not in _FORWARDED or payload.get("viewer_id", viewer) != viewer:
        return False
    channel_id = payload["channel_id"]
    return channel_id in world.channels and bool(world.permissions(viewer, channel_id) & Permission.VIEW_CHANNEL)


def _standing(world: World, user_id: str) -> str:
    """Return in a word what a person is to the server."""
    channel = next(iter(world.channels.values()))
    bits = world.permissions(user_id, channel["id"])
    if bits & Permission.MANAGE_GUILD:
        return "owner"
    return "moderator" if bits & Permission.MANAGE_MESSAGES else "member"
