"""The heart: text flows in as fast as the model talks, edits flow out as Discord allows.

The reader's side (`feed`, `status`, `end`) only appends to memory and sets an
event. The writer (`run`, a task of its own) wakes, plans what is worth showing,
waits for its turn and sends the newest text: at most one request in flight,
whatever piled up goes in one edit, the last words always arrive. Stop, error
and end of text are one ending: `end` sets a flag and the writer finishes. The
writer is never cancelled inside a request; see `bot.delivery.http`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.errors import DeliveryError, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.streaming.backoff import Backoff
from bot.streaming.bucket import Urgency
from bot.streaming.budget import EditBudget, Lane, Ticket
from bot.streaming.sink import Bucket, File, Sent, Sink


# Somebody deleted that one message; the others go on. Any other 404 is the channel.
_UNKNOWN_MESSAGE = 10008


class Pages(Protocol):
    """What the streamer needs of a splitter (`bot.streaming.splitter.Splitter`)."""

    @property
    def closed(self) -> Sequence[str]:
        """Pages that never change again."""
        ...

    def feed(self, text: str) -> None:
        """Append text."""
        ...

    def finish(self, footer: str = "") -> None:
        """Close the last page, our own line at its end."""
        ...

    def tail(self) -> str:
        """Return the open page as it may be shown now."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """One request that would bring the screen closer to the text."""

    ordinal: int
    text: str
    urgency: Urgency
    is_post: bool = False
    is_status: bool = False
    file: File | None = None


class ReplyStreamer:
    """Shows a growing reply in a sink, paced by a budget.

    *max_messages* bounds the messages of a reply: past it the last message
    counts characters, and the whole text comes as a file at the end.
    *give_up_after* is how long (seconds) the ending is tried against a Discord
    that answers with failures. *page_limit* is the splitter's, in code points.
    """

    def __init__(
        self,
        sink: Sink,
        pages: Pages,
        budget: EditBudget,
        *,
        max_messages: int = 8,
        page_limit: int = 2000,
        give_up_after: float = 300.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._sink = sink
        self._pages = pages
        self._budget = budget
        self._max_messages = max_messages
        self._page_limit = page_limit
        self._give_up_after = give_up_after
        self._backoff = backoff or Backoff()
        self._lane = Lane()
        self._changed = asyncio.Event()
        self._ended = False
        self._ended_at = 0.0
        self._is_quiet = False
        self._footer = ""
        self._status = ""
        self._shown: list[str] = []  # what Discord shows, by ordinal
        self._settled = 0  # messages below this ordinal show their final page
        self._room = 0  # code points that may come before another page could be needed
        self._idle = True
        self._text: list[str] = []
        self._characters = 0
        self._attached = False
        self._gone: set[int] = set()  # messages that somebody deleted
        self._status_shown = False  # message 0 holds a status, not text

    # ------------------------------------------------------------ the reader's side: never waits

    @property
    def text(self) -> str:
        """The model's text so far, as it wrote it."""
        return "".join(self._text)

    @property
    def characters(self) -> int:
        """Code points of `text`."""
        return self._characters

    @property
    def messages(self) -> int:
        """How many messages the reply has on screen."""
        return len(self._shown)

    def feed(self, text: str) -> None:
        """Append the model's *text*."""
        if not text or self._ended:
            return
        self._text.append(text)
        self._characters += len(text)
        self._pages.feed(text)
        self._room -= len(text)
        if self._idle or self._room < 0:
            self._changed.set()

    def status(self, line: str) -> None:
        """Say what is going on; shown only while there is no text."""
        if line != self._status:
            self._status = line
            self._changed.set()

    def end(self, footer: str = "", *, quiet: bool = False) -> None:
        """No more text comes; *footer* is our own closing line, shown below the text.

        With *quiet* nothing is posted for its sake: it only replaces or follows what is on screen.
        """
        if self._ended:
            return
        self._is_quiet = quiet and not self._characters
        self._ended = True
        self._ended_at = self._budget.now()
        self._footer = footer
        self._pages.finish(footer)
        self._changed.set()

    # ------------------------------------------------------------ the writer's side

    async def run(self) -> None:
        """Show the reply until its ending is on screen.

        Raises the sink's `DeliveryError` when nothing more can be shown; what
        was shown stays.
        """
        while True:
            step = self._plan()
            if step is None:
                if self._ended:
                    return
                await self._wait_idle()
                continue
            bucket = self._bucket(step)
            if await self._turn(step, bucket):
                newest = self._plan()
                if newest is None or self._bucket(newest) != bucket:
                    self._budget.give_back(bucket)
                    continue
                await self._send(newest, bucket)

    async def _wait_idle(self) -> None:
        self._idle = True
        await self._changed.wait()
        self._changed.clear()
        self._idle = False

    async def _turn(self, step: _Step, bucket: Bucket) -> bool:
        """Wait for the budget; return False if something else became worth more meanwhile."""
        ticket = self._budget.request(self._lane, bucket, step.urgency)
        ticket.granted.add_done_callback(lambda _: self._changed.set())
        while not ticket.granted.done():
            await self._changed.wait()
            self._changed.clear()
            if not ticket.granted.done() and not self._still_wanted(ticket):
                self._budget.withdraw(ticket)
                return False
        return True

    def _still_wanted(self, ticket: Ticket) -> bool:
        step = self._plan()
        if step is None or self._bucket(step) != ticket.bucket:
            return False
        self._budget.hurry(ticket, step.urgency)
        return True

    def _bucket(self, step: _Step) -> Bucket:
        return self._sink.post_bucket() if step.is_post else self._sink.edit_bucket()

    async def _send(self, step: _Step, bucket: Bucket) -> None:
        """Send one request; learn from its answer, or from its failure how long to wait."""
        sent_at = self._budget.now()
        try:
            if step.is_post:
                sent = await self._sink.post(step.text)
            else:
                sent = await self._sink.edit(step.ordinal, step.text, step.file)
        except DeliveryRateLimited as error:
            self._budget.refused(bucket.key, error.retry_after, everywhere=error.scope == "global")
            self._check_patience(error)
        except DeliveryRetry as error:
            self._budget.lost(bucket.key)
            self._check_patience(error)
            await asyncio.sleep(self._backoff.delay())
        except MessageGone as error:
            self._budget.lost(bucket.key)
            if step.is_post or error.code != _UNKNOWN_MESSAGE:
                raise
            self._gone.add(step.ordinal)
        except DeliveryError:
            self._budget.lost(bucket.key)
            raise
        else:
            self._note(step, sent)
            if sent.headers is None:
                self._budget.lost(bucket.key)
            else:
                self._budget.observe(bucket.key, sent.headers, sent_at=sent_at, received_at=self._budget.now())

    def _check_patience(self, error: DeliveryError) -> None:
        if self._ended and self._budget.now() - self._ended_at > self._give_up_after:
            raise error

    def _note(self, step: _Step, sent: Sent) -> None:
        self._backoff.reset()
        if step.is_post:
            self._shown.append(sent.text)
        else:
            self._shown[step.ordinal] = sent.text
        if step.file is not None:
            self._attached = True
        if step.ordinal == 0:
            self._status_shown = step.is_status
        # The first text is a reader's first look, however long the wait before it was.
        if step.ordinal == 0 and step.urgency is Urgency.FIRST:
            self._lane.edits = 0

    # ------------------------------------------------------------ what is worth showing

    def _plan(self) -> _Step | None:
        """Return the next request that shows something new, or None."""
        if self._is_quiet and not self._shown:
            return None
        closed = self._pages.closed
        tail = self._pages.tail()
        self._room = self._page_limit - len(tail) - 64
        count = len(closed) + bool(tail)
        if not count:
            return self._plan_status()
        if count > self._max_messages:
            return self._plan_overlong(closed)
        stale = self._stale_page(closed, len(closed))
        if stale is not None and (
            self._ended or len(self._shown) == count or self._budget.free_now(self._sink.edit_bucket(), Urgency.PAGE)
        ):
            return stale
        return self._plan_post(closed, tail, count) or stale or self._plan_tail(tail, count)

    def _plan_status(self) -> _Step | None:
        if not self._status or self._ended:
            return None
        if not self._shown:
            return _Step(0, self._status, Urgency.STATUS, is_post=True, is_status=True)
        if not self._shows(0, self._status):
            return _Step(0, self._status, Urgency.STATUS, is_status=True)
        return None

    def _stale_page(self, closed: Sequence[str], count: int) -> _Step | None:
        """Return the edit that gives the first unfinished message its final page."""
        while self._settled < min(count, len(self._shown)) and self._shows(self._settled, closed[self._settled]):
            self._settled += 1
        if self._settled < min(count, len(self._shown)):
            first = self._settled == 0 and self._status_shown
            urgency = Urgency.FIRST if first else Urgency.FINAL if self._ended else Urgency.PAGE
            return _Step(self._settled, closed[self._settled], urgency)
        return None

    def _plan_post(self, closed: Sequence[str], tail: str, count: int) -> _Step | None:
        ordinal = len(self._shown)
        if ordinal >= count:
            return None
        text = closed[ordinal] if ordinal < len(closed) else tail
        return _Step(ordinal, text, Urgency.FIRST, is_post=True)

    def _shows(self, ordinal: int, text: str) -> bool:
        return self._shown[ordinal] == text or ordinal in self._gone

    def _plan_tail(self, tail: str, count: int) -> _Step | None:
        ordinal = count - 1
        if not tail or self._shows(ordinal, tail):
            return None
        first = ordinal == 0 and self._status_shown
        return _Step(ordinal, tail, Urgency.FIRST if first else Urgency.EDIT)

    # ------------------------------------------------------------ more text than messages

    def _plan_overlong(self, closed: Sequence[str]) -> _Step | None:
        """Show the first pages, count characters in the last message, attach everything at the end."""
        full = self._max_messages - 1
        stale = self._stale_page(closed, full)
        if stale is not None:
            return stale
        ordinal = len(self._shown)
        if ordinal < full:
            return _Step(ordinal, closed[ordinal], Urgency.FIRST, is_post=True)
        line = self._overlong_line()
        if ordinal == full:
            return _Step(full, line, Urgency.FIRST, is_post=True)
        if self._ended and not self._attached and full not in self._gone:
            return _Step(full, line, Urgency.FINAL, file=File("reply.md", self.text.encode()))
        if not self._ended and not self._shows(full, line):
            return _Step(full, line, Urgency.STATUS)
        return None

    def _overlong_line(self) -> str:
        if self._ended:
            lines = [f"-# the whole answer, {self._characters:,} characters, is in the attached file", self._footer]
            return "\n".join(line for line in lines if line)
        return (
            f"-# too long for {self._max_messages} messages: {self._characters:,} characters so far, a file follows ▌"
        )
