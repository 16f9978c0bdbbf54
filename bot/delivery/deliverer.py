"""One reply on its way to Discord: each call is noted in the journal, sent, and taken in."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from bot.conversation.journal import ReplyJournal
from bot.conversation.records import ReplyMessage
from bot.delivery.control import StopControl
from bot.delivery.dm_fallback import DmFallback
from bot.delivery.permissions import Pauses
from bot.delivery.transport import Transport
from bot.streaming.bucket import Bucket
from bot.streaming.calls import PAGES, POSTS, Answered, Call, Message
from bot.streaming.rules import Kind, Next, Outcome
from bot.streaming.transcript import Transcript

log = logging.getLogger(__name__)

_REFUSED_PLACE = (Outcome.FORBIDDEN, Outcome.PROXY)


class Deletions(Protocol):
    """Who hears of deleted messages."""

    def note_deleted(self, message_id: int) -> None:
        """Stop the reply that the message belongs to."""
        ...

    def was_deleted(self, message_id: int) -> bool:
        """Tell whether a message was deleted lately: that may be heard before its id is known."""
        ...


class Deliverer:
    """Sends the calls of *transcript*; see `bot.streaming.streamer.Sender`.

    *fallback* is where the rest goes when the channel takes no more, *pauses*
    what keeps the bot from trying there again; None where there is none.
    """

    def __init__(
        self,
        transcript: Transcript,
        transport: Transport,
        journal: ReplyJournal,
        control: StopControl,
        deletions: Deletions,
        *,
        fallback: DmFallback | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self.transcript = transcript
        self._transport = transport
        self._journal = journal
        self._control = control
        self._deletions = deletions
        self._fallback = fallback
        self._pauses = pauses
        self._has_trouble = False

    def bucket(self, call: Call) -> Bucket:
        """Return the bucket that *call* is counted in now."""
        return self._transport.bucket(call)

    async def send(self, call: Call) -> tuple[Next, Answered]:
        """Send one request, take in what came of it; return what is to be done about it."""
        message = self.transcript.begin(call)
        if message is not None:
            await self._journal.note(stored(message))
        answered = await self._transport.send(self._worded(call))
        self.transcript.can_move = self._fallback is not None and self._fallback.may_try()
        what = self.transcript.take(call, answered)
        self._report(call, what, answered)
        await self._record(call, what)
        self._tell(call, what, answered)
        return what, answered

    def _worded(self, call: Call) -> Call:
        """Return *call* with what is said in the direct messages."""
        if self._fallback is None:
            return call
        if call.kind is Kind.SAY_WHY and call.reason is not None:
            text = self._fallback.note(call.reason, is_rest=call.ordinal > 0)
            return replace(call, text=text, place=replace(call.place, nonce=f"dm-{self._fallback.nonce_seed}"))
        if call.kind is Kind.HAND_OVER:
            place = replace(call.place, nonce=f"file-{self._fallback.nonce_seed}")
            return replace(call, text=self._fallback.file_note(), place=place)
        return call

    async def _record(self, call: Call, what: Next) -> None:
        transcript = self.transcript
        is_new = what is Next.SHOWN and (call.kind in POSTS or call.kind is Kind.LOOK)
        if is_new and transcript.count() > call.ordinal:
            await self._journal.note(stored(transcript.messages[call.ordinal]))
        elif call.kind in PAGES and call.ordinal < transcript.count():
            self._journal.put(stored(transcript.messages[call.ordinal]))
        elif call.kind is Kind.SAY_WHY and transcript.moved_to is not None:
            self._journal.move(transcript.moved_to)

    def _tell(self, call: Call, what: Next, answered: Answered) -> None:
        """Tell who else has to know."""
        newest = self.transcript.newest()
        if what is Next.SHOWN and call.kind in (*POSTS, Kind.LOOK) and newest is not None and newest.message_id:
            if self._deletions.was_deleted(newest.message_id):
                self._deletions.note_deleted(newest.message_id)
            else:
                self._control.follow()
        elif what is Next.FORGET and call.place.message_id is not None:
            self._deletions.note_deleted(call.place.message_id)
        is_here = call.place.channel_id == self.transcript.channel_id
        if (
            call.kind in POSTS
            and is_here
            and what in (Next.ELSEWHERE, Next.FULL)
            and answered.outcome in _REFUSED_PLACE
        ):
            if self._pauses is not None:
                self._pauses.pause(call.place.channel_id, str(answered.error))
            else:
                log.warning("An answer in channel %s cannot be shown: %s", call.place.channel_id, answered.error)

    def _report(self, call: Call, what: Next, answered: Answered) -> None:
        channel_id, error = self.transcript.channel_id, answered.error
        self._note_trouble(what, answered)
        match what:
            case Next.WORDS:
                log.warning("A part of an answer in channel %s was refused: %s", channel_id, error)
            case Next.FILELESS | Next.HAND_OVER:
                log.warning("The file of an answer in channel %s was refused: %s", channel_id, error)
            case Next.REPLACE:
                log.warning("A message in channel %s takes no edit; it is posted anew: %s", channel_id, error)
            case Next.SHOWN if call.kind is Kind.SAY_WHY:
                log.warning("Channel %s takes no more of an answer; the asker gets it directly", channel_id)
            case Next.FULL if call.kind in (Kind.OPEN_DM, Kind.SAY_WHY):
                log.info("The answer for channel %s cannot go to the asker either: %s", channel_id, error)
            case Next.SKIP:
                log.info("%s in channel %s was refused: %s", call.kind.name, call.place.channel_id, error)
            case _:
                pass

    def _note_trouble(self, what: Next, answered: Answered) -> None:
        """Log the first of a row of failures, and its end; a 429 is logged where all of them are seen."""
        if what in (Next.AGAIN, Next.UNREFERENCED):
            if not self._has_trouble:
                place = self.transcript.channel_id
                log.warning("Discord does not take an answer in channel %s, trying on: %s", place, answered.error)
            self._has_trouble = True
        elif what is Next.SHOWN and self._has_trouble:
            log.info("Discord takes the answer in channel %s again", self.transcript.channel_id)
            self._has_trouble = False


def stored(message: Message) -> ReplyMessage:
    """Return *message* as the store keeps it."""
    return ReplyMessage(
        message.ordinal,
        message.place.channel_id,
        message.place.message_id,
        message.place.nonce,
        message.wanted,
        message.generation,
        message.state,
        message.shown,
        message.first_try,
        message.is_status,
        message.file,
        message.place.by_token,
    )
