"""No reconnect without a pause: whatever a gateway does, it is dialled less and less often, and told of once."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import discord
import pytest
from discord.gateway import DiscordWebSocket
from discord.shard import AutoShardedClient, Shard

from bot import app, event_guard
from bot import supervisor as supervisor_room
from bot.delivery import endpoint
from bot.playground.loopback.gateway import Session
from bot.shards import PacedShard
from bot.signals import EXIT_OK, Stop
from tests.whole.stack import REDIAL, Stack, running, servers

CANNED = "Hello from the scripted model."
FIRST = REDIAL.first


@pytest.fixture(autouse=True)
def _sessions_at_once(monkeypatch: pytest.MonkeyPatch):
    """Discord wants five seconds between two sessions; not the subject."""

    async def at_once(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(discord.Client, "before_identify_hook", at_once)


def without(key: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != key}


def close_with(code: int) -> Callable[..., None]:
    return lambda connection: connection.close(code)


def abort(connection: Any) -> None:
    connection.abort()


def op(number: int, data: Any = None) -> Callable[..., None]:
    return lambda connection: connection.send_op(number, data)


STORMS: dict[str, tuple[str, Callable[..., None], str]] = {
    **{f"{code} before HELLO": ("hello", close_with(code), f"code {code}") for code in (1000, 1001, 1011, 4000)},
    "abort before HELLO": ("hello", abort, "code 1006"),
    **{f"{code} after RESUME": ("login", close_with(code), f"code {code}") for code in (1000, 1001, 4000, 4009)},
    "abort after RESUME": ("login", abort, "code 1006"),
    "op 7 at once": ("login", op(7), "op 7"),
    "op 9 true at once": ("login", op(9, True), "op 9"),
    "op 9 false at once": ("login", op(9, False), "op 9"),
}


def storm(stack: Stack, monkeypatch: pytest.MonkeyPatch, at: str, do: Callable[..., None]) -> list[float]:
    """Let the gateway do that to every connection; return when each was dialled."""
    gateway, dialled = stack.discord.gateway, []

    def happen(connection: Any, *_: object) -> None:
        dialled.append(time.monotonic())
        do(connection)

    for method in ["hello"] if at == "hello" else ["_resume", "_identify"]:
        monkeypatch.setattr(gateway, method, happen)
    return dialled


@pytest.mark.parametrize(("at", "do", "cause"), STORMS.values(), ids=STORMS)
async def test_a_gateway_that_will_not_have_us_is_dialled_ever_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: str, do: Any, cause: str
):
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.bot is not None and stack.bot.is_ready())
        with monkeypatch.context() as patch:
            dialled = storm(stack, patch, at, do)
            stack.discord.drop_gateway()
            await stack.until(lambda: len(dialled) >= 6)
        waits = [later - sooner for sooner, later in pairwise(dialled[:6])]
        assert waits[0] >= FIRST
        # 2, 4, 8, 16 of the scaled seconds at most, half of it at least
        assert all(wait >= FIRST * 2**step for step, wait in enumerate(waits))
        told = [each for each in caplog.messages if each.startswith("Shard 0") and cause in each]
        assert len(told) == 1
        assert not [record for record in caplog.records if record.exc_info]
        stack.ask("Back again?")
        assert await stack.answered() == [CANNED]


async def test_what_a_storm_keeps_back_is_answered_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with running(tmp_path) as stack:
        stack.ask("Before")
        await stack.answered(1)
        with monkeypatch.context() as patch:
            dialled = storm(stack, patch, "hello", close_with(1011))
            stack.discord.drop_gateway()
            await stack.until(lambda: len(dialled) >= 2)
            stack.ask("During")
            await stack.until(lambda: len(dialled) >= 7)  # the session is given up on the way
        assert await stack.answered(2) == [CANNED, CANNED]


async def test_one_shards_pause_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        shard = stack.bot.shards[0]._parent
        assert isinstance(shard, PacedShard)
        monkeypatch.setattr(shard._pace, "delay", lambda **_: 60.0)
        stack.discord.drop_gateway()
        await stack.until(lambda: shard._way_back is not None)
        assert shard._way_back is not None
        assert not shard._way_back.done()
        queue = stack.bot._AutoShardedClient__queue
        assert queue.empty(), "the client's queue is free for the others"


async def test_a_closed_bot_dials_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            dialled = storm(stack, monkeypatch, "hello", close_with(1011))
            stack.discord.drop_gateway()
            await stack.until(lambda: len(dialled) >= 3)
        count = len(dialled)
        await asyncio.sleep(20 * FIRST)
        assert len(dialled) == count
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("redial")]


async def test_a_connection_that_stood_for_long_is_found_again_at_once(tmp_path: Path, caplog):
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        shard = stack.bot.shards[0]._parent
        for _ in range(3):
            stack.discord.drop_gateway()
            await stack.until(lambda: not stack.discord.bot_online)
            await stack.until(lambda: stack.discord.bot_online)
        assert shard._pace.losses == 3
        await stack.until(lambda: shard._pace.losses == 0)
        assert "stands again" in caplog.text


BAD_READY: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{
        f"without {key}": partial(without, key)
        for key in ("session_id", "resume_gateway_url", "user", "shard", "guilds")
    },
    "with a server without id": lambda ready: ready | {"guilds": [{}]},
    "with a user of nothing": lambda ready: ready | {"user": {}},
    "with null as its shard": lambda ready: ready | {"shard": None},
    "empty": lambda _: {},
    "null": lambda _: None,
    "a list": lambda _: ["zorillafern"],
}


@pytest.mark.parametrize("spoil", BAD_READY.values(), ids=BAD_READY)
async def test_a_ready_that_cannot_be_read_costs_a_connection_and_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spoil: Callable[..., Any]
):
    push, spoilt = Session.push, []

    def spoiling(session: Session, event: str, encoded: str) -> None:
        if event == "READY" and not spoilt:
            spoilt.append(event)
            encoded = json.dumps(spoil(json.loads(encoded)))
        push(session, event, encoded)

    monkeypatch.setattr(Session, "push", spoiling)
    async with servers(tmp_path) as stack, stack.running_bot():
        await stack.until(lambda: stack.discord.gateway.identified == 2)
        stack.ask("Hello")
        assert await stack.answered() == [CANNED]
        assert len(stack.discord.gateway.connected) == 1
        assert not [record for record in caplog.records if record.exc_info]
        assert "zorillafern" not in caplog.text


async def test_an_event_that_cannot_be_read_is_told_once_a_minute(tmp_path: Path, monkeypatch, caplog):
    now = 1000.0
    monkeypatch.setattr(event_guard.time, "monotonic", lambda: now)
    caplog.set_level(logging.INFO)
    guard = event_guard.EventGuard(lambda: now)
    parsers = {"MESSAGE_CREATE": lambda data: data["content"], "READY": lambda data: data["user"]}
    guard.protect(parsers)
    for _ in range(5):
        assert parsers["MESSAGE_CREATE"]({"said": "zorillafern"}) is None
    assert len(caplog.messages) == 1
    assert "MESSAGE_CREATE" in caplog.messages[0]
    now += 60
    parsers["MESSAGE_CREATE"]({})
    assert len(caplog.messages) == 2
    assert not [record for record in caplog.records if record.exc_info]
    with pytest.raises(KeyError):
        parsers["READY"]({})


AT_START = {
    **{name: STORMS[name] for name in STORMS if "RESUME" not in name},
    "4014 whatever is asked for": ("login", close_with(4014), "4014"),
    "1011 after IDENTIFY": ("login", close_with(1011), "code 1011"),
    "garbage at once": ("hello", lambda connection: connection.send("zorillafern"), "cannot be read"),
}


@pytest.mark.parametrize(("at", "do", "cause"), AT_START.values(), ids=AT_START)
async def test_a_gateway_that_never_took_us_in_is_dialled_ever_less_often_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: str, do: Any, cause: str
):
    caplog.set_level(logging.INFO)
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        dialled = storm(stack, monkeypatch, at, do)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: len(dialled) >= 2)
            await asyncio.sleep(0.5)  # 300 connections a second were seen
            assert len(dialled) <= 4
            await stack.until(lambda: cause in caplog.text)
            stopping.set()
            assert await run == EXIT_OK
    assert "zorillafern" not in caplog.text


async def test_no_session_is_begun_when_discord_takes_none(tmp_path: Path, monkeypatch, caplog):
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        limit = {"total": 1000, "remaining": 0, "reset_after": 150, "max_concurrency": 1}
        body = {"url": stack.discord.gateway_url, "shards": 1, "session_start_limit": limit}
        fault = stack.discord.inject(method="GET", route="/gateway/bot", status=200, body=body)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: fault.hits and "session_start_limit" in caplog.text)
            assert stack.discord.gateway.identified == 0
            await stack.until(lambda: stack.discord.bot_online)
            stopping.set()
            assert await run == EXIT_OK


def test_the_seams_of_discord_py_are_where_they_were():
    """PacedShard and GatewayBot stand on these; a new discord.py may move them."""
    assert list(inspect.signature(Shard.__init__).parameters) == ["self", "ws", "client", "queue_put"]
    for name in ("worker", "reidentify", "reconnect", "close", "launch", "_handle_disconnect"):
        assert callable(getattr(Shard, name))
    assert "self._queue_put(" in inspect.getsource(Shard.reidentify)
    assert "self._queue_put(" in inspect.getsource(Shard.worker)
    launch = inspect.getsource(AutoShardedClient.launch_shard)
    assert "Shard(ws, self, self.__queue.put_nowait)" in launch
    assert "self.__shards[shard_id] = ret" in launch
    assert "await self.launch_shard(" in inspect.getsource(AutoShardedClient.launch_shards)
    assert "code = self._close_code or self.socket.close_code" in inspect.getsource(DiscordWebSocket.poll_event)
    assert "op = msg.get('op')" in inspect.getsource(DiscordWebSocket.received_message)
