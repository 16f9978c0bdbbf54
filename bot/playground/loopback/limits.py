"""Discord's rate limits: fixed windows and leaking buckets, their headers and refusals. Pure; the clock is injected.

The defaults are what clients observe, as Discord publishes no numbers: POST and
PATCH of a channel's messages each 5 per 5 s, counted apart under one bucket
hash; reactions 1 per 0.25 s; deletions by the message's age; an interaction's
token 5 per 2 s and 30 followups a minute per channel; everything 50 per second.
Documented: https://discord.com/developers/docs/topics/rate-limits
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["fixed", "leaky"]

_EPSILON = 1e-9
_KEPT = 4096  # counters remembered before the idle ones are forgotten


@dataclass
class LimitSettings:
    """The limits in force; every field may be changed while requests run.

    Attributes:
        kind: ``fixed``: a window opens with its first request and everything is
            given back when it ends. ``leaky``: tokens come back one by one (GCRA).
        scale: what all periods are multiplied by (0.01 makes tests fast).
        off: names of limits that do not apply: ``post``, ``edit``, ``old_edit``,
            ``delete_new``, ``delete``, ``delete_old``, ``reaction``, ``typing``,
            ``interaction``, ``webhook``, ``global``.
        overrides: (name, resource id) → (limit, period in seconds) for one
            channel or token, as a busy channel's own limit.
    """

    kind: Kind = "fixed"
    scale: float = 1.0
    post_limit: int = 5
    post_period: float = 5.0
    edit_limit: int = 5
    edit_period: float = 5.0
    old_edit_limit: int = 3
    old_edit_period: float = 6.0
    delete_new_limit: int = 5
    delete_new_period: float = 5.0
    delete_limit: int = 3
    delete_period: float = 1.0
    delete_old_limit: int = 30
    delete_old_period: float = 120.0
    reaction_limit: int = 1
    reaction_period: float = 0.25
    typing_limit: int = 5
    typing_period: float = 5.0
    interaction_limit: int = 5
    interaction_period: float = 2.0
    webhook_limit: int = 30
    webhook_period: float = 60.0
    global_limit: int = 50
    global_period: float = 1.0
    off: set[str] = field(default_factory=set)
    overrides: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def rule(self, name: str, resource: str = "") -> tuple[int, float] | None:
        """Return (limit, period in seconds, scaled), or None if that limit does not apply."""
        if name in self.off:
            return None
        pair = self.overrides.get((name, resource))
        if pair is None:
            pair = getattr(self, f"{name}_limit"), getattr(self, f"{name}_period")
        return pair[0], pair[1] * self.scale


@dataclass(frozen=True)
class Verdict:
    """What a limit says to one request.

    Attributes:
        allowed: whether it may pass; a refused request uses nothing up.
        limit: how many fit a period.
        remaining: how many may follow at once.
        reset_after: seconds until the limit is whole again.
        retry_after: seconds until one request may pass; 0 if this one did.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    retry_after: float = 0.0


class FixedWindow:
    """A window of ``period`` that opens with its first request."""

    def __init__(self) -> None:
        self._opened = -math.inf
        self._used = 0
        self._period = 0.0

    def hit(self, now: float, limit: int, period: float) -> Verdict:
        """Count one request at ``now`` (seconds, monotonic)."""
        if now >= self._opened + self._period - _EPSILON:
            self._opened, self._used, self._period = now, 0, period
        left = self._opened + self._period - now
        if self._used >= limit:
            return Verdict(False, limit, 0, left, left)
        self._used += 1
        return Verdict(True, limit, limit - self._used, left)

    def idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return now >= self._opened + self._period


class LeakyBucket:
    """A bucket that leaks evenly: the generic cell rate algorithm."""

    def __init__(self) -> None:
        self._full_at = -math.inf

    def hit(self, now: float, limit: int, period: float) -> Verdict:
        """Count one request at ``now`` (seconds, monotonic)."""
        interval = period / limit
        full_at = max(self._full_at, now) + interval
        wait = full_at - now - period
        if wait > _EPSILON:
            return Verdict(False, limit, 0, full_at - interval - now, wait)
        self._full_at = full_at
        return Verdict(True, limit, int((period - (full_at - now)) / interval + _EPSILON), full_at - now)

    def idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        return now >= self._full_at


@dataclass(frozen=True)
class Charge:
    """What one request counts against.

    Attributes:
        name: the limit's name in `LimitSettings`.
        resource: the channel, or the interaction's token.
        bucket: what is hashed into X-RateLimit-Bucket; limits may share it and still count apart.
        scope: ``user``, or ``shared`` for a limit whose headers are not told beforehand.
        code: the JSON error code of a refusal, or 0.
    """

    name: str
    resource: str
    bucket: str
    scope: str = "user"
    code: int = 0


@dataclass(frozen=True)
class Decision:
    """The limits' answer to one request.

    Attributes:
        headers: X-RateLimit-* of the response, allowed or not.
        body: the JSON of the 429, or None if the request may pass.
    """

    headers: dict[str, str]
    body: dict[str, Any] | None


class Limiter:
    """All counters of the server.

    Args:
        settings: read anew for each request.
        clock: seconds, monotonic.
        wall: Unix seconds, for X-RateLimit-Reset.

    Attributes:
        refused: how many requests got a 429.
    """

    def __init__(self, settings: LimitSettings, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.settings = settings
        self.refused = 0
        self._clock = clock
        self._wall = wall
        self._counters: dict[tuple[str, str], FixedWindow | LeakyBucket] = {}

    def decide(self, charges: list[Charge], *, is_global: bool) -> Decision:
        """Count a request against the global limit and its own; the first that refuses decides."""
        if is_global:
            verdict = self._hit("global", "")
            if verdict is not None and not verdict.allowed:
                return self._refusal(verdict, {}, scope="global")
        headers: dict[str, str] = {}
        for charge in charges:
            verdict = self._hit(charge.name, charge.resource)
            if verdict is None:
                continue
            told = self._headers(verdict, charge.bucket) if charge.scope == "user" else {}
            if not verdict.allowed:
                return self._refusal(verdict, told, scope=charge.scope, code=charge.code)
            headers = headers or told
        return Decision(headers, None)

    def _hit(self, name: str, resource: str) -> Verdict | None:
        rule = self.settings.rule(name, resource)
        if rule is None:
            return None
        now = self._clock()
        wanted = FixedWindow if self.settings.kind == "fixed" else LeakyBucket
        counter = self._counters.get((name, resource))
        if not isinstance(counter, wanted):
            self._prune(now)
            counter = self._counters[name, resource] = wanted()
        return counter.hit(now, *rule)

    def _prune(self, now: float) -> None:
        if len(self._counters) >= _KEPT:
            self._counters = {key: each for key, each in self._counters.items() if not each.idle(now)}

    def _headers(self, verdict: Verdict, bucket: str) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": f"{self._wall() + verdict.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{_up(verdict.reset_after):.3f}",
            "X-RateLimit-Bucket": bucket_hash(bucket),
        }

    def _refusal(self, verdict: Verdict, headers: dict[str, str], *, scope: str, code: int = 0) -> Decision:
        self.refused += 1
        return refusal(verdict.retry_after, scope=scope, code=code, headers=headers)


def refusal(
    retry_after: float, *, scope: str = "user", code: int = 0, headers: dict[str, str] | None = None
) -> Decision:
    """Build the headers and body of a 429 as Discord's: ``retry_after`` in seconds, up to the millisecond.

    ``code`` 30046 says that messages older than an hour were edited too often,
    20028 and 20029 that a channel or server is written to too fast.
    """
    wait = _up(retry_after)
    body: dict[str, Any] = {
        "message": _MESSAGES.get(code, _MESSAGES[0]),
        "retry_after": wait,
        "global": scope == "global",
    }
    if code:
        body["code"] = code
    told = {**(headers or {}), "Retry-After": str(math.ceil(wait)), "X-RateLimit-Scope": scope}
    if scope == "global":
        told["X-RateLimit-Global"] = "true"
    return Decision(told, body)


_MESSAGES = {
    0: "You are being rate limited.",
    20028: "The write action you are performing on the channel has hit the write rate limit",
    20029: "The write action you are performing on the server has hit the write rate limit",
    30046: "Maximum number of edits to messages older than 1 hour reached. Try again later",
}


def bucket_hash(name: str) -> str:
    """Return what X-RateLimit-Bucket shows for a bucket: opaque and stable."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _up(seconds: float) -> float:
    """Round up to the millisecond: who waits that long must not be refused."""
    return math.ceil(max(seconds, 0.0) * 1000 - _EPSILON) / 1000
