"""What Discord's answers mean: rate-limit headers, refusals and failures as our own errors.

Sources: https://discord.com/developers/docs/topics/rate-limits and
https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import discord
import orjson

from bot.errors import (
    DeliveryError,
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)
from bot.streaming.bucket import RateHeaders
from bot.streaming.calls import Answered
from bot.streaming.rules import Outcome

ARCHIVED, LOCKED, UNKNOWN_MESSAGE = 50083, 160005, 10008
"""The thread is archived, the thread is locked, somebody deleted that message."""

_AUTOMOD = {200000, 200001}
_LINK, _EXPLICIT, _BLANK, _TOO_LARGE, _NO_ACCESS = 240000, 20009, 50006, 40005, 50001
_READ = _AUTOMOD | {_LINK, _EXPLICIT}
_FORBIDDEN = {40001, _NO_ACCESS, 50007, 50013, 50027, 50278}
_GONE = {10003, 10004, 10015, 10062}
_TOKEN_DEAD = {10015, 10062, 50027}  # for what goes over an interaction's token
_NAMED = dict.fromkeys(_READ, Outcome.READ) | {
    ARCHIVED: Outcome.ARCHIVED,
    LOCKED: Outcome.LOCKED,
    UNKNOWN_MESSAGE: Outcome.MESSAGE_GONE,
    _TOO_LARGE: Outcome.TOO_LARGE,
}
_REFERENCE = {50035, 160002, UNKNOWN_MESSAGE}  # for what replies to a message

LONGEST_WAIT_SECONDS = 3600.0
"""No longer a wait is believed, so that no answer of a broken proxy makes the bot mute for good."""
_UNREADABLE_WAIT = 5.0  # a 429 that names no wait comes from a proxy; do not hammer it


def parse_rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """Read ``X-RateLimit-*`` of an answer; None when they are missing or make no sense."""
    try:
        limit = int(headers["X-RateLimit-Limit"])
        remaining = int(headers["X-RateLimit-Remaining"])
        reset_after = float(headers["X-RateLimit-Reset-After"])
    except (KeyError, ValueError):
        return None
    if limit < 1 or remaining < 0 or not 0 <= reset_after <= LONGEST_WAIT_SECONDS:
        return None
    return RateHeaders(limit, min(remaining, limit), reset_after)


def rate_limited(headers: Mapping[str, str], body: bytes) -> DeliveryRateLimited:
    """Build our error of a 429.

    One without Discord's JSON and without ``Via`` is Cloudflare's, which refuses
    the whole host, so it counts as global. What is to be waited longer than
    `LONGEST_WAIT_SECONDS` for is tried again then.
    """
    data = _json(body)
    told = _seconds(data.get("retry_after"))
    wait = told if told is not None else _seconds(headers.get("Retry-After"))
    is_foreign = told is None and not headers.get("Via")
    everywhere = data.get("global") is True or "X-RateLimit-Global" in headers or is_foreign
    scope = "global" if everywhere else str(headers.get("X-RateLimit-Scope", "user"))
    code = data.get("code")
    wait = _UNREADABLE_WAIT if wait is None else min(wait, LONGEST_WAIT_SECONDS)
    return DeliveryRateLimited(wait, scope, code if isinstance(code, int) else 0)


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def translate(error: Exception) -> DeliveryError:
    """Turn what a request can raise into our tree."""
    if isinstance(error, DeliveryError):
        return error
    if not isinstance(error, discord.HTTPException):
        return DeliveryRetry(detail=type(error).__name__)
    kind = _TREE.get(read(error.status, error.code), DeliveryRejected)
    return kind(error.status, error.code, error.text[:200])


def read(status: int, code: int, *, by_token: bool = False, refers: bool = False) -> Outcome:
    """Return what a refusal or a failure is for a reply; *refers*: what was sent replies to a message."""
    is_reference = refers and code in _REFERENCE
    if code in _NAMED or is_reference:
        return Outcome.NO_REFERENCE if is_reference else _NAMED[code]
    if status == 429 or status in (0, 408) or status >= 500:
        return Outcome.LIMITED if status == 429 else Outcome.LATER
    if by_token and (code in _TOKEN_DEAD or (status == 401 and code)):
        return Outcome.TOKEN_DEAD
    if code in _FORBIDDEN or status in (401, 403):
        return Outcome.FORBIDDEN if code else Outcome.PROXY
    if code in _GONE or status == 404:
        return Outcome.PLACE_GONE if code else Outcome.PROXY404
    return Outcome.TOO_LARGE if status == 413 else Outcome.TEXT


_TREE: dict[Outcome, type[DeliveryError]] = {
    Outcome.LATER: DeliveryRetry,
    Outcome.LIMITED: DeliveryRetry,
    Outcome.ARCHIVED: DeliveryForbidden,
    Outcome.LOCKED: DeliveryForbidden,
    Outcome.FORBIDDEN: DeliveryForbidden,
    Outcome.PROXY: DeliveryForbidden,
    Outcome.PROXY404: MessageGone,
    Outcome.MESSAGE_GONE: MessageGone,
    Outcome.PLACE_GONE: MessageGone,
}


class ClientClosed(DeliveryRetry):
    """The client was closed under us; another one has to go on."""


def answered_with(error: DeliveryError, *, by_token: bool = False, refers: bool = False) -> Answered:
    """Return what came of a call that raised *error*."""
    outcome = read(error.status, error.code, by_token=by_token, refers=refers)
    if isinstance(error, ClientClosed):
        outcome = Outcome.CLOSED
    limited = error if isinstance(error, DeliveryRateLimited) else None
    return Answered(
        outcome,
        retry_after=limited.retry_after if limited else 0.0,
        is_global=limited is not None and limited.scope == "global",
        reason=_reason(error),
        error=DeliveryRetry(error.status, error.code, error.detail) if outcome is Outcome.PROXY404 else error,
    )


def _reason(error: DeliveryError) -> str:
    """Return in a sentence why a part of an answer is not shown."""
    if error.code in _AUTOMOD:
        return "this server's AutoMod refused a part of the answer, so it is not shown"
    words = {
        _LINK: "Discord refused a link in this part of the answer, so it is not shown",
        _EXPLICIT: "Discord's filter for explicit content refused a part of the answer, so it is not shown",
        _BLANK: "there is nothing to see in this part of the answer",
    }
    usual = f"Discord did not take a part of the answer (HTTP {error.status}, code {error.code})"
    return words.get(error.code, usual)


def why(answered: Answered) -> str:
    """Return in a few words why Discord does not let us write."""
    if answered.outcome is Outcome.LOCKED:
        return "the thread was locked"
    if answered.outcome is Outcome.ARCHIVED:
        return "the thread was archived"
    if answered.error is not None and answered.error.code == _NO_ACCESS:
        return "I can no longer see that channel"
    if answered.outcome in (Outcome.READ, Outcome.TEXT, Outcome.TOO_LARGE):
        return "Discord takes no message of mine there"
    return "a permission was taken from me"
