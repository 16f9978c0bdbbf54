"""The gateway: identify, resume, reconnects, intents and misbehaviour on order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib

import aiohttp
import discord
import pytest

from bot.playground.loopback import seed
from bot.playground.loopback.discord import LoopbackDiscord
from bot.playground.loopback.world import Permission, World
from tests.loopback import ADA, BOT, CODE, GENERAL, LINUS, MENTION, Events, bot_in, loopback, new_bot, pointed_at, until

CHAT_INTENTS = 0x9201 | 1 << 10 | 1 << 13


class Client:
    """A bare gateway client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, op, data=None):
        await self.socket.send_json({"op": op, "d": data})

    async def receive(self):
        return await self.socket.receive_json(timeout=5)

    async def identify(self, server, intents=CHAT_INTENTS, **more):
        await self.send(2, {"token": server.token, "intents": intents, "properties": {}, **more})

    async def until_event(self, name):
        seen = []
        while not seen or seen[-1]["t"] != name:
            seen.append(await self.receive())
        return seen

    async def close_code(self):
        while (await self.socket.receive(timeout=5)).type not in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}:
            pass
        return self.socket.close_code


@contextlib.asynccontextmanager
async def client_of(server):
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url + "?v=10&encoding=json") as ws:
        client = Client(ws)
        assert (await client.receive())["op"] == 10
        yield client


async def test_hello_ready_guild_and_heartbeats():
    async with loopback() as server, client_of(server) as client:
        await client.send(1, None)
        assert (await client.receive())["op"] == 11
        await client.identify(server, shard=[0, 1])
        ready = await client.receive()
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert ready["d"]["resume_gateway_url"] == server.gateway_url
        assert ready["d"]["shard"] == [0, 1]
        guild = await client.receive()
        assert guild["t"] == "GUILD_CREATE"
        assert {each["name"] for each in guild["d"]["roles"]} >= {"@everyone", "Burble"}
        assert all("permission_overwrites" in each for each in guild["d"]["channels"])
        assert server.gateway.identified == 1


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 2, "d": {"token": seed.TOKEN, "intents": -1}}, 4013),
        ({"op": 2, "d": {"token": seed.TOKEN, "intents": 1 << 1}}, 4014),
        ({"op": 2, "d": {"token": seed.TOKEN, "intents": 1, "shard": [2, 2]}}, 4010),
        ({"op": 8, "d": {}}, 4003),
        ({"no": "op"}, 4002),
        ({"op": 6, "d": {"token": "wrong"}}, 4004),
    ],
)
async def test_bad_frames_close_with_discords_code(frame, code):
    async with loopback() as server, client_of(server) as client:
        await client.socket.send_json(frame)
        assert await client.close_code() == code
        assert not server.bot_online


async def test_the_content_intent_without_the_flag_closes_with_4014():
    async with loopback(message_content=False) as server:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with bot_in(server, new_bot()):
                pytest.fail("the bot became ready")


async def test_without_the_content_intent_only_what_concerns_the_bot_can_be_read():
    async with loopback(message_content=False) as server, bot_in(server, new_bot(message_content=False)) as bot:
        read: list[str] = []

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            read.append(message.content)

        world = server.world
        own = await bot.get_channel(int(GENERAL)).send("mine")
        world.send(ADA, GENERAL, "hidden", attachments=[{"filename": "a", "data": b"x"}])
        world.send(ADA, GENERAL, f"{MENTION} shown")
        world.send(ADA, GENERAL, "ping reply", reply_to=str(own.id))
        world.send(ADA, GENERAL, "silent reply", reply_to=str(own.id), ping_reply=False)
        world.send(ADA, world.open_dm(ADA)["id"], "direct")
        await until(lambda: len(read) == 6)
        assert read == ["mine", "", f"{MENTION} shown", "ping reply", "", "direct"]
        history = [each async for each in bot.get_channel(int(GENERAL)).history(oldest_first=True)]
        assert [each.content for each in history] == ["mine", "", f"{MENTION} shown", "ping reply", ""]
        assert history[1].attachments == []


async def test_a_ping_reply_to_the_response_of_a_command_stays_hidden():
    async with loopback(message_content=False) as server:
        world = server.world
        world.command_rules.overwrite("", [{"name": "ask", "description": "Ask"}])
        interaction = world.run_command(ADA, GENERAL, ["ask"], {})
        world.interactions.respond(interaction.id, interaction.token, {"type": 4, "data": {"content": "answer"}})
        async with client_of(server) as client:
            await client.identify(server, intents=CHAT_INTENTS & ~(1 << 15))
            await client.until_event("GUILD_CREATE")
            world.send(ADA, GENERAL, "words", reply_to=world.messages(GENERAL)[0]["id"])
            message = (await client.until_event("MESSAGE_CREATE"))[-1]["d"]
            assert message["mentions"][0]["id"] == BOT
            assert message["content"] == ""


async def test_only_events_of_the_intents_are_sent():
    async with loopback() as server, client_of(server) as client:
        await client.identify(server, intents=1 | 1 << 12)
        await client.until_event("GUILD_CREATE")
        world = server.world
        message = world.send(ADA, GENERAL, "guild")
        world.react(ADA, GENERAL, message["id"], "👍")
        world.typing(ADA, GENERAL)
        world.send(ADA, world.open_dm(ADA)["id"], "direct")
        assert [each["t"] for each in await client.until_event("MESSAGE_CREATE")] == ["MESSAGE_CREATE"]


async def test_channels_that_the_bot_cannot_see_are_silent():
    async with loopback() as server, client_of(server) as client:
        server.world.deny(CODE, BOT, Permission.VIEW_CHANNEL)
        await client.identify(server)
        await client.until_event("GUILD_CREATE")
        server.world.send(ADA, CODE, "hidden")
        server.world.send(ADA, GENERAL, "seen")
        assert (await client.until_event("MESSAGE_CREATE"))[-1]["d"]["content"] == "seen"


async def test_each_event_reaches_one_shard():
    async with loopback() as server, client_of(server) as first, client_of(server) as second:
        await first.identify(server, shard=[0, 2])
        await second.identify(server, shard=[1, 2])
        await until(lambda: server.gateway.identified == 2)
        home = (int(seed.GUILD_ID) >> 22) % 2
        server.world.send(ADA, GENERAL, "guild")
        server.world.send(ADA, server.world.open_dm(ADA)["id"], "direct")
        clients = [first, second]
        seen = {}
        for index, client in enumerate(clients):
            await client.send(1)
            frames = []
            while not frames or frames[-1]["op"] != 11:
                frames.append(await client.receive())
            seen[index] = [each["d"]["content"] for each in frames if each["t"] == "MESSAGE_CREATE"]
        expected = {0: ["direct"], 1: []}
        expected[home] = ["guild", *expected[home]]
        assert seen == expected


async def test_a_resume_replays_what_was_missed():
    async with loopback() as server:
        async with client_of(server) as client:
            await client.identify(server)
            ready = (await client.until_event("GUILD_CREATE"))[0]
            server.drop_gateway()
            with contextlib.suppress(aiohttp.ClientError):
                await client.close_code()
        await until(lambda: not server.bot_online)
        server.world.send(ADA, GENERAL, "missed")
        async with client_of(server) as client:
            session_id = ready["d"]["session_id"]
            await client.send(6, {"token": server.token, "session_id": session_id, "seq": 2})
            frames = await client.until_event("RESUMED")
            assert [(each["t"], each["s"]) for each in frames] == [("MESSAGE_CREATE", 3), ("RESUMED", 4)]
            assert frames[0]["d"]["content"] == "missed"
            assert frames[1]["d"] == {}
            assert server.gateway.resumed == 1
            assert server.bot_online


async def test_an_unknown_session_cannot_be_resumed():
    async with loopback() as server, client_of(server) as client:
        await client.send(6, {"token": server.token, "session_id": "none", "seq": 2})
        frame = await client.receive()
        assert (frame["op"], frame["d"]) == (9, False)


async def test_discord_py_resumes_after_a_close_a_cut_and_a_request():
    async with loopback() as server, bot_in(server) as bot:
        read: list[str] = []

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            read.append(message.content)

        breaks = [lambda: server.close_gateway(4000), lambda: server.close_gateway(4009), None]
        for count, cause in enumerate(breaks, start=1):
            if cause is None:
                server.request_reconnect()
            else:
                await cause()
            server.world.send(ADA, GENERAL, f"during {count}")
            await until(lambda count=count: server.gateway.resumed == count and server.bot_online, timeout=15)
            await until(lambda count=count: f"during {count}" in read)
        assert read == ["during 1", "during 2", "during 3"]
        assert server.gateway.identified == 1


@pytest.mark.slow
async def test_discord_py_identifies_anew_after_an_invalid_session():
    async with loopback() as server, bot_in(server) as bot:
        server.invalidate_session()
        await until(lambda: server.gateway.identified == 2, timeout=15)
        heard = asyncio.Event()

        @bot.listen()
        async def on_message(_message: discord.Message) -> None:
            heard.set()

        server.world.send(ADA, GENERAL, "after")
        await asyncio.wait_for(heard.wait(), 5)


async def test_a_zombie_sends_nothing_until_it_wakes():
    async with loopback() as server, client_of(server) as client:
        await client.identify(server)
        await client.until_event("GUILD_CREATE")
        server.zombie()
        await client.send(1)
        server.world.send(ADA, GENERAL, "held")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.receive(), 0.05)
        server.zombie(False)
    # The receive that timed out may have taken a frame with it, so what follows needs a new client.
    async with loopback() as server, client_of(server) as client:
        server.zombie()
        await client.identify(server)
        await until(lambda: server.gateway.identified == 1)
        server.zombie(False)
        await client.until_event("GUILD_CREATE")


async def test_events_can_be_repeated_and_made_up():
    async with loopback() as server, bot_in(server) as bot:
        read: list[int] = []

        @bot.listen()
        async def on_message(message: discord.Message) -> None:
            read.append(message.id)

        events = Events(server.world)
        server.world.send(LINUS, GENERAL, "once")
        server.repeat("MESSAGE_CREATE")
        server.dispatch("MESSAGE_CREATE", {**events.of("MESSAGE_CREATE")[0], "id": "7"})
        await until(lambda: len(read) == 3)
        assert read[0] == read[1]
        assert read[2] == 7


async def test_a_kicked_bot_knows_and_may_do_nothing_until_it_is_invited_again():
    async with loopback() as server, bot_in(server) as bot:
        channel = bot.get_channel(int(GENERAL))
        server.world.kick_bot()
        await until(lambda: not bot.guilds)
        with pytest.raises(discord.Forbidden) as refused:
            await channel.send("x")
        assert refused.value.code == 50001
        server.world.invite_bot()
        await until(lambda: bot.guilds)
        await bot.get_channel(int(GENERAL)).send("back")


async def test_members_can_be_asked_for():
    async with loopback() as server, client_of(server) as client:
        await client.identify(server)
        await client.until_event("GUILD_CREATE")
        await client.send(8, {"guild_id": seed.GUILD_ID, "query": "li", "limit": 0, "nonce": "n"})
        chunk = (await client.until_event("GUILD_MEMBERS_CHUNK"))[-1]["d"]
        assert [each["user"]["id"] for each in chunk["members"]] == [LINUS]
        assert chunk["nonce"] == "n"


async def test_no_task_outlives_the_server():
    before = asyncio.all_tasks()
    async with loopback() as server:
        with pointed_at(server):
            async with client_of(server) as client:
                await client.identify(server)
                await client.until_event("GUILD_CREATE")
                server.inject(route="/users/@me", hang=True)
                async with aiohttp.ClientSession() as session:
                    hanging = asyncio.create_task(session.get(server.api_url + "/users/@me"))
                    await until(lambda: server.pending)
                    closing = asyncio.create_task(server.close())
                    assert await client.close_code() == 1001
                    await closing
                    await asyncio.gather(hanging, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_no_heartbeat_is_answered_before_discord_py_has_noted_it():
    world = World()
    async with LoopbackDiscord(world, heartbeat_seconds=0.2) as server, bot_in(server) as bot:
        keeper = bot.shards[0]._parent.ws._keep_alive
        measured: list[float] = []
        ack = keeper.ack

        def noted() -> None:
            ack()
            measured.append(keeper.latency)

        keeper.ack = noted
        await until(lambda: len(measured) == 4)
        # An ACK that overtook the note would be measured from the beat before: 0.2 s and more.
        assert max(measured) < 0.18


async def test_a_client_that_asks_for_it_gets_one_zlib_stream():
    async with loopback() as server, aiohttp.ClientSession() as session:
        inflate = zlib.decompressobj()
        async with session.ws_connect(server.gateway_url + "?v=10&encoding=json&compress=zlib-stream") as ws:
            await ws.send_json(
                {"op": 2, "d": {"token": server.token, "intents": CHAT_INTENTS, "properties": {}, "compress": True}}
            )
            names = []
            while "GUILD_CREATE" not in names:
                frame = await ws.receive_bytes(timeout=5)
                assert frame.endswith(b"\x00\x00\xff\xff")
                names.append(json.loads(inflate.decompress(frame))["t"])
            assert names == [None, "READY", "GUILD_CREATE"]


@pytest.mark.parametrize(("size", "code"), [(4096, None), (4097, 4002), (9000, 4002)])
async def test_a_frame_of_more_than_4096_bytes_is_refused(size: int, code: int | None):
    async with loopback() as server, client_of(server) as client:
        frame = '{"op": 1, "d": null, "x": "' + "é" * 1000 + '"}'
        await client.socket.send_str(frame + " " * (size - len(frame.encode())))
        if code is None:
            assert (await client.receive())["op"] == 11
        else:
            assert await client.close_code() == code


async def test_of_members_a_session_hears_of_its_own_alone_and_of_roles_all():
    async with loopback() as server, client_of(server) as client:
        await client.identify(server)
        created = (await client.until_event("GUILD_CREATE"))[-1]["d"]
        assert [each["user"]["id"] for each in created["members"]] == [BOT]
        role = server.world.roles.create("readers", 1 << 10)["id"]
        server.world.roles.give(LINUS, role)
        server.world.roles.give(BOT, role)
        server.world.roles.edit(role, 0)
        server.world.roles.delete(role)
        seen = await client.until_event("GUILD_ROLE_DELETE")
        assert [(each["t"], each["d"]["guild_id"]) for each in seen] == [
            (name, seed.GUILD_ID)
            for name in ("GUILD_ROLE_CREATE", "GUILD_MEMBER_UPDATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE")
        ]
        assert seen[1]["d"]["user"]["id"] == BOT
        assert role in seen[1]["d"]["roles"]
