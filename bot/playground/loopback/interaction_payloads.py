"""What an interaction is made of: its record, its events, and the checks on what answers it.

Source: https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.content import walk_components
from bot.playground.loopback.errors import form_error
from bot.playground.loopback.payloads import channel_for_bot
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import State

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
_ATTACHMENT_SIZE_LIMIT = 10 * 1024 * 1024
_LABEL = 18


@dataclass(eq=False)
class Interaction:
    """One interaction.

    Attributes:
        id: its snowflake.
        token: what the bot answers with.
        kind: 2 command, 3 component, 4 autocomplete, 5 modal.
        user_id: who caused it.
        channel_id: where.
        data: the ``data`` of INTERACTION_CREATE.
        state: ``sent``, ``deferred``, ``answered``, ``modal`` or ``failed``.
        original_id: the message that ``@original`` names, or None.
        source: the message whose component was clicked, or None.
        modal: the modal that was shown in answer, or None.
        expires_at: Unix seconds after which the token is refused.
    """

    id: str
    token: str
    kind: int
    user_id: str
    channel_id: str
    data: Payload
    expires_at: float
    state: str = "sent"
    original_id: str | None = None
    source: Payload | None = None
    modal: Payload | None = None
    choices: asyncio.Future[list[Payload]] | None = field(default=None, repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def command(self) -> str:
        """The full name of the slash command or menu entry, "" if it is none."""
        return full_name(self.data) if self.kind in {COMMAND, AUTOCOMPLETE} else ""

    @property
    def pending(self) -> bool:
        """Whether no answer has come yet."""
        return self.state == "sent"


def create_event(state: State, interaction: Interaction) -> Payload:
    """Return the INTERACTION_CREATE of an interaction."""
    channel = state.channel(interaction.channel_id)
    guild_id = channel.get("guild_id")
    payload: Payload = {
        "id": interaction.id,
        "application_id": seed.BOT_ID,
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": channel["id"],
        "channel": channel_for_bot(state, channel),
        "app_permissions": str(int(state.permissions(seed.BOT_ID, channel))),
        "locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": {"0": guild_id or "0"},
        "context": 0 if guild_id else 1,
        "attachment_size_limit": _ATTACHMENT_SIZE_LIMIT,
    }
    if guild_id:
        bits = str(int(state.permissions(interaction.user_id, channel)))
        payload.update(
            guild_id=guild_id,
            guild={"id": guild_id, "locale": "en-US", "features": []},
            guild_locale="en-US",
            member={**state.members[interaction.user_id], "permissions": bits},
        )
    else:
        payload["user"] = state.users[interaction.user_id]
    if interaction.source is not None:
        payload["message"] = interaction.source
    return payload


def state_event(interaction: Interaction) -> Payload:
    """Return our INTERACTION_STATE: what the person's client shows of it."""
    event: Payload = {
        "id": interaction.id,
        "user_id": interaction.user_id,
        "channel_id": interaction.channel_id,
        "state": interaction.state,
        "name": full_name(interaction.data) if interaction.kind == COMMAND else None,
        "message_id": interaction.source["id"] if interaction.source else interaction.original_id,
    }
    if interaction.state == "failed":
        event["reason"] = "The application did not respond"
    if interaction.state == "modal":
        event["modal"] = interaction.modal
    return event


def response_fields(state: State, interaction: Interaction, replied_to: str | None) -> Payload:
    """Return the fields that mark a message as an interaction's: type, metadata and what it replies to."""
    guild_id = state.channel(interaction.channel_id).get("guild_id")
    metadata: Payload = {
        "id": interaction.id,
        "type": interaction.kind,
        "user": state.users[interaction.user_id],
        "authorizing_integration_owners": {"0": guild_id or "0"},
    }
    kind = 0
    if interaction.kind == COMMAND:
        metadata["name"] = full_name(interaction.data)
        kind = 20 if interaction.data["type"] == 1 else 23
    fields: Payload = {
        "type": kind,
        "application_id": seed.BOT_ID,
        "webhook_id": seed.BOT_ID,
        "interaction_metadata": metadata,
    }
    if replied_to is not None:
        reference: Payload = {"type": 0, "channel_id": interaction.channel_id, "message_id": replied_to}
        fields.update(type=19, message_reference={**reference, "guild_id": guild_id} if guild_id else reference)
    return fields


def modal_data(modal: Payload, values: dict[str, Any]) -> Payload:
    """Return the ``data`` of a submitted modal: its components with what was put in, by custom_id."""
    return {"custom_id": modal["custom_id"], "components": [_filled(each, values) for each in modal["components"]]}


def _filled(component: Payload, values: dict[str, Any]) -> Payload:
    filled: Payload = {"type": component["type"], "id": component.get("id", 1)}
    if component["type"] == _LABEL:
        filled["component"] = _filled(component["component"], values)
    elif "components" in component:
        filled["components"] = [_filled(each, values) for each in component["components"]]
    elif "custom_id" in component:
        value = values.get(component["custom_id"], component.get("value") or "")
        filled["custom_id"] = component["custom_id"]
        filled["values" if isinstance(value, list) else "value"] = value
    return filled


def full_name(data: Payload) -> str:
    """Return a command's name with group and subcommand, as people see it."""
    names = [data["name"]]
    options = data.get("options") or []
    while options and options[0]["type"] in {1, 2}:
        names.append(options[0]["name"])
        options = options[0].get("options") or []
    return " ".join(names)


def checked_choices(data: Payload) -> list[Payload]:
    """Return the choices of an autocomplete answer, or raise a 50035."""
    choices: list[Payload] = data.get("choices") or []
    if len(choices) > 25:
        raise form_error("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for index, choice in enumerate(choices):
        where = f"data.choices.{index}"
        if not 1 <= len(str(choice.get("name") or "")) <= 100:
            raise form_error(f"{where}.name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        if isinstance(choice.get("value"), str) and len(choice["value"]) > 100:
            raise form_error(f"{where}.value", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
    return choices


def checked_modal(data: Payload) -> Payload:
    """Return the modal of an answer, or raise a 50035."""
    for name, most in (("custom_id", 100), ("title", 45)):
        if not 1 <= len(str(data.get(name) or "")) <= most:
            raise form_error(f"data.{name}", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {most} in length.")
    if not 1 <= len(data.get("components") or ()) <= 5:
        raise form_error("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    return data


def find_component(message: Payload, custom_id: str) -> Payload:
    """Return the component of a message that can be clicked, or raise a 50035."""
    for component in walk_components(message.get("components") or []):
        if component.get("custom_id") == custom_id and not component.get("disabled"):
            return component
    raise form_error("data.custom_id", "COMPONENT_VALIDATION_FAILED", "Component validation failed")
