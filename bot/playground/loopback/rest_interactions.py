"""REST endpoints about app commands and interactions."""

from __future__ import annotations

from bot.playground.loopback import seed
from bot.playground.loopback.commands import GLOBAL
from bot.playground.loopback.errors import WorldError
from bot.playground.loopback.interaction_payloads import Interaction
from bot.playground.loopback.limits import Charge
from bot.playground.loopback.payloads import EPHEMERAL, LOADING, render
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.rest import Call, Route
from bot.playground.loopback.world import World

_COMMANDS = "/applications/{application_id}/commands"
_GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"
_WEBHOOK = "/webhooks/{application_id}/{token}"
_MESSAGE = _WEBHOOK + "/messages/{message_id}"


class InteractionRoutes:
    """The handlers.

    Args:
        world: what they act on.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Return the endpoints; those of webhooks need no token but the interaction's."""
        return [
            Route("GET", _COMMANDS, self._commands),
            Route("PUT", _COMMANDS, self._overwrite, takes_list=True),
            Route("GET", _GUILD_COMMANDS, self._commands),
            Route("PUT", _GUILD_COMMANDS, self._overwrite, takes_list=True),
            Route("POST", "/interactions/{interaction_id}/{token}/callback", self._respond, is_open=True),
            Route("POST", _WEBHOOK, self._follow_up, self._follow_up_charges, is_open=True),
            Route("GET", _MESSAGE, self._fetch, is_open=True),
            Route("PATCH", _MESSAGE, self._edit, self._charges, is_open=True),
            Route("DELETE", _MESSAGE, self._delete, self._charges, is_open=True),
        ]

    def _scope(self, call: Call) -> str:
        if call.params["application_id"] != seed.BOT_ID:
            raise WorldError(404, 10002, "Unknown Application")
        guild_id = call.params.get("guild_id", GLOBAL)
        if guild_id and guild_id not in self._world.guilds:
            raise WorldError(403, 50001, "Missing Access")
        return guild_id

    def _commands(self, call: Call) -> list[Payload]:
        return self._world.command_rules.registered(self._scope(call))

    def _overwrite(self, call: Call) -> list[Payload]:
        return self._world.command_rules.overwrite(self._scope(call), call.body)

    def _respond(self, call: Call) -> Payload | None:
        interaction, message = self._world.interactions.respond(
            call.params["interaction_id"], call.params["token"], call.body, call.uploads
        )
        if call.query.get("with_response", "").lower() not in {"1", "true"}:
            return None
        return self._callback(interaction, int(call.body["type"]), message)

    def _callback(self, interaction: Interaction, kind: int, message: Payload | None) -> Payload:
        answer: Payload = {"interaction": {"id": interaction.id, "type": interaction.kind}}
        if message is not None:
            answer["interaction"].update(
                response_message_id=message["id"],
                response_message_loading=bool(message["flags"] & LOADING),
                response_message_ephemeral=bool(message["flags"] & EPHEMERAL),
                channel_id=message["channel_id"],
            )
            answer["resource"] = {"type": kind, "message": render(self._world.state, message)}
        return answer

    def _charges(self, call: Call) -> list[Charge]:
        return [Charge("interaction", call.params["token"], "webhook")]

    def _follow_up_charges(self, call: Call) -> list[Charge]:
        charges = self._charges(call)
        interaction = self._world.interactions.find(call.params["token"])
        if interaction is not None:
            charges.append(Charge("webhook", interaction.channel_id, "webhook channel", scope="shared"))
        return charges

    def _token(self, call: Call) -> str:
        if call.params["application_id"] != seed.BOT_ID:
            raise WorldError(404, 10015, "Unknown Webhook")
        return call.params["token"]

    def _follow_up(self, call: Call) -> Payload:
        message = self._world.interactions.follow_up(self._token(call), call.body, call.uploads)
        return render(self._world.state, message)

    def _fetch(self, call: Call) -> Payload:
        message = self._world.interactions.message(self._token(call), call.params["message_id"])
        return render(self._world.state, message)

    def _edit(self, call: Call) -> Payload:
        message = self._world.interactions.edit(self._token(call), call.params["message_id"], call.body, call.uploads)
        return render(self._world.state, message)

    def _delete(self, call: Call) -> None:
        self._world.interactions.delete(self._token(call), call.params["message_id"])
