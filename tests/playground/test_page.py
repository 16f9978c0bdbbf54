"""What the page's server gives, to whom, and what it lets them do."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from bot.playground.loopback.discord import LoopbackDiscord
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from bot.playground.loopback.world import Permission, World
from bot.playground.page.server import Page


class FakeBackstage:
    def __init__(self):
        self.calls = []

    def status(self):
        return {"bot": {"state": "online", "managed": True}, "model": {"stand_in": True}, "limiter": {"kind": "fixed"}}

    def metrics(self):
        return {"requests": 7}

    def restart_bot(self):
        self.calls.append("restart")

    def set_speed(self, tokens_per_second):
        self.calls.append(tokens_per_second)

    def set_limiter(self, kind):
        self.calls.append(kind)


class Tab:
    """A browser tab without the browser."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self.events = []

    async def ask(self, action, **args):
        self._number += 1
        await self._socket.send_json({"id": self._number, "do": action, "args": args})
        while True:
            frame = await self._socket.receive_json(timeout=5)
            if frame.get("re") == self._number:
                return frame.get("ok", frame)
            self.events.append(frame)

    async def event(self, name):
        while True:
            for frame in self.events:
                if frame["event"] == name:
                    self.events.remove(frame)
                    return frame["data"]
            self.events.append(await self._socket.receive_json(timeout=5))

    async def heard(self):
        """Return the names of all events that came before the answer to a question asked now."""
        await self.ask("history", channel_id=GENERAL_ID)
        return [frame["event"] for frame in self.events if frame["event"] != "METRICS"]


@pytest.fixture
async def world():
    return World()


@pytest.fixture
async def control_panel():
    return FakeBackstage()


@pytest.fixture
async def discord(world, control_panel):
    server = LoopbackDiscord(world)
    Page(world, control_panel).add_routes(server.app)
    async with server:
        yield server


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def tabs(discord, http):
    async with contextlib.AsyncExitStack() as stack:

        async def open_tab(user_id=ADA_ID):
            tab = Tab(await stack.enter_async_context(http.ws_connect(f"{discord.url}/page/ws")))
            tab.snapshot = await tab.ask("view", user_id=user_id)
            return tab

        yield open_tab


async def test_the_page_comes_with_a_policy_that_lets_nothing_else_run(discord, http):
    for path in ("/", "/static/main.js", "/static/layout.css"):
        async with http.get(discord.url + path) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/static/nope.js", "/static/..%2Fpage.py", "/static/%2e%2e/page.py", "/static/page.py"]
)
async def test_nothing_but_the_page_can_be_fetched(discord, http, path):
    async with http.get(aiohttp.client.URL(discord.url + path, encoded=True)) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "websocket"},
    ],
)
async def test_another_origin_or_host_gets_no_socket(discord, http, headers):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{discord.url}/page/ws", headers=headers)
    assert caught.value.status == 403


async def test_the_pages_own_origin_gets_one(discord, http):
    async with http.ws_connect(f"{discord.url}/page/ws", headers={"Origin": discord.url}) as socket:
        assert not socket.closed


async def test_the_snapshot_holds_what_the_person_sees(tabs):
    tab = await tabs(GRACE_ID)
    shown = tab.snapshot
    assert shown["me"] == GRACE_ID
    assert [(each["global_name"], each["note"]) for each in shown["people"]] == [
        ("Ada", "owner"),
        ("Grace", "moderator"),
        ("Linus", "member"),
    ]
    assert [each.get("name") for each in shown["channels"]] == ["general", "code", "random", None]
    assert shown["channels"][-1]["recipients"][0]["id"] == GRACE_ID
    assert shown["status"]["bot"]["state"] == "online"
    assert "token" not in str(shown)


async def test_an_unknown_person_is_the_first(tabs):
    assert (await tabs("999")).snapshot["me"] == ADA_ID


async def test_what_one_writes_everybody_sees(tabs, world):
    ada, linus = await tabs(ADA_ID), await tabs(LINUS_ID)
    sent = await ada.ask("send", channel_id=GENERAL_ID, content="  hello ")
    assert (await linus.event("MESSAGE_CREATE"))["content"] == "hello"
    await ada.ask("edit", channel_id=GENERAL_ID, message_id=sent["id"], content="bye")
    assert (await linus.event("MESSAGE_UPDATE"))["content"] == "bye"
    await linus.ask("react", channel_id=GENERAL_ID, message_id=sent["id"], emoji="👍")
    assert (await ada.event("MESSAGE_REACTION_ADD"))["user_id"] == LINUS_ID
    reply = await linus.ask("send", channel_id=GENERAL_ID, content="x", reply_to=sent["id"], ping_reply=False)
    assert reply["referenced_message"]["id"] == sent["id"]
    assert reply["mentions"] == []
    await ada.ask("delete", channel_id=GENERAL_ID, message_id=sent["id"])
    assert (await linus.event("MESSAGE_DELETE"))["id"] == sent["id"]
    assert [each["content"] for each in await linus.ask("history", channel_id=GENERAL_ID)] == ["x"]


async def test_direct_messages_and_ephemeral_answers_reach_one_person_only(tabs, world):
    ada, grace = await tabs(ADA_ID), await tabs(GRACE_ID)
    direct = ada.snapshot["channels"][-1]["id"]
    await grace.heard()
    grace.events.clear()
    await ada.ask("send", channel_id=direct, content="psst")
    extra = {"flags": 64, "viewer_id": ADA_ID}
    world.message_rules.create_response(GENERAL_ID, {"content": "only you"}, extra)
    assert (await ada.event("MESSAGE_CREATE"))["content"] == "psst"
    assert (await ada.event("MESSAGE_CREATE"))["content"] == "only you"
    assert await grace.heard() == []
    assert (await grace.ask("history", channel_id=direct))["error"]["status"] == 403
    assert await grace.ask("history", channel_id=GENERAL_ID) == []


async def test_a_channel_that_one_may_not_see_vanishes(tabs, world):
    linus = await tabs(LINUS_ID)
    world.deny(CODE_ID, LINUS_ID, Permission.VIEW_CHANNEL)
    assert await linus.event("CHANNEL_DELETE") == {"id": CODE_ID}
    linus.events.clear()
    world.send(ADA_ID, CODE_ID, "secret")
    assert await linus.heard() == []
    world.set_permissions(CODE_ID, LINUS_ID)
    assert (await linus.event("CHANNEL_UPDATE"))["id"] == CODE_ID


async def test_refusals_come_in_words(tabs, world):
    linus = await tabs(LINUS_ID)
    theirs = world.send(ADA_ID, GENERAL_ID, "mine")
    too_long = await linus.ask("send", channel_id=GENERAL_ID, content="x" * 2001)
    assert "2000" in too_long["error"]["message"]
    denied = await linus.ask("delete", channel_id=GENERAL_ID, message_id=theirs["id"])
    assert denied["error"] == {"status": 403, "code": 50013, "message": "Missing Permissions"}
    for action, args in [("fly", {}), ("send", {}), ("send", {"channel_id": []}), ("command", {"path": 5})]:
        assert (await linus.ask(action, **args))["error"]["status"] in (400, 404)


async def test_nonsense_on_the_socket_harms_nobody(discord, http):
    async with http.ws_connect(f"{discord.url}/page/ws") as socket:
        for text in ("", "[]", "5", "{", '{"id": 1}', '{"id": 1, "do": "send"}', '{"id": 2, "do": "view", "args": {}}'):
            await socket.send_str(text)
        assert (await socket.receive_json(timeout=5))["re"] == 1
        while (frame := await socket.receive_json(timeout=5)).get("re") != 2:
            assert "event" in frame
        assert frame["ok"]["me"] == ADA_ID


async def test_the_tokens_of_interactions_stay_with_the_bot(tabs, world):
    ada = await tabs(ADA_ID)
    definition = {"name": "ping", "description": "Ping", "type": 1}
    world.command_rules.overwrite("", [definition])
    await ada.event("COMMANDS_CHANGED")
    assert [each["name"] for each in await ada.ask("commands", channel_id=GENERAL_ID)] == ["ping"]
    told = await ada.ask("command", channel_id=GENERAL_ID, path=["ping"], options={})
    state = await ada.event("INTERACTION_STATE")
    assert (state["id"], state["state"]) == (told["id"], "sent")
    token = world.interactions.all[told["id"]].token
    assert token not in str(ada.events)
    assert "INTERACTION_CREATE" not in await ada.heard()


async def test_an_autocomplete_that_waits_holds_nothing_up(tabs, world):
    world.interactions.deadline = 0.2
    option = {"name": "model", "description": "Which", "type": 3, "autocomplete": True}
    world.command_rules.overwrite("", [{"name": "use", "description": "Use", "type": 1, "options": [option]}])
    ada = await tabs(ADA_ID)
    waiting = {"id": 99, "do": "autocomplete"}
    args = {"channel_id": GENERAL_ID, "path": ["use"], "options": {}, "focused": "model"}
    await ada._socket.send_json(waiting | {"args": args})
    assert (await ada.ask("send", channel_id=GENERAL_ID, content="meanwhile"))["content"] == "meanwhile"
    while (frame := await ada._socket.receive_json(timeout=5)).get("re") != 99:
        pass
    assert frame["error"]["message"] == "Loading options failed"


async def test_the_side_panel_can_switch_what_runs(tabs, control_panel):
    ada = await tabs(ADA_ID)
    await ada.ask("restart")
    await ada.ask("speed", tokens_per_second=120)
    await ada.ask("limiter", kind="leaky")
    assert control_panel.calls == ["restart", 120.0, "leaky"]
    assert (await ada.event("METRICS")) == {"requests": 7}


async def test_a_bot_that_comes_online_is_announced(tabs, world):
    ada = await tabs(ADA_ID)
    world.set_bot_online(True)
    assert (await ada.event("STATUS"))["limiter"] == {"kind": "fixed"}


async def test_closing_the_server_closes_the_tabs(world, control_panel, http):
    server = LoopbackDiscord(world)
    Page(world, control_panel).add_routes(server.app)
    async with server:
        socket = await http.ws_connect(f"{server.url}/page/ws")
    async with asyncio.timeout(2):
        closed = await socket.receive()
    # The page tells a playground that was stopped from a connection that was lost.
    assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 1001, "stopped")


async def test_the_bot_is_mentioned_by_its_id(tabs):
    ada = await tabs(ADA_ID)
    sent = await ada.ask("send", channel_id=GENERAL_ID, content=f"<@{BOT_ID}> hi")
    assert [each["id"] for each in sent["mentions"]] == [BOT_ID]
