"""A Discord on 127.0.0.1: REST v10 and gateway over real sockets, for an unmodified bot.

A discord.py bot is led here by ``discord.http.Route.BASE = loopback.api_url``
and ``DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(loopback.gateway_url)``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.playground.loopback.faults import Fault
from bot.playground.loopback.gateway import Gateway
from bot.playground.loopback.hosts import guard
from bot.playground.loopback.limits import Limiter, LimitSettings, refusal
from bot.playground.loopback.rest import API_ROOT, MAX_REQUEST, RequestRecord, RestAPI
from bot.playground.loopback.rest_basics import Basics
from bot.playground.loopback.rest_channels import ChannelRoutes
from bot.playground.loopback.rest_interactions import InteractionRoutes
from bot.playground.loopback.world import World

__all__ = ["Fault", "LimitSettings", "LoopbackDiscord", "RequestRecord"]

_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class LoopbackDiscord:
    """Serves a world to a bot; `async with` starts and stops it.

    Args:
        world: what is served. It is closed with the server.
        limits: the rate limits; its fields may be changed at any time.
        latency: seconds a REST round trip takes, half of it before the request takes effect.
        port: where to listen on 127.0.0.1; 0 takes a free one.
        shards: how many shards ``/gateway/bot`` recommends.
        heartbeat_seconds: how often the bot is told to beat.

    Attributes:
        port: the port that is listened on; may be set until it starts.
        app: the aiohttp application; further routes may be added before it starts.
        world: as given.
        limits: as given.
        gateway: the gateway, with the sessions and counters of connects.
        rest: the REST engine.
    """

    def __init__(
        self,
        world: World,
        *,
        limits: LimitSettings | None = None,
        latency: float = 0.0,
        port: int = 0,
        shards: int = 1,
        heartbeat_seconds: float = 41.25,
    ) -> None:
        self.world = world
        self.limits = limits if limits is not None else LimitSettings()
        self.port = port
        self._limiter = Limiter(self.limits, time.monotonic, time.time)
        self._runner: web.AppRunner | None = None
        self.rest = RestAPI(world, self._limiter, latency)
        self.gateway = Gateway(world, lambda: self.gateway_url, heartbeat_seconds)
        self.app = web.Application(middlewares=[guard(lambda: self.port)], client_max_size=MAX_REQUEST)
        self.app.router.add_get("/gateway", self.gateway.serve)
        self.app.router.add_get("/gateway/", self.gateway.serve)
        self.app.router.add_get("/attachments/{channel_id}/{attachment_id}/{filename}", self._attachment)
        for handlers in (
            Basics(world, lambda: self.gateway_url, shards),
            ChannelRoutes(world),
            InteractionRoutes(world),
        ):
            self.rest.register(self.app, handlers.routes())
        self.rest.register_unknown(self.app)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen on 127.0.0.1.

        Raises:
            OSError: the port is taken.
        """
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        self.world.state.base_url = self.url

    async def close(self) -> None:
        """Close all connections, then the world."""
        self.rest.stop()
        await self.gateway.shut_down()
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.close()

    @property
    def url(self) -> str:
        """The address of the page, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """What the bot takes as ``DISCORD_API_URL``."""
        return self.url + API_ROOT

    @property
    def gateway_url(self) -> str:
        """The gateway's address."""
        return f"ws://127.0.0.1:{self.port}/gateway"

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.world.token

    @property
    def log(self) -> deque[RequestRecord]:
        """The newest answered requests of the bot, in the order of their answers."""
        return self.rest.log

    @property
    def pending(self) -> set[RequestRecord]:
        """The requests that have no answer yet."""
        return self.rest.pending

    @property
    def faults(self) -> list[Fault]:
        """The faults that have not worn off."""
        return self.rest.faults

    @property
    def requests(self) -> int:
        """How many requests the bot has made."""
        return self.rest.requests

    @property
    def refused(self) -> int:
        """How many of them got a 429 from the limits (injected ones not counted)."""
        return self._limiter.refused

    @property
    def latency(self) -> float:
        """Seconds that a REST round trip takes."""
        return self.rest.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.rest.latency = seconds

    @property
    def bot_online(self) -> bool:
        """Whether the bot has a gateway session."""
        return self.gateway.online.is_set()

    async def wait_online(self, timeout: float = 10.0) -> None:
        """Wait until the bot has a gateway session, or raise TimeoutError."""
        await asyncio.wait_for(self.gateway.online.wait(), timeout)

    def inject(self, *, method: str = "*", route: str = "*", times: int = 1, **what: Any) -> Fault:
        """Let requests fail; ``what`` and the rest are the fields of `Fault`.

        As ``inject(method="PATCH", route="/channels/*/messages/*", status=500)``.
        """
        fault = Fault(method=method, route=route, times=times, **what)
        self.rest.faults.append(fault)
        return fault

    def inject_rate_limit(
        self, retry_after: float, *, scope: str = "user", code: int = 0, via: bool = True, **where: Any
    ) -> Fault:
        """Let requests meet a 429 out of the blue; ``where`` are fields of `Fault`."""
        decision = refusal(retry_after, scope=scope, code=code)
        return self.inject(status=429, body=decision.body, headers=decision.headers, via=via, **where)

    async def close_gateway(self, code: int = 4000, reason: str = "") -> None:
        """Close the bot's websockets with a code."""
        self.gateway.close_all(code, reason)
        await asyncio.sleep(0)

    def drop_gateway(self) -> None:
        """Cut the bot's websockets without a close frame."""
        self.gateway.drop_all()

    def request_reconnect(self) -> None:
        """Ask the bot to reconnect and resume (op 7)."""
        self.gateway.request_reconnect()

    def invalidate_session(self, resumable: bool = False) -> None:
        """Declare the bot's session invalid (op 9)."""
        self.gateway.invalidate(resumable=resumable)

    def zombie(self, silent: bool = True) -> None:
        """Play dead on the gateway: no events, no heartbeat ACKs. With False everything held back is sent."""
        self.gateway.silent = silent

    def repeat(self, event: str) -> None:
        """Send the newest event of that name to the bot once more."""
        for session in self.gateway.connected:
            session.repeat(event)

    def dispatch(self, event: str, payload: Any) -> None:
        """Send an event to the bot as it is: a duplicate, one out of order, one it cannot parse."""
        self.gateway.dispatch(event, payload)

    async def _attachment(self, request: web.Request) -> web.Response:
        info = request.match_info
        stored = self.world.state.files.get(info["attachment_id"], info["filename"])
        if stored is None:
            raise web.HTTPNotFound
        inline = stored.content_type in _INLINE
        headers = {
            "Content-Type": stored.content_type,
            "Content-Disposition": "inline" if inline else "attachment",
            "X-Content-Type-Options": "nosniff",  # whatever was uploaded must not run on the page's origin
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        return web.Response(body=stored.data, headers=headers)
