"""Sends the calls of a reply, each as one request: to a channel, or over a command's token while that lives.

Nothing is remembered here of what stands on screen. What the two ways have to do
otherwise: followups bear no nonce, so one whose answer was lost is looked for;
and they reply to nothing, so there is no reference that Discord could refuse.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from bot.delivery.followups import Followups
from bot.delivery.http_errors import answered_with
from bot.delivery.reply_api import NO_MENTIONS, SUPPRESS_EMBEDS, Answer, ReplyApi
from bot.errors import DeliveryError
from bot.streaming.bucket import Bucket
from bot.streaming.calls import PAGES, POSTS, Answered, Call
from bot.streaming.rules import Kind, Outcome

TOKEN_SECONDS = 14 * 60
"""An interaction's token dies after 15 minutes; a minute early the channel's route takes over."""
_BUCKETS = {Kind.UNARCHIVE: "thread", Kind.OPEN_DM: "dm", Kind.DELETE: "delete", Kind.LOOK: "look"}


class Transport(Protocol):
    """A way to Discord."""

    def bucket(self, call: Call) -> Bucket:
        """Return the bucket that *call* is counted in now."""
        ...

    async def send(self, call: Call) -> Answered:
        """Send one request; return what came of it, whatever that is."""
        ...


class ChannelTransport:
    """The channel's own routes, and those of everything that no token reaches.

    The first message replies to the message *reply_to*, unless Discord refuses that. *asker_id* gets direct messages.
    """

    def __init__(self, api: ReplyApi, *, asker_id: int = 0, reply_to: int | None = None) -> None:
        self._api = api
        self._asker_id = asker_id
        self._reply_to = reply_to

    def bucket(self, call: Call) -> Bucket:
        """Return the bucket of what *call* does in its channel."""
        if call.kind is Kind.LOOK:  # it waits for its share of the global rate by itself
            return Bucket(("look", call.place.channel_id), bound_globally=False)
        is_post = call.kind in POSTS or call.kind in (Kind.SAY_WHY, Kind.HAND_OVER)
        return Bucket((_BUCKETS.get(call.kind, "post" if is_post else "edit"), call.place.channel_id))

    async def send(self, call: Call) -> Answered:
        """Send one request."""
        place, refers = call.place, False
        try:
            match call.kind:
                case Kind.UNARCHIVE:
                    await self._api.open_thread(place.channel_id)
                case Kind.OPEN_DM:
                    return Answered(Outcome.OK, channel_id=await self._api.open_dm(self._asker_id))
                case Kind.DELETE if place.message_id is not None:
                    await self._api.delete_message(place.channel_id, place.message_id)
                case Kind.LOOK:
                    pass
                case Kind.EDIT | Kind.FILE | Kind.EDIT_WORDS | Kind.CLOSE | Kind.DELETE:
                    return await self._edit(call, place.message_id)
                case _:
                    refers = self._refers(call)
                    return _shown(call, await self._create(call, refers=refers))
        except DeliveryError as error:
            answered = answered_with(error, refers=refers)
            if answered.outcome is Outcome.NO_REFERENCE:
                self._reply_to = None
            return answered
        return Answered(Outcome.OK)

    async def edit_original(self, call: Call, message_id: int) -> Answered:
        """Show the first text in the loading message of a command whose token is dead."""
        try:
            return await self._edit(call, message_id)
        except DeliveryError as error:
            return answered_with(error)

    async def _edit(self, call: Call, message_id: int | None) -> Answered:
        if message_id is None:  # a loading message that nobody told us of
            return Answered(Outcome.MESSAGE_GONE)
        answer = await self._api.edit_message(call.place.channel_id, message_id, _payload(call), call.file)
        return _shown(call, answer)

    def _refers(self, call: Call) -> bool:
        return self._reply_to is not None and call.is_first and call.kind in POSTS

    async def _create(self, call: Call, *, refers: bool) -> Answer:
        payload = _payload(call) | {"nonce": call.place.nonce, "enforce_nonce": True, "flags": SUPPRESS_EMBEDS}
        if refers:
            payload["message_reference"] = {
                "message_id": self._reply_to,
                "channel_id": call.place.channel_id,
                "fail_if_not_exists": False,
            }
        return await self._api.create_message(call.place.channel_id, payload, call.file)


class TokenTransport:
    """A command's interaction, until its token dies; then *channel*.

    A message of an interaction is an ordinary message of the bot, so the
    channel's route can go on with it where the bot sees the channel.
    *original_id* is the loading message's, if Discord told it; *followups* tells of what exists.
    """

    def __init__(
        self,
        api: ReplyApi,
        channel: ChannelTransport,
        token: str,
        interaction_id: int,
        *,
        created_at: float,
        followups: Followups,
        original_id: int | None = None,
    ) -> None:
        self._api = api
        self._channel = channel
        self._token = token
        self._interaction_id = interaction_id
        self._original_id = original_id
        self._created_at = created_at
        self._followups = followups
        self._is_dead = False
        self._is_doubted = False  # a proxy refused it once

    def bucket(self, call: Call) -> Bucket:
        """Return the token's bucket, or the channel's for what the token does not reach."""
        return (
            Bucket(("token", self._token), bound_globally=False) if self._reaches(call) else self._channel.bucket(call)
        )

    def _reaches(self, call: Call) -> bool:
        is_alive = not self._is_dead and time.time() < self._created_at + TOKEN_SECONDS
        return is_alive and call.place.by_token and (call.kind in PAGES or call.kind in (Kind.CLOSE, Kind.DELETE))

    async def send(self, call: Call) -> Answered:
        """Send one request over whichever route works."""
        if call.kind is Kind.LOOK:
            return await self._look(call)
        if not self._reaches(call):
            if call.is_first and call.place.by_token and call.place.message_id is None and self._original_id:
                return await self._channel.edit_original(call, self._original_id)
            return await self._channel.send(call)
        answered = await self._over_token(call)
        is_refused = answered.outcome is Outcome.PROXY
        if is_refused and self._is_doubted:
            answered = Answered(Outcome.TOKEN_DEAD, reason=answered.reason, error=answered.error)
        self._is_doubted = is_refused
        self._is_dead |= answered.outcome is Outcome.TOKEN_DEAD
        return answered

    async def _over_token(self, call: Call) -> Answered:
        message_id = call.place.message_id
        try:
            if call.kind is Kind.DELETE:
                await self._api.delete_response(self._token, message_id)
                return Answered(Outcome.OK)
            if call.kind in POSTS and not call.is_first:
                answer = await self._api.create_followup(self._token, _payload(call) | {"flags": SUPPRESS_EMBEDS})
            else:
                flags = {"flags": SUPPRESS_EMBEDS} if message_id is None else {}
                answer = await self._api.edit_response(self._token, message_id, _payload(call) | flags, call.file)
        except DeliveryError as error:
            return answered_with(error, by_token=True)
        return _shown(call, answer)

    async def _look(self, call: Call) -> Answered:
        """Look for the followup that we do not know: as the gateway told, or in the channel if we may look."""
        after = call.place.message_id or self._interaction_id
        for answer in self._followups.of(self._interaction_id):
            if answer.message_id > after:
                return Answered(Outcome.OK, answer.text, answer.message_id, answer.channel_id)
        try:
            newer = await self._api.messages_after(call.place.channel_id, after)
        except DeliveryError as error:
            return answered_with(error)
        for message in newer:
            if str((message.get("interaction_metadata") or {}).get("id")) == str(self._interaction_id):
                text = str(message.get("content") or "")
                return Answered(Outcome.OK, text, int(message["id"]), call.place.channel_id)
        return Answered(Outcome.OK)


def _payload(call: Call) -> dict[str, Any]:
    return {"content": call.text, "allowed_mentions": NO_MENTIONS}


def _shown(call: Call, answer: Answer) -> Answered:
    outcome = Outcome.OK if answer.text == call.text.strip() else Outcome.OTHER
    return Answered(outcome, answer.text, answer.message_id, answer.channel_id, headers=answer.headers)
