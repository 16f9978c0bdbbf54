"""When may a request go? One budget for the whole process.

Three things are rationed. A bucket (the edits of one channel, its new messages)
has a few tokens per seconds, learned from headers (`bucket.py`). All requests
together have 50 per second (https://discord.com/developers/docs/topics/rate-limits);
discord.py counts neither ahead of time. And a reader's attention: a token spent
on showing nothing new is wasted, so the streamer asks for a turn only when it
has something to show.

A writer asks for a `Ticket` and waits for it. Within a bucket the most urgent
ticket goes first, then the reply whose last turn is longest ago, so that replies
in one channel share its edits equally. Where the global rate binds, the same
order holds between buckets, so that no channel starves. Some of the global rate
is left to more urgent requests: an ending never waits for an edit. Requests
outside any reply yield to all of them, but never starve.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from bot.streaming.bucket import Bucket, BucketState, Kind, Limits, RateHeaders, Urgency
from bot.streaming.rate import GlobalRate

# What each urgency leaves of the global limit to the more urgent ones.
_LEAVES = {
    Urgency.FIRST: 0,
    Urgency.FINAL: 0,
    Urgency.OVERFLOW: 0,
    Urgency.PAGE: 1,
    Urgency.EDIT: 2,
    Urgency.LATE_EDIT: 2,
    Urgency.STATUS: 8,
}
# What typing indicators, reactions and commands leave; but one of them goes at
# least every so many seconds.
_OTHERS_LEAVE = 12
_OTHERS_EVERY = 0.25
# An answer is brief if it is over within so many seconds; each one counts so much
# against those before it.
_BRIEF = 1.0
_NEWS = 0.3
# Buckets that nobody used for so long (seconds) are forgotten.
_FORGET_AFTER = 600.0


@dataclass(slots=True, eq=False)
class Lane:
    """One reply's place in the budget.

    Attributes:
        edits: turns it has had since its first message.
        last: when the latest one was.
        began: when its first text went.
    """

    edits: int = 0
    last: float = float("-inf")
    began: float = float("-inf")
    is_counted: bool = False  # whether how long it takes is known

    def begin(self, at: float) -> None:
        """Note that its first text went at *at*: a reader's first look, however long the wait before it was."""
        self.edits, self.began = 0, at


@dataclass(slots=True, eq=False)
class Ticket:
    """A wait for one request's turn; ask the budget for it, then await `granted`.

    Attributes:
        due: when it is worth its token; infinite while others of its bucket come first.
    """

    lane: Lane
    bucket: Bucket
    urgency: Urgency
    granted: asyncio.Future[float]
    serial: int
    version: int = 0
    due: float = float("inf")
    asked_at: float = float("-inf")
    last_before: float = float("-inf")  # the lane's, before this ticket was granted


class EditBudget:
    """Rations requests over buckets, the whole bot, and replies.

    Not thread-safe; lives on one event loop. *clock* and *call_at* are the
    loop's own unless a test injects others.
    """

    def __init__(
        self,
        *,
        prior: Limits | None = None,
        rate: GlobalRate | None = None,
        clock: Callable[[], float] | None = None,
        call_at: Callable[[float, Callable[[], None]], asyncio.TimerHandle] | None = None,
    ) -> None:
        self._prior = prior or Limits()
        self._priors: dict[Hashable, Limits] = {}  # by family of buckets
        self.rate = rate or GlobalRate()
        self._departures = GlobalRate(self.rate.limit + 1, self.rate.nominal)
        self._clock = clock
        self._call_at = call_at
        self._buckets: dict[Hashable, BucketState] = {}
        self._waiting: dict[Hashable, list[Ticket]] = {}
        self._due: list[tuple[float, int, Ticket, int]] = []  # heads of buckets, not due yet
        self._ready: list[tuple[Urgency, float, int, Ticket, int]] = []  # due, waiting for the global rate
        self._others_last = float("-inf")  # when one of them went
        self._others: deque[asyncio.Future[None]] = deque()
        self._brief = 0.5  # the share of brief answers of late
        self._serial = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def now(self) -> float:
        """Return the budget's time: seconds, monotonic."""
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def bucket(self, key: Hashable) -> BucketState:
        """Return the state of a bucket, made from what its siblings taught if it is new."""
        state = self._buckets.get(key)
        if state is None:
            self._forget_idle()
            state = self._buckets[key] = BucketState(self._priors.get(_family(key), self._prior))
        return state

    def request(self, lane: Lane, bucket: Bucket, urgency: Urgency) -> Ticket:
        """Ask for a turn; its future's result is the moment it was granted."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        ticket = Ticket(lane, bucket, urgency, future, next(self._serial), asked_at=self.now())
        self._waiting.setdefault(bucket.key, []).append(ticket)
        self._refresh(bucket.key)
        self._dispatch()
        return ticket

    def change_urgency(self, ticket: Ticket, urgency: Urgency) -> None:
        """Change how urgent a waiting ticket is."""
        if urgency != ticket.urgency and not ticket.granted.done():
            ticket.urgency = urgency
            self._refresh(ticket.bucket.key)
            self._dispatch()

    def advance(self, ticket: Ticket, by: float) -> None:
        """Let a growing page's edit go now if it is due within *by* seconds.

        Called when text has come and more of it is expected after so many
        seconds only: the edit would show no more later.
        """
        now = self.now()
        if not now < ticket.due <= now + by or ticket.urgency is not Urgency.EDIT or ticket.granted.done():
            return
        if self.bucket(ticket.bucket.key).may_advance(ticket.due, now):
            ticket.due = now
            ticket.version += 1
            heapq.heappush(self._due, (now, ticket.serial, ticket, ticket.version))
            self._dispatch()

    def withdraw(self, ticket: Ticket) -> None:
        """Give a ticket up; one that was granted already stays spent."""
        waiting = self._waiting.get(ticket.bucket.key, [])
        if ticket in waiting:
            waiting.remove(ticket)
            ticket.granted.cancel()
            self._refresh(ticket.bucket.key)
            self._dispatch()

    async def others_turn(self) -> None:
        """Wait until a request outside any reply (typing, a reaction, a command) may go."""
        now = self.now()
        if not self._others and self._others_free_at(now) <= now:
            self._spend_other(now)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._others.append(turn)
        self._dispatch()
        await turn

    async def departure(self) -> None:
        """Wait, on the way out, until one more request may really leave.

        A turn is granted before the journal is written. A disk that stalls lets
        turns pile up; without this they would leave together when it is back.
        """
        now = self.now()
        while (free := self._departures.free_at(now)) > now:
            await asyncio.sleep(free - now)
            now = self.now()
        self._departures.spend(now)

    def observe(self, key: Hashable, headers: RateHeaders, *, sent_at: float, received_at: float) -> None:
        """Learn from the headers of a request's answer."""
        state = self.bucket(key)
        state.observe(headers, sent_at, received_at)
        self.rate.note_travel(received_at - sent_at)
        if state.kind is not Kind.UNKNOWN and state.limit == self._prior.limit:
            self._priors[_family(key)] = Limits(state.limit, state.period, state.kind)
        self._refresh(key)
        self._dispatch()

    def refused(self, key: Hashable, retry_after: float, *, everywhere: bool = False) -> None:
        """Note a 429 of a bucket, or (*everywhere*) of the whole bot."""
        if everywhere:
            self.bucket(key).pause(self.now() + retry_after)
            self.refused_everywhere(retry_after)
        else:
            self.bucket(key).refused(retry_after, self.now())
        self._refresh(key)
        self._dispatch()

    def refused_everywhere(self, retry_after: float) -> None:
        """Note a 429 that binds the whole bot."""
        self.rate.blocked_until = max(self.rate.blocked_until, self.now() + retry_after)

    def give_back(self, ticket: Ticket) -> None:
        """Return a granted turn that was not used after all."""
        self.bucket(ticket.bucket.key).give_back()
        if ticket.bucket.bound_globally:
            self.rate.give_back(ticket.granted.result())
        ticket.lane.edits -= 1
        ticket.lane.last = ticket.last_before
        self._refresh(ticket.bucket.key)
        self._dispatch()

    def lost(self, key: Hashable) -> None:
        """Note that a request of a bucket ended without headers."""
        self.bucket(key).lost()

    def _forget_idle(self) -> None:
        if len(self._buckets) % 256 == 255:
            horizon = self.now() - _FORGET_AFTER
            idle = [k for k, s in self._buckets.items() if s.last < horizon and not self._waiting.get(k)]
            for key in idle:
                del self._buckets[key]

    def _refresh(self, key: Hashable) -> None:
        """Choose the bucket's next ticket anew and note when it is due."""
        waiting = [ticket for ticket in self._waiting.get(key, ()) if not ticket.granted.done()]
        self._waiting[key] = waiting
        if not waiting:
            self._waiting.pop(key, None)
            return
        head = min(waiting, key=lambda t: (t.urgency, t.lane.last, t.serial))
        for ticket in waiting:
            ticket.version += 1  # what lies in the heaps for this bucket is void now
            ticket.due = float("inf")
        head.due = self.bucket(key).due(
            head.urgency,
            head.lane.edits,
            self.now(),
            head.lane.last,
            head.asked_at,
            is_brief=self._brief > 0.5,
        )
        heapq.heappush(self._due, (head.due, head.serial, head, head.version))

    def _dispatch(self) -> None:
        """Grant what may go now; set the timer for what may go next."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            _, serial, ticket, version = heapq.heappop(self._due)
            if version != ticket.version:
                continue
            if ticket.granted.done():
                self._refresh(ticket.bucket.key)  # its wait was cancelled: the next one's turn
            elif ticket.bucket.bound_globally:
                heapq.heappush(self._ready, (ticket.urgency, ticket.lane.last, serial, ticket, version))
            else:
                self._grant(ticket, now)
        later = min(self._grant_ready(now), self._grant_others(now))
        if self._due:
            later = min(later, self._due[0][0])
        self._wake_at(later)

    def _grant_ready(self, now: float) -> float:
        """Grant due tickets in order; return when the global rate allows the first that has to wait."""
        while self._ready:
            _, _, _, ticket, version = self._ready[0]
            if version == ticket.version and ticket.granted.done():
                self._refresh(ticket.bucket.key)
            elif version == ticket.version:
                free = self.rate.free_at(now, _LEAVES[ticket.urgency])
                if free > now:
                    return free  # what is behind it is no more urgent
                self.rate.spend(now)
                self._grant(ticket, now)
            heapq.heappop(self._ready)
        return float("inf")

    def _grant(self, ticket: Ticket, now: float) -> None:
        key = ticket.bucket.key
        self._waiting[key].remove(ticket)
        self.bucket(key).spend(now, ticket.urgency)
        ticket.last_before = ticket.lane.last
        ticket.lane.edits += 1
        ticket.lane.last = now
        self._count(ticket, now)
        ticket.granted.set_result(now)
        self._refresh(key)

    def _count(self, ticket: Ticket, now: float) -> None:
        """Learn whether answers are brief: once of each, at its end or as soon as it takes longer."""
        lane = ticket.lane
        is_brief = now - lane.began < _BRIEF
        if not lane.is_counted and lane.began > float("-inf") and (not is_brief or ticket.urgency is Urgency.FINAL):
            lane.is_counted = True
            self._brief += _NEWS * (is_brief - self._brief)

    def _others_free_at(self, now: float) -> float:
        """Return when a request outside any reply may go: when there is plenty, or when they waited long enough."""
        patient = self.rate.free_at(now, _OTHERS_LEAVE)
        return min(patient, max(self.rate.free_at(now), self._others_last + _OTHERS_EVERY))

    def _spend_other(self, now: float) -> None:
        self.rate.spend(now)
        self._others_last = now

    def _grant_others(self, now: float) -> float:
        while self._others:
            if self._others[0].done():
                self._others.popleft()
                continue
            free = self._others_free_at(now)
            if free > now:
                return free
            self._spend_other(now)
            self._others.popleft().set_result(None)
        return float("inf")

    def _wake_at(self, when: float) -> None:
        if when >= self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, float("inf")
        if when < float("inf"):
            call_at = self._call_at or asyncio.get_running_loop().call_at
            self._timer, self._timer_at = call_at(when, self._on_timer), when

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._dispatch()


def _family(key: Hashable) -> Hashable:
    """Return what siblings have in common: a bucket's key is its kind and whose it is."""
    return key[0] if isinstance(key, tuple) and key else None
