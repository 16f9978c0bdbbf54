"""Discord's permission bits and how a member's permissions in a channel come about.

Source: https://discord.com/developers/docs/topics/permissions
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

Payload = dict[str, Any]


class Permission(IntFlag):
    """The bits that decide something here."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    MANAGE_ROLES = 1 << 28
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    PIN_MESSAGES = 1 << 51


EVERYTHING = Permission(0)
for _bit in Permission:
    EVERYTHING |= _bit

EVERYONE = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
"""What @everyone may do in a new server, as far as it matters here."""

INVITED = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.SEND_MESSAGES_IN_THREADS
    | Permission.READ_MESSAGE_HISTORY
    | Permission.ADD_REACTIONS
    | Permission.ATTACH_FILES
)
"""What the bot's invite link asks for, and so what its managed role holds: 274878008384."""

DIRECT_MESSAGE = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
)
"""What both sides of a direct message may do: nobody manages the other."""


def guild_permissions(guild: Payload, member: Payload) -> Permission:
    """Return what a member may do before any channel's overwrites."""
    if guild["owner_id"] == member["user"]["id"]:
        return EVERYTHING
    bits = Permission(0)
    for role in guild["roles"]:
        if role["id"] == guild["id"] or role["id"] in member["roles"]:
            bits |= Permission(int(role["permissions"]) & EVERYTHING)
    return EVERYTHING if Permission.ADMINISTRATOR in bits else bits


def channel_permissions(guild: Payload, member: Payload, channel: Payload) -> Permission:
    """Return what a member may do in a channel (for a thread, pass its parent).

    Overwrites apply in Discord's order: @everyone, then all of the member's
    roles together, then the member. Who cannot see a channel can do nothing there.
    """
    bits = guild_permissions(guild, member)
    if Permission.ADMINISTRATOR in bits:
        return EVERYTHING
    overwrites = {each["id"]: each for each in channel.get("permission_overwrites", ())}
    bits = _overwritten(bits, [overwrites.get(guild["id"])])
    bits = _overwritten(bits, [overwrites.get(role_id) for role_id in member["roles"]])
    bits = _overwritten(bits, [overwrites.get(member["user"]["id"])])
    return bits if Permission.VIEW_CHANNEL in bits else Permission(0)


def _overwritten(bits: Permission, overwrites: list[Payload | None]) -> Permission:
    allow = deny = 0
    for each in overwrites:
        if each is not None:
            allow |= int(each["allow"])
            deny |= int(each["deny"])
    return Permission(((int(bits) & ~deny) | allow) & EVERYTHING)
