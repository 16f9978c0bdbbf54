"""One of Discord's rate-limit buckets as seen from here: what its headers taught, and when an edit is worth a token.

Discord has two kinds of limiter and names neither. In a *fixed* window, which
starts with its first request, every request counts against the same end. A
*leaky* one (GCRA) hands back one token at a time: ``Reset-After`` is the time
until it is full again, and each request moves that moment by one token's worth.
The second answer tells them apart for sure, the first one gives a good guess;
until then the fixed kind is assumed, because assuming it of a leaky bucket
costs a little lag, while the reverse costs refused requests.

Pure: times come in as numbers (seconds of one monotonic clock).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from bot.streaming.sink import RateHeaders

# All figures below are in emissions (the seconds per token that a bucket can
# sustain, 1 s at Discord's usual 5 per 5 s), so that every limit is paced alike.
#
# In a fixed window the first edits of an answer come fast, since most answers
# are short: the gap before each, counted from the edit before.
_OPENING = (0.0, 0.11, 0.24)
# In a fixed window the last token is kept for the ending until so long before
# the window's end; then it is about to be replaced anyway.
_RELEASE = 0.5
# What a leaky bucket keeps back for the ending, in tokens.
_RESERVE = 1.0
# No two edits of a bucket come closer than this: nobody reads faster.
_MIN_GAP = 0.1


class Kind(Enum):
    """How a bucket gives tokens back."""

    UNKNOWN = "unknown"
    FIXED = "fixed"
    LEAKY = "leaky"


class Urgency(IntEnum):
    """What a request is for; the smaller goes first."""

    FIRST = 0  # the first visible text, a new message
    FINAL = 1  # the ending: last words, cursor gone
    PAGE = 2  # a page that is complete and will not change again
    EDIT = 3  # the growing page
    STATUS = 4  # a word on what is going on, before there is any text


@dataclass(slots=True)
class Limits:
    """What is believed of a bucket before its own headers came: learned from its siblings.

    Attributes:
        limit: tokens.
        period: seconds for all of them.
        kind: fixed or leaky, as the siblings turned out to be.
    """

    limit: int = 5
    period: float = 5.0
    kind: Kind = Kind.UNKNOWN


class BucketState:
    """Tokens of one bucket: spent here, corrected by headers."""

    def __init__(self, prior: Limits) -> None:
        self.limit = prior.limit
        self.period = prior.period
        self.kind = prior.kind
        self.blocked_until = 0.0
        self.last = float("-inf")  # when the latest token was spent
        self.in_flight = 0
        self._remaining = prior.limit  # fixed: in the window that ends at _reset_at
        self._reset_at = float("-inf")  # fixed: the window's end; leaky: when it is full again
        self._window_start = float("-inf")  # fixed: when its first request went
        self._sample: tuple[float, int] | None = None  # the latest answer's reset moment and remaining

    @property
    def emission(self) -> float:
        """Seconds per token at the sustainable rate."""
        return self.period / self.limit

    def tokens(self, now: float) -> float:
        """Return how many requests may go at *now* (leaky: a fraction counts what is under way)."""
        if now < self.blocked_until:
            return 0.0
        if self.kind is Kind.LEAKY:
            return max(0.0, self.limit - max(0.0, self._reset_at - now) / self.emission)
        return float(self.limit if now >= self._reset_at else self._remaining)

    def spend(self, now: float) -> None:
        """Count a request that goes at *now*."""
        if self.kind is Kind.LEAKY:
            self._reset_at = max(self._reset_at, now) + self.emission
        elif now >= self._reset_at:
            self._remaining, self._reset_at, self._window_start = self.limit - 1, now + self.period, now
            self._sample = None
        else:
            self._remaining -= 1
        self.last = now
        self.in_flight += 1

    def free_at(self, now: float) -> float:
        """Return the earliest moment at which one request may go."""
        earliest = max(now, self.blocked_until)
        if self.kind is Kind.LEAKY:
            return max(earliest, self._reset_at - (self.limit - 1) * self.emission)
        if earliest >= self._reset_at or self._remaining > 0:
            return earliest
        return self._reset_at

    def due(self, urgency: Urgency, edits: int, now: float) -> float:
        """Return when a request of that urgency is worth its token.

        *edits* is how many edits its reply has had: the first ones come fast.
        """
        free = self.free_at(now)
        if urgency <= Urgency.FINAL:
            return free
        pace = self._leaky_pace(urgency) if self.kind is Kind.LEAKY else self._fixed_pace(urgency, edits, now)
        return max(free, pace, self.last + _MIN_GAP * self.emission)

    def _leaky_pace(self, urgency: Urgency) -> float:
        """Spend what is saved up quickly, then settle at one per emission, always keeping the reserve."""
        # the moment at which the reserve is there besides the token to spend
        reserve_whole = self._reset_at - (self.limit - 1 - _RESERVE) * self.emission
        if urgency is Urgency.PAGE or self.last == float("-inf"):
            return reserve_whole
        spendable = max(0.0, self.tokens(self.last) - _RESERVE)
        saved = spendable / max(1.0, self.limit - _RESERVE)
        return max(reserve_whole, self.last + self.emission * (1 - saved) ** 2)

    def _fixed_pace(self, urgency: Urgency, edits: int, now: float) -> float:
        """Spread the window's tokens over what is left of it, the last one for the end of the window."""
        if now >= self._reset_at:
            return now
        release = self._reset_at - _RELEASE * self.emission
        spendable = self._remaining - 1
        if spendable < 1:
            return release if self._remaining else self._reset_at
        if urgency is Urgency.PAGE:
            return now
        if edits < len(_OPENING) and spendable > 1:
            return self.last + _OPENING[edits] * self.emission
        return self.last + (release - self.last) / (spendable + 1)

    def observe(self, headers: RateHeaders, sent_at: float, received_at: float) -> None:
        """Learn from an answer's headers.

        ``Reset-After`` was true when the server counted the request, somewhere
        between *sent_at* and *received_at*; as the next request travels as long,
        the way there cancels out but for jitter, which the margin covers.
        """
        self.in_flight = max(0, self.in_flight - 1)
        if sent_at < self._window_start:
            return  # an answer from the window before says nothing about this one
        travel = received_at - sent_at
        reset_at = sent_at + min(travel, 0.25 * travel + 0.02) + headers.reset_after
        self._learn(headers, reset_at, sent_at)
        self.limit = max(1, headers.limit)
        if self.kind is Kind.LEAKY:
            self._reset_at = reset_at + self.in_flight * self.emission
        else:
            self._reset_at = reset_at
            self._remaining = max(0, headers.remaining - self.in_flight)
        self._sample = (reset_at, headers.remaining)

    def _learn(self, headers: RateHeaders, reset_at: float, sent_at: float) -> None:
        """Tell the kind and the period from how the reset moment moves between two answers."""
        used = max(1, headers.limit - headers.remaining)
        if headers.limit != self.limit:
            self._sample, self.kind = None, Kind.UNKNOWN
        previous = self._sample
        if previous is not None and headers.remaining < previous[1] and sent_at < previous[0]:
            moved = reset_at - previous[0]
            self.kind = Kind.LEAKY if moved > 0.5 * self.emission else Kind.FIXED
        elif self.kind is Kind.UNKNOWN and headers.limit == self.limit and used == 1:
            self.kind = Kind.LEAKY if headers.reset_after < 0.5 * self.period else Kind.UNKNOWN
        if used == 1 and headers.reset_after > 0:
            self.period = headers.reset_after * (headers.limit if self.kind is Kind.LEAKY else 1)

    def refused(self, retry_after: float, now: float) -> None:
        """Note a 429: nothing goes for *retry_after* seconds, and what was saved up is gone."""
        self.in_flight = max(0, self.in_flight - 1)
        self.blocked_until = max(self.blocked_until, now + retry_after)
        if self.kind is Kind.LEAKY:
            self._reset_at = self.blocked_until + (self.limit - 1) * self.emission
        else:
            self._remaining, self._reset_at = 0, max(self._reset_at, self.blocked_until)

    def lost(self) -> None:
        """Note that a request ended without headers: its token counts as spent."""
        self.in_flight = max(0, self.in_flight - 1)

    def give_back(self) -> None:
        """Take the latest token back: its request was never sent."""
        self.in_flight = max(0, self.in_flight - 1)
        if self.kind is Kind.LEAKY:
            self._reset_at -= self.emission
        else:
            self._remaining = min(self.limit, self._remaining + 1)
