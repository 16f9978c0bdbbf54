"""Registered app commands: what Discord takes as a definition, and how they are found.

Source: https://discord.com/developers/docs/interactions/application-commands
"""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.errors import WorldError, form_error
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.state import DM, State

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
SUB_COMMAND, SUB_COMMAND_GROUP = 1, 2
GLOBAL = ""
_PER_SCOPE = {CHAT_INPUT: 100, USER: 15, MESSAGE: 15}


class Commands:
    """The commands of the application, global and per guild.

    Args:
        state: where they are kept.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def registered(self, scope: str = GLOBAL) -> list[Payload]:
        """Return the commands of a scope: `GLOBAL` or a guild's id."""
        return self._state.commands.get(scope, [])

    def overwrite(self, scope: str, definitions: object) -> list[Payload]:
        """Replace all commands of a scope and return them as registered.

        Raises:
            WorldError: 50035 for a definition that Discord would refuse, 30032 for too many.
        """
        if not isinstance(definitions, list):
            raise form_error("_", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        seen: set[tuple[int, str]] = set()
        for index, definition in enumerate(definitions):
            _check_command(definition, str(index))
            key = (definition.get("type") or CHAT_INPUT, definition["name"])
            if key in seen:
                raise form_error(f"{index}.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Names must be unique.")
            seen.add(key)
        for kind, most in _PER_SCOPE.items():
            if sum(1 for each, _ in seen if each == kind) > most:
                raise WorldError(400, 30032, f"Maximum number of application commands reached ({most})")
        known = {(each["type"], each["name"]): each["id"] for each in self.registered(scope)}
        self._state.commands[scope] = [self._registered(each, scope, known) for each in definitions]
        self._state.touch()
        self._state.emit("COMMANDS_UPDATE", {"guild_id": scope or None, "commands": self._state.commands[scope]})
        return self._state.commands[scope]

    def _registered(self, definition: Payload, scope: str, known: dict[tuple[int, str], str]) -> Payload:
        kind = definition.get("type") or CHAT_INPUT
        command = {
            "default_member_permissions": None,
            "nsfw": False,
            "contexts": None,
            "integration_types": [0],
            **{key: value for key, value in definition.items() if key != "id"},
            "id": known.get((kind, definition["name"])) or self._state.ids.next(),
            "application_id": seed.BOT_ID,
            "type": kind,
            "description": definition.get("description") or "",
            "version": self._state.ids.next(),
        }
        if scope:
            command["guild_id"] = scope
        return command

    def usable(self, user_id: str, channel: Payload) -> list[Payload]:
        """Return the commands that a user's picker offers in a channel."""
        guild_id = channel.get("guild_id")
        scopes = [guild_id, GLOBAL] if guild_id else [GLOBAL]
        bits = self._state.permissions(user_id, channel)
        if Permission.USE_APPLICATION_COMMANDS not in bits:
            return []
        found = [each for scope in scopes for each in self.registered(scope)]
        return [each for each in found if _fits(each, channel, bits)]

    def find(self, user_id: str, channel: Payload, kind: int, name: str) -> Payload:
        """Return the command that a user may run in a channel, or raise 10063."""
        for command in self.usable(user_id, channel):
            if command["type"] == kind and command["name"] == name:
                return command
        raise WorldError(404, 10063, "Unknown application command")


def _fits(command: Payload, channel: Payload, bits: Permission) -> bool:
    contexts = command.get("contexts")
    place = 1 if channel["type"] == DM else 0
    if contexts is not None and place not in contexts:
        return False
    if place == 1:
        return bool(command.get("dm_permission", True))
    needed = command.get("default_member_permissions")
    if needed is None or Permission.ADMINISTRATOR in bits:
        return True
    wanted = int(needed)
    return wanted != 0 and int(bits) & wanted == wanted


def _check_command(definition: object, path: str) -> None:
    if not isinstance(definition, dict):
        raise form_error(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    kind = definition.get("type") or CHAT_INPUT
    if kind not in _PER_SCOPE:
        raise form_error(f"{path}.type", "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3}.")
    if kind == CHAT_INPUT:
        _check_named(definition, path)
        _check_options(definition.get("options") or [], path, depth=0)
    elif not 1 <= len(str(definition.get("name") or "")) <= 32:
        raise form_error(f"{path}.name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if _length(definition) > 8000:
        raise form_error(path, "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")


def _check_named(thing: Payload, path: str) -> None:
    name = thing.get("name")
    good = isinstance(name, str) and 1 <= len(name) <= 32 and name == name.lower()
    if not good or not all(each.isalnum() or each in "-_'" for each in str(name)):
        raise form_error(f"{path}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not 1 <= len(str(thing.get("description") or "")) <= 100:
        raise form_error(f"{path}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")


def _check_options(options: list[Payload], path: str, depth: int) -> None:
    if len(options) > 25:
        raise form_error(f"{path}.options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional_before = False
    names = [each.get("name") for each in options]
    if len(set(names)) != len(names):
        raise form_error(f"{path}.options", "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Names must be unique.")
    for index, option in enumerate(options):
        where = f"{path}.options.{index}"
        _check_named(option, where)
        if not 1 <= option.get("type", 0) <= 11:
            raise form_error(f"{where}.type", "BASE_TYPE_CHOICES", "Value must be one of {1 … 11}.")
        if option["type"] in {SUB_COMMAND, SUB_COMMAND_GROUP}:
            if depth + option["type"] > 2:
                raise form_error(f"{where}.type", "BASE_TYPE_CHOICES", "Sub-command option may not be nested here.")
            _check_options(option.get("options") or [], where, depth=3 - option["type"])
        if option.get("required") and optional_before:
            raise form_error(
                where, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )  # fmt: skip
        optional_before = optional_before or not option.get("required")
        if len(option.get("choices") or ()) > 25:
            raise form_error(f"{where}.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")


def _length(definition: Payload) -> int:
    """Count what Discord counts: names, descriptions and values, all the way down."""
    own = sum(len(str(definition.get(key) or "")) for key in ("name", "description", "value"))
    parts = [*(definition.get("options") or ()), *(definition.get("choices") or ())]
    return own + sum(_length(each) for each in parts)
