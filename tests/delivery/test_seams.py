"""The places of discord.py that we reach into are still there and still mean the same.

A test that fails here says: read discord/http.py and discord/gateway.py of the
new version before raising the bound on discord.py.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from aiohttp import web
from aiohttp.test_utils import TestServer
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Ratelimit, Route
from discord.state import ConnectionState

from bot.delivery import endpoint
from bot.delivery.http import MARK, MarkedRoute, install, trace_config
from bot.delivery.invalid_request_guard import InvalidRequestGuard
from bot.delivery.reply_api import HttpLine, ReplyApi
from bot.errors import DeliveryRateLimited, DeliveryRetry
from bot.streaming.budget import EditBudget


@pytest.fixture
def routes_as_before(monkeypatch):
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


def as_json(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Discord's content type has no charset, and discord.py parses nothing else."""
    told = {"Content-Type": "application/json"} | (headers or {})
    return web.Response(body=json.dumps(data).encode(), status=status, headers=told)


class Api:
    """A Discord that answers one thing after the other."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.seen: list[web.Request] = []
        self.released = asyncio.Event()
        self.released.set()

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        await request.read()
        await self.released.wait()
        return self.answers.pop(0) if self.answers else as_json({"id": "1", "channel_id": "2"})


@pytest.fixture
async def api(routes_as_before):
    api = Api()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", api.handle)
    async with TestServer(app) as server:
        endpoint.use_api(str(server.make_url("/api/v10")))
        yield api


@pytest.fixture
def budget():
    return EditBudget()


@pytest.fixture
async def http(api, budget):
    http = HTTPClient(asyncio.get_running_loop(), http_trace=trace_config(budget, InvalidRequestGuard()))
    install(http)
    await http.static_login("token")
    api.seen.clear()
    yield http
    await http.close()


def test_the_version_is_the_one_that_was_read():
    assert discord.version_info[:2] == (2, 7)


def test_a_route_takes_its_base_from_the_class(routes_as_before):
    endpoint.use_api("http://127.0.0.1:9/api/v10")
    assert Route("GET", "/gateway/bot").url == "http://127.0.0.1:9/api/v10/gateway/bot"


def test_a_route_has_major_parameters_and_a_key():
    route = Route("POST", "/channels/{channel_id}/messages", channel_id=7)
    assert isinstance(inspect.getattr_static(Route, "major_parameters"), property)
    assert "7" in route.major_parameters
    assert route.key == "POST /channels/{channel_id}/messages"


def test_a_marked_route_has_a_bucket_of_its_own():
    path = "/channels/{channel_id}/messages"
    marked = MarkedRoute("POST", path, channel_id=7)
    assert marked.url == Route("POST", path, channel_id=7).url
    assert marked.major_parameters != Route("POST", path, channel_id=7).major_parameters
    assert marked.major_parameters != MarkedRoute("PATCH", path, channel_id=7).major_parameters
    assert MARK in marked.major_parameters


def test_limiters_are_asked_for_by_key():
    assert list(inspect.signature(HTTPClient.get_ratelimit).parameters) == ["self", "key"]
    source = inspect.getsource(HTTPClient.request)
    assert "self.get_ratelimit(key)" in source
    assert "route.major_parameters" in source
    assert "async with ratelimit" in source
    for name in ("update", "is_inactive", "__aenter__", "__aexit__"):
        assert callable(getattr(Ratelimit, name))


async def test_marked_requests_never_wait_and_others_do(http):
    path = "/channels/{channel_id}/messages"
    marked = http.get_ratelimit(f"hash:{MarkedRoute('POST', path, channel_id=7).major_parameters}")
    other = http.get_ratelimit(f"hash:{Route('POST', path, channel_id=7).major_parameters}")
    assert type(other) is Ratelimit
    marked.remaining = 0
    async with asyncio.timeout(0.5), marked, marked:
        pass


async def test_a_marked_requests_limiter_survives_the_headers_of_its_answers(api, http):
    spent = {
        "X-RateLimit-Bucket": "abc",
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset-After": "60",
        "X-RateLimit-Reset": "1",
    }
    reply_api = ReplyApi(HttpLine(http), 1)
    for _ in range(3):
        api.answers.append(as_json({"id": "1", "channel_id": "2", "content": "x"}, headers=spent))
        async with asyncio.timeout(1):
            answer = await reply_api.create_message(2, {"content": "x"})
        assert answer.headers is not None
        assert answer.headers.reset_after == 60


async def test_the_trace_context_passes_through_and_errors_come_out(api, http):
    reply_api = ReplyApi(HttpLine(http), 1)
    limit = {"message": "slow", "retry_after": 0.25, "global": False}
    api.answers.append(as_json(limit, status=429, headers={"Via": "1.1 x", "X-RateLimit-Scope": "shared"}))
    with pytest.raises(DeliveryRateLimited) as limited:
        await reply_api.create_message(2, {"content": "x"})
    assert (limited.value.retry_after, limited.value.scope) == (0.25, "shared")
    api.answers.append(web.Response(status=502, text="bad gateway"))
    with pytest.raises(DeliveryRetry) as failed:
        await reply_api.edit_message(2, 1, {"content": "x"})
    assert failed.value.status == 502
    assert len(api.seen) == 2, "discord.py retried by itself"


async def test_a_timeout_reaches_aiohttp(http, api, monkeypatch):
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    monkeypatch.setattr(api, "handle", never)
    reply_api = ReplyApi(HttpLine(http), 1, seconds=0.05)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", never)
    async with TestServer(app) as server:
        endpoint.use_api(str(server.make_url("/api/v10")))
        with pytest.raises(DeliveryRetry, match="TimeoutError"):
            await reply_api.create_message(2, {"content": "x"})


async def test_a_request_that_waited_long_for_its_turn_is_still_bounded(api, http, budget, monkeypatch):
    async def late() -> None:
        await asyncio.sleep(0.08)  # longer than the request itself may take

    monkeypatch.setattr(budget, "others_turn", late)
    reply_api = ReplyApi(HttpLine(http), 1, seconds=0.05)
    api.released.clear()
    async with asyncio.timeout(2):
        with pytest.raises(DeliveryRetry, match="TimeoutError"):
            await reply_api.messages_after(2, 1)
        api.released.set()
        await ReplyApi(HttpLine(http), 1).messages_after(2, 1)  # and nothing is queued behind it


async def test_a_closed_client_is_no_crash(api, http):
    await http.close()
    with pytest.raises(DeliveryRetry):
        await ReplyApi(HttpLine(http), 1).create_message(2, {"content": "x"})


async def test_a_global_limit_leaves_the_lock_alone(api, http):
    assert http._global_over.is_set()
    body = {"message": "slow", "retry_after": 0.01, "global": True}
    api.answers.append(as_json(body, status=429, headers={"Via": "1.1 x", "X-RateLimit-Global": "true"}))
    with pytest.raises(DeliveryRateLimited) as limited:
        await ReplyApi(HttpLine(http), 1).create_message(2, {"content": "x"})
    assert limited.value.scope == "global"
    assert http._global_over.is_set()


async def test_a_wait_for_a_global_limit_that_is_cut_holds_up_nobody_else(api, http):
    body = {"message": "slow", "retry_after": 60, "global": True}
    api.answers.append(as_json(body, status=429, headers={"Via": "1.1 x"}))
    errand = asyncio.create_task(http.request(Route("PUT", "/applications/1/commands"), json=[]))
    while http._global_over.is_set():  # noqa: ASYNC110 - discord.py tells nobody
        await asyncio.sleep(0)
    reply = asyncio.create_task(ReplyApi(HttpLine(http), 1).create_message(2, {"content": "x"}))
    await asyncio.sleep(0)
    errand.cancel()
    async with asyncio.timeout(2):
        assert (await reply).message_id == 1


def test_the_gateway_that_a_new_session_takes_is_a_class_attribute(routes_as_before):
    endpoint.use_gateway("ws://127.0.0.1:9/gateway")
    assert yarl.URL("ws://127.0.0.1:9/gateway") == DiscordWebSocket.DEFAULT_GATEWAY
    assert "DEFAULT_GATEWAY" in inspect.getsource(DiscordWebSocket.from_client)


async def test_the_gateways_address_comes_with_shards_and_limits(api, http):
    api.answers.append(as_json({"url": "ws://127.0.0.1:9", "shards": 3, "session_start_limit": {"max_concurrency": 1}}))
    shards, url, limits = await http.get_bot_gateway()
    assert (shards, url) == (3, "ws://127.0.0.1:9")
    assert isinstance(limits, dict)


def test_the_shard_launch_asks_for_the_gateway_and_keeps_what_it_tells():
    parameters = inspect.signature(discord.AutoShardedClient.connect).parameters
    assert list(parameters) == ["self", "reconnect"]
    source: Any = inspect.getsource(discord.AutoShardedClient.launch_shards)
    assert "get_bot_gateway" in source


async def test_parsers_are_a_dict_of_functions_by_event():
    client = discord.Client(intents=discord.Intents.none())
    parsers = client._connection.parsers
    assert isinstance(parsers, dict)
    assert {"MESSAGE_CREATE", "MESSAGE_DELETE", "GUILD_CREATE", "INTERACTION_CREATE"} <= parsers.keys()
    assert "parsers" in inspect.getsource(ConnectionState.__init__)
    assert "self._discord_parsers[event]" in inspect.getsource(DiscordWebSocket.received_message)
    assert client._connection.parsers is parsers


def test_json_is_read_through_one_function_that_can_be_replaced():
    for module in (discord.gateway, discord.http):
        assert "utils._from_json(" in inspect.getsource(module)
        assert "import _from_json" not in inspect.getsource(module)


async def test_half_a_surrogate_pair_in_an_answer_is_read(api, http):
    api.answers.append(web.Response(body=b'{"name": "\\ud83d"}', headers={"Content-Type": "application/json"}))
    assert await http.request(Route("GET", "/users/@me")) == {"name": "\ud83d"}


async def test_a_redirect_does_not_take_the_token_elsewhere(api):
    async with TestServer(web.Application()) as other:
        away = str(other.make_url("/oauth2/applications/@me"))
        api.answers.append(web.Response(status=302, headers={"Location": away}))
        with pytest.raises(endpoint.DiscordUnreachable, match=r"HTTP 302 from .* DISCORD_API_URL"):
            await endpoint.ask_application("token")
    assert len(api.seen) == 1


async def test_why_discord_is_out_of_reach_is_told_with_what_to_look_at(routes_as_before, monkeypatch):
    def nobody_knows(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    endpoint.use_api("http://127.0.0.1:9/api/v10")
    with pytest.raises(endpoint.DiscordUnreachable, match=r"no connection to 127\.0\.0\.1: Connect"):
        await endpoint.ask_application("token")
    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    endpoint.use_api("http://nowhere.invalid/api/v10")
    with pytest.raises(endpoint.DiscordUnreachable, match=r"the name nowhere\.invalid is not found"):
        await endpoint.ask_application("token")


@pytest.mark.parametrize("errno", [54, 10054])
async def test_a_reset_on_macos_or_windows_is_tried_again_by_us_with_the_newest_text(http, monkeypatch, errno: int):
    tries = []

    async def reset(*_: object, **__: object) -> None:
        tries.append(errno)
        raise ConnectionResetError(errno, "reset")

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", reset)
    async with asyncio.timeout(2):  # discord.py would sleep 1, 3, 5, 7 s and send the text of the first try
        with pytest.raises(DeliveryRetry):
            await ReplyApi(HttpLine(http), 1).create_message(7, {"content": "old"})
    assert len(tries) == 1
