"""Where a reply's messages go: a channel (over an interaction's token: `bot.delivery.interaction_sink`).

The journal is kept here: a message's text is noted before it is sent, its id as
soon as Discord told it, so that a restart knows what is on screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.delivery.reply_api import Answer, ReplyApi
from bot.errors import DeliveryRejected, DeliveryRetry, MessageGone
from bot.markdown.files import File
from bot.streaming.sink import Bucket, Sent, Sink

# No one is pinged, not even the one who is replied to; Discord does not keep
# this for edits, so it goes with each request.
NO_MENTIONS: dict[str, Any] = {"parse": [], "replied_user": False}
# Previews of links would come and go with the edits.
SUPPRESS_EMBEDS = 1 << 2
_CANNOT_REPLY = 160002  # no READ_MESSAGE_HISTORY
_REPLY_UNKNOWN = 50035
_UNKNOWN_MESSAGE = 10008
_PAGE_LIMIT = 2000


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

    @property
    def limit(self) -> int:
        """Code points that a message has room for."""
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


class MessageList:
    """What both sinks share: the messages so far, and who wants to know of new ones.

    *adopted* are messages, by ordinal, that an earlier process posted for the
    reply: they get the text that a new message would have got, and count as the
    reply's from the start.
    """

    def __init__(
        self,
        courier: ReplyApi,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        channel_id: int,
        nonce_seed: str,
        adopted: Mapping[int, Answer] | None = None,
    ) -> None:
        self._courier = courier
        self._journal = journal
        self._on_posted = on_posted
        self._channel_id = channel_id
        self._nonce_seed = nonce_seed
        self._messages: list[Answer] = []
        self._adopted = adopted or {}
        self._replaced = 0

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages, in order, those that an earlier process left included."""
        left = [self._adopted[each].message_id for each in sorted(self._adopted) if each >= len(self._messages)]
        return [*(answer.message_id for answer in self._messages), *left]

    @property
    def limit(self) -> int:
        """Code points that a message has room for."""
        return _PAGE_LIMIT

    def _posted(self, answer: Answer) -> None:
        self._messages.append(answer)
        self._on_posted(answer)

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
        payload = {"content": text, "allowed_mentions": NO_MENTIONS}
        answer = await self._rewrite(message, payload, file)
        return Sent(text, answer.headers)

    async def _take_over(self, known: Answer, ordinal: int, nonce: str, text: str) -> Sent:
        """Give the message that an earlier process left its text; one that somebody deleted is not posted again."""
        await self._journal.note(
            ordinal, channel_id=known.channel_id, nonce=nonce, message_id=known.message_id, text=text
        )
        answer = known
        if known.text != text.strip():
            payload = {"content": text, "allowed_mentions": NO_MENTIONS}
            try:
                answer = await self._rewrite(known, payload)
            except MessageGone as error:
                if error.code != _UNKNOWN_MESSAGE:
                    raise
        self._posted(answer)
        return Sent(text, answer.headers)

    async def _rewrite(self, message: Answer, payload: dict[str, Any], file: File | None = None) -> Answer:
        return await self._courier.edit_message(message.channel_id, message.message_id, payload, file)

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
        "allowed_mentions": NO_MENTIONS,
        "flags": SUPPRESS_EMBEDS,
    }


class ChannelSink(MessageList):
    """Shows a reply as messages in a channel, the first one replying to the prompt.

    *nonce_seed* is unique to the reply; with the ordinal it makes nonces that
    stay the same over retries and restarts (Discord returns the message that an
    earlier try created instead of a second one).
    """

    def __init__(
        self,
        courier: ReplyApi,
        journal: Journal,
        on_posted: Callable[[Answer], None],
        *,
        channel_id: int,
        reply_to: int | None,
        nonce_seed: str,
        adopted: Mapping[int, Answer] | None = None,
    ) -> None:
        super().__init__(courier, journal, on_posted, channel_id, nonce_seed, adopted)
        self._reply_to = reply_to

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

    def redirect(self, channel_id: int) -> None:
        """Post what comes next in another channel."""
        super().redirect(channel_id)
        self._reply_to = None

    async def _create(self, payload: dict[str, Any], *, refer: bool) -> Answer:
        """POST; if Discord refuses what it replies to, the next try goes without, in a turn of its own."""
        if not refer or self._reply_to is None:
            return await self._courier.create_message(self._channel_id, payload)
        reference = {"message_id": self._reply_to, "channel_id": self._channel_id, "fail_if_not_exists": False}
        try:
            return await self._courier.create_message(self._channel_id, payload | {"message_reference": reference})
        except (DeliveryRejected, MessageGone) as error:
            if error.code not in (_CANNOT_REPLY, _REPLY_UNKNOWN, _UNKNOWN_MESSAGE):
                raise
            self._reply_to = None
            raise DeliveryRetry(error.status, error.code, error.detail) from error
