"""The life of an interaction: sent, answered within three seconds or failed, then edited by its token.

Source: https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from bot.playground.loopback.errors import WorldError, form_error, unknown_message
from bot.playground.loopback.interaction_payloads import (
    AUTOCOMPLETE,
    MODAL_SUBMIT,
    Interaction,
    checked_choices,
    checked_modal,
    create_event,
    modal_data,
    response_fields,
    state_event,
)
from bot.playground.loopback.messages import Messages
from bot.playground.loopback.payloads import EPHEMERAL, LOADING
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.state import State

_MESSAGE, _DEFERRED, _DEFERRED_UPDATE, _UPDATE, _CHOICES, _MODAL = 4, 5, 6, 7, 8, 9
_RESPONSE_FLAGS = (1 << 2) | EPHEMERAL | (1 << 12) | (1 << 15)
_KEPT = 2000  # interactions remembered; the oldest are forgotten


class Interactions:
    """All interactions, and what the bot may do with their tokens.

    Args:
        state: emits INTERACTION_CREATE and INTERACTION_STATE.
        messages: writes the responses.
        deadline: seconds in which the first answer must come.
        lifetime: seconds after which a token is refused.
    """

    def __init__(self, state: State, messages: Messages, *, deadline: float = 3.0, lifetime: float = 900.0) -> None:
        self._state = state
        self._messages = messages
        self.deadline = deadline
        self.lifetime = lifetime
        self.all: dict[str, Interaction] = {}

    def open(
        self,
        kind: int,
        user_id: str,
        channel_id: str,
        data: Payload,
        *,
        source: Payload | None = None,
        choices: asyncio.Future[list[Payload]] | None = None,
    ) -> Interaction:
        """Send an interaction to the bot and start its clock.

        Args:
            kind: 2 command, 3 component, 4 autocomplete, 5 modal.
            user_id: who causes it.
            channel_id: where.
            data: the ``data`` of INTERACTION_CREATE.
            source: the message whose component was clicked, rendered.
            choices: gets the answer to an autocomplete, or the refusal.
        """
        state = self._state
        interaction = Interaction(
            id=state.ids.next(),
            token=secrets.token_urlsafe(48),
            kind=kind,
            user_id=user_id,
            channel_id=channel_id,
            data=data,
            expires_at=state.now() + self.lifetime,
            source=source,
            choices=choices,
        )
        self.all[interaction.id] = interaction
        while len(self.all) > _KEPT:
            self.all.pop(next(iter(self.all)))
        self._start_clock(interaction)
        self._tell(interaction)
        state.emit("INTERACTION_CREATE", create_event(state, interaction))
        return interaction

    def _start_clock(self, interaction: Interaction) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a world without sockets may be driven without a loop
            return
        interaction.timer = loop.call_later(self.deadline, self._fail, interaction)

    def respond(
        self, interaction_id: str, token: str, body: Payload, uploads: Sequence[Payload] = ()
    ) -> tuple[Interaction, Payload | None]:
        """Take the first answer; return the interaction and the message it made or changed, if any.

        Raises:
            WorldError: 10062 if unknown, wrong or too late, 40060 if answered before.
        """
        interaction = self.all.get(interaction_id)
        if interaction is None or interaction.token != token or interaction.state == "failed":
            raise WorldError(404, 10062, "Unknown interaction")
        if not interaction.pending:
            raise WorldError(400, 40060, "Interaction has already been acknowledged.")
        kind = body.get("type")
        data = body.get("data") or {}
        if (kind == _CHOICES) != (interaction.kind == AUTOCOMPLETE):
            raise form_error("type", "INTERACTION_CALLBACK_INVALID", "Callback type is not valid for this interaction.")
        message = self._answer(interaction, kind, data, uploads)
        if interaction.timer is not None:
            interaction.timer.cancel()
        self._tell(interaction)
        return interaction, message

    def _answer(self, interaction: Interaction, kind: Any, data: Payload, uploads: Sequence[Payload]) -> Payload | None:
        """Do what a callback type says and set the interaction's state."""
        if kind in {_MESSAGE, _DEFERRED}:
            message = self._post(interaction, data, uploads, loading=kind == _DEFERRED)
            interaction.original_id = message["id"]
            interaction.state = "deferred" if kind == _DEFERRED else "answered"
            return message
        if kind in {_DEFERRED_UPDATE, _UPDATE} and interaction.source is not None:
            interaction.original_id = interaction.source["id"]
            interaction.state = "answered"
            source = self._message(interaction, interaction.source["id"])
            return self._messages.apply_edit(source, data, uploads) if kind == _UPDATE else source
        if kind == _MODAL and interaction.kind != MODAL_SUBMIT:
            interaction.modal = checked_modal(data)
            interaction.state = "modal"
            return None
        if kind == _CHOICES:
            choices = checked_choices(data)
            interaction.state = "answered"
            if interaction.choices is not None and not interaction.choices.done():
                interaction.choices.set_result(choices)
            return None
        raise form_error("type", "BASE_TYPE_CHOICES", "Value must be one of {4, 5, 6, 7, 8, 9, 10, 12}.")

    def original(self, token: str) -> Payload:
        """Return the message that ``@original`` names, as stored."""
        interaction = self._by_token(token)
        if interaction.original_id is None:
            raise unknown_message()
        return self._message(interaction, interaction.original_id)

    def message(self, token: str, message_id: str) -> Payload:
        """Return a message of the interaction by id or ``@original``, as stored."""
        return self.original(token) if message_id == "@original" else self._message(self._by_token(token), message_id)

    def edit(self, token: str, message_id: str, body: Payload, uploads: Sequence[Payload] = ()) -> Payload:
        """Change a response or followup; the first edit of a deferred one fills it and is no "edit"."""
        message = self.message(token, message_id)
        loading = bool(message["flags"] & LOADING)
        edited = self._messages.apply_edit(message, body, uploads, mark=not loading)
        interaction = self._by_token(token)
        if loading and interaction.state == "deferred":
            interaction.state = "answered"
            self._tell(interaction)
        return edited

    def delete(self, token: str, message_id: str) -> None:
        """Delete a response or followup."""
        self._messages.remove(self.message(token, message_id))

    def follow_up(self, token: str, body: Payload, uploads: Sequence[Payload] = ()) -> Payload:
        """Write a further message; the first one after a deferral fills the deferred response, as at Discord."""
        interaction = self._by_token(token)
        if interaction.state == "deferred":
            return self.edit(token, "@original", body, uploads)
        return self._post(interaction, body, uploads, reply=True)

    def submit(self, user_id: str, key: str, values: dict[str, Any]) -> Interaction:
        """Send in the modal that an interaction (or by custom_id the newest such one of the user) showed."""
        shown = [each for each in self.all.values() if each.modal is not None and each.user_id == user_id]
        for interaction in reversed(shown):
            modal = interaction.modal
            if modal is not None and key in {interaction.id, modal["custom_id"]}:
                data = modal_data(modal, values)
                return self.open(MODAL_SUBMIT, user_id, interaction.channel_id, data, source=interaction.source)
        raise WorldError(404, 10062, "Unknown interaction")

    def expire(self, interaction_id: str) -> None:
        """Let a token run out now."""
        if interaction_id not in self.all:
            raise WorldError(404, 10062, "Unknown interaction")
        self.all[interaction_id].expires_at = self._state.now()

    def close(self) -> None:
        """Stop all clocks."""
        for interaction in self.all.values():
            if interaction.timer is not None:
                interaction.timer.cancel()
            if interaction.choices is not None:
                interaction.choices.cancel()

    def find(self, token: str) -> Interaction | None:
        """Return the interaction of a token, or None."""
        return next((each for each in reversed(self.all.values()) if each.token == token), None)

    def _by_token(self, token: str) -> Interaction:
        interaction = self.find(token)
        if interaction is None:
            raise WorldError(401, 50027, "Invalid Webhook Token")
        if interaction.pending or interaction.state == "failed":
            raise WorldError(404, 10015, "Unknown Webhook")
        if self._state.now() >= interaction.expires_at:
            raise WorldError(401, 50027, "Invalid Webhook Token")
        return interaction

    def _message(self, interaction: Interaction, message_id: str) -> Payload:
        return self._state.message(interaction.channel_id, message_id)

    def _post(
        self,
        interaction: Interaction,
        body: Payload,
        uploads: Sequence[Payload],
        *,
        loading: bool = False,
        reply: bool = False,
    ) -> Payload:
        """Write the bot's message; ``loading`` for a deferred one, ``reply`` for a followup to it."""
        flags = int(body.get("flags") or 0) & _RESPONSE_FLAGS
        target = interaction.original_id if reply else (interaction.source or {}).get("id")
        extra = response_fields(self._state, interaction, target)
        extra["flags"] = (flags & EPHEMERAL) | LOADING if loading else flags
        if flags & EPHEMERAL:
            extra["viewer_id"] = interaction.user_id
        return self._messages.create_response(interaction.channel_id, {} if loading else body, extra, uploads)

    def _fail(self, interaction: Interaction) -> None:
        if not interaction.pending:
            return
        interaction.state = "failed"
        if interaction.choices is not None and not interaction.choices.done():
            interaction.choices.set_exception(WorldError(504, 0, "Loading options failed"))
        self._tell(interaction)

    def _tell(self, interaction: Interaction) -> None:
        if interaction.kind != AUTOCOMPLETE:  # a client shows nothing of those
            self._state.emit("INTERACTION_STATE", state_event(interaction))
