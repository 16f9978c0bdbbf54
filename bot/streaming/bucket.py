"""One of Discord's rate-limit buckets as seen from here: what its headers taught, and when a request is worth a token.

Discord has two kinds of limiter and names neither. In a *fixed* window, which
starts with its first request, every request counts against the same end. A
*leaky* one (GCRA) hands back one token at a time: ``Reset-After`` is the time
until it is full again, and each request moves that moment by one token's worth.
The first answer gives a good guess, the second tells them apart for sure; until
then the fixed kind is assumed, because assuming it of a leaky bucket costs a
little lag, while the reverse costs refused requests.

Pure: times come in as numbers (seconds of one monotonic clock).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

# The pace. Gaps are in emissions (the seconds per token that a bucket can
# sustain, 1 s at Discord's usual 5 per 5 s), so that every limit is paced alike.
# The figures were found with `python -m tests.benchmarks.simulate`: nobody knows
# how long an answer will be, so each is a bargain between short and long ones.

# No two edits of a bucket come closer than this: nobody reads faster.
_MIN_GAP = 0.1
# A fixed window's last token is kept for the ending until this share of a gap
# before the window's end; then it is about to be replaced anyway.
_RELEASE = 0.75
# What a leaky bucket keeps back for the ending, in tokens, and what is left of
# it when a page is complete: its last words are an ending, too.
_RESERVE = 1.0
_PAGE_RESERVE = 0.3
# As long as a leaky bucket has something saved up beyond that, edits come
# somewhat faster than it can sustain.
_THRIFT = 0.8
# An edit that will soon show much more (the page is about to end) waits so much longer.
_HOLD = 0.25
# A further message shows new text and costs no edit: it goes so long after the
# request before, so that the last words of the full page can go first, and the
# next edit so long after it.
_OVERFLOW_GAP = 0.7
_OVERFLOW_WAIT = 0.6
_AFTER_OVERFLOW = 0.65
# Where pages came fast in the last period, so many will come in the rest of this one:
# a fixed window keeps this share of the tokens that they will take.
_PAGES_AHEAD = 0.3

# An edit may go so much before it is due where no more text is expected till then.
_EARLY = 0.35

# A round trip (seconds) that is not worth being surprised by.
_QUICK = 0.1

# A refusal that the headers did not announce (edits of old messages, limits
# shared with others) slows a bucket down by this factor, up to so many
# emissions between two edits; every answer takes some of it back.
_CAUTION, _MOST_CAUTION, _CONFIDENCE = 2.0, 10.0, 0.95


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of Discord's rate-limit buckets, as the budget counts them.

    Attributes:
        key: what Discord counts together, for example ``("edit", channel_id)``.
        bound_globally: whether the bot's 50 requests per second bind it too
            (interaction routes are exempt).
    """

    key: Hashable
    bound_globally: bool = True


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Discord's rate-limit headers of one answer.

    Attributes:
        limit: requests per window, or the size of the leaky bucket.
        remaining: requests left now.
        reset_after: seconds until the window ends, or until the leaky bucket is full.
        sent_at: when the request really went (the loop's time), if that is known better
            than by when it was asked for.
    """

    limit: int
    remaining: int
    reset_after: float
    sent_at: float | None = None


class Kind(Enum):
    """How a bucket gives tokens back."""

    UNKNOWN = "unknown"
    FIXED = "fixed"
    LEAKY = "leaky"


# The first edits of an answer come fast, for it may be over soon: the gap before each.
# The first of a fixed window costs nothing, for the window begins with it; a second
# one is missed later, so it goes where most answers are brief.
_OPENING = {Kind.UNKNOWN: (0.2,), Kind.FIXED: (0.2,), Kind.LEAKY: (0.15, 0.15)}
_BRIEF_OPENING = {Kind.UNKNOWN: (0.1, 0.2), Kind.FIXED: (0.1, 0.2), Kind.LEAKY: (0.13, 0.15, 0.15)}


class Urgency(IntEnum):
    """What a request is for; the smaller goes first."""

    FIRST = 0  # the first visible text
    FINAL = 1  # the ending: last words, cursor gone
    OVERFLOW = 2  # a further message while the text goes on
    PAGE = 3  # a page that is complete and will not change again
    EDIT = 4  # the growing page
    LATE_EDIT = 5  # the same, where waiting a little shows much more
    STATUS = 6  # a word on what is going on, before there is any text


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
        self._last_before = float("-inf")
        self._caution = 0.0  # emissions between two edits, at least
        self._remaining = prior.limit  # fixed: in the window that ends at _reset_at
        self._reset_at = float("-inf")  # fixed: the window's end; leaky: when it is full again
        self._window_start = float("-inf")  # fixed: when its first request went
        self._sample: tuple[float, int] | None = None  # the latest answer's reset moment and remaining
        self._pages: deque[float] = deque(maxlen=8)  # when a token went on a page's end
        self._quickest = _QUICK  # the shortest round trip so far

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

    def spend(self, now: float, urgency: Urgency = Urgency.EDIT) -> None:
        """Count a request of that urgency that goes at *now*."""
        if urgency is Urgency.PAGE:
            self._pages.append(now)
        if self.kind is Kind.LEAKY:
            self._reset_at = max(self._reset_at, now) + self.emission
        elif now >= self._reset_at:
            self._remaining, self._reset_at, self._window_start = self.limit - 1, now + self.period, now
            self._sample = None
        else:
            self._remaining -= 1
        self._last_before, self.last = self.last, now
        self.in_flight += 1

    def free_at(self, now: float) -> float:
        """Return the earliest moment at which one request may go."""
        earliest = max(now, self.blocked_until)
        if self.kind is Kind.LEAKY:
            return max(earliest, self._reset_at - (self.limit - 1) * self.emission)
        if earliest >= self._reset_at or self._remaining > 0:
            return earliest
        return self._reset_at

    # ------------------------------------------------------------ the pace

    def due(
        self,
        urgency: Urgency,
        edits: int,
        now: float,
        shown_at: float = float("-inf"),
        asked_at: float = float("-inf"),
        *,
        is_brief: bool = False,
    ) -> float:
        """Return when a request of that urgency is worth its token.

        *edits* is how many edits its reply has had: the first ones come fast.
        *shown_at* is when the reply's latest request went, of whatever bucket,
        *asked_at* when this one was wanted first; *is_brief* says that most
        answers of late were over before long.
        """
        free = self.free_at(now)
        if urgency <= Urgency.FINAL:
            return free
        if urgency is Urgency.OVERFLOW:
            return max(free, shown_at + _OVERFLOW_GAP * self.emission, asked_at + _OVERFLOW_WAIT * self.emission)
        soonest = max(free, self.last + max(_MIN_GAP, self._caution) * self.emission)
        if urgency is Urgency.PAGE:
            return max(soonest, self._saved(1 + _PAGE_RESERVE))
        hold = _HOLD * self.emission if urgency is Urgency.LATE_EDIT else 0.0
        return max(soonest, self._pace(edits, shown_at, _BRIEF_OPENING if is_brief else _OPENING) + hold)

    def may_advance(self, due: float, now: float) -> bool:
        """Return whether an edit that is *due* later may go at *now*: it is due soon, and no limit is in the way."""
        soonest = self.last + max(_MIN_GAP, self._caution) * self.emission
        return due - now <= _EARLY * self.emission and soonest <= now >= self.free_at(now)

    def _pace(self, edits: int, shown_at: float, openings: Mapping[Kind, Sequence[float]]) -> float:
        """Return when the next edit goes in a steady run of them."""
        opening = openings[self.kind]
        is_opening = edits < len(opening)
        gap = opening[edits] if is_opening else _AFTER_OVERFLOW
        after_shown = shown_at + gap * self.emission
        if self.kind is Kind.LEAKY:
            pace = after_shown if is_opening else self.last + _THRIFT * self.emission
            return max(pace, after_shown, self._saved(1 + _RESERVE))
        if self.last >= self._reset_at or self.limit == 1 or (is_opening and self._remaining > 2):
            return after_shown
        return max(after_shown, self._spread())

    def _spread(self) -> float:
        """Return when the next edit goes if a fixed window's tokens are spread evenly over what is left of it."""
        left = self._reset_at - self.last
        pages = sum(at > self.last - self.period for at in self._pages) * left / self.period
        gap = left / max(_RELEASE, self._remaining + _RELEASE - _PAGES_AHEAD * pages)
        return min(self.last + gap, self._reset_at)

    def _saved(self, tokens: float) -> float:
        """Return when a leaky bucket holds so many tokens; a fixed one has them or not."""
        if self.kind is not Kind.LEAKY:
            return float("-inf")
        return self._reset_at - max(0.0, self.limit - tokens) * self.emission

    # ------------------------------------------------------------ what answers teach

    def observe(self, headers: RateHeaders, sent_at: float, received_at: float) -> None:
        """Learn from an answer's headers.

        ``Reset-After`` was true when the server counted the request. That may
        have been as late as *received_at*, while the next one may be as quick
        as the quickest so far: reckoning so, jitter never costs a refusal.
        """
        self.in_flight = max(0, self.in_flight - 1)
        self._caution *= _CONFIDENCE if self._caution > 1 else 0
        travel = received_at - sent_at
        self._quickest = min(self._quickest, travel)
        if sent_at < self._window_start:
            return  # an answer from the window before says nothing about this one
        reset_at = received_at - self._quickest / 2 + headers.reset_after
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
            least = headers.reset_after / used  # a token's worth, if the bucket leaks
            if moved > 0.5 * least:
                self.kind = Kind.LEAKY
                most = headers.reset_after / max(1, used - 1)
                if not 0.99 * least <= self.period / headers.limit <= most:
                    self.period = headers.limit * min(max(moved, least), most)
            else:
                self.kind = Kind.FIXED
        elif used == 1 and headers.reset_after > 0 and self.kind is not Kind.FIXED:
            is_leaky = headers.limit > 1 and headers.reset_after < 1.25 * self.period / self.limit
            self.kind = Kind.LEAKY if is_leaky and headers.limit == self.limit else Kind.UNKNOWN
        if used == 1 and headers.reset_after > 0:
            self.period = headers.reset_after * (headers.limit if self.kind is Kind.LEAKY else 1)
        elif self.kind is not Kind.LEAKY:
            self.period = max(self.period, headers.reset_after)

    def refused(self, retry_after: float, now: float) -> None:
        """Note a 429: nothing goes for *retry_after* seconds, and what was saved up is gone."""
        self.in_flight = max(0, self.in_flight - 1)
        self._caution = min(_MOST_CAUTION, max(1.0, self._caution) * _CAUTION)
        self.blocked_until = max(self.blocked_until, now + retry_after)
        if self.kind is Kind.LEAKY:
            self._reset_at = self.blocked_until + (self.limit - 1) * self.emission
        else:
            self._remaining, self._reset_at = 0, self.blocked_until

    def pause(self, until: float) -> None:
        """Note a 429 of something wider than this bucket, which may be one that the global rate does not bind."""
        self.in_flight = max(0, self.in_flight - 1)
        self.blocked_until = max(self.blocked_until, until)

    def lost(self) -> None:
        """Note that a request ended without headers: its token counts as spent."""
        self.in_flight = max(0, self.in_flight - 1)

    def give_back(self) -> None:
        """Take the latest token back: its request was never sent."""
        self.in_flight = max(0, self.in_flight - 1)
        self.last = self._last_before
        if self.kind is Kind.LEAKY:
            self._reset_at -= self.emission
        else:
            self._remaining = min(self.limit, self._remaining + 1)
