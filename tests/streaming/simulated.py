"""A Discord in memory for virtual time: rate limits, a round trip, messages; and pages without Markdown."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bot.delivery.http_errors import answered_with
from bot.errors import DeliveryError, DeliveryRateLimited, MessageGone
from bot.markdown.files import File
from bot.streaming.bucket import Bucket, RateHeaders
from bot.streaming.calls import POSTS, Answered, Call
from bot.streaming.rules import Next, Outcome
from bot.streaming.transcript import Transcript

LimiterKind = Literal["fixed", "leaky"]


class SimulatedLimiter:
    """One bucket at the server, written from Discord's side: a fixed window or a GCRA."""

    def __init__(self, kind: LimiterKind, limit: int = 5, period: float = 5.0) -> None:
        self.kind = kind
        self.limit = limit
        self.period = period
        self._used = 0
        self._ends = float("-inf")  # fixed: of the window; leaky: when it is full again

    def hit(self, now: float) -> tuple[float, RateHeaders]:
        """Count a request; return the seconds to wait (0: allowed) and the headers of the answer."""
        return self._hit_fixed(now) if self.kind == "fixed" else self._hit_leaky(now)

    def _hit_fixed(self, now: float) -> tuple[float, RateHeaders]:
        if now >= self._ends:
            self._used, self._ends = 0, now + self.period
        left = self._ends - now
        if self._used >= self.limit:
            return left, RateHeaders(self.limit, 0, left)
        self._used += 1
        return 0.0, RateHeaders(self.limit, self.limit - self._used, left)

    def _hit_leaky(self, now: float) -> tuple[float, RateHeaders]:
        emission = self.period / self.limit
        debt = max(0.0, self._ends - now)
        wait = debt + emission - self.period
        if wait > 1e-9:
            return wait, RateHeaders(self.limit, 0, debt)
        self._ends = now + debt + emission
        return 0.0, RateHeaders(self.limit, int((self.period - debt - emission) / emission + 1e-9), debt + emission)


@dataclass(slots=True)
class Request:
    """A request as the server saw it."""

    at: float
    key: Hashable
    ordinal: int
    text: str
    refused: bool = False


@dataclass(slots=True)
class SimulatedDiscord:
    """Buckets made on demand, the global limit, one round trip.

    *faults* are asked with each request as it arrives; what one returns is
    raised instead of carrying the request out. *delay* gives a request's whole
    travelling time.
    """

    kind: LimiterKind = "fixed"
    limit: int = 5
    period: float = 5.0
    round_trip: float = 0.08
    jitter: float = 0.0
    global_limit: int = 50
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    requests: list[Request] = field(default_factory=list)
    faults: list[Callable[[Request], Exception | None]] = field(default_factory=list)
    limiters: dict[Hashable, SimulatedLimiter] = field(default_factory=dict)
    hang: dict[int, float] = field(default_factory=dict)  # index of the request -> more seconds on the way back
    _second: deque[float] = field(default_factory=deque)

    @property
    def refused(self) -> int:
        """How many 429s it gave."""
        return sum(request.refused for request in self.requests)

    def limiter(self, key: Hashable) -> SimulatedLimiter:
        """Return the bucket's limiter."""
        if key not in self.limiters:
            self.limiters[key] = SimulatedLimiter(self.kind, self.limit, self.period)
        return self.limiters[key]

    async def ask(self, key: Hashable, ordinal: int, text: str, apply: Callable[[], None]) -> RateHeaders:
        """Travel, be counted, be carried out by *apply*, travel back."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._way())
        request = Request(clock(), key, ordinal, text)
        index = len(self.requests)
        self.requests.append(request)
        try:
            headers = self._carry_out(request)
            apply()
        finally:
            await asyncio.sleep(self._way() + self.hang.get(index, 0.0))
        return headers

    def _way(self) -> float:
        return self.round_trip / 2 + self.jitter * self.rng.random()

    def _carry_out(self, request: Request) -> RateHeaders:
        for fault in self.faults:
            if (error := fault(request)) is not None:
                raise error
        while self._second and self._second[0] <= request.at - 1.0:
            self._second.popleft()
        if len(self._second) >= self.global_limit:
            request.refused = True
            raise DeliveryRateLimited(self._second[0] + 1.0 - request.at, "global")
        self._second.append(request.at)
        wait, headers = self.limiter(request.key).hit(request.at)
        if wait:
            request.refused = True
            raise DeliveryRateLimited(wait, "user")
        return headers


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a request: the message's text now, and the rate-limit headers."""

    text: str
    headers: RateHeaders | None = None


class SimulatedSink:
    """One reply's messages in a channel of a simulated Discord.

    Attributes:
        messages: their texts now.
        seen: ``(time, ordinal, text)`` of everything that was ever visible.
        files: files that were attached.
        gone: ordinals that somebody deleted.
        open_requests: how many are under way now, and the most there ever were.
    """

    def __init__(self, discord: SimulatedDiscord, channel: Hashable = 1) -> None:
        self.discord = discord
        self.channel = channel
        self.transcript = Transcript(1, "1")
        self.messages: list[str] = []
        self.seen: list[tuple[float, int, str]] = []
        self.files: list[File] = []
        self.gone: set[int] = set()
        self.under_way = 0
        self.most_under_way = 0

    def post_bucket(self) -> Bucket:
        return Bucket(("post", self.channel))

    def edit_bucket(self) -> Bucket:
        return Bucket(("edit", self.channel))

    def bucket(self, call: Call) -> Bucket:
        return self.post_bucket() if call.kind in POSTS else self.edit_bucket()

    async def send(self, call: Call) -> tuple[Next, Answered]:
        self.transcript.begin(call)
        try:
            if call.kind in POSTS:
                sent = await self.post(call.text)
            else:
                sent = await self.edit(call.ordinal, call.text, call.file)
        except DeliveryError as error:
            answered = answered_with(error)
        else:
            outcome = Outcome.OK if sent.text == call.text.strip() else Outcome.OTHER
            answered = Answered(outcome, sent.text, 100 + call.ordinal, 1, headers=sent.headers)
        return self.transcript.take(call, answered), answered

    async def post(self, text: str) -> Sent:
        ordinal = len(self.messages)

        def apply() -> None:
            self.messages.append(text)
            self._show(ordinal, text)

        return await self._ask(("post", self.channel), ordinal, text, apply)

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        def apply() -> None:
            if ordinal in self.gone:
                raise MessageGone(404, 10008, "Unknown Message")
            self.messages[ordinal] = text
            if file is not None:
                self.files.append(file)
            self._show(ordinal, text)

        return await self._ask(("edit", self.channel), ordinal, text, apply)

    async def _ask(self, key: Hashable, ordinal: int, text: str, apply: Callable[[], None]) -> Sent:
        assert 1 <= len(text) <= 2000, "Discord would refuse it"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return Sent(text, await self.discord.ask(key, ordinal, text, apply))
        finally:
            self.under_way -= 1

    def _show(self, ordinal: int, text: str) -> None:
        self.seen.append((asyncio.get_running_loop().time(), ordinal, text))


class PlainPages:
    """Pages of words: what the streamer needs of a splitter, and nothing of Markdown.

    With *rng* a page ends somewhere in its last fifth, as at a paragraph: what
    follows was on screen already and moves to the next page.
    """

    def __init__(self, limit: int = 2000, cursor: str = "▌", *, rng: random.Random | None = None) -> None:
        self._limit = limit
        self._rng = rng
        self._cursor = cursor
        self._open = ""
        self._closed: list[str] = []

    @property
    def closed(self) -> Sequence[str]:
        return self._closed

    @property
    def is_nearly_full(self) -> bool:
        return len(self._open) > 0.85 * self._limit

    def feed(self, text: str) -> None:
        self._open += text
        while len(self._open) > self._limit - len(self._cursor):
            cut = self._open.rfind(" ", 0, int(self._limit * (self._rng.uniform(0.8, 1.0) if self._rng else 1.0)))
            cut = cut if cut > 0 else self._limit
            self._closed.append(self._open[:cut])
            self._open = self._open[cut:].lstrip()

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        return bool(self._closed or self._open.strip())

    def finish(self, footer: str = "", *, interrupted: bool = False) -> None:
        text = self._open.strip()
        if footer:
            text = f"{text}\n{footer}".strip()
        if text:
            self._closed.append(text)
        self._open = ""

    def tail(self, notice: str = "") -> str:
        text = self._open.strip()
        page = text + self._cursor if text else ""
        return f"{page}\n{notice}" if page and notice else page


def words(sinks_messages: Sequence[str]) -> str:
    """Return the messages' text without cursors, joined: what a reader has read."""
    return " ".join(message.rstrip("▌").strip() for message in sinks_messages)


def group_by_channel(requests: Sequence[Request]) -> dict[Hashable, list[Request]]:
    """Sort the server's requests by bucket."""
    grouped: dict[Hashable, list[Request]] = defaultdict(list)
    for request in requests:
        grouped[request.key].append(request)
    return grouped
