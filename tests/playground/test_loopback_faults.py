"""What a test orders to go wrong goes wrong, before or after the request took effect."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import discord
import pytest

from tests.loopback import ADA, GENERAL, api_of, bot_in, loopback, until

MESSAGES = f"/channels/{GENERAL}/messages"


async def test_a_failure_before_the_request_leaves_no_message():
    async with loopback() as server, api_of(server) as api:
        fault = server.inject(method="POST", route="/channels/*/messages", status=500)
        answers = [await api("POST", MESSAGES, {"content": "x"}) for _ in range(2)]
        assert [each.status for each in answers] == [500, 200]
        assert len(server.world.messages(GENERAL)) == 1
        assert fault.hits == 1
        assert fault.spent


async def test_a_failure_after_the_request_leaves_its_message():
    async with loopback() as server, api_of(server) as api:
        server.inject(method="POST", route=MESSAGES, status=503, after=True)
        assert (await api("POST", MESSAGES, {"content": "x"})).status == 503
        assert len(server.world.messages(GENERAL)) == 1
        assert server.log[-1].applied_at is not None


async def test_a_retry_of_discord_py_after_a_500_makes_one_message():
    async with loopback() as server, bot_in(server) as bot:
        server.inject(method="POST", route="/channels/{channel_id}/messages", status=500, after=True)
        await bot.get_channel(int(GENERAL)).send("once")
        assert [each["content"] for each in server.world.messages(GENERAL)] == ["once"]


@pytest.mark.parametrize("after", [False, True])
async def test_a_reset_cuts_the_connection(after):
    async with loopback() as server, api_of(server) as api:
        server.inject(route="/channels/*", reset=True, after=after)
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await api("POST", MESSAGES, {"content": "x"})
        assert len(server.world.messages(GENERAL)) == int(after)
        assert (await api("POST", MESSAGES, {"content": "y"})).status == 200


async def test_a_hang_lasts_until_the_client_gives_up():
    async with loopback() as server, api_of(server) as api:
        server.inject(method="PATCH", hang=True)
        made = await api("POST", MESSAGES, {"content": "x"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(api("PATCH", f"{MESSAGES}/{made.body['id']}", {"content": "y"}), 0.05)
        assert [each.method for each in server.pending] == ["PATCH"]
        assert server.world.messages(GENERAL)[0]["content"] == "x"


async def test_an_answer_can_be_late():
    async with loopback() as server, api_of(server) as api:
        server.inject(route="/users/@me", delay=0.05)
        before = time.monotonic()
        assert (await api("GET", "/users/@me")).status == 200
        assert time.monotonic() - before >= 0.05


async def test_some_requests_can_be_spared_first():
    async with loopback() as server, api_of(server) as api:
        server.inject(
            method="POST", skip=2, times=-1, status=403, body={"message": "Missing Permissions", "code": 50013}
        )
        statuses = [(await api("POST", MESSAGES, {"content": "x"})).status for _ in range(4)]
        assert statuses == [200, 200, 403, 403]


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_discord_py_waits_out_a_429_out_of_the_blue(scope):
    async with loopback() as server, bot_in(server) as bot:
        server.inject_rate_limit(0.03, scope=scope, method="POST", route="*/messages")
        await bot.get_channel(int(GENERAL)).send("x")
        assert [each.status for each in server.log][-2:] == [429, 200]
        assert server.refused == 0


async def test_a_429_without_via_looks_like_a_ban_to_discord_py():
    async with loopback() as server, bot_in(server) as bot:
        server.inject_rate_limit(0.03, via=False, method="POST", route="*/messages")
        with pytest.raises(discord.HTTPException) as caught:
            await bot.get_channel(int(GENERAL)).send("x")
        assert caught.value.status == 429


async def test_latency_lies_half_before_and_half_after_the_effect():
    async with loopback(latency=0.08) as server, api_of(server) as api:
        asked = time.monotonic()
        asking = asyncio.create_task(api("POST", MESSAGES, {"content": "x"}))
        await until(lambda: server.world.messages(GENERAL))
        applied = time.monotonic()
        assert not asking.done()
        await asking
        assert 0.04 <= applied - asked < 0.08
        assert time.monotonic() - applied >= 0.03
        record = server.log[-1]
        assert record.at < record.applied_at


async def test_the_log_tells_what_the_bot_asked():
    async with loopback() as server, api_of(server) as api:
        made = await api("POST", MESSAGES, {"content": "x"})
        await api("PATCH", f"{MESSAGES}/{made.body['id']}", {"content": "y"})
        await api("GET", "/users/@me")
        post, patch, get = server.log
        assert (post.method, post.route, post.bucket) == ("POST", "/channels/{channel_id}/messages", "post")
        assert (patch.bucket, patch.channel_id, patch.body) == ("edit", GENERAL, {"content": "y"})
        assert (get.path, get.status, get.channel_id) == ("/users/@me", 200, None)
        assert server.requests == 3


async def test_a_body_of_the_wrong_kind_is_refused():
    async with loopback() as server, api_of(server) as api:
        answer = await api("POST", MESSAGES, ["no", "object"])
        assert answer.status == 400
        assert (await api("POST", MESSAGES, {"content": "x"})).status == 200
        assert server.world.messages(GENERAL, ADA)
