"""What a person typed into a command's options, as the bot receives it: typed and resolved.

Source: https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

from typing import Any

from bot.playground.loopback.commands import SUB_COMMAND, SUB_COMMAND_GROUP
from bot.playground.loopback.errors import WorldError, form_error
from bot.playground.loopback.payloads import channel_for_bot
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import State

_STRING, _INTEGER, _BOOLEAN, _USER, _CHANNEL, _ROLE, _MENTIONABLE, _NUMBER, _ATTACHMENT = range(3, 12)


def command_data(
    state: State, command: Payload, path: list[str], values: Payload, channel: Payload, focused: str | None = None
) -> Payload:
    """Build the ``data`` of a slash command's interaction.

    Args:
        state: resolves users, channels and roles.
        command: the registered command.
        path: its name and those of group and subcommand.
        values: option name to value: text, number, bool, an id, or an upload ``{filename, data}``.
        channel: where it is run; uploads belong to it.
        focused: the option being completed; it is sent as typed, and nothing is required yet.

    Raises:
        WorldError: 50035 for an option that is missing, unknown or of the wrong type, 10063 for a wrong path.
    """
    resolved: Payload = {}
    leaf = command
    nested: list[Payload] = []
    for name in path[1:]:
        groups = (SUB_COMMAND, SUB_COMMAND_GROUP)
        found = [each for each in leaf.get("options") or () if each["name"] == name and each["type"] in groups]
        if not found:
            raise WorldError(404, 10063, "Unknown application command")
        leaf = found[0]
        nested.append({"name": name, "type": leaf["type"]})
    definitions = [each for each in leaf.get("options") or () if each["type"] > SUB_COMMAND_GROUP]
    if not definitions and any(each["type"] <= SUB_COMMAND_GROUP for each in leaf.get("options") or ()):
        raise WorldError(404, 10063, "Unknown application command")
    options = _options(state, definitions, values, channel, focused, resolved)
    for level in reversed(nested):
        options = [{**level, "options": options}]
    data: Payload = {"id": command["id"], "name": command["name"], "type": command["type"], "options": options}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if resolved:
        data["resolved"] = resolved
    return data


def _options(
    state: State, definitions: list[Payload], values: Payload, channel: Payload, focused: str | None, resolved: Payload
) -> list[Payload]:
    known = {each["name"] for each in definitions}
    for name in values:
        if name not in known:
            raise form_error(f"options.{name}", "APPLICATION_COMMAND_OPTIONS_UNKNOWN", "Unknown option.")
    options: list[Payload] = []
    for definition in definitions:
        name = definition["name"]
        if name == focused:
            options.append(
                {"name": name, "type": definition["type"], "value": str(values.get(name, "")), "focused": True}
            )
        elif values.get(name) is not None:
            value = _value(state, definition, values[name], channel, resolved)
            options.append({"name": name, "type": definition["type"], "value": value})
        elif definition.get("required") and focused is None:
            raise form_error(f"options.{name}", "BASE_TYPE_REQUIRED", "This field is required")
    return options


def _value(state: State, definition: Payload, raw: Any, channel: Payload, resolved: Payload) -> Any:
    kind = definition["type"]
    where = f"options.{definition['name']}"
    if kind == _ATTACHMENT:
        attachment = state.files.add(state.ids.next(), channel["id"], raw)
        for key in ("url", "proxy_url"):
            attachment[key] = state.base_url + attachment[key]
        resolved.setdefault("attachments", {})[attachment["id"]] = attachment
        return attachment["id"]
    if kind in {_USER, _CHANNEL, _ROLE, _MENTIONABLE}:
        if not resolve(state, kind, str(raw), resolved):
            raise form_error(where, "BASE_TYPE_BAD_TYPE", f'Value "{raw}" is not snowflake.')
        return str(raw)
    value = _scalar(kind, raw, where)
    choices = [each["value"] for each in definition.get("choices") or ()]
    if choices and value not in choices:
        raise form_error(where, "BASE_TYPE_CHOICES", f"Value must be one of {choices}.")
    _check_range(definition, value, where)
    return value


def _scalar(kind: int, raw: Any, where: str) -> Any:
    if kind == _STRING:
        return str(raw)
    if kind == _BOOLEAN:
        return raw if isinstance(raw, bool) else str(raw).lower() == "true"
    try:
        return int(raw) if kind == _INTEGER else float(raw)
    except (TypeError, ValueError):
        wanted = "int" if kind == _INTEGER else "float"
        raise form_error(where, "NUMBER_TYPE_COERCE", f'Value "{raw}" is not {wanted}.') from None


def _check_range(definition: Payload, value: Any, where: str) -> None:
    text = isinstance(value, str)
    measured = len(value) if text else value
    low = definition.get("min_length" if text else "min_value")
    high = definition.get("max_length" if text else "max_value")
    if text and high is None:
        high = 6000
    if low is not None and measured < low:
        raise form_error(where, "BASE_TYPE_MIN_LENGTH" if text else "NUMBER_TYPE_MIN", f"Must be {low} or more.")
    if high is not None and measured > high:
        raise form_error(where, "BASE_TYPE_MAX_LENGTH" if text else "NUMBER_TYPE_MAX", f"Must be {high} or less.")


def resolve(state: State, kind: int, target_id: str, resolved: Payload) -> bool:
    """Add what an id stands for to ``resolved``; ``kind`` is an option's type. Return whether it exists."""
    roles = {each["id"]: each for each in state.guild["roles"]}
    if kind in {_USER, _MENTIONABLE} and target_id in state.users:
        resolved.setdefault("users", {})[target_id] = state.users[target_id]
        if target_id in state.members:
            member = {key: value for key, value in state.members[target_id].items() if key != "user"}
            resolved.setdefault("members", {})[target_id] = {**member, "permissions": "0"}
        return True
    if kind in {_ROLE, _MENTIONABLE} and target_id in roles:
        resolved.setdefault("roles", {})[target_id] = roles[target_id]
        return True
    if kind == _CHANNEL and target_id in state.channels:
        resolved.setdefault("channels", {})[target_id] = channel_for_bot(state, state.channels[target_id])
        return True
    return False
