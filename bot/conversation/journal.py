"""The journal: what a restart needs to know of each running reply, written down before it is on screen.

The reader's side (`ReplyJournal.append`, `end`) only appends to memory. What
piled up is written in one short transaction: before every request to Discord,
and at least once a second while text comes. At most one write of a reply is
under way. A store that is slow holds a request up for `PATIENCE_SECONDS` once;
after that, and whenever it fails, replies go on without it, and what could not
be written is written as soon as that works again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bot.conversation.db_errors import ClaimLost
from bot.conversation.records import Piece, PromptRecord, ReplyEnd, ReplyMessage
from bot.errors import StoreError

if TYPE_CHECKING:
    from bot.conversation.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 1.5
"""How long a reply waits for the store before it goes on without."""
FLUSH_SECONDS = 1.0
"""How old text may get before it is written down."""

_RETRY_SECONDS = 5.0
_LOG_EVERY_SECONDS = 60.0
# Prompts that are remembered here: events are redelivered within minutes.
_RECENT = 1000
# Replies whose ending waits for a store that fails; each holds its text.
_OVERDUE = 100


class StoreHealth:
    """Whether the store keeps up; says so in the log, at most once a minute."""

    def __init__(self, *, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._late: set[asyncio.Future[Any]] = set()
        self._failed_at = float("-inf")
        self._logged_at = float("-inf")
        self._is_trouble_told = False

    @property
    def is_stuck(self) -> bool:
        """Whether a call has outlived our patience and is still under way."""
        return bool(self._late)

    @property
    def has_just_failed(self) -> bool:
        """Whether a try now would most likely fail as well."""
        return self._clock() - self._failed_at < _RETRY_SECONDS

    async def in_time(self, call: asyncio.Future[T]) -> bool:
        """Wait for *call* as long as patience lasts; it goes on in any case. Return whether it is done.

        While another call is stuck nothing is waited for: it would stand behind that one.
        """
        if not call.done() and not self.is_stuck:
            await asyncio.wait((call,), timeout=self.patience)
        if call.done():
            return True
        if call not in self._late:
            self._late.add(call)
            call.add_done_callback(self._late.discard)
            self._warn("it does not answer in time")
        return False

    async def read(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what *work* reads.

        Raises:
            StoreError: it failed, or the store does not answer in time.
        """
        if self.is_stuck:
            work.close()
            raise StoreError("The database does not answer in time.")
        task = asyncio.ensure_future(work)
        if not await self.in_time(task):
            task.add_done_callback(_retrieve)
            raise StoreError("The database does not answer in time.")
        try:
            return task.result()
        except StoreError as error:
            self.failed(error)
            raise

    def failed(self, error: StoreError) -> None:
        """Note that a call failed."""
        self._failed_at = self._clock()
        self._warn(str(error))

    def worked(self) -> None:
        """Note that a write worked; on a full disk some do and some do not."""
        if self._is_trouble_told and not self.has_just_failed:
            self._is_trouble_told = False
            log.warning("The database works again")

    def _warn(self, why: str) -> None:
        now = self._clock()
        if now - self._logged_at >= _LOG_EVERY_SECONDS:
            self._logged_at = now
            self._is_trouble_told = True
            log.error("Conversations are not being stored; replies go on without: %s", why)


def _retrieve(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


class Journals:
    """The journals of all running replies.

    *flush_every* is how old text may get (seconds) before it is written.
    """

    def __init__(self, store: Store, *, health: StoreHealth | None = None, flush_every: float = FLUSH_SECONDS) -> None:
        self.store = store
        self.health = health or StoreHealth()
        self.flush_every = flush_every
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._dirty: OrderedDict[ReplyJournal, None] = OrderedDict()

    async def begin(self, prompt: PromptRecord, *, model: str = "") -> ReplyJournal | None:
        """Take in a prompt and open the journal of its reply; None if it was taken in before.

        A store that fails or hangs costs the record, not the reply.
        """
        if self.knows(prompt.message_id):
            return None
        self.remember(prompt.message_id)
        journal = ReplyJournal(self, prompt, model=model)
        await journal.settle()
        return None if journal.is_duplicate else journal

    def knows(self, message_id: int) -> bool:
        """Tell whether a prompt was taken in or refused of late."""
        return message_id in self._recent

    def remember(self, message_id: int) -> None:
        """Take a prompt in no more, should it be delivered again."""
        self._recent[message_id] = None
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def reopen(self, prompt: PromptRecord, reply_id: int) -> ReplyJournal:
        """Open the journal of a reply that is stored already."""
        self.remember(prompt.message_id)
        return ReplyJournal(self, prompt, reply_id=reply_id)

    async def drain(self, seconds: float) -> None:
        """Wait until everything is written, at most *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while self._dirty:
                    await asyncio.wait([journal.write() for journal in self._dirty])
                    if self.health.has_just_failed:
                        return
        except TimeoutError:
            log.warning("%d replies could not be written down in time", len(self._dirty))

    def note_dirty(self, journal: ReplyJournal) -> None:
        """Keep *journal* until it is clean; of those that ended, the oldest is given up when there are too many."""
        self._dirty[journal] = None
        if len(self._dirty) > _OVERDUE:
            oldest = next((each for each in self._dirty if each.is_closed and not each.is_writing), None)
            if oldest is not None:
                del self._dirty[oldest]
                oldest.give_up()
                log.error("A reply to prompt %s could not be stored", oldest.prompt.message_id)

    def note_clean(self, journal: ReplyJournal) -> None:
        """Let go of *journal*."""
        self._dirty.pop(journal, None)


@dataclass(slots=True)
class _News:
    """What is not stored yet."""

    text: list[str] = field(default_factory=list)
    messages: dict[tuple[int, int], ReplyMessage] = field(default_factory=dict)
    end: ReplyEnd | None = None
    moved_to: int | None = None
    is_shown: bool = False
    is_anew: bool = False  # what is stored of the text does not count any more

    def __bool__(self) -> bool:
        return bool(self.text or self.messages or self.end or self.moved_to or self.is_shown or self.is_anew)

    def then(self, later: _News) -> _News:
        """Return both in one."""
        end = later.end or self.end
        text = [] if end else later.text if later.is_anew else self.text + later.text
        messages, moved_to = self.messages | later.messages, later.moved_to or self.moved_to
        is_shown, is_anew = self.is_shown or later.is_shown, self.is_anew or later.is_anew
        return _News(text, messages, end, moved_to, is_shown, is_anew)


class ReplyJournal:
    """What one reply has to write down; made by `Journals`.

    Attributes:
        prompt: what is answered.
        is_duplicate: the prompt was known to the store.
        is_closed: nothing more comes.
    """

    def __init__(
        self, journals: Journals, prompt: PromptRecord, *, model: str = "", reply_id: int | None = None
    ) -> None:
        self.prompt = prompt
        self.is_duplicate = False
        self.is_closed = False
        self._journals = journals
        self._health = journals.health
        self._model = model
        self._began_at = time.time()
        self._reply_id = reply_id
        self._stored = 0  # code points of text that are stored
        self._news = _News()
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._given_up = False

    @property
    def label(self) -> str:
        """What to call the reply in the log."""
        return str(self._reply_id or f"to {self.prompt.message_id}")

    @property
    def is_stored(self) -> bool:
        """Whether the store knows of the reply, so that the next start finds it."""
        return self._reply_id is not None

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way."""
        return self._writing is not None and not self._writing.done()

    def append(self, text: str) -> None:
        """Add what the model wrote; it is stored within a second."""
        self._news.text.append(text)
        self._write_within(self._journals.flush_every)

    def begin_anew(self) -> None:
        """Forget the text so far: the model writes another one."""
        self._news = self._news.then(_News(is_anew=True))
        self._stored = 0

    async def note(self, message: ReplyMessage) -> None:
        """Write down what a message is about to show."""
        self.put(message)
        await self.settle()

    def put(self, message: ReplyMessage) -> None:
        """Note what a message shows by now; stored with what is written next, or at the end."""
        self._news.messages[message.ordinal, message.generation] = message

    def move(self, channel_id: int) -> None:
        """Note that the rest goes to those direct messages; stored as above."""
        self._news.moved_to = channel_id

    def end(self, end: ReplyEnd) -> None:
        """Note how the reply ended; stored before anything of that is on screen."""
        self._news = self._news.then(_News(end=end))

    async def close(self, *, is_shown: bool) -> None:
        """Write everything down; with *is_shown* a restart has nothing more to do for this reply."""
        self._news.is_shown = is_shown
        self.is_closed = True
        await self.settle()

    async def settle(self) -> None:
        """Write what piled up, and wait for that as long as patience lasts."""
        if self._health.has_just_failed:
            self._write_within(_RETRY_SECONDS)
            return
        writing = self.write()
        await self._health.in_time(writing)

    def write(self) -> asyncio.Task[None]:
        """Return the task that writes until nothing is left or the store fails."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None or self._writing.done():
            self._journals.note_dirty(self)
            self._writing = asyncio.create_task(self._write(), name=f"journal-{self.label}")
        return self._writing

    def give_up(self) -> None:
        """Write nothing more."""
        self._given_up = True
        if self._timer is not None:
            self._timer.cancel()

    def _write_within(self, seconds: float) -> None:
        self._journals.note_dirty(self)
        if self._timer is None and not self.is_writing and not self._given_up:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.write)

    async def _write(self) -> None:
        try:
            if self._reply_id is None:
                await self._take_in()
            while self._news and not self.is_duplicate:
                await self._write_batch()
        except StoreError as error:
            self._health.failed(error)
            self._writing = None
            self._write_within(_RETRY_SECONDS)
        except Exception:
            log.exception("The journal of reply %s failed", self.label)
            self._journals.note_clean(self)
        else:
            self._health.worked()
            self._journals.note_clean(self)

    async def _take_in(self) -> None:
        store = self._journals.store
        try:
            reply_id = await store.take_in(self.prompt, model=self._model, at=self._began_at)
        except ClaimLost:  # the bot that has the database answers it
            reply_id = None
        self.is_duplicate = reply_id is None
        self._reply_id = reply_id

    async def _write_batch(self) -> None:
        assert self._reply_id is not None, "taken in before"
        news, self._news = self._news, _News()
        text = "".join(news.text)
        start = 0 if news.is_anew else self._stored
        self._stored = start + len(text)
        try:
            await self._journals.store.write_down(
                self._reply_id,
                messages=list(news.messages.values()),
                piece=Piece(start, text) if text else None,
                end=news.end,
                moved_to=news.moved_to,
                is_shown=news.is_shown,
                is_anew=news.is_anew,
            )
        except BaseException:
            if not self._news.is_anew:
                self._stored = start
            self._news = news.then(self._news)
            raise
