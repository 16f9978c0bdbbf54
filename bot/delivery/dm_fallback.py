"""When a channel takes nothing more: the rest of an answer goes to who asked, as a direct message."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Protocol

from bot.delivery.http_errors import why
from bot.delivery.reply_api import ReplyApi
from bot.errors import DeliveryError
from bot.streaming.calls import Answered

log = logging.getLogger(__name__)


class Reach(Protocol):
    """Who knows whom the bot shares servers with."""

    def may_reach_members(self, guild_id: int) -> bool:
        """Tell whether direct messages to members of a server are worth a try."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """Which question an answer belongs to.

    Attributes:
        channel_id: where it was asked.
        author_id: who asked.
        guild_id: in which server.
        link: the address of the question, or of its channel.
    """

    channel_id: int
    author_id: int
    guild_id: int
    link: str


def question_link(guild_id: int, channel_id: int, message_id: int | None) -> str:
    """Return the address at which Discord's clients show a message, or a channel."""
    return f"https://discord.com/channels/{guild_id}/{channel_id}" + (f"/{message_id}" if message_id else "")


class DmFallback:
    """What is said in the direct messages with who asked, and whether there may be any.

    A bot without a server in common is refused, which counts, so *bot* is asked first.
    """

    def __init__(self, api: ReplyApi, question: Question, reach: Reach) -> None:
        self._api = api
        self.question = question
        self._reach = reach
        # two questions may have the same link: that of their channel
        self.nonce_seed = secrets.token_hex(8)

    def may_try(self) -> bool:
        """Tell whether Discord may let us write to who asked."""
        return self._reach.may_reach_members(self.question.guild_id)

    def note(self, reason: Answered, *, is_rest: bool) -> str:
        """Return the first message there: why the answer (*is_rest*: what is missing of it) comes this way."""
        what = "the rest of my answer" if is_rest else "my answer"
        where = f"<#{self.question.channel_id}>"
        return f"I cannot write in {where} any more: {why(reason)}. Here is {what} to {self.question.link}"

    def file_note(self) -> str:
        """Return what goes with the file that may not be attached to the answer."""
        where = f"<#{self.question.channel_id}>"
        return f"I may not attach files in {where}, so here is my whole answer to {self.question.link}"

    async def explain(self) -> None:
        """Tell who asked that nothing can be written where they did; if that fails too, there is no way."""
        if not self.may_try():
            return
        text = (
            f"You asked me something in <#{self.question.channel_id}>, but I may not send messages there. "
            f"Whoever looks after the server can change that. {self.question.link}"
        )
        try:
            channel_id = await self._api.open_dm(self.question.author_id)
            await self._api.post_notice(channel_id, text, about=f"why-{self.nonce_seed}", refer=False)
        except DeliveryError as error:
            log.info("Who asked in channel %s cannot be told why nothing comes: %s", self.question.channel_id, error)
