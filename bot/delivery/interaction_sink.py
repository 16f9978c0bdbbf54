"""Where a command's answer goes: over its interaction's token, and to the channel once that is dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.delivery.followups import Followups
from bot.delivery.reply_api import Answer, ReplyApi
from bot.delivery.sinks import NO_MENTIONS, SUPPRESS_EMBEDS, Journal, MessageList
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.markdown.files import File
from bot.streaming.sink import Bucket, Sent

# An interaction's token dies after 15 minutes; a minute early the channel's route takes over.
_TOKEN_SECONDS = 14 * 60
_TOKEN_REFUSED = {10015, 50027}


class InteractionSink(MessageList):
    """Shows a reply over a deferred interaction's token, and on the channel's route once the token is old.

    A message of an interaction is an ordinary message of the bot, so the
    channel's route can go on with it where the bot sees the channel.
    *original_id* is the loading message's id, if Discord told it: it counts as
    the reply's before there is text in it. *followups* tells of what exists.
    """

    def __init__(
        self,
        courier: ReplyApi,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        *,
        channel_id: int,
        token: str,
        original_id: int | None,
        nonce_seed: str,
        created_at: float,
        followups: Followups,
        adopted: Mapping[int, Answer] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(courier, journal, on_posted, channel_id, nonce_seed, adopted)
        self._token = token
        self._original_id = original_id
        self._expires_at = created_at + _TOKEN_SECONDS
        self._followups = followups
        self._clock = clock
        self._refused = False
        self._is_unsure = False

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages, in order; at first the loading message's."""
        known = super().message_ids
        return known if known or self._original_id is None else [self._original_id]

    @property
    def _by_token(self) -> bool:
        return not self._refused and self._clock() < self._expires_at

    def post_bucket(self) -> Bucket:
        """Return the token's bucket, or the channel's once the token is old."""
        return self._bucket("post")

    def edit_bucket(self) -> Bucket:
        """Return the token's bucket, or the channel's once the token is old."""
        return self._bucket("edit")

    def _bucket(self, kind: str) -> Bucket:
        if self._by_token:
            return Bucket(("token", self._token), bound_globally=False)
        return Bucket((kind, self._channel_id))

    async def post(self, text: str) -> Sent:
        """Turn the loading message into the first one, or send a followup."""
        ordinal = len(self._messages)
        nonce = f"{self._nonce_seed}-{ordinal}"[-25:]
        if ordinal in self._adopted:
            return await self._take_over(self._adopted[ordinal], ordinal, nonce, text)
        await self._journal.note(ordinal, channel_id=self._channel_id, nonce=nonce, message_id=None, text=text)
        payload: dict[str, Any] = {"content": text, "allowed_mentions": NO_MENTIONS, "flags": SUPPRESS_EMBEDS}
        answer = await self._post(payload, nonce, original=ordinal == 0)
        self._posted(answer)
        await self._journal.note(
            ordinal, channel_id=answer.channel_id, nonce=nonce, message_id=answer.message_id, text=answer.text
        )
        return Sent(text if answer.text == text.strip() else answer.text, answer.headers)

    async def _post(self, payload: dict[str, Any], nonce: str, *, original: bool) -> Answer:
        if self._by_token:
            try:
                if original:
                    return await self._courier.edit_response(self._token, None, payload)
                return await self._follow_up(payload)
            except (DeliveryForbidden, MessageGone) as error:
                self._note_refusal(error)
        if original and self._original_id is not None:
            return await self._courier.edit_message(self._channel_id, self._original_id, payload)
        on_channel = payload | {"nonce": nonce, "enforce_nonce": True}
        return await self._courier.create_message(self._channel_id, on_channel)

    async def _follow_up(self, payload: dict[str, Any]) -> Answer:
        """Send a followup. There are no nonces here, so one whose answer was lost is looked for before the next try."""
        if self._is_unsure:
            found = await self._lost_followup()
            self._is_unsure = False
            if found is not None:
                return found
        try:
            return await self._courier.create_followup(self._token, payload)
        except DeliveryRetry as error:
            self._is_unsure = not isinstance(error, DeliveryRateLimited)
            raise

    async def _lost_followup(self) -> Answer | None:
        """Return the message that we do not know: as the gateway told, or in the channel if we may look."""
        for answer in self._followups.of(int(self._nonce_seed)):
            if answer.message_id > self._messages[-1].message_id:
                return answer
        try:
            newer = await self._courier.messages_after(self._channel_id, self._messages[-1].message_id)
        except DeliveryRetry:
            raise
        except DeliveryError:
            return None
        for message in newer:
            if str((message.get("interaction_metadata") or {}).get("id")) == self._nonce_seed:
                return Answer(int(message["id"]), self._channel_id, str(message.get("content") or ""), None)
        return None

    async def _rewrite(self, message: Answer, payload: dict[str, Any], file: File | None = None) -> Answer:
        """Edit over whichever route still works."""
        if self._by_token:
            try:
                return await self._courier.edit_response(self._token, message.message_id, payload, file)
            except (DeliveryForbidden, MessageGone) as error:
                self._note_refusal(error)
        return await super()._rewrite(message, payload, file)

    def redirect(self, channel_id: int) -> None:
        """Post what comes next in another channel, and nothing more over the token."""
        super().redirect(channel_id)
        self._refused = True
        self._original_id = None

    def _note_refusal(self, error: DeliveryForbidden | MessageGone) -> None:
        """Remember that the token is dead; anything else is a real refusal."""
        if error.code not in _TOKEN_REFUSED and error.status != 401:
            raise error
        self._refused = True
