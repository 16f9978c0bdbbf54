"""The REST API's engine: what happens to every request before and after its handler.

In order: half the latency, injected faults, authorization, rate limits, the
handler, the other half of the latency. The handlers are in `rest_basics`,
`rest_channels` and `rest_interactions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from bot.playground.loopback.errors import WorldError, form_error
from bot.playground.loopback.faults import Fault
from bot.playground.loopback.limits import Charge, Decision, Limiter
from bot.playground.loopback.permissions import Payload
from bot.playground.loopback.world import World

_log = logging.getLogger(__name__)

API_ROOT = "/api/v10"
MAX_REQUEST = 25 * 1024 * 1024
_MAX_FILE = 10 * 1024 * 1024
_LOGGED = 20_000
_UNANSWERED = "X-Loopback-Unanswered"


@dataclass(eq=False)
class RequestRecord:
    """One request of the bot.

    Attributes:
        at: when it arrived, by `time.monotonic`.
        method: the HTTP method.
        route: the route's template, as ``/channels/{channel_id}/messages``.
        path: the path below the API's root.
        status: the answer's status; 0 while there is none, or if there will be none (hang, reset).
        bucket: the name of the limit that it counts against, or "".
        channel_id: the channel it is about, or None.
        command: the name of the slash command that it answers, or "".
        body: the JSON body.
        applied_at: when it took effect, by `time.monotonic`, or None.
    """

    at: float
    method: str
    route: str
    path: str
    status: int = 0
    bucket: str = ""
    channel_id: str | None = None
    command: str = ""
    body: Any = None
    applied_at: float | None = None


@dataclass(frozen=True)
class Call:
    """What a handler gets of a request.

    Attributes:
        params: the parts of the path.
        query: the query string.
        body: the JSON body, ``{}`` if there is none.
        uploads: the files, each ``{filename, data, content_type, description?}``.
    """

    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    uploads: list[Payload] = field(default_factory=list)


Handler = Callable[[Call], Any]
Charger = Callable[[Call], list[Charge]]


@dataclass(frozen=True)
class Route:
    """One endpoint.

    Attributes:
        method: the HTTP method.
        template: the path below the API's root.
        handler: returns the JSON of a 200, or None for a 204.
        charges: what it counts against.
        is_open: whether it needs no token and is free of the global limit (interactions).
        takes_list: whether the body is a list, not an object.
    """

    method: str
    template: str
    handler: Handler
    charges: Charger = field(default=lambda _call: [])
    is_open: bool = False
    takes_list: bool = False


class RestAPI:
    """Runs requests through faults, limits and handlers.

    Args:
        world: the clock, the token and what handlers act on.
        limiter: says which requests are refused.
        latency: seconds a round trip takes, half before a request takes effect.

    Attributes:
        log: the newest answered requests, in the order of their answers.
        pending: those without an answer yet.
        requests: how many there were.
        faults: those that have not worn off.
    """

    def __init__(self, world: World, limiter: Limiter, latency: float) -> None:
        self._world = world
        self._limiter = limiter
        self.latency = latency
        self.log: deque[RequestRecord] = deque(maxlen=_LOGGED)
        self.pending: set[RequestRecord] = set()
        self.requests = 0
        self.faults: list[Fault] = []
        self._closing = asyncio.Event()

    def register(self, app: web.Application, routes: list[Route]) -> None:
        """Add endpoints to the application."""
        for route in routes:
            app.router.add_route(route.method, API_ROOT + route.template, self._entry(route))

    def register_unknown(self, app: web.Application) -> None:
        """Answer every other path below the API's root as Discord does; to be called last."""

        async def unknown(_request: web.Request) -> web.Response:
            return _reply(404, {"message": "404: Not Found", "code": 0})

        app.router.add_route("*", "/api/{rest:.*}", unknown)

    def stop(self) -> None:
        """Let hanging requests go, so that the server can close."""
        self._closing.set()

    def _entry(self, route: Route) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.Response:
            path = request.path.removeprefix(API_ROOT)
            record = RequestRecord(time.monotonic(), route.method, route.template, path)
            self._place(record, request.match_info)
            self.requests += 1
            self.pending.add(record)
            try:
                response = await self._guarded(request, route, record)
            finally:
                self.pending.discard(record)
                self.log.append(record)
            record.status = 0 if response.headers.get(_UNANSWERED) else response.status
            return response

        return serve

    def _place(self, record: RequestRecord, params: Mapping[str, str]) -> None:
        """Note where the request goes: to a channel of the path, or to that of the interaction whose token is there."""
        record.channel_id = params.get("channel_id")
        interaction = self._world.interactions.find(params["token"]) if "token" in params else None
        if interaction is not None:
            record.channel_id, record.command = interaction.channel_id, interaction.command

    async def _guarded(self, request: web.Request, route: Route, record: RequestRecord) -> web.Response:
        try:
            return await self._serve(request, route, record)
        except WorldError as error:
            return _reply(error.status, error.body())
        except web.HTTPRequestEntityTooLarge:
            return _reply(413, {"message": "Request entity too large", "code": 40005})
        except (TypeError, ValueError, KeyError, AttributeError):
            _log.exception("%s %s could not be handled", route.method, record.path)
            return _reply(500, {"message": "500: Internal Server Error", "code": 0})

    async def _serve(self, request: web.Request, route: Route, record: RequestRecord) -> web.Response:
        call = await _read(request)
        record.body = call.body or None
        if not isinstance(call.body, list if route.takes_list else dict):
            raise form_error("_", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        await self._half_latency()
        fault = self._fault(record)
        if fault is not None and not fault.after and (struck := await self._strike(fault, request)) is not None:
            return struck
        if not route.is_open and request.headers.get("Authorization") != f"Bot {self._world.token}":
            raise WorldError(401, 0, "401: Unauthorized")
        decision = self._decide(route, call, record)
        if decision.body is not None:
            await self._half_latency()
            return _reply(429, decision.body, decision.headers)
        answer = _apply(route, call)
        record.applied_at = time.monotonic()
        if fault is not None and fault.after and (struck := await self._strike(fault, request)) is not None:
            return struck
        await self._half_latency()
        if isinstance(answer, WorldError):
            return _reply(answer.status, answer.body(), decision.headers)
        return _reply(204 if answer is None else 200, answer, decision.headers)

    async def _half_latency(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency / 2)

    def _decide(self, route: Route, call: Call, record: RequestRecord) -> Decision:
        charges = route.charges(call)
        record.bucket = charges[0].name if charges else ""
        return self._limiter.decide(charges, is_global=not route.is_open)

    def _fault(self, record: RequestRecord) -> Fault | None:
        self.faults[:] = [each for each in self.faults if not each.spent]
        return next((each for each in self.faults if each.matches(record.method, record.route, record.path)), None)

    async def _strike(self, fault: Fault, request: web.Request) -> web.Response | None:
        """Do what a fault says; return the answer it gives, or None if the request goes on."""
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.hang:
            await self._closing.wait()
        if fault.reset:
            _cut(request)
        if fault.hang or fault.reset:
            return web.Response(status=503, headers={_UNANSWERED: "1"})  # into a closed connection
        if fault.status is None:
            return None
        return _reply(fault.status, fault.answer(), fault.headers, via=fault.via)


def _apply(route: Route, call: Call) -> Any:
    """Run the handler; a refusal is an answer too, as it has used up its share of the limit."""
    try:
        return route.handler(call)
    except WorldError as error:
        return error


def _cut(request: web.Request) -> None:
    """Close the connection with a TCP reset, as a crashed server's machine does."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _reply(status: int, answer: Any, headers: Mapping[str, str] | None = None, *, via: bool = True) -> web.Response:
    told = dict(headers or {})
    if via:
        told.setdefault("Via", "1.1 loopback")
    if status == 204:
        return web.Response(status=204, headers=told)
    text = isinstance(answer, str)
    # discord.py parses JSON only under exactly this type, without a charset (http.py, json_or_text).
    told.setdefault("Content-Type", "text/html" if text else "application/json")
    return web.Response(status=status, headers=told, body=answer.encode() if text else orjson.dumps(answer))


async def _read(request: web.Request) -> Call:
    """Read a request's JSON or multipart body.

    Raises:
        WorldError: 50109 for JSON that is none, 40005 for a file over 10 MiB.
    """
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request)
    raw = await request.read()
    return Call(request.match_info, request.query, _parsed(raw))


async def _read_multipart(request: web.Request) -> Call:
    form = await request.post()
    body = _parsed(_payload_json(form.get("payload_json")))
    described = {str(each.get("id")): each for each in body.get("attachments") or ()}
    uploads: list[Payload] = []
    for name, part in form.items():
        if not isinstance(part, web.FileField) or name == "payload_json":
            continue
        data = part.file.read()
        if len(data) > _MAX_FILE:
            raise WorldError(413, 40005, "Request entity too large")
        index = name.removeprefix("files[").removesuffix("]")
        uploads.append(
            {
                "filename": part.filename,
                "data": data,
                "content_type": part.content_type,
                "description": described.get(index, {}).get("description"),
            }
        )
    return Call(request.match_info, request.query, body, uploads)


def _payload_json(part: str | bytes | bytearray | web.FileField | None) -> bytes:
    """Return the field's bytes, however it was sent: aiohttp gives text, but bytes where a content type is told."""
    if isinstance(part, web.FileField):
        return part.file.read()
    return part.encode() if isinstance(part, str) else bytes(part or b"")


def _parsed(raw: bytes) -> Any:
    if not raw:
        return {}
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise WorldError(400, 50109, "The request body contains invalid JSON.") from None
