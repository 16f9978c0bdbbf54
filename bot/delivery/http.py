"""The one module that goes through discord.py's HTTP seams.

discord.py 2.7 counts POST and PATCH of a channel in one local bucket, sleeps in
the caller that used its last token, retries stale texts for 25 s and has no
counter for the 50 requests per second of a bot (discord/http.py: Ratelimit,
HTTPClient.request). A paced writer needs none of that, so:

- `_MarkedRoute` carries a mark in its ``major_parameters``: a bucket of its own;
- `_no_wait` makes ``get_ratelimit`` answer with a limiter that never waits for
  marked buckets, which leaves the EditBudget as the only clock;
- `trace_config` sees every answer: it raises our own error out of a 429 or 5xx
  of a marked request, collects rate-limit headers, and makes every other
  request of the bot wait for its share of the global rate.

Never cancel a task inside a request: a wait for a global 429 that is cancelled
leaves ``HTTPClient._global_over`` cleared for good. Time limits go through
aiohttp's ``timeout=``. A test fails when one of these seams moves.
"""

from __future__ import annotations

import io
import logging
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import discord
import orjson
from discord.http import HTTPClient, Ratelimit, Route

from bot.errors import (
    DeliveryError,
    DeliveryForbidden,
    DeliveryRateLimited,
    DeliveryRejected,
    DeliveryRetry,
    MessageGone,
)
from bot.streaming.budget import EditBudget
from bot.streaming.sink import File, RateHeaders

log = logging.getLogger(__name__)

_MARK = "+burble:"
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=10)
_UPLOAD_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10)
_BODY_CAP = 64 * 1024
# A 429 without a usable wait comes from a proxy; do not hammer it.
_UNKNOWN_WAIT = 5.0

_GONE = {10003, 10004, 10008, 10015, 10062}
_FORBIDDEN = {40001, 50001, 50007, 50013, 50027, 50083, 50278, 160005}


class _MarkedRoute(Route):
    """A route whose bucket in discord.py is its own, told by a mark."""

    @property
    def major_parameters(self) -> str:
        return f"{super().major_parameters}{_MARK}{self.method}"


class _NoWait(Ratelimit):
    """A limiter that lets everything through: the EditBudget has decided already."""

    def is_inactive(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@dataclass(slots=True)
class _Marked:
    """Rides along as ``trace_request_ctx``; the answer's headers come back in it."""

    headers: RateHeaders | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A message as Discord returned it.

    Attributes:
        message_id: its id.
        channel_id: where it is.
        text: its content.
        headers: rate-limit headers, if any came.
    """

    message_id: int
    channel_id: int
    text: str
    headers: RateHeaders | None


def parse_rate_headers(headers: Any) -> RateHeaders | None:
    """Read ``X-RateLimit-*`` of an answer; None when they are missing or make no sense."""
    try:
        limit = int(headers["X-RateLimit-Limit"])
        remaining = int(headers["X-RateLimit-Remaining"])
        reset_after = float(headers["X-RateLimit-Reset-After"])
    except (KeyError, ValueError):
        return None
    if limit < 1 or remaining < 0 or not 0 <= reset_after < math.inf:
        return None
    return RateHeaders(limit, min(remaining, limit), reset_after)


def _rate_limited(headers: Any, body: bytes) -> DeliveryRateLimited:
    """Build our error of a 429, with or without a body (a proxy's has none)."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = {}
    if not isinstance(data, dict):
        data = {}
    wait = data.get("retry_after", headers.get("Retry-After"))
    try:
        seconds = float(wait)
    except (TypeError, ValueError):
        seconds = _UNKNOWN_WAIT
    if not 0 <= seconds < math.inf:
        seconds = _UNKNOWN_WAIT
    everywhere = data.get("global") or "X-RateLimit-Global" in headers or not headers.get("Via")
    scope = "global" if everywhere else str(headers.get("X-RateLimit-Scope", "user"))
    code = data.get("code")
    return DeliveryRateLimited(seconds, scope, code if isinstance(code, int) else 0)


def trace_config(budget: EditBudget) -> aiohttp.TraceConfig:
    """Return the ``http_trace`` for a discord.py client whose requests *budget* rations."""
    trace = aiohttp.TraceConfig()

    async def start(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        if not isinstance(ctx.trace_request_ctx, _Marked) and _counts_globally(params.url.path):
            await budget.others_turn()

    async def end(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        marked, response = ctx.trace_request_ctx, params.response
        if response.status == 429:
            log.warning("Discord refused a request (429): %s %s", params.method, _route_of(params.url.path))
        if isinstance(marked, _Marked):
            await _end_marked(marked, response)
        elif response.status == 429 and "X-RateLimit-Global" in response.headers:
            budget.refused_everywhere(_rate_limited(response.headers, b"").retry_after)

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return trace


async def _end_marked(marked: _Marked, response: aiohttp.ClientResponse) -> None:
    marked.headers = parse_rate_headers(response.headers)
    if response.status != 429 and response.status < 500:
        return
    # Reading the body gives the connection back; after the raise nobody would.
    body = await response.content.read(_BODY_CAP)
    response.release()
    if response.status == 429:
        raise _rate_limited(response.headers, body)
    raise DeliveryRetry(response.status, detail=f"HTTP {response.status}")


def _counts_globally(path: str) -> bool:
    """Interaction callbacks and webhooks are not bound by the bot's 50 requests per second."""
    return "/api/" in path and "/interactions/" not in path and "/webhooks/" not in path and "/gateway" not in path


def _route_of(path: str) -> str:
    """Shorten a path for the log: interaction tokens are secrets."""
    parts = path.split("/")
    return "/".join("…" if len(part) > 25 else part for part in parts)


def install(http: HTTPClient) -> None:
    """Make *http* answer marked buckets with a limiter that never waits."""
    usual = http.get_ratelimit

    def get_ratelimit(key: str) -> Ratelimit:
        return _NoWait(None) if _MARK in key else usual(key)

    http.get_ratelimit = get_ratelimit  # type: ignore[method-assign]  # the seam


def _translate(error: Exception) -> DeliveryError:
    """Turn what a request can raise into our tree."""
    if isinstance(error, DeliveryError):
        return error
    if not isinstance(error, discord.HTTPException):
        return DeliveryRetry(detail=type(error).__name__)
    status, code, text = error.status, error.code, error.text[:200]
    if status == 408 or status >= 500:
        return DeliveryRetry(status, code, text)
    if code in _FORBIDDEN or status in (401, 403):
        return DeliveryForbidden(status, code, text)
    if code in _GONE or status == 404:
        return MessageGone(status, code, text)
    return DeliveryRejected(status, code, text)


class Courier:
    """Sends the requests of replies: creating and editing messages, on channel and interaction routes.

    Every method raises one of the `DeliveryError` family and nothing else, and
    never sleeps. *application_id* is the bot's, for interaction routes.
    """

    def __init__(self, http: HTTPClient, application_id: int) -> None:
        self._http = http
        self._application_id = application_id

    async def create_message(self, channel_id: int, payload: dict[str, Any]) -> Answer:
        """POST a message to a channel."""
        return await self._request(
            _MarkedRoute("POST", "/channels/{channel_id}/messages", channel_id=channel_id), payload
        )

    async def edit_message(
        self, channel_id: int, message_id: int, payload: dict[str, Any], file: File | None = None
    ) -> Answer:
        """PATCH a message of ours on the channel's route."""
        route = _MarkedRoute(
            "PATCH", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        return await self._request(route, payload, file)

    async def create_followup(self, token: str, payload: dict[str, Any]) -> Answer:
        """POST a followup message of an interaction."""
        route = _MarkedRoute(
            "POST", "/webhooks/{webhook_id}/{webhook_token}", webhook_id=self._application_id, webhook_token=token
        )
        return await self._request(route, payload)

    async def edit_response(
        self, token: str, message_id: int | None, payload: dict[str, Any], file: File | None = None
    ) -> Answer:
        """PATCH a message of an interaction; None is its original response."""
        route = _MarkedRoute(
            "PATCH",
            "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
            webhook_id=self._application_id,
            webhook_token=token,
            message_id="@original" if message_id is None else message_id,
        )
        return await self._request(route, payload, file)

    async def _request(self, route: Route, payload: dict[str, Any], file: File | None = None) -> Answer:
        marked = _Marked()
        options: dict[str, Any] = {"trace_request_ctx": marked}
        if file is None:
            options |= {"json": payload, "timeout": _REQUEST_TIMEOUT}
        else:
            options |= {"form": _form(payload, file), "timeout": _UPLOAD_TIMEOUT}
        try:
            data = await self._http.request(route, **options)
            return Answer(int(data["id"]), int(data["channel_id"]), str(data.get("content") or ""), marked.headers)
        except (DeliveryError, discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _translate(error) from None
        except (KeyError, TypeError, ValueError) as error:
            raise DeliveryRetry(detail=f"an answer that is no message: {type(error).__name__}") from error


def _form(payload: dict[str, Any], file: File) -> list[dict[str, Any]]:
    """Build the multipart body that uploads *file* beside *payload*."""
    payload = payload | {"attachments": [{"id": 0, "filename": file.name}]}
    return [
        {"name": "payload_json", "value": orjson.dumps(payload).decode(), "content_type": "application/json"},
        {
            "name": "files[0]",
            "value": io.BytesIO(file.data),
            "filename": file.name,
            "content_type": "application/octet-stream",
        },
    ]
