"""What Discord takes as a message: trimmed, not blank, not too long, well-formed."""

from __future__ import annotations

from typing import Any

from bot.playground.loopback.errors import WorldError, form_error
from bot.playground.loopback.permissions import Payload

SUPPRESS_EMBEDS = 1 << 2
COMPONENTS_V2 = 1 << 15
CREATE_FLAGS = SUPPRESS_EMBEDS | (1 << 12) | (1 << 13) | COMPONENTS_V2
_CONTENT_LENGTH = 2000
_INTERACTIVE = frozenset({2, 3, 5, 6, 7, 8})


def clean_content(raw: object) -> str:
    """Return the text trimmed at both ends.

    Raises:
        WorldError: 50035, if it is no string or over 2000 code points. Discord
            counts what was sent, white space at the ends included.
    """
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise form_error("content", "BASE_TYPE_BAD_TYPE", "Could not interpret value as string.")
    text = raw.strip()
    if len(text) > _CONTENT_LENGTH:
        raise form_error("content", "BASE_TYPE_MAX_LENGTH", f"Must be {_CONTENT_LENGTH} or fewer in length.")
    return text


def check_body(message: Payload) -> None:
    """Check a message as it would stand.

    Raises:
        WorldError: 50006 if there is nothing in it, 50035 if its embeds,
            components or flags are not what Discord takes.
    """
    parts = ("content", "embeds", "attachments", "components", "sticker_items", "message_snapshots")
    if not any(message.get(each) for each in parts):
        raise WorldError(400, 50006, "Cannot send an empty message")
    if len(message.get("embeds") or ()) > 10:
        raise form_error("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    if len(message.get("attachments") or ()) > 10:
        raise form_error("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    if message["flags"] & COMPONENTS_V2 and (message.get("content") or message.get("embeds")):
        raise form_error(
            "content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
        )  # fmt: skip
    _check_components(message.get("components") or [])


def _check_components(components: list[Payload]) -> None:
    seen: set[str] = set()
    for component in walk_components(components):
        custom_id = component.get("custom_id")
        if component["type"] in _INTERACTIVE and custom_id is not None:
            if not 1 <= len(custom_id) <= 100:
                raise form_error("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
            if custom_id in seen:
                raise form_error(
                    "components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
                )
            seen.add(custom_id)


def walk_components(components: list[Payload]) -> list[Payload]:
    """Return all components, those inside rows, sections, containers and labels included."""
    found: list[Payload] = []
    for component in components:
        found.append(component)
        found += walk_components(list(component.get("components") or []))
        found += walk_components([component[key] for key in ("accessory", "component") if component.get(key)])
    return found


def reference_ids(raw: Payload) -> tuple[str, str | None, bool]:
    """Return (message id, channel id or None, fail if it does not exist) of a ``message_reference``."""
    channel_id = raw.get("channel_id")
    return (
        str(raw.get("message_id") or ""),
        None if channel_id is None else str(channel_id),
        bool(raw.get("fail_if_not_exists", True)),
    )


def emoji_payload(emoji: str) -> Payload:
    """Return the emoji object for ``name:id`` or a Unicode emoji.

    Raises:
        WorldError: 10014 for anything else.
    """
    name, _, emoji_id = emoji.strip("<>").removeprefix("a:").lstrip(":").rpartition(":")
    if name and emoji_id.isdecimal():
        return {"id": emoji_id, "name": name}
    keycap = emoji.endswith("\u20e3")
    if not emoji or len(emoji) > 32 or (not keycap and any(each.isalnum() or each.isspace() for each in emoji)):
        raise WorldError(400, 10014, "Unknown Emoji")
    return {"id": None, "name": emoji}


def emoji_key(emoji: dict[str, Any]) -> str:
    """Return what makes two emoji the same: the id, or the text without its variation selectors."""
    return str(emoji["id"] or emoji["name"].replace("\ufe0f", ""))
