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
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import discord
import orjson
from discord.http import HTTPClient, Ratelimit, Route

from bot.delivery.answers import parse_rate_headers, rate_limited, translate
from bot.delivery.invalid import InvalidRequests
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRejected, DeliveryRetry, MessageGone
from bot.streaming.budget import EditBudget
from bot.streaming.sink import File, RateHeaders

log = logging.getLogger(__name__)

_MARK = "+burble:"
REQUEST_SECONDS = 15.0
"""How long a request may take before it is tried again with the newest text."""
_UPLOAD_FACTOR = 8
_SUPPRESS_EMBEDS = 1 << 2
_CONNECT_SECONDS = 10.0
_BODY_CAP = 64 * 1024


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
    """Rides along as ``trace_request_ctx``; the answer's headers come back in it.

    ``is_paced`` says that the EditBudget has granted the request its turn already.
    """

    headers: RateHeaders | None = None
    is_paced: bool = True


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


def trace_config(budget: EditBudget, invalid: InvalidRequests) -> aiohttp.TraceConfig:
    """Return the ``http_trace`` for a discord.py client whose requests *budget* rations and *invalid* counts."""
    trace = aiohttp.TraceConfig()

    async def start(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        marked = ctx.trace_request_ctx
        is_paced = isinstance(marked, _Marked) and marked.is_paced
        if not is_paced and _counts_globally(params.url.path):
            await budget.others_turn()

    async def end(_: aiohttp.ClientSession, ctx: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        marked, response = ctx.trace_request_ctx, params.response
        invalid.note(response.status, response.headers.get("X-RateLimit-Scope"))
        if response.status == 429:
            log.warning("Discord refused a request (429): %s %s", params.method, _route_of(params.url.path))
        if isinstance(marked, _Marked):
            await _end_marked(marked, response, budget)
        elif response.status == 429 and "X-RateLimit-Global" in response.headers:
            budget.refused_everywhere(rate_limited(response.headers, b"").retry_after)

    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return trace


async def _end_marked(marked: _Marked, response: aiohttp.ClientResponse, budget: EditBudget) -> None:
    marked.headers = parse_rate_headers(response.headers)
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
    """Make *http* answer marked buckets with a limiter that never waits."""
    usual = http.get_ratelimit

    def get_ratelimit(key: str) -> Ratelimit:
        return _NoWait(None) if _MARK in key else usual(key)

    http.get_ratelimit = get_ratelimit  # type: ignore[method-assign]  # the seam


class HttpLine:
    """The HTTP client of whichever bot is connected.

    A bot that is built anew takes the place of the one before, so that replies
    which began with that one go on instead of talking to a closed client.
    """

    def __init__(self, http: HTTPClient | None = None) -> None:
        self._http = http

    def connect(self, http: HTTPClient) -> None:
        """Use *http* from now on; it is logged in."""
        self._http = http

    @property
    def http(self) -> HTTPClient:
        """The client to use now.

        Raises:
            ClientClosed: there is none yet.
        """
        if self._http is None:
            raise ClientClosed(detail="not connected yet")
        return self._http


class ClientClosed(DeliveryRetry):
    """The client was closed under us; another one has to go on."""


class Courier:
    """Sends the requests of replies, on channel and interaction routes.

    Every method raises one of the `DeliveryError` family and nothing else, and
    never sleeps. *application_id* is the bot's, for interaction routes.
    *seconds* is how long a request may take, an upload eight times as long.
    """

    def __init__(
        self,
        line: HttpLine,
        application_id: int,
        *,
        invalid: InvalidRequests | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._line = line
        self._application_id = application_id
        self._invalid = invalid or InvalidRequests()
        self._seconds = seconds

    async def create_message(self, channel_id: int, payload: dict[str, Any], file: File | None = None) -> Answer:
        """POST a message to a channel."""
        return await self._message(
            _MarkedRoute("POST", "/channels/{channel_id}/messages", channel_id=channel_id), payload, file
        )

    async def edit_message(
        self, channel_id: int, message_id: int, payload: dict[str, Any], file: File | None = None
    ) -> Answer:
        """PATCH a message of ours on the channel's route."""
        route = _MarkedRoute(
            "PATCH", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        return await self._message(route, payload, file)

    async def create_followup(self, token: str, payload: dict[str, Any], file: File | None = None) -> Answer:
        """POST a followup message of an interaction."""
        route = _MarkedRoute(
            "POST", "/webhooks/{webhook_id}/{webhook_token}", webhook_id=self._application_id, webhook_token=token
        )
        return await self._message(route, payload, file)

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
        return await self._message(route, payload, file)

    async def post_notice(self, channel_id: int, text: str, *, reply_to: int) -> None:
        """POST a sentence that answers a message, once however often it is tried; it pings nobody.

        It comes outside any reply, so it waits for its share of the global rate by itself.
        """
        reference = {"message_id": reply_to, "channel_id": channel_id, "fail_if_not_exists": False}
        payload: dict[str, Any] = {
            "content": text,
            "nonce": str(reply_to),
            "enforce_nonce": True,
            "allowed_mentions": {"parse": [], "replied_user": False},
            "message_reference": reference,
            "flags": _SUPPRESS_EMBEDS,
        }
        route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel_id)
        try:
            await self._send(route, _Marked(is_paced=False), payload)
        except DeliveryRejected:  # no permission to read the message that it replies to
            del payload["message_reference"]
            await self._send(route, _Marked(is_paced=False), payload)

    async def messages_after(self, channel_id: int, message_id: int) -> list[dict[str, Any]]:
        """GET the first hundred messages of a channel that are newer than one of them."""
        route = Route("GET", "/channels/{channel_id}/messages", channel_id=channel_id)
        data = await self._send(route, _Marked(is_paced=False), params={"after": message_id, "limit": 100})
        return [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []

    async def has_message(self, channel_id: int, message_id: int) -> bool:
        """Tell whether a message is there; True also where we may not look."""
        route = Route(
            "GET", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        try:
            await self._send(route, _Marked(is_paced=False))
        except MessageGone:
            return False
        except DeliveryForbidden:
            return True
        return True

    async def delete_message(self, channel_id: int, message_id: int) -> None:
        """DELETE a message of ours."""
        route = Route(
            "DELETE", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        await self._send(route, _Marked(is_paced=False))

    async def open_dm(self, user_id: int) -> int:
        """Return the id of the direct messages with a user."""
        data = await self._send(
            Route("POST", "/users/@me/channels"), _Marked(is_paced=False), {"recipient_id": user_id}
        )
        try:
            return int(data["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise DeliveryRetry(detail=f"an answer that is no channel: {type(error).__name__}") from error

    async def open_thread(self, channel_id: int) -> None:
        """Take a thread out of the archive."""
        route = Route("PATCH", "/channels/{channel_id}", channel_id=channel_id)
        await self._send(route, _Marked(is_paced=False), {"archived": False})

    async def show_typing(self, channel_id: int) -> None:
        """Show the typing indicator for ten seconds; left out while too much is refused."""
        await self._optional(Route("POST", "/channels/{channel_id}/typing", channel_id=channel_id))

    async def add_reaction(self, channel_id: int, message_id: int, emoji: str) -> None:
        """React to a message; left out while too much is refused."""
        await self._optional(_reaction("PUT", channel_id, message_id, emoji, "@me"))

    async def remove_reaction(self, channel_id: int, message_id: int, emoji: str, user_id: int | None = None) -> None:
        """Take our reaction away, or that of *user_id*."""
        route = _reaction("DELETE", channel_id, message_id, emoji, "@me" if user_id is None else user_id)
        await self._send(route, _Marked(is_paced=False))

    async def _optional(self, route: Route) -> None:
        if not self._invalid.allows_optional:
            raise DeliveryForbidden(detail="left out: too many requests were refused")
        await self._send(route, _Marked(is_paced=False))

    async def _message(self, route: Route, payload: dict[str, Any], file: File | None) -> Answer:
        marked = _Marked()
        if file is None:
            data = await self._send(route, marked, payload)
        else:
            data = await self._send(route, marked, form=_form(payload, file))
        try:
            return Answer(int(data["id"]), int(data["channel_id"]), str(data.get("content") or ""), marked.headers)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeliveryRetry(detail=f"an answer that is no message: {type(error).__name__}") from error

    async def _send(
        self,
        route: Route,
        marked: _Marked,
        payload: dict[str, Any] | None = None,
        *,
        form: list[dict[str, Any]] | None = None,
        params: dict[str, Any] | None = None,
    ) -> Any:
        options: dict[str, Any] = {"trace_request_ctx": marked}
        seconds = self._seconds
        if form is not None:
            options["form"] = form
            seconds *= _UPLOAD_FACTOR
        elif payload is not None:
            options["json"] = payload
        if params is not None:
            options["params"] = params
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, _CONNECT_SECONDS))
        try:
            return await self._line.http.request(route, timeout=timeout, **options)
        except (DeliveryError, discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise translate(error) from None
        except RuntimeError as error:  # what aiohttp raises on a session that is closed
            raise ClientClosed(detail=str(error)) from None


def _reaction(method: str, channel_id: int, message_id: int, emoji: str, user: int | str) -> Route:
    return Route(
        method,
        "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/{user_id}",
        channel_id=channel_id,
        message_id=message_id,
        emoji=emoji,
        user_id=user,
    )


def _form(payload: dict[str, Any], file: File) -> list[dict[str, Any]]:
    """Build the multipart body that uploads *file* beside *payload*."""
    payload = payload | {"attachments": [{"id": 0, "filename": file.name}]}
    return [
        {"name": "payload_json", "value": orjson.dumps(payload).decode()},
        {
            "name": "files[0]",
            "value": io.BytesIO(file.data),
            "filename": file.name,
            "content_type": "application/octet-stream",
        },
    ]
