"""The one module that goes through discord.py's HTTP seams.

discord.py 2.7 counts POST and PATCH of a channel in one local bucket, sleeps in
the caller that used its last token, retries stale texts for 25 s and has no
counter for the 50 requests per second of a bot (discord/http.py: Ratelimit,
HTTPClient.request). A paced writer needs none of that, so:

- `MarkedRoute` carries a mark in its ``major_parameters``: a bucket of its own;
- `_NoWait` makes ``get_ratelimit`` answer with a limiter that never waits for
  marked buckets, which leaves the EditBudget as the only clock;
- `_read_json` takes half a surrogate pair, at which orjson raises and discord.py
  would close the client (discord/gateway.py, ``received_message``);
- `install` bounds every request to which nobody gave a ``timeout=`` (`time_limit`);
- `trace_config` sees every answer: it raises our own error out of a 429 or 5xx
  of a marked request, collects rate-limit headers, and makes every other
  request of the bot wait for its share of the global rate.

Never cancel a task inside a request: a wait for a global 429 that is cancelled
leaves ``HTTPClient._global_over`` cleared, for which all other requests wait
without a limit. Time limits go through aiohttp's ``timeout=``. Only a bot that
is thrown away cuts its errands, and replies may still be waiting in its client:
so `install` sets it again. A test fails when one of these seams moves.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import orjson
from discord import utils
from discord.http import HTTPClient, Ratelimit, Route

from bot.delivery.http_errors import parse_rate_headers, rate_limited
from bot.delivery.invalid_request_guard import InvalidRequestGuard
from bot.errors import DeliveryRetry
from bot.streaming.bucket import RateHeaders
from bot.streaming.budget import EditBudget

log = logging.getLogger(__name__)

MARK = "+burble:"
OTHERS_SECONDS = 30.0
"""How long a request of discord.py's own may take; its session would wait five minutes for an answer."""
_TURN_SECONDS = 120.0  # far more than a request waits for its share of the global rate
_BODY_CAP = 64 * 1024
_RESETS = (54, 10054)  # errno of a connection that was reset, on macOS and Windows


class MarkedRoute(Route):
    """A route whose bucket in discord.py is its own, told by a mark."""

    @property
    def major_parameters(self) -> str:
        """Name the channel or token, and our mark."""
        return f"{super().major_parameters}{MARK}{self.method}"


class _NoWait(Ratelimit):
    """A limiter that lets everything through: the EditBudget has decided already."""

    def is_inactive(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@dataclass(slots=True)
class Marked:
    """Rides along as ``trace_request_ctx``; the answer's headers come back in it.

    ``is_paced`` says that the EditBudget has granted the request its turn already.
    """

    headers: RateHeaders | None = None
    is_paced: bool = True
    sent_at: float | None = None


def time_limit(seconds: float, *, with_turn: bool, connect: float | None = None) -> aiohttp.ClientTimeout:
    """Return the limits of a request that may take so many *seconds* once it has left.

    *with_turn* says that it waits for its turn first (`trace_config`). aiohttp's
    clock runs meanwhile, and a ``total`` that is over by then is never noticed:
    the request could hang for good, and with it all others that discord.py queues
    behind it (aiohttp/client.py, ``ClientSession._request``: the timer is made
    after ``send_request_start``). ``sock_read`` counts from when it has left.
    """
    total = seconds + _TURN_SECONDS if with_turn else seconds
    return aiohttp.ClientTimeout(total=total, sock_read=seconds, sock_connect=min(seconds, connect or seconds))


def trace_config(budget: EditBudget, invalid: InvalidRequestGuard) -> aiohttp.TraceConfig:
    """Return the ``http_trace`` for a discord.py client whose requests *budget* rations and *invalid* counts."""
    trace = aiohttp.TraceConfig()

    async def start(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        marked = ctx.trace_request_ctx
        is_paced = isinstance(marked, Marked) and marked.is_paced
        if not is_paced and _counts_globally(params.url.path):
            await budget.others_turn()
        if isinstance(marked, Marked):
            # its turn was granted before the journal was written: what a slow disk
            # held up must not leave all at once
            if _counts_globally(params.url.path):
                await budget.departure()
            marked.sent_at = asyncio.get_running_loop().time()

    async def end(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        marked, response = ctx.trace_request_ctx, params.response
        invalid.note(response.status, response.headers.get("X-RateLimit-Scope"))
        if response.status == 429:
            log.warning("Discord refused a request (429): %s %s", params.method, _route_of(params.url.path))
        if isinstance(marked, Marked):
            await _end_marked(marked, response, budget)
        elif response.status == 429 and "X-RateLimit-Global" in response.headers:
            budget.refused_everywhere(rate_limited(response.headers, b"").retry_after)

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(_failed)
    return trace


async def _failed(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
    """Raise our own error for a reset that discord.py would try four times more, with the text of the first."""
    error = params.exception
    if isinstance(ctx.trace_request_ctx, Marked) and isinstance(error, OSError) and error.errno in _RESETS:
        raise DeliveryRetry(detail=type(error).__name__) from error


async def _end_marked(marked: Marked, response: aiohttp.ClientResponse, budget: EditBudget) -> None:
    headers = parse_rate_headers(response.headers)
    marked.headers = replace(headers, sent_at=marked.sent_at) if headers else None
    if response.status != 429 and response.status < 500:
        return
    # Reading the body gives the connection back; after the raise nobody would.
    body = await response.content.read(_BODY_CAP)
    response.release()
    if response.status != 429:
        raise DeliveryRetry(response.status, detail=f"HTTP {response.status}")
    error = rate_limited(response.headers, body)
    if error.scope == "global":
        budget.refused_everywhere(error.retry_after)
    raise error


def _counts_globally(path: str) -> bool:
    """Interaction callbacks and webhooks are not bound by the bot's 50 requests per second."""
    return "/api/" in path and "/interactions/" not in path and "/webhooks/" not in path and "/gateway" not in path


def _route_of(path: str) -> str:
    """Shorten a path for the log: interaction tokens are secrets."""
    parts = path.split("/")
    return "/".join("…" if len(part) > 25 else part for part in parts)


def install(http: HTTPClient) -> None:
    """Make *http* wait for no marked bucket, wait for no answer for ever, and read any JSON."""
    utils._from_json = _read_json  # noqa: SLF001 - the seam
    usual, request = http.get_ratelimit, http.request

    def get_ratelimit(key: str) -> Ratelimit:
        return _NoWait(None) if MARK in key else usual(key)

    async def bounded(route: Route, **options: Any) -> Any:
        options.setdefault("timeout", time_limit(OTHERS_SECONDS, with_turn=True))
        try:
            return await request(route, **options)
        except asyncio.CancelledError:
            http._global_over.set()  # noqa: SLF001 - the seam
            raise

    http.get_ratelimit = get_ratelimit  # type: ignore[method-assign]  # the seam
    http.request = bounded  # type: ignore[method-assign]  # the seam


def _read_json(text: Any) -> Any:
    """Return what a frame or an answer of Discord's holds; faster than it is lenient, but both."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
