"""What people change after the fact: messages that they delete, channels and servers that are gone.

Whatever of it runs is stopped, and all of it is forgotten (`bot.conversation.erasure`).
What stands on screen stays there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from bot.conversation.erasure import Erasure
from bot.conversation.records import PromptKind
from bot.delivery.reply_api import HttpLine
from bot.generation.responder import Responder
from bot.generation.session import Session, StopCause
from bot.parts import sources_of, without_sources

_DELETED_KEPT = 200  # an event about a message comes within seconds of the others


class Changes:
    """Hears of changes, and tells who has to know."""

    def __init__(self, responder: Responder, erasure: Erasure, line: HttpLine) -> None:
        self._responder = responder
        self._erasure = erasure
        self._line = line
        self._deleted: deque[int] = deque(maxlen=_DELETED_KEPT)

    def note_deleted(self, *message_ids: int) -> None:
        """Forget messages that somebody deleted, and stop replies to or in them; our own deletions forget nothing."""
        own = {message_id for message_id in message_ids if self._line.has_deleted(message_id)}
        if own:
            self._erasure.note_own_deleted(own)
        foreign = [message_id for message_id in message_ids if message_id not in own]
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
                _stop(session, "the question was deleted")
            else:
                answered.add(session.prompt.message_id)
                _stop(session, "a message of the answer was deleted")
        for session in self._responder.queue:
            if not sources_of(session.prompt.parts).isdisjoint(foreign):
                session.prompt = replace(session.prompt, parts=without_sources(session.prompt.parts, foreign))
        self._erasure.note_deleted({*foreign, *asked}, asked=asked, answered=answered)

    def was_deleted(self, message_id: int) -> bool:
        """Tell whether a message was deleted lately: events come in any order."""
        return message_id in self._deleted

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
