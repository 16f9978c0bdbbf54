"""REST endpoints about the application, users, the guild and where the gateway is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.errors import WorldError
from bot.playground.loopback.gateway import application_flags
from bot.playground.loopback.payloads import guild_create
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.rest import Call, Route
from bot.playground.loopback.state import is_thread
from bot.playground.loopback.world import World


class Basics:
    """The handlers.

    Args:
        world: what is asked about.
        gateway_url: returns the gateway's address (``ws://…``).
        shards: how many shards are recommended.
    """

    def __init__(self, world: World, gateway_url: Callable[[], str], shards: int) -> None:
        self._world = world
        self._gateway_url = gateway_url
        self._shards = shards

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", "/gateway", self._gateway, is_open=True),
            Route("GET", "/gateway/bot", self._gateway_bot),
            Route("GET", "/oauth2/applications/@me", self._application),
            Route("GET", "/applications/@me", self._application),
            Route("GET", "/users/@me", lambda _call: self._world.bot_user),
            Route("GET", "/users/@me/guilds", lambda _call: list(self._world.guilds.values())),
            Route("POST", "/users/@me/channels", self._open_dm),
            Route("GET", "/users/{user_id}", lambda call: self._world.state.user(call.params["user_id"])),
            Route("GET", "/guilds/{guild_id}", self._guild),
            Route("GET", "/guilds/{guild_id}/channels", self._channels),
            Route("GET", "/guilds/{guild_id}/roles", lambda call: self._guild(call)["roles"]),
            Route("GET", "/guilds/{guild_id}/threads/active", self._threads),
            Route("GET", "/guilds/{guild_id}/members/{user_id}", self._member),
        ]

    def _gateway(self, _call: Call) -> Payload:
        return {"url": self._gateway_url()}

    def _gateway_bot(self, _call: Call) -> Payload:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return {"url": self._gateway_url(), "shards": self._shards, "session_start_limit": limit}

    def _application(self, _call: Call) -> Payload:
        flags = application_flags(message_content=self._world.state.message_content)
        return {**self._world.application, "flags": flags, "bot": self._world.bot_user}

    def _open_dm(self, call: Call) -> Payload:
        return self._world.open_dm(str(call.body.get("recipient_id")))

    def _guild(self, call: Call) -> Payload:
        try:
            return self._world.guilds[call.params["guild_id"]]
        except KeyError:
            raise WorldError(404, 10004, "Unknown Guild") from None

    def _channels(self, call: Call) -> list[Payload]:
        self._guild(call)
        shown = guild_create(self._world.state)["channels"]
        return [each for each in shown if self._world.permissions(seed.BOT_ID, each["id"])]

    def _threads(self, call: Call) -> Payload:
        self._guild(call)
        shown = guild_create(self._world.state)["threads"]
        return {"threads": [each for each in shown if is_thread(each)], "members": []}

    def _member(self, call: Call) -> Any:
        self._guild(call)
        member = self._world.state.members.get(call.params["user_id"])
        if member is None:
            raise WorldError(404, 10007, "Unknown Member")
        return member
