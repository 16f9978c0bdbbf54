"""Sends the requests of replies, and turns whatever comes of them into our own errors."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
import orjson
from discord.http import HTTPClient, Route

from bot.delivery.http import Marked, MarkedRoute, time_limit
from bot.delivery.http_errors import ClientClosed, translate
from bot.delivery.invalid_request_guard import InvalidRequestGuard
from bot.errors import DeliveryError, DeliveryForbidden, DeliveryRejected, DeliveryRetry, MessageGone
from bot.markdown.files import File
from bot.streaming.bucket import RateHeaders

REQUEST_SECONDS = 15.0
"""How long a request may take before it is tried again with the newest text."""
NO_MENTIONS: dict[str, Any] = {"parse": [], "replied_user": False}
"""Nobody is pinged, not even who is replied to; Discord does not keep this for edits, so it goes with each request."""
SUPPRESS_EMBEDS = 1 << 2
"""Previews of links would come and go with the edits."""
_UPLOAD_FACTOR = 8
_CONNECT_SECONDS = 10.0


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


_DELETIONS_KEPT = 1000  # of our own messages; the event comes within seconds
# So many channels' turns are remembered before those that passed are dropped.
_PACED_CHANNELS = 256


class ReactionPace:
    """Spaces the reactions of each channel.

    Discord counts adding and taking away together, over all messages of a
    channel, at 1 per 0.25 s (https://github.com/discord/discord-api-docs/issues/182);
    discord.py has a limiter for each route and learns too late. *gap* is in seconds.
    """

    def __init__(self, gap: float = 0.35) -> None:
        self.gap = gap
        self._next: dict[int, float] = {}

    async def turn(self, channel_id: int) -> None:
        """Wait until one more reaction of that channel may be changed."""
        now = asyncio.get_running_loop().time()
        if len(self._next) > _PACED_CHANNELS:
            self._next = {key: at for key, at in self._next.items() if at > now}
        at = max(now, self._next.get(channel_id, now))
        self._next[channel_id] = at + self.gap
        await asyncio.sleep(at - now)


class HttpLine:
    """The HTTP client of whichever bot is connected.

    A bot that is built anew takes the place of the one before, so that replies
    which began with that one go on instead of talking to a closed client.
    """

    def __init__(self, http: HTTPClient | None = None) -> None:
        self._http = http
        self._deleting: deque[int] = deque(maxlen=_DELETIONS_KEPT)
        self.reactions = ReactionPace()

    def connect(self, http: HTTPClient) -> None:
        """Use *http* from now on; it is logged in."""
        self._http = http

    def note_deletion(self, message_id: int) -> None:
        """Note that we are about to delete a message of ours: what Discord tells of that is nobody's wish."""
        self._deleting.append(message_id)

    def has_deleted(self, message_id: int) -> bool:
        """Tell whether we deleted that message ourselves."""
        return message_id in self._deleting

    @property
    def http(self) -> HTTPClient:
        """The client to use now.

        Raises:
            ClientClosed: there is none yet.
        """
        if self._http is None:
            raise ClientClosed(detail="not connected yet")
        return self._http


class ReplyApi:
    """Sends the requests of replies, on channel and interaction routes.

    Every method raises one of the `DeliveryError` family and nothing else, and
    never sleeps. *application_id* is the bot's, for interaction routes.
    *seconds* is how long a request may take once its turn has come, an upload eight times as long.
    """

    def __init__(
        self,
        line: HttpLine,
        application_id: int,
        *,
        invalid: InvalidRequestGuard | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._line = line
        self._application_id = application_id
        self._invalid = invalid or InvalidRequestGuard()
        self._seconds = seconds

    async def create_message(self, channel_id: int, payload: dict[str, Any], file: File | None = None) -> Answer:
        """POST a message to a channel."""
        return await self._message(
            MarkedRoute("POST", "/channels/{channel_id}/messages", channel_id=channel_id), payload, file
        )

    async def edit_message(
        self, channel_id: int, message_id: int, payload: dict[str, Any], file: File | None = None
    ) -> Answer:
        """PATCH a message of ours on the channel's route."""
        route = MarkedRoute(
            "PATCH", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        return await self._message(route, payload, file)

    async def create_followup(self, token: str, payload: dict[str, Any]) -> Answer:
        """POST a followup message of an interaction."""
        route = MarkedRoute(
            "POST", "/webhooks/{webhook_id}/{webhook_token}", webhook_id=self._application_id, webhook_token=token
        )
        return await self._message(route, payload)

    async def edit_response(
        self, token: str, message_id: int | None, payload: dict[str, Any], file: File | None = None
    ) -> Answer:
        """PATCH a message of an interaction; None is its original response."""
        return await self._message(self._response_route("PATCH", token, message_id), payload, file)

    def _response_route(self, method: str, token: str, message_id: int | None) -> MarkedRoute:
        return MarkedRoute(
            method,
            "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
            webhook_id=self._application_id,
            webhook_token=token,
            message_id="@original" if message_id is None else message_id,
        )

    async def post_notice(self, channel_id: int, text: str, *, about: int | str, refer: bool = True) -> None:
        """POST a sentence *about* a message, once however often it is tried; it pings nobody.

        With *refer* it replies to that message, if Discord lets it.
        It comes outside any reply, so it waits for its share of the global rate by itself.
        """
        payload: dict[str, Any] = {
            "content": text,
            "nonce": str(about),
            "enforce_nonce": True,
            "allowed_mentions": NO_MENTIONS,
            "flags": SUPPRESS_EMBEDS,
        }
        if refer:
            reference = {"message_id": about, "channel_id": channel_id, "fail_if_not_exists": False}
            payload["message_reference"] = reference
        route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel_id)
        try:
            await self._send(route, Marked(is_paced=False), payload)
        except DeliveryRejected:  # no permission to read the message that it replies to
            if payload.pop("message_reference", None) is None:
                raise
            await self._send(route, Marked(is_paced=False), payload)

    async def messages_after(self, channel_id: int, message_id: int) -> list[dict[str, Any]]:
        """GET the first hundred messages of a channel that are newer than one of them."""
        route = Route("GET", "/channels/{channel_id}/messages", channel_id=channel_id)
        data = await self._send(route, Marked(is_paced=False), params={"after": message_id, "limit": 100})
        return [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []

    async def has_message(self, channel_id: int, message_id: int) -> bool:
        """Tell whether a message is there; True also where we may not look."""
        route = Route(
            "GET", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        try:
            await self._send(route, Marked(is_paced=False))
        except MessageGone:
            return False
        except DeliveryForbidden:
            return True
        return True

    async def delete_message(self, channel_id: int, message_id: int) -> None:
        """DELETE a message of ours."""
        route = MarkedRoute(
            "DELETE", "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id
        )
        self._line.note_deletion(message_id)
        await self._send(route, Marked())

    async def delete_response(self, token: str, message_id: int | None) -> None:
        """DELETE a message of an interaction; None is its original response."""
        if message_id is not None:
            self._line.note_deletion(message_id)
        await self._send(self._response_route("DELETE", token, message_id), Marked())

    async def open_dm(self, user_id: int) -> int:
        """Return the id of the direct messages with a user."""
        data = await self._send(MarkedRoute("POST", "/users/@me/channels"), Marked(), {"recipient_id": user_id})
        try:
            return int(data["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise DeliveryRetry(detail=f"an answer that is no channel: {type(error).__name__}") from error

    async def open_thread(self, channel_id: int) -> None:
        """Take a thread out of the archive."""
        await self._send(
            MarkedRoute("PATCH", "/channels/{channel_id}", channel_id=channel_id), Marked(), {"archived": False}
        )

    async def show_typing(self, channel_id: int) -> None:
        """Show the typing indicator for ten seconds; left out while too much is refused."""
        await self._optional(Route("POST", "/channels/{channel_id}/typing", channel_id=channel_id))

    async def add_reaction(self, channel_id: int, message_id: int, emoji: str) -> None:
        """React to a message; left out while too much is refused."""
        await self._line.reactions.turn(channel_id)
        await self._optional(_reaction("PUT", channel_id, message_id, emoji, "@me"))

    async def remove_reaction(self, channel_id: int, message_id: int, emoji: str, user_id: int | None = None) -> None:
        """Take our reaction away, or that of *user_id*."""
        await self._line.reactions.turn(channel_id)
        route = _reaction("DELETE", channel_id, message_id, emoji, "@me" if user_id is None else user_id)
        await self._send(route, Marked(is_paced=False))

    async def _optional(self, route: Route) -> None:
        if not self._invalid.allows_optional:
            raise DeliveryForbidden(detail="left out: too many requests were refused")
        await self._send(route, Marked(is_paced=False))

    async def _message(self, route: Route, payload: dict[str, Any], file: File | None = None) -> Answer:
        marked = Marked()
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
        marked: Marked,
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
        timeout = time_limit(seconds, with_turn=not marked.is_paced, connect=_CONNECT_SECONDS)
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
    """Build the multipart body that uploads *file*, and what goes with it, beside *payload*."""
    files = (file, *file.beside)
    payload = payload | {"attachments": [{"id": number, "filename": each.name} for number, each in enumerate(files)]}
    parts: list[dict[str, Any]] = [{"name": "payload_json", "value": orjson.dumps(payload).decode()}]
    parts += [
        {
            "name": f"files[{number}]",
            "value": io.BytesIO(each.data),
            "filename": each.name,
            "content_type": "application/octet-stream",
        }
        for number, each in enumerate(files)
    ]
    return parts
