"""Who is next, how many at once, who is running where.

A channel's chat is answered one prompt at a time, in order; several channels at
once, up to a number. An ask does not wait for its channel's chat, only for a
free place. Places go to users in turn, see `bot.generation.fair_share`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bot.conversation.records import PromptKind, PromptRecord
from bot.errors import QueueFull, ShuttingDown
from bot.generation.fair_share import Shares
from bot.generation.recovery_gate import RecoveryGate
from bot.generation.running import RunningReply, StopCause

MAX_WAITING = 20
"""Prompts that may wait in one channel; more are refused in words."""
MAX_WAITING_OF_USER = 10
"""Prompts of one user that may wait in all channels: never all that one channel takes."""
MAX_WAITING_IN_ALL = 200
"""Prompts that may wait in all channels."""


@dataclass(slots=True, eq=False)
class _Entry:
    reply: RunningReply
    is_owed: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    on_move: Callable[[], None] = lambda: None


class ReplyQueue:
    """All replies that run or wait.

    Attributes:
        holds: channels in which new prompts do not begin yet.
        is_closed: nothing is taken in and nothing begins any more.
    """

    def __init__(self, max_concurrent: int) -> None:
        self._places = max_concurrent
        self._shares = Shares(max_concurrent)
        self._running: list[_Entry] = []
        self._waiting: list[_Entry] = []
        self.holds = RecoveryGate(self._advance)
        self.is_closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __iter__(self) -> Iterator[RunningReply]:
        """Iterate over all replies, running ones first."""
        return (entry.reply for entry in [*self._running, *self._waiting])

    def check(self, prompt: PromptRecord) -> None:
        """Make sure that there is room for *prompt*.

        Raises:
            QueueFull: it would have to wait, and too many do.
        """
        if self._can_run(prompt):
            return
        if sum(entry.reply.prompt.channel_id == prompt.channel_id for entry in self._waiting) >= MAX_WAITING:
            raise QueueFull("channel")
        if self._shares.waiting(prompt.author_id) >= MAX_WAITING_OF_USER:
            raise QueueFull("user")
        if len(self._waiting) >= MAX_WAITING_IN_ALL:
            raise QueueFull("all")

    def enter(
        self, prompt: PromptRecord, on_move: Callable[[RunningReply], None], *, is_owed: bool = False
    ) -> RunningReply:
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
        reply = RunningReply(prompt)
        entry = _Entry(reply, is_owed, on_move=lambda: on_move(reply))
        if self._is_held(entry):
            self.holds.note_waiting(prompt.channel_id)
        self._waiting.insert(self._place(prompt), entry)
        self._shares.waits(prompt.author_id)
        self._empty.clear()
        self._advance()
        return reply

    def leave(self, reply: RunningReply) -> None:
        """Give the reply's place to the next."""
        entry = next((entry for entry in [*self._running, *self._waiting] if entry.reply is reply), None)
        if entry is None:
            return
        if entry in self._running:
            self._running.remove(entry)
            self._shares.ends(reply.prompt.author_id)
        else:
            self._waiting.remove(entry)
            self._shares.gives_up(reply.prompt.author_id)
        self._advance()
        if not self._running and not self._waiting:
            self._empty.set()

    def _place(self, prompt: PromptRecord) -> int:
        """Return where in the line *prompt* belongs: before what was asked later in its channel.

        Taking a prompt in takes a moment of the store's, so two that were asked
        one right after the other may come here in the other order.
        """
        for place, entry in enumerate(self._waiting):
            if self._holds_up(prompt, entry.reply.prompt) and prompt.message_id < entry.reply.prompt.message_id:
                return place
        return len(self._waiting)

    async def turn(self, reply: RunningReply) -> None:
        """Wait until *reply* may run."""
        for entry in [*self._running, *self._waiting]:
            if entry.reply is reply:
                await entry.go.wait()

    def ahead(self, reply: RunningReply) -> int:
        """Return how many chat replies of the channel come before *reply* (0: only a free place is missing)."""
        entries = [*self._running, *self._waiting]
        position = next((i for i, entry in enumerate(entries) if entry.reply is reply), 0)
        return sum(self._holds_up(entry.reply.prompt, reply.prompt) for entry in entries[:position])

    def is_over_share(self, reply: RunningReply) -> bool:
        """Tell whether *reply* waits because its user has as many places as one may have."""
        return not self.is_running(reply) and self._shares.is_used_up(reply.prompt.author_id)

    def is_running(self, reply: RunningReply) -> bool:
        """Tell whether its turn has come."""
        return any(entry.reply is reply for entry in self._running)

    def is_held(self, reply: RunningReply) -> bool:
        """Tell whether *reply* waits for what an earlier process left in its channel."""
        return any(entry.reply is reply and self._is_held(entry) for entry in self._waiting)

    def find(self, message_id: int) -> RunningReply | None:
        """Return the reply that a message belongs to, as its prompt or as one of its messages."""
        return next((reply for reply in self if reply.shows(message_id)), None)

    def in_channel(self, channel_id: int) -> list[RunningReply]:
        """Return the channel's replies, running ones first."""
        return [reply for reply in self if reply.prompt.channel_id == channel_id]

    def close(self, cause: StopCause) -> None:
        """Take no new prompt and let none begin any more; whoever waits is stopped with *cause*."""
        self.is_closed = True
        for entry in list(self._waiting):
            entry.reply.stop(cause)

    def stop_all(self, cause: StopCause) -> None:
        """Stop everything that runs or waits."""
        for reply in list(self):
            reply.stop(cause)

    async def drained(self) -> None:
        """Wait until nothing runs or waits."""
        await self._empty.wait()

    @staticmethod
    def _holds_up(earlier: PromptRecord, later: PromptRecord) -> bool:
        return (
            earlier.kind is PromptKind.CHAT and later.kind is PromptKind.CHAT and earlier.channel_id == later.channel_id
        )

    def _is_held(self, entry: _Entry) -> bool:
        prompt = entry.reply.prompt
        return prompt.kind is PromptKind.CHAT and not entry.is_owed and prompt.channel_id in self.holds

    def _can_run(self, prompt: PromptRecord) -> bool:
        """Tell whether a new *prompt* would not have to wait."""
        if prompt.kind is PromptKind.CHAT and prompt.channel_id in self.holds:
            return False
        if len(self._running) >= self._places or self._shares.is_used_up(prompt.author_id):
            return False
        return not any(self._holds_up(reply.prompt, prompt) for reply in self)

    def _advance(self) -> None:
        """Let everybody run who may; tell the others that the line moved."""
        while not self.is_closed and len(self._running) < self._places and (entry := self._next()) is not None:
            self._waiting.remove(entry)
            self._running.append(entry)
            self._shares.begins(entry.reply.prompt.author_id)
            entry.go.set()
        for entry in list(self._waiting):
            entry.on_move()

    def _next(self) -> _Entry | None:
        """Return who gets the next place: of those who may run the user whose turn it is, and theirs in order."""
        busy = {e.reply.prompt.channel_id for e in self._running if e.reply.prompt.kind is PromptKind.CHAT}
        able: list[_Entry] = []
        for entry in self._waiting:
            prompt = entry.reply.prompt
            if prompt.kind is PromptKind.CHAT:
                if prompt.channel_id in busy or self._is_held(entry):
                    continue
                busy.add(prompt.channel_id)
            if not self._shares.is_used_up(prompt.author_id):
                able.append(entry)
        return min(able, key=lambda entry: self._shares.rank(entry.reply.prompt.author_id), default=None)
