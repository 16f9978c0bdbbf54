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
from bot.streaming.sink import RateHeaders

ARCHIVED = 50083
"""The thread is archived: nothing in it can be edited until it is opened again."""
LOCKED = 160005
"""The thread is locked: only its moderators write in it."""
UNKNOWN_MESSAGE = 10008
"""Somebody deleted that message."""
TOO_LARGE = 40005
"""The file is larger than may be uploaded."""
BLANK = 50006
"""Nothing visible is left of the text."""
AUTOMOD, HARMFUL_LINK, EXPLICIT = 200000, 240000, 20009
"""The text was read and refused."""

LONGEST_WAIT_SECONDS = 3600.0
"""No longer a wait is believed, so that no answer of a broken proxy makes the bot mute for good."""
_UNREADABLE_WAIT = 5.0  # a 429 that names no wait comes from a proxy; do not hammer it
_GONE = {10003, 10004, 10008, 10015, 10062}
_FORBIDDEN = {40001, 50001, 50007, 50013, 50027, ARCHIVED, 50278, LOCKED}
_REFUSED_TEXT = {AUTOMOD, HARMFUL_LINK, EXPLICIT}


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
    return _kind(error.status, error.code)(error.status, error.code, error.text[:200])


def _kind(status: int, code: int) -> type[DeliveryError]:
    if code in _REFUSED_TEXT:
        return DeliveryRejected
    if status in (408, 429) or status >= 500:
        return DeliveryRetry
    if code in _FORBIDDEN or status in (401, 403):
        return DeliveryForbidden
    if code in _GONE or status == 404:
        return MessageGone
    return DeliveryRejected
