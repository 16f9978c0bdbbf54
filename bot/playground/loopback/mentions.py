"""Whom a message mentions and whom it pings, by ``allowed_mentions`` and permissions.

Source: https://discord.com/developers/docs/resources/message#allowed-mentions-object
"""

from __future__ import annotations

import re
from typing import Any

from bot.playground.loopback.errors import form_error
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.state import State

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_EVERYONE = re.compile(r"@(everyone|here)\b")
_KINDS = ("users", "roles", "everyone")


class Allowed:
    """An ``allowed_mentions`` object, checked.

    Args:
        raw: the object of the request, or None.
        default: the kinds that ping when there is none.

    Raises:
        WorldError: 50035, if a kind is both in ``parse`` and listed, or a list has over 100 ids.
    """

    def __init__(self, raw: Payload | None, default: tuple[str, ...] = _KINDS) -> None:
        given = raw if raw is not None else {"parse": list(default)}
        self._parse = set(given.get("parse") or ())
        self._ids: dict[str, set[str]] = {}
        for kind in ("users", "roles"):
            ids = given.get(kind)
            if not ids:
                continue
            if kind in self._parse:
                raise form_error(
                    "allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                    f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
                )  # fmt: skip
            if len(ids) > 100:
                raise form_error(f"allowed_mentions.{kind}", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
            self._ids[kind] = {str(each) for each in ids}
        self.replied_user = bool(given.get("replied_user", raw is None))

    def permits(self, kind: str, target_id: str = "") -> bool:
        """Whether a mention of that kind (``users``, ``roles``, ``everyone``) may ping."""
        return kind in self._parse or target_id in self._ids.get(kind, ())


def mentioned(
    state: State, channel: Payload, author_id: str, content: str, allowed: Allowed, replied_to: Payload | None
) -> Payload:
    """Return the mention fields of a message, and ``pinged``: the ids of the users it notifies.

    ``pinged`` is ours; Discord tells nobody. Outside a guild only users can be mentioned.
    """
    bits = state.permissions(author_id, channel)
    user_ids = [each for each in dict.fromkeys(_USER.findall(content)) if each in state.users]
    user_ids = [each for each in user_ids if allowed.permits("users", each)]
    if replied_to is not None and allowed.replied_user and replied_to["author"]["id"] not in user_ids:
        user_ids.append(replied_to["author"]["id"])
    roles = _mentioned_roles(state, bits, content, allowed) if "guild_id" in channel else []
    everyone = (
        "guild_id" in channel
        and allowed.permits("everyone")
        and Permission.MENTION_EVERYONE in bits
        and _EVERYONE.search(content) is not None
    )
    fields: dict[str, Any] = {
        "mentions": [state.users[each] for each in user_ids],
        "mention_roles": roles,
        "mention_everyone": everyone,
    }
    pinged = set(user_ids)
    for user_id, member in state.members.items():
        if "guild_id" in channel and (everyone or any(each in member["roles"] for each in roles)):
            pinged.add(user_id)
    fields["pinged"] = sorted(pinged - {author_id})
    return fields


def _mentioned_roles(state: State, bits: Permission, content: str, allowed: Allowed) -> list[str]:
    """Return the mentioned roles that the author may ping; a person may always name a bot by its managed role."""
    roles = {each["id"]: each for each in state.guild["roles"]}
    named = [roles[each] for each in dict.fromkeys(_ROLE.findall(content)) if each in roles]
    return [
        each["id"]
        for each in named
        if allowed.permits("roles", each["id"])
        and (each["mentionable"] or each["managed"] or Permission.MENTION_EVERYONE in bits)
    ]
