"""What a new playground holds: one server, three channels, three people, one bot.

The ids are fixed, so that links, stored conversations and the bot's own
database stay good over restarts of the playground.
"""

from __future__ import annotations

import base64

from bot.playground.loopback.permissions import EVERYONE, EVERYTHING, INVITED, Payload, Permission

_BASE = 1_191_000_000_000_000_000  # a moment on 31 December 2023: older than any message

GUILD_ID = str(_BASE + 1)
BOT_ID = str(_BASE + 2)  # the application has the same id, as with every modern bot
MODERATOR_ROLE_ID = str(_BASE + 10)
BOT_ROLE_ID = str(_BASE + 11)
ADMIN_ROLE_ID = str(_BASE + 12)
ADA_ID, GRACE_ID, LINUS_ID = str(_BASE + 20), str(_BASE + 21), str(_BASE + 22)
GENERAL_ID, CODE_ID, RANDOM_ID = str(_BASE + 30), str(_BASE + 31), str(_BASE + 32)

JOINED_AT = "2024-01-01T00:00:00.000000+00:00"

TOKEN = base64.urlsafe_b64encode(BOT_ID.encode()).decode().rstrip("=") + ".playground.only-works-on-this-machine"
"""The bot's token: shaped as Discord's, and worth nothing outside the loopback."""


def user(user_id: str, username: str, name: str, color: str, *, bot: bool = False) -> Payload:
    """Build a user object; ``color`` (``#rrggbb``) is ours, for the page's avatars."""
    return {
        "id": user_id,
        "username": username,
        "global_name": name,
        "discriminator": "4242" if bot else "0",
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
        "color": color,
    }


def member(of: Payload, roles: list[str]) -> Payload:
    """Build a guild member object for a user."""
    return {
        "user": of,
        "nick": None,
        "avatar": None,
        "roles": roles,
        "joined_at": JOINED_AT,
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
    }


def role(role_id: str, name: str, position: int, permissions: int, color: int = 0, *, bot_id: str = "") -> Payload:
    """Build a role object; with ``bot_id`` the managed role of that bot."""
    payload: Payload = {
        "id": role_id,
        "name": name,
        "color": color,
        "colors": {"primary_color": color, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": position,
        "permissions": str(permissions),
        "managed": bool(bot_id),
        "mentionable": False,
        "flags": 0,
    }
    if bot_id:
        payload["tags"] = {"bot_id": bot_id}
    return payload


def text_channel(channel_id: str, name: str, position: int, topic: str | None = None) -> Payload:
    """Build a text channel of the guild."""
    return {
        "id": channel_id,
        "type": 0,
        "guild_id": GUILD_ID,
        "name": name,
        "position": position,
        "topic": topic,
        "parent_id": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "permission_overwrites": [],
        "last_message_id": None,
        "flags": 0,
    }


def guild() -> Payload:
    """Build the guild without its channels and members."""
    moderator = EVERYONE | Permission.MANAGE_MESSAGES | Permission.MANAGE_THREADS
    return {
        "id": GUILD_ID,
        "name": "Burble playground",
        "icon": None,
        "owner_id": ADA_ID,
        "roles": [
            role(GUILD_ID, "@everyone", 0, EVERYONE),
            role(MODERATOR_ROLE_ID, "moderator", 1, moderator, 0x1F8B4C),
            role(BOT_ROLE_ID, "Burble", 2, INVITED, 0x5865F2, bot_id=BOT_ID),
            role(ADMIN_ROLE_ID, "admin", 3, EVERYTHING, 0xE67E22),
        ],
        "emojis": [],
        "stickers": [],
        "features": [],
        "afk_timeout": 300,
        "afk_channel_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "preferred_locale": "en-US",
        "vanity_url_code": None,
        "description": None,
        "banner": None,
        "splash": None,
        "discovery_splash": None,
        "application_id": None,
        "unavailable": False,
        "large": False,
    }


def bot_member() -> Payload:
    """Build the bot with its managed role."""
    return member(user(BOT_ID, "Burble", "Burble", "#5865f2", bot=True), [BOT_ROLE_ID])


def people() -> list[Payload]:
    """Build the members who are people: Ada owns the server, Grace moderates it, Linus is plain."""
    return [
        member(user(ADA_ID, "ada", "Ada", "#e67e22"), [ADMIN_ROLE_ID]),
        member(user(GRACE_ID, "grace", "Grace", "#1f8b4c"), [MODERATOR_ROLE_ID]),
        member(user(LINUS_ID, "linus", "Linus", "#3498db"), []),
    ]


def channels() -> list[Payload]:
    """Build the three text channels."""
    return [
        text_channel(GENERAL_ID, "general", 0, "Mention @Burble and ask something"),
        text_channel(CODE_ID, "code", 1, "Answers with code blocks"),
        text_channel(RANDOM_ID, "random", 2),
    ]


def application(owner: Payload) -> Payload:
    """Build the application object; ``flags`` follow the granted intents and are added where it is served."""
    return {
        "id": BOT_ID,
        "name": "Burble",
        "icon": None,
        "description": "Streams the answers of local models",
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "owner": owner,
        "summary": "",
        "team": None,
        "interactions_endpoint_url": None,
        "approximate_guild_count": 1,
    }
