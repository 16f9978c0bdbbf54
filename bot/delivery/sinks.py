"""Where a reply's messages go: a channel, or an interaction's token.

Both keep the journal: a message's text is noted before it is sent, its id as
soon as Discord told it, so that a restart knows what is on screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.delivery.http import Answer, Courier
from bot.errors import (
    DeliveryError,
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)
from bot.streaming.sink import Bucket, File, Sent, Sink

# No one is pinged, not even the one who is replied to; Discord does not keep
# this for edits, so it goes with each request.
_NO_MENTIONS: dict[str, Any] = {"parse": [], "replied_user": False}
# Previews of links would come and go with the edits.
_SUPPRESS_EMBEDS = 1 << 2
# An interaction's token dies after 15 minutes; a minute early the channel's route takes over.
_TOKEN_SECONDS = 14 * 60
_CANNOT_REPLY = 160002  # no READ_MESSAGE_HISTORY
_REPLY_UNKNOWN = 50035
_TOKEN_REFUSED = {10015, 50027}
_UNKNOWN_MESSAGE = 10008


class Journal(Protocol):
    """Notes what is about to be on screen."""

    async def note(self, ordinal: int, *, channel_id: int, nonce: str, message_id: int | None, text: str) -> None:
        """Write one message's state down; the id is None until Discord told it."""
        ...


class MessagesSink(Sink, Protocol):
    """A sink that knows its messages and can go on elsewhere."""

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the messages so far."""
        ...

    def place(self, ordinal: int) -> tuple[int, int]:
        """Return the channel and the id of a message."""
        ...

    def redirect(self, channel_id: int) -> None:
        """Post what comes next in another channel."""
        ...

    async def replace(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Post a new message in place of one that can no longer be edited."""
        ...


class _Messages:
    """What both sinks share: the messages so far, and who wants to know of new ones."""

    def __init__(
        self, courier: Courier, journal: Journal, on_posted: Callable[[Answer], None], channel_id: int, nonce_seed: str
    ) -> None:
        self._courier = courier
        self._journal = journal
        self._on_posted = on_posted
        self._channel_id = channel_id
        self._nonce_seed = nonce_seed
        self._messages: list[Answer] = []
        self._replaced = 0

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages, in order."""
        return [answer.message_id for answer in self._messages]

    def _posted(self, answer: Answer) -> None:
        self._messages.append(answer)
        self._on_posted(answer)

    def place(self, ordinal: int) -> tuple[int, int]:
        """Return the channel and the id of a message."""
        return self._messages[ordinal].channel_id, self._messages[ordinal].message_id

    def redirect(self, channel_id: int) -> None:
        """Post what comes next in another channel."""
        self._channel_id = channel_id

    async def replace(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Post a new message in place of one that can no longer be edited."""
        nonce = f"{self._nonce_seed}-{ordinal}.{self._replaced + 1}"[-25:]
        await self._journal.note(ordinal, channel_id=self._channel_id, nonce=nonce, message_id=None, text=text)
        answer = await self._courier.create_message(self._channel_id, _new_message(text, nonce), file)
        self._replaced += 1
        self._messages[ordinal] = answer
        self._on_posted(answer)
        await self._journal.note(
            ordinal, channel_id=answer.channel_id, nonce=nonce, message_id=answer.message_id, text=text
        )
        return Sent(text, answer.headers)


def _new_message(text: str, nonce: str) -> dict[str, Any]:
    return {
        "content": text,
        "nonce": nonce,
        "enforce_nonce": True,
        "allowed_mentions": _NO_MENTIONS,
        "flags": _SUPPRESS_EMBEDS,
    }


class ChannelSink(_Messages):
    """Shows a reply as messages in a channel, the first one replying to the prompt.

    *nonce_seed* is unique to the reply; with the ordinal it makes nonces that
    stay the same over retries and restarts (Discord returns the message that an
    earlier try created instead of a second one). *adopted* are messages, by
    ordinal, that an earlier process posted for the reply: they get the text that
    a new message would have got, and count as the reply's from the start.
    """

    def __init__(
        self,
        courier: Courier,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        *,
        channel_id: int,
        reply_to: int | None,
        nonce_seed: str,
        adopted: Mapping[int, Answer] | None = None,
    ) -> None:
        super().__init__(courier, journal, on_posted, channel_id, nonce_seed)
        self._reply_to = reply_to
        self._adopted = adopted or {}

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages, in order, those that an earlier process left included."""
        left = [self._adopted[each].message_id for each in sorted(self._adopted) if each >= len(self._messages)]
        return [*super().message_ids, *left]

    def post_bucket(self) -> Bucket:
        """Return the bucket of the channel's new messages, or of its edits if the next message is there already."""
        kind = "edit" if len(self._messages) in self._adopted else "post"
        return Bucket((kind, self._channel_id))

    def edit_bucket(self) -> Bucket:
        """Return the bucket of the channel's edits."""
        return Bucket(("edit", self._channel_id))

    async def post(self, text: str) -> Sent:
        """Send the next message; see `bot.streaming.sink.Sink`."""
        ordinal = len(self._messages)
        nonce = f"{self._nonce_seed}-{ordinal}"[-25:]
        if ordinal in self._adopted:
            return await self._take_over(self._adopted[ordinal], ordinal, nonce, text)
        await self._journal.note(ordinal, channel_id=self._channel_id, nonce=nonce, message_id=None, text=text)
        answer = await self._create(_new_message(text, nonce), refer=ordinal == 0)
        self._posted(answer)
        await self._journal.note(
            ordinal, channel_id=answer.channel_id, nonce=nonce, message_id=answer.message_id, text=answer.text
        )
        return Sent(text if answer.text == text.strip() else answer.text, answer.headers)

    async def _take_over(self, known: Answer, ordinal: int, nonce: str, text: str) -> Sent:
        """Give the message that an earlier process left its text; one that somebody deleted is not posted again."""
        await self._journal.note(
            ordinal, channel_id=known.channel_id, nonce=nonce, message_id=known.message_id, text=text
        )
        answer = known
        if known.text != text.strip():
            payload = {"content": text, "allowed_mentions": _NO_MENTIONS}
            try:
                answer = await self._courier.edit_message(known.channel_id, known.message_id, payload)
            except MessageGone as error:
                if error.code != _UNKNOWN_MESSAGE:
                    raise
        self._posted(answer)
        return Sent(text, answer.headers)

    def redirect(self, channel_id: int) -> None:
        """Post what comes next in another channel."""
        super().redirect(channel_id)
        self._reply_to = None

    async def _create(self, payload: dict[str, Any], *, refer: bool) -> Answer:
        if not refer or self._reply_to is None:
            return await self._courier.create_message(self._channel_id, payload)
        reference = {"message_id": self._reply_to, "channel_id": self._channel_id, "fail_if_not_exists": False}
        try:
            return await self._courier.create_message(self._channel_id, payload | {"message_reference": reference})
        except (DeliveryRejected, MessageGone) as error:
            if error.code not in (_CANNOT_REPLY, _REPLY_UNKNOWN, _UNKNOWN_MESSAGE):
                raise
            self._reply_to = None
            return await self._courier.create_message(self._channel_id, payload)

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text; see `bot.streaming.sink.Sink`."""
        message = self._messages[ordinal]
        await self._journal.note(
            ordinal,
            channel_id=message.channel_id,
            nonce=f"{self._nonce_seed}-{ordinal}"[-25:],
            message_id=message.message_id,
            text=text,
        )
        payload = {"content": text, "allowed_mentions": _NO_MENTIONS}
        answer = await self._courier.edit_message(message.channel_id, message.message_id, payload, file)
        return Sent(text, answer.headers)


class InteractionSink(_Messages):
    """Shows a reply over a deferred interaction's token, and on the channel's route once the token is old.

    A message of an interaction is an ordinary message of the bot, so the
    channel's route can go on with it where the bot sees the channel.
    *original_id* is the loading message's id, if Discord told it: it counts as
    the reply's before there is text in it.
    """

    def __init__(
        self,
        courier: Courier,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        *,
        channel_id: int,
        token: str,
        original_id: int | None,
        nonce_seed: str,
        created_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(courier, journal, on_posted, channel_id, nonce_seed)
        self._token = token
        self._original_id = original_id
        self._expires_at = created_at + _TOKEN_SECONDS
        self._clock = clock
        self._refused = False
        self._is_unsure = False

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages, in order; at first the loading message's."""
        if not self._messages and self._original_id is not None:
            return [self._original_id]
        return super().message_ids

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
        await self._journal.note(ordinal, channel_id=self._channel_id, nonce=nonce, message_id=None, text=text)
        payload: dict[str, Any] = {"content": text, "allowed_mentions": _NO_MENTIONS, "flags": _SUPPRESS_EMBEDS}
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
        """Return the message that this interaction has in the channel and that we do not know, if we may look."""
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

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace a message's text over whichever route still works."""
        message = self._messages[ordinal]
        nonce = f"{self._nonce_seed}-{ordinal}"[-25:]
        await self._journal.note(
            ordinal, channel_id=message.channel_id, nonce=nonce, message_id=message.message_id, text=text
        )
        payload = {"content": text, "allowed_mentions": _NO_MENTIONS}
        if self._by_token:
            try:
                answer = await self._courier.edit_response(self._token, message.message_id, payload, file)
                return Sent(text, answer.headers)
            except (DeliveryForbidden, MessageGone) as error:
                self._note_refusal(error)
        answer = await self._courier.edit_message(message.channel_id, message.message_id, payload, file)
        return Sent(text, answer.headers)

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
