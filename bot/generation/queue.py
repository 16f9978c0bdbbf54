"""Who is next, how many at once, who is running where.

A channel's chat is answered one prompt at a time, in order; several channels at
once, up to a number. A reply gives its place back as soon as the model is done:
the next one is generated while the last pages of the one before still go out,
and is shown after them. An ask does not wait for its channel's chat, only for a
free place. Places go to users in turn, see `bot.generation.fair_share`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bot.conversation.records import PromptKind, PromptRecord
from bot.errors import QueueFull, ShuttingDown
from bot.generation.fair_share import FairShare
from bot.generation.recovery_gate import RecoveryGate
from bot.generation.session import Phase, Session, StopCause

MAX_WAITING = 20
"""Prompts that may wait in one channel; more are refused in words."""
MAX_WAITING_OF_USER = 10
"""Prompts of one user that may wait in all channels: never all that one channel takes."""
MAX_WAITING_IN_ALL = 200
"""Prompts that may wait in all channels."""
MAX_DELIVERING = 4
"""Replies to each place whose text still goes on screen; with more, nobody begins (Discord takes nothing)."""


@dataclass(slots=True, eq=False)
class _Entry:
    session: Session
    on_move: Callable[[Session], None]
    is_owed: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def precedes(self, later: PromptRecord) -> bool:
        """Tell whether it comes before *later* in the same conversation, if it comes before it at all."""
        return _same_chat(self.session.prompt, later)


class ReplyQueue:
    """All replies that wait, are generated or delivered.

    Attributes:
        recovery_gate: channels in which new prompts do not begin yet.
        is_closed: nothing is taken in and nothing begins any more.
    """

    def __init__(self, max_concurrent: int) -> None:
        self._places = max_concurrent
        self._shares = FairShare(max_concurrent)
        self._entries: list[_Entry] = []  # those that have begun first, in the order of their turns
        self.recovery_gate = RecoveryGate(self._advance)
        self.is_closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __iter__(self) -> Iterator[Session]:
        """Iterate over all replies, those that have begun first."""
        return iter([entry.session for entry in self._entries])

    def check(self, prompt: PromptRecord) -> None:
        """Make sure that there is room for *prompt*.

        Raises:
            QueueFull: it would have to wait, and too many do.
        """
        if self._has_place() and not self._is_held(prompt) and self._may_begin(prompt, self._entries):
            return
        waiting = [entry.session.prompt for entry in self._in(Phase.QUEUED)]
        if sum(each.channel_id == prompt.channel_id for each in waiting) >= MAX_WAITING:
            raise QueueFull("channel")
        if self._shares.waiting(prompt.author_id) >= MAX_WAITING_OF_USER:
            raise QueueFull("user")
        if len(waiting) >= MAX_WAITING_IN_ALL:
            raise QueueFull("all")

    def enter(self, prompt: PromptRecord, on_move: Callable[[Session], None], *, is_owed: bool = False) -> Session:
        """Line up a prompt until `leave`; *on_move* is called whenever its place in the line changes.

        *is_owed* is for what an earlier process had taken in: there is always room for it.

        Raises:
            QueueFull: see `check`.
            ShuttingDown: `close` was called.
        """
        if self.is_closed:
            raise ShuttingDown
        if not is_owed:
            self.check(prompt)
        entry = _Entry(Session(prompt), on_move, is_owed)
        if not is_owed and self._is_held(prompt):
            self.recovery_gate.note_waiting(prompt.channel_id)
        self._entries.insert(self._place(prompt), entry)
        self._shares.waits(prompt.author_id)
        self._empty.clear()
        self._advance()
        return entry.session

    def generated(self, session: Session) -> None:
        """Give the model's place to the next: the model is done with *session*, whose text still goes on screen."""
        if self._find(session) is not None and session.phase is not Phase.DELIVERING:
            self._give_back(session)
            session.phase = Phase.DELIVERING
            self._advance()

    def leave(self, session: Session) -> None:
        """Let go of a reply that has ended; what comes after it in its channel may be shown."""
        entry = self._find(session)
        if entry is None:
            return
        self._give_back(session)
        session.phase = Phase.DONE
        session.done.set()
        self._entries.remove(entry)
        self._advance()
        if not self._entries:
            self._empty.set()

    def _give_back(self, session: Session) -> None:
        if session.phase is Phase.GENERATING:
            self._shares.ends(session.prompt.author_id)
        elif session.phase is Phase.QUEUED:
            self._shares.gives_up(session.prompt.author_id)

    def _place(self, prompt: PromptRecord) -> int:
        """Return where in the line *prompt* belongs: before what was asked later in its channel.

        Taking a prompt in takes a moment of the store's, so two that were asked
        one right after the other may come here in the other order.
        """
        for place, entry in enumerate(self._entries):
            is_later = entry.session.prompt.message_id > prompt.message_id
            if entry.session.phase is Phase.QUEUED and is_later and entry.precedes(prompt):
                return place
        return len(self._entries)

    async def turn(self, session: Session) -> None:
        """Wait until *session* may be generated."""
        entry = self._find(session)
        if entry is not None:
            await entry.go.wait()

    def ahead(self, session: Session) -> int:
        """Return how many chat replies of the channel come before *session* (0: only a free place is missing)."""
        count = 0
        for entry in self._entries:
            if entry.session is session:
                break
            count += entry.precedes(session.prompt)
        return count

    def previous(self, session: Session) -> Session | None:
        """Return the chat reply of the channel that comes just before *session*, if any is left."""
        found = None
        for entry in self._entries:
            if entry.session is session:
                break
            found = entry.session if entry.precedes(session.prompt) else found
        return found

    def may_show(self, session: Session) -> bool:
        """Tell whether the text of *session* may go on screen: what comes before it in its channel is there."""
        return self._find(session) is None or (session.phase is not Phase.QUEUED and not self.ahead(session))

    def is_over_share(self, session: Session) -> bool:
        """Tell whether *session* waits because its user has as many places as one may have."""
        return session.phase is Phase.QUEUED and self._shares.is_used_up(session.prompt.author_id)

    def is_held(self, session: Session) -> bool:
        """Tell whether *session* waits for what an earlier process left in its channel."""
        entry = self._find(session)
        return entry is not None and session.phase is Phase.QUEUED and self._waits_for_recovery(entry)

    def find(self, message_id: int) -> Session | None:
        """Return the reply that a message belongs to, as its prompt or as one of its messages."""
        return next((session for session in self if session.shows(message_id)), None)

    def in_channel(self, channel_id: int) -> list[Session]:
        """Return the channel's replies, those that have begun first."""
        return [session for session in self if session.prompt.channel_id == channel_id]

    def close(self, cause: StopCause) -> None:
        """Take no new prompt and let none begin any more; whoever waits is stopped with *cause*."""
        self.is_closed = True
        for entry in self._in(Phase.QUEUED):
            entry.session.stop(cause)

    def stop_all(self, cause: StopCause) -> None:
        """Stop everything that waits or is generated; what is complete goes on screen, now or after the next start."""
        for entry in [*self._in(Phase.QUEUED), *self._in(Phase.GENERATING)]:
            entry.session.stop(cause)

    async def drained(self) -> None:
        """Wait until nothing is left."""
        await self._empty.wait()

    def _find(self, session: Session) -> _Entry | None:
        return next((entry for entry in self._entries if entry.session is session), None)

    def _in(self, phase: Phase) -> list[_Entry]:
        return [entry for entry in self._entries if entry.session.phase is phase]

    def _is_held(self, prompt: PromptRecord) -> bool:
        return prompt.kind is PromptKind.CHAT and prompt.channel_id in self.recovery_gate

    def _waits_for_recovery(self, entry: _Entry) -> bool:
        return not entry.is_owed and self._is_held(entry.session.prompt)

    def _has_place(self) -> bool:
        """Tell whether one more reply can be generated, whoever asks for it."""
        delivering = len(self._in(Phase.DELIVERING))
        return len(self._in(Phase.GENERATING)) < self._places and delivering < MAX_DELIVERING * self._places

    def _may_begin(self, prompt: PromptRecord, before: list[_Entry]) -> bool:
        """Tell whether neither its user's share nor what is *before* it keeps *prompt* waiting.

        In one channel one reply is generated at a time, while at most one other is delivered.
        """
        if self._shares.is_used_up(prompt.author_id):
            return False
        phases = [entry.session.phase for entry in before if entry.precedes(prompt)]
        return len(phases) <= 1 and all(phase is Phase.DELIVERING for phase in phases)

    def _advance(self) -> None:
        """Let everybody begin who may; tell the others that the line moved."""
        while not self.is_closed and self._has_place() and (entry := self._next()) is not None:
            self._entries.remove(entry)
            self._entries.insert(len(self._entries) - len(self._in(Phase.QUEUED)), entry)
            entry.session.phase = Phase.GENERATING
            self._shares.begins(entry.session.prompt.author_id)
            entry.go.set()
        for entry in list(self._entries):
            entry.on_move(entry.session)

    def _next(self) -> _Entry | None:
        """Return who gets the next place: of those who may begin the user whose turn it is, and theirs in order."""
        able = [
            entry
            for place, entry in enumerate(self._entries)
            if entry.session.phase is Phase.QUEUED
            and not self._waits_for_recovery(entry)
            and self._may_begin(entry.session.prompt, self._entries[:place])
        ]
        return min(able, key=lambda entry: self._shares.rank(entry.session.prompt.author_id), default=None)


def _same_chat(one: PromptRecord, other: PromptRecord) -> bool:
    return one.kind is PromptKind.CHAT and other.kind is PromptKind.CHAT and one.channel_id == other.channel_id
