"""What people change after the fact: messages that they delete or edit, channels and servers that are gone.

What is deleted is stopped if it runs, and forgotten (`bot.conversation.erasure`);
what stands on screen stays there. What is edited is remembered as it reads now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

import discord

from bot.conversation.erasure import Erasure
from bot.conversation.records import PromptKind, PromptRecord
from bot.delivery.reply_api import HttpLine
from bot.errors import StoreError
from bot.generation.responder import Responder
from bot.generation.session import Session, StopCause
from bot.intake.edits import edited_parts
from bot.intake.message_text import words_of
from bot.parts import sources_of, without_sources
from bot.recovery.copies import BEFORE_SECONDS, Copies
from bot.recovery.reruns import Reruns
from bot.recovery.tasks import Tasks

log = logging.getLogger(__name__)

_DELETED_KEPT = 200  # an event about a message comes within seconds of the others
_UNHEARD_KEPT = 20
_EDITS_KEPT = 50
_READ_WITHIN_SECONDS = 10.0  # a question, with all that it refers to


class Changes:
    """Hears of changes, and tells who has to know."""

    def __init__(self, responder: Responder, erasure: Erasure, line: HttpLine, reruns: Reruns) -> None:
        self._responder = responder
        self._reruns = reruns
        self._erasure = erasure
        self._line = line
        self._deleted: deque[int] = deque(maxlen=_DELETED_KEPT)
        self._cut: deque[int] = deque(maxlen=_DELETED_KEPT)  # questions that ran or waited then
        self._unheard: deque[discord.Message] = deque(maxlen=_UNHEARD_KEPT)
        self._edits: deque[discord.Message] = deque(maxlen=_EDITS_KEPT)
        self._editing = asyncio.Lock()
        self._copies = Copies()
        self._copied: dict[int, int] = {}  # from such a question to its copy
        self._tasks = Tasks()

    def note_deleted(self, *message_ids: int) -> None:
        """Forget messages that somebody deleted, and stop replies to or in them; our own deletions forget nothing."""
        own = {message_id for message_id in message_ids if self._line.has_deleted(message_id)}
        if own:
            self._erasure.note_own_deleted(own)
        foreign = [each for each in message_ids if each not in own and not self._goes_on(each)]
        if not foreign:
            return
        self._deleted.extend(foreign)
        asked = {message_id for message_id in foreign if self._responder.knows(message_id)}
        answered: set[int] = set()
        for message_id in foreign:
            session = self._responder.queue.find(message_id)
            if session is None:
                continue
            if _is_question(session, message_id):
                asked.add(session.prompt.message_id)
                self._cut.append(session.prompt.message_id)
                _stop(session, "the question was deleted")
            else:
                answered.add(session.prompt.message_id)
                _stop(session, "a message of the answer was deleted")
        for session in self._responder.queue:
            if not sources_of(session.prompt.parts).isdisjoint(foreign):
                session.prompt = replace(session.prompt, parts=without_sources(session.prompt.parts, foreign))
        self._erasure.note_deleted({*foreign, *asked}, asked=asked, answered=answered)
        if self._copies.has_any:
            self._tasks.spawn(self._restore_copied(), "restore-copied")

    def was_deleted(self, message_id: int) -> bool:
        """Tell whether a message was deleted lately: events come in any order."""
        return message_id in self._deleted

    def note_copy(self, message: discord.Message, me: discord.abc.User) -> None:
        """Take in a message of a webhook: it may hold the question of somebody whose own message is deleted."""
        if message.author.id == me.id or message.webhook_id is None or message.application_id == me.id:
            return
        self._copies.note(message.id, message.channel.id, words_of(message, me))
        self._tasks.spawn(self._restore_copied(), "restore-copied")
        for unheard in list(self._unheard):
            is_recent = time.time() - unheard.created_at.timestamp() <= BEFORE_SECONDS + self._erasure.grace
            if is_recent and self._copies.take(unheard.channel.id, words_of(unheard, me)) is not None:
                self._unheard.remove(unheard)
                self._undelete(unheard.id)
                self._copied[unheard.id] = message.id
                self._tasks.spawn(self._reruns.take(unheard), f"unheard-{unheard.id}")

    def note_unheard(self, message: discord.Message) -> None:
        """Take in a question that was deleted before it was heard: its copy may still come."""
        self._unheard.append(message)

    def copy_of(self, message_id: int) -> int | None:
        """Return the copy for whose sake a message is answered all the same."""
        return self._copied.pop(message_id, None)

    async def note_edited(self, message: discord.Message, me: discord.abc.User) -> bool:
        """Take in an edit by a message's author; return whether the message was no question so far.

        An event tells of more than edits: previews that were loaded, pins, threads.
        """
        if message.edited_at is None or not message.content or (message.author.bot and message.webhook_id is None):
            return False
        async with self._editing:  # one after the other: the last one counts
            record = None
            if (session := self._asked_in(message.id)) is None:
                try:
                    record = await self._erasure.question_in(message.id)
                except StoreError as error:
                    log.warning("The edit of message %s is not noted: %s", message.id, error)
                    return False
                session = self._asked_in(message.id)  # it may have been taken in just now
            if session is None and record is None:
                self._edits.append(message)
                return not self._responder.knows(message.id)
            if (prompt := session.prompt if session is not None else record) is not None:
                self._edit(prompt, message, me, session)
            return False

    def _asked_in(self, message_id: int) -> Session | None:
        session = self._responder.queue.find(message_id)
        return None if session is None or session.is_message(message_id) else session

    def note_taken_in(self, prompt_id: int, me: discord.abc.User) -> None:
        """Take in an edit that came while its question was read and stored: nothing was sent of it yet."""
        session = self._responder.queue.find(prompt_id)
        since = time.time() - _READ_WITHIN_SECONDS
        for edited in [each for each in self._edits if each.id == prompt_id]:
            self._edits.remove(edited)  # later ones find the question
            if session is None or edited.edited_at is None:
                continue
            parts = edited_parts(session.prompt.parts, edited, me)
            if parts and edited.edited_at.timestamp() >= since:
                session.prompt = replace(session.prompt, parts=parts)
                self._erasure.note_edited(prompt_id, parts)

    def _edit(
        self, prompt: PromptRecord, message: discord.Message, me: discord.abc.User, session: Session | None = None
    ) -> None:
        """Give a question the words of *message*; one that says nothing any more is as good as deleted."""
        parts = edited_parts(prompt.parts, message, me)
        if parts == prompt.parts:
            return
        if not parts:
            if message.id != prompt.message_id or prompt.copy_id is None:  # else another message has its words
                self.note_deleted(message.id)
            return
        if session is not None:
            session.prompt = replace(prompt, parts=parts)
        self._erasure.note_edited(prompt.message_id, parts)
        self._reruns.want(replace(prompt, parts=parts))

    def note_channel_deleted(self, channel_id: int, what: str) -> None:
        """Stop and forget what was said in a channel that Discord says is deleted; *what* it was, in a word."""
        self._stop_where(lambda session: session.prompt.channel_id == channel_id, f"the {what} was deleted")
        self._erasure.note_channel_deleted(channel_id)

    def note_removed(self, guild_id: int, at: float) -> None:
        """Stop what runs in a server that the bot was removed from (*at*, Unix seconds); it may come back."""
        self._stop_where(lambda session: session.prompt.guild_id == guild_id, "I was removed from the server")
        self._erasure.note_left(guild_id, at=at)

    def note_back(self, guild_id: int) -> None:
        """Note that the bot is in a server again."""
        self._erasure.note_back(guild_id)

    def note_servers(self, guild_ids: Iterable[int], at: float) -> None:
        """Take in the complete list of the bot's servers (*at*, Unix seconds)."""
        self._erasure.note_servers(set(guild_ids), at=at)

    def _goes_on(self, message_id: int) -> bool:
        """Tell whether a deleted question stands in a copy by now, and note that one."""
        session = self._responder.queue.find(message_id)
        if session is None or session.is_message(message_id) or session.prompt.kind is not PromptKind.CHAT:
            return False
        copy_id = self._copies.take(session.prompt.channel_id, session.prompt.text)
        if copy_id is None:
            return False
        session.prompt = replace(session.prompt, copy_id=copy_id)
        self._erasure.note_copy(session.prompt.message_id, copy_id)
        return True

    async def _restore_copied(self) -> None:
        """Restore questions that were deleted a moment ago and stand in a copy."""
        try:
            await self._erasure.settle()
            for record in list(self._erasure.withdrawn.values()):
                copy_id = self._copies.take(record.channel_id, record.text)
                if copy_id is not None and await self._erasure.restore(record.message_id, copy_id):
                    self._undelete(record.message_id)
                    if record.message_id in self._cut:
                        self._reruns.resume(record)
        except StoreError as error:
            log.warning("What a proxy bot wrote anew is not recognized: %s", error)

    def _undelete(self, message_id: int) -> None:
        with contextlib.suppress(ValueError):  # it stood in another message, which was deleted; or long ago
            self._deleted.remove(message_id)

    def _stop_where(self, is_there: Callable[[Session], bool], why: str) -> None:
        for session in [session for session in self._responder.queue if is_there(session)]:
            _stop(session, why)


def _is_question(session: Session, message_id: int) -> bool:
    """Tell whether a message of a session holds its question: a command's is its answer's first."""
    if not session.is_message(message_id):
        return True
    is_command = session.prompt.kind is PromptKind.ASK
    return is_command and session.sink is not None and session.sink.message_ids[0] == message_id


def _stop(session: Session, why: str) -> None:
    session.stop(StopCause(f": {why}", is_silent=True))
