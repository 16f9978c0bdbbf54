"""The heart: text flows in as fast as the model talks, edits flow out as Discord allows.

The reader's side (`feed`, `status`, `end`) only appends to memory and sets an
event. The writer (`run`, a task of its own) wakes, asks the plan what is worth
showing, waits for its turn and sends the newest text: at most one request in
flight, whatever piled up goes in one edit, the last words always arrive. Stop,
error and end of text are one ending: `end` sets a flag and the writer finishes.
The writer is never cancelled inside a request; see `bot.delivery.http`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from bot.errors import DeliveryError, DeliveryRetry
from bot.markdown.failsafe import FailsafePages
from bot.streaming.backoff import Backoff
from bot.streaming.bucket import Bucket, Urgency
from bot.streaming.budget import EditBudget, Lane, Ticket
from bot.streaming.cadence import Cadence
from bot.streaming.calls import PAGES, Answered, Call
from bot.streaming.plan import ReplyPlan
from bot.streaming.rules import Kind, Next, Outcome
from bot.streaming.transcript import Transcript

_CLOSINGS = (Kind.CLOSE, Kind.DELETE)


class Sender(Protocol):
    """What sends calls; never two at a time for one reply. It raises nothing that is to be expected."""

    @property
    def transcript(self) -> Transcript:
        """What stands on screen."""
        ...

    def bucket(self, call: Call) -> Bucket:
        """Return the bucket that *call* is counted in now (it may change: interactions age)."""
        ...

    async def send(self, call: Call) -> tuple[Next, Answered]:
        """Send one request, take in what came of it; return what is to be done about it."""
        ...


class ReplyStreamer:
    """Brings a growing reply on screen, paced by a budget.

    *sender* sends the calls that its transcript makes of it.

    *max_messages* bounds the messages of a reply: past it the last message
    counts characters below its text, and the whole text comes as a file at the end.
    *give_up_after* is how long (seconds) the ending is tried against a Discord
    that answers with failures. With *is_held* no text is shown before `release`.

    Attributes:
        is_released: whether text may go on screen.
    """

    def __init__(
        self,
        sender: Sender,
        pages: FailsafePages,
        budget: EditBudget,
        *,
        max_messages: int = 8,
        give_up_after: float = 300.0,
        backoff: Backoff | None = None,
        is_held: bool = False,
    ) -> None:
        self._sender = sender
        self._transcript = sender.transcript
        self._plan = ReplyPlan(sender.transcript, pages, max_messages)
        self._max_messages = max_messages
        self._budget = budget
        self._give_up_after = give_up_after
        self._backoff = backoff or Backoff()
        self._lane = Lane()
        self._cadence = Cadence()
        self._tickets: dict[Bucket, Ticket] = {}  # those that are waited for
        self._changed = asyncio.Event()
        self._is_idle = True
        self.is_released = not is_held
        self._since = 0.0  # when it ended, or what was shown last went
        self._failure: DeliveryError | None = None  # of the latest try
        self._missed: DeliveryError | None = None  # why a last line is missing

    # ------------------------------------------------------------ the reader's side: never waits

    @property
    def text(self) -> str:
        """The model's text so far, as it wrote it."""
        return self._plan.text

    @property
    def characters(self) -> int:
        """Code points of `text`."""
        return self._plan.characters

    @property
    def messages(self) -> int:
        """How many messages the reply has on screen."""
        return self._transcript.count()

    @property
    def has_more(self) -> bool:
        """Whether further messages are to be posted of a text that has ended."""
        return self._plan.has_more

    @property
    def is_ended(self) -> bool:
        """Whether no more text comes."""
        return self._plan.is_ended

    def feed(self, text: str) -> None:
        """Append the model's *text*."""
        if not text or self._plan.is_ended:
            return
        # While an edit is waited for, more text changes nothing but what it will show,
        # and that it goes at once if it would show no more when it is due.
        if self._plan.feed(text) or self._is_idle:
            self._changed.set()
        self._cadence.note(self._budget.now())
        for ticket in self._tickets.values():
            self._budget.advance(ticket, self._cadence.gap)

    def begin_anew(self, pages: FailsafePages) -> None:
        """Forget the text: another one, cut into *pages*, takes its place in the messages that are there."""
        self._transcript.begin_anew()
        self._plan = ReplyPlan(self._transcript, pages, self._max_messages)
        self._changed.set()

    def take_back(self, pages: FailsafePages, line: str) -> bool:
        """Forget the text, show *line* in its place; return False if more than one message shows it."""
        if self._plan.is_ended or not self._plan.is_in_first_message:
            return False
        self.begin_anew(pages)
        self._plan.take_back(line)
        return True

    def release(self) -> None:
        """Let the text go on screen; until then only the status does, since other words come first."""
        if not self.is_released:
            self.is_released = True
            self._since = self._budget.now()
            self._changed.set()

    def hold(self) -> None:
        """Show no more of the text until `release`."""
        self.is_released = False

    def status(self, line: str) -> None:
        """Say what is going on; shown only while there is no text."""
        if self._plan.status(line):
            self._changed.set()

    def notice(self, line: str) -> None:
        """Say below the growing text what is going on; it goes with the next text."""
        if not self._plan.is_ended:
            self._plan.notice(line)
            self._changed.set()

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        """Return whether anybody sees anything of the text if it ends here, as whole or *interrupted*."""
        return self._plan.has_visible_text(interrupted=interrupted)

    def end(self, footer: str = "", *, quiet: bool = False, interrupted: bool = False) -> None:
        """No more text comes; *footer* is our own closing line, shown below the text.

        With *quiet* nothing is posted for its sake: it only replaces or follows what is on screen.
        An *interrupted* text was to go on: what is open in it is closed.
        """
        if self._plan.is_ended:
            return
        self._since = self._budget.now()
        self._plan.end(footer, quiet=quiet, interrupted=interrupted)
        self._changed.set()

    def leave(self, line: str) -> None:
        """No text came, and none will from this process: *line* replaces the status, if one is on screen.

        It is in no hurry: the words of others go first.
        """
        if self._plan.is_ended:
            return
        self._since = self._budget.now()
        self._plan.leave(line)
        self._changed.set()

    def stop(self, line: str) -> bool:
        """Post no further message; *line* closes what is on screen. Return False if all of it is there already.

        For a text that has ended, and whose pages still go out.
        """
        is_stopped = self._plan.stop(line)
        self._changed.set()
        return is_stopped

    # ------------------------------------------------------------ the writer's side

    async def run(self) -> None:
        """Show the reply until its ending is on screen.

        Raises a `DeliveryError` when nothing more can be shown; what was shown stays.
        """
        while True:
            self._changed.clear()
            if self._wanted():
                await self._show(await self._turn())
            elif (self._plan.is_ended and self.is_released) or self._transcript.over is not None:
                if self._transcript.is_finished:
                    break
                self._transcript.finish(self._plan.final_count)
            else:
                self._is_idle = True
                await self._changed.wait()
                self._is_idle = False
        if self._transcript.over is not None:
            raise _error(self._transcript.over)
        if self._missed is not None:
            raise self._missed

    def _wanted(self) -> list[Call]:
        chores = self._transcript.chores()
        if chores and chores[0].kind not in _CLOSINGS:
            return chores
        return (self._plan.wanted() if self.is_released else self._plan.wanted_status()) or chores

    async def _show(self, ticket: Ticket | None) -> None:
        """Use a turn for the newest text, or give it back if nothing new is there any more."""
        if ticket is None:
            return
        for call in self._wanted():
            if self._sender.bucket(call) != ticket.bucket:
                continue
            composed = self._plan.compose(call) if call.kind in PAGES else call
            if composed is not None:
                await self._send(composed, ticket.bucket)
                return
        self._budget.give_back(ticket)

    async def _turn(self) -> Ticket | None:
        """Wait for whichever wanted request may go first; return None if nothing is wanted any more."""
        tickets: dict[Bucket, Ticket] = {}
        self._tickets = tickets
        used: Ticket | None = None
        try:
            while self._ask(tickets):
                await self._change()
                self._changed.clear()
                if any(ticket.granted.done() for ticket in tickets.values()):
                    break
            used = next((ticket for ticket in tickets.values() if ticket.granted.done()), None)
            return used
        finally:  # when it is cancelled, too
            for ticket in tickets.values():
                if ticket is not used:
                    self._release(ticket)

    async def _change(self) -> None:
        """Wait until something is new; of an ending no longer than patience lasts.

        Raises:
            DeliveryError: it is over.
        """
        patience = self._patience()
        waking = None
        if patience < float("inf"):
            waking = asyncio.get_running_loop().call_later(max(0.0, patience), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if waking is not None:
                waking.cancel()
        self._check_patience()

    def _release(self, ticket: Ticket) -> None:
        """Give up a turn that is not used, granted or not."""
        if ticket.granted.done():
            self._budget.give_back(ticket)
        else:
            self._budget.withdraw(ticket)

    def _ask(self, tickets: dict[Bucket, Ticket]) -> bool:
        """Bring *tickets* in line with what is wanted; return whether to wait: some are asked for, none is granted."""
        wanted = self._wanted_by_bucket()
        for bucket in [bucket for bucket in tickets if bucket not in wanted]:
            self._release(tickets.pop(bucket))
        for bucket, urgency in wanted.items():
            if bucket in tickets:
                self._budget.change_urgency(tickets[bucket], urgency)
            else:
                tickets[bucket] = self._budget.request(self._lane, bucket, urgency)
                tickets[bucket].granted.add_done_callback(lambda _: self._changed.set())
            if tickets[bucket].granted.done():
                return False
        return bool(tickets)

    def _wanted_by_bucket(self) -> dict[Bucket, Urgency]:
        """Return the wanted requests' urgencies; of two in one bucket the one that comes first in the text."""
        wanted: dict[Bucket, Urgency] = {}
        for call in self._wanted():
            wanted.setdefault(self._sender.bucket(call), call.urgency)
        return wanted

    async def _send(self, call: Call, bucket: Bucket) -> None:
        """Send one request; learn from its answer, or from its failure how long to wait."""
        sent_at = self._budget.now()
        try:
            what, answered = await self._sender.send(call)
        except BaseException:
            self._budget.lost(bucket.key)
            raise
        if answered.outcome is Outcome.LIMITED:
            self._budget.refused(bucket.key, answered.retry_after, everywhere=answered.is_global)
        elif answered.headers is None:
            self._budget.lost(bucket.key)
        else:
            went_at = sent_at if answered.headers.sent_at is None else answered.headers.sent_at
            self._budget.observe(bucket.key, answered.headers, sent_at=went_at, received_at=self._budget.now())
        if call.ordinal == 0 and call.urgency is Urgency.FIRST and what is Next.SHOWN and call.kind in PAGES:
            self._lane.begin(sent_at)
        await self._heed(what, answered)

    async def _heed(self, what: Next, answered: Answered) -> None:
        """Wait before the next try, or end."""
        if what is Next.OVER:
            raise _error(answered)
        if what not in (Next.AGAIN, Next.WAIT):
            self._backoff.reset()
            self._failure, self._since = None, self._budget.now()
            if what is Next.SKIP and isinstance(answered.error, DeliveryRetry):
                self._missed = answered.error
            return
        self._failure = _error(answered)
        self._check_patience()
        if what is Next.AGAIN:
            await asyncio.sleep(self._backoff.delay())

    def _check_patience(self) -> None:
        if self._patience() <= 0:
            raise self._failure or DeliveryRetry(detail="no turn came in time")

    def _patience(self) -> float:
        """Return for how many seconds more the ending is tried."""
        if not self._plan.is_ended or not self.is_released:
            return float("inf")
        return self._since + self._give_up_after - self._budget.now()


def _error(answered: Answered) -> DeliveryError:
    return answered.error or DeliveryRetry(detail=answered.outcome.name)
