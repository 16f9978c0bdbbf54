"""When a channel takes nothing more: the rest of an answer goes to who asked, as a direct message."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bot.delivery.http_errors import ARCHIVED, LOCKED
from bot.delivery.reply_api import ReplyApi
from bot.errors import DeliveryError, DeliveryRejected, DeliveryRetry
from bot.markdown.files import File

log = logging.getLogger(__name__)

_MISSING_ACCESS = 50001


@dataclass(frozen=True, slots=True)
class Question:
    """Which question an answer belongs to.

    Attributes:
        channel_id: where it was asked.
        author_id: who asked.
        link: the address of the question, or of its channel.
    """

    channel_id: int
    author_id: int
    link: str


def question_link(guild_id: int, channel_id: int, message_id: int | None) -> str:
    """Return the address at which Discord's clients show a message, or a channel."""
    return f"https://discord.com/channels/{guild_id}/{channel_id}" + (f"/{message_id}" if message_id else "")


class DmFallback:
    """Opens the direct messages with who asked, once per reply, and says why.

    *is_allowed* is asked first: without a server in common Discord refuses, and
    counts the refusal.
    """

    def __init__(self, courier: ReplyApi, question: Question, is_allowed: Callable[[], bool]) -> None:
        self._courier = courier
        self._question = question
        self._is_allowed = is_allowed
        self._is_spent = False
        # two questions may have the same link: that of their channel
        self._nonce_seed = secrets.token_hex(8)

    async def open(self, reason: DeliveryError, *, is_rest: bool) -> int | None:
        """Return the channel for the answer (*is_rest*: for what is missing of it), None if there is no way.

        Raises:
            DeliveryRetry: Discord has trouble; the next try may work.
        """
        if self._is_spent or not self._is_allowed():
            return None
        try:
            channel_id = await self._courier.open_dm(self._question.author_id)
            await self._courier.create_message(channel_id, self._words(reason, is_rest=is_rest))
        except DeliveryRetry:
            raise
        except DeliveryError as error:
            log.info("The answer for channel %s cannot go to the asker either: %s", self._question.channel_id, error)
            self._is_spent = True
            return None
        self._is_spent = True
        log.warning("Channel %s takes no more of an answer; the asker gets it directly", self._question.channel_id)
        return channel_id

    async def hand_over(self, file: File) -> bool:
        """Send who asked the whole answer that cannot be attached to its messages; return whether that worked.

        The rest of an answer may still come this way after it.

        Raises:
            DeliveryRetry: Discord has trouble; the next try may work.
        """
        if self._is_spent or not self._is_allowed():
            return False
        question = self._question
        text = f"I may not attach files in <#{question.channel_id}>, so here is my whole answer to {question.link}"
        try:
            channel_id = await self._courier.open_dm(question.author_id)
            await self._courier.create_message(channel_id, self._payload("file", text), file)
        except DeliveryRetry:
            raise
        except DeliveryError as error:
            log.info("The file for channel %s cannot go to the asker either: %s", question.channel_id, error)
            return False
        return True

    async def explain(self) -> None:
        """Tell who asked that nothing can be written where they did; if that fails too, there is no way."""
        if self._is_spent or not self._is_allowed():
            return
        self._is_spent = True
        question = self._question
        text = (
            f"You asked me something in <#{question.channel_id}>, but I may not send messages there. "
            f"Whoever looks after the server can change that. {question.link}"
        )
        try:
            channel_id = await self._courier.open_dm(question.author_id)
            await self._courier.create_message(channel_id, self._payload("why", text))
        except DeliveryError as error:
            log.info("Who asked in channel %s cannot be told why nothing comes: %s", question.channel_id, error)

    def _words(self, reason: DeliveryError, *, is_rest: bool) -> dict[str, object]:
        what = "the rest of my answer" if is_rest else "my answer"
        question = self._question
        text = f"I cannot write in <#{question.channel_id}> any more: {why(reason)}. Here is {what} to {question.link}"
        return self._payload("dm", text)

    def _payload(self, kind: str, text: str) -> dict[str, object]:
        nonce = f"{kind}-{self._nonce_seed}"
        return {"content": text, "nonce": nonce, "enforce_nonce": True, "allowed_mentions": {"parse": []}, "flags": 4}


def why(error: DeliveryError) -> str:
    """Return in a few words why Discord does not let us write."""
    if error.code == LOCKED:
        return "the thread was locked"
    if error.code == ARCHIVED:
        return "the thread was archived"
    if error.code == _MISSING_ACCESS:
        return "I can no longer see that channel"
    if isinstance(error, DeliveryRejected):
        return "Discord takes no message of mine there"
    return "a permission was taken from me"
