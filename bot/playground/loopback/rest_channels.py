"""REST endpoints about channels: messages, reactions, typing and threads."""

from __future__ import annotations

from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.errors import missing_permissions
from bot.playground.loopback.limits import Charge
from bot.playground.loopback.payloads import render, without_content
from bot.playground.loopback.permissions import Payload, Permission
from bot.playground.loopback.rest import Call, Route
from bot.playground.loopback.snowflake import created_at
from bot.playground.loopback.world import World

_CHANNEL = "/channels/{channel_id}"
_MESSAGES = _CHANNEL + "/messages"
_MESSAGE = _MESSAGES + "/{message_id}"
_REACTIONS = _MESSAGE + "/reactions"
_EMOJI = _REACTIONS + "/{emoji}"
_HOUR = 3600.0
_TWO_WEEKS = 14 * 86400.0


class ChannelRoutes:
    """The handlers; whatever they do, the bot does.

    Args:
        world: what they act on.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        reaction = self._charge("reaction", "reactions")
        return [
            Route("GET", _CHANNEL, self._channel),
            Route("PATCH", _CHANNEL, self._modify),
            Route("DELETE", _CHANNEL, self._delete_channel),
            Route("GET", _MESSAGES, self._history),
            Route("POST", _MESSAGES, self._send, self._charge("post", "messages")),
            Route("POST", _MESSAGES + "/bulk-delete", self._bulk_delete),
            Route("GET", _MESSAGE, self._fetch),
            Route("PATCH", _MESSAGE, self._edit, self._edit_charges),
            Route("DELETE", _MESSAGE, self._delete, self._delete_charges),
            Route("GET", _EMOJI, self._reacted),
            Route("PUT", _EMOJI + "/@me", self._react, reaction),
            Route("DELETE", _EMOJI + "/@me", self._unreact, reaction),
            Route("DELETE", _EMOJI + "/{user_id}", self._unreact, reaction),
            Route("DELETE", _EMOJI, self._clear, reaction),
            Route("DELETE", _REACTIONS, self._clear, reaction),
            Route("POST", _CHANNEL + "/typing", self._typing, self._charge("typing", "typing")),
            Route("POST", _MESSAGE + "/threads", self._create_thread),
            Route("POST", _CHANNEL + "/threads", self._create_thread),
            Route("PUT", _CHANNEL + "/thread-members/@me", self._join),
        ]

    @staticmethod
    def _charge(name: str, bucket: str) -> Any:
        return lambda call: [Charge(name, call.params["channel_id"], bucket)]

    def _edit_charges(self, call: Call) -> list[Charge]:
        channel_id = call.params["channel_id"]
        charges = [Charge("edit", channel_id, "messages")]
        if self._age(call) > _HOUR:
            charges.append(Charge("old_edit", channel_id, "old edits", code=30046))
        return charges

    def _delete_charges(self, call: Call) -> list[Charge]:
        age = self._age(call)
        name = "delete_new" if age < 10 else "delete" if age < _TWO_WEEKS else "delete_old"
        return [Charge(name, call.params["channel_id"], name)]

    def _age(self, call: Call) -> float:
        message_id = call.params["message_id"]
        return self._world.now() - created_at(message_id) if message_id.isdecimal() else 0.0

    def _shown(self, message: Payload) -> Payload:
        """Return a message as the bot may read it."""
        return message if self._world.state.message_content else without_content(message)

    def _channel(self, call: Call) -> Payload:
        channel = self._world.state.channel(call.params["channel_id"])
        self._world.state.require(seed.BOT_ID, channel)
        return channel

    def _modify(self, call: Call) -> Payload:
        return self._world.channel_rules.modify(seed.BOT_ID, call.params["channel_id"], call.body)

    def _delete_channel(self, call: Call) -> Payload:
        channel = self._channel(call)
        self._world.state.require(seed.BOT_ID, channel, Permission.MANAGE_CHANNELS)
        self._world.delete_channel(channel["id"])
        return channel

    def _history(self, call: Call) -> list[Payload]:
        found = self._world.message_rules.history(
            seed.BOT_ID,
            call.params["channel_id"],
            limit=int(call.query.get("limit", 50)),
            before=call.query.get("before", ""),
            after=call.query.get("after", ""),
            around=call.query.get("around", ""),
        )
        return [self._shown(each) for each in found]

    def _fetch(self, call: Call) -> Payload:
        params = call.params
        return self._shown(self._world.message_rules.fetch(seed.BOT_ID, params["channel_id"], params["message_id"]))

    def _send(self, call: Call) -> Payload:
        message = self._world.message_rules.create(seed.BOT_ID, call.params["channel_id"], call.body, call.uploads)
        return self._shown(render(self._world.state, message))

    def _edit(self, call: Call) -> Payload:
        params = call.params
        message = self._world.message_rules.edit(
            seed.BOT_ID, params["channel_id"], params["message_id"], call.body, call.uploads
        )
        return self._shown(render(self._world.state, message))

    def _delete(self, call: Call) -> None:
        self._world.message_rules.delete(seed.BOT_ID, call.params["channel_id"], call.params["message_id"])

    def _bulk_delete(self, call: Call) -> None:
        channel_id = call.params["channel_id"]
        state = self._world.state
        if Permission.MANAGE_MESSAGES not in state.require(seed.BOT_ID, state.channel(channel_id)):
            raise missing_permissions()
        self._world.message_rules.remove_many(channel_id, call.body["messages"])

    def _reacted(self, call: Call) -> list[Payload]:
        params = call.params
        return self._world.reaction_rules.users(
            seed.BOT_ID, params["channel_id"], params["message_id"], params["emoji"]
        )

    def _react(self, call: Call) -> None:
        params = call.params
        self._world.react(seed.BOT_ID, params["channel_id"], params["message_id"], params["emoji"])

    def _unreact(self, call: Call) -> None:
        params = call.params
        self._world.unreact(
            seed.BOT_ID, params["channel_id"], params["message_id"], params["emoji"], of=params.get("user_id")
        )

    def _clear(self, call: Call) -> None:
        params = call.params
        self._world.reaction_rules.clear(seed.BOT_ID, params["channel_id"], params["message_id"], params.get("emoji"))

    def _typing(self, call: Call) -> None:
        self._world.typing(seed.BOT_ID, call.params["channel_id"])

    def _create_thread(self, call: Call) -> Payload:
        params = call.params
        return self._world.channel_rules.create_thread(
            seed.BOT_ID, params["channel_id"], call.body, params.get("message_id")
        )

    def _join(self, call: Call) -> None:
        self._channel(call)
