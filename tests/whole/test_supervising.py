"""The supervisor: what Discord refuses, and what passes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest
from discord.gateway import DiscordWebSocket

from bot import app, command_sync
from bot import supervisor as supervisor_room
from bot.delivery import endpoint
from bot.delivery.endpoint import Application
from bot.recovery.recovery import Recovery
from bot.signals import EXIT_OK, Stop
from tests.scripted_ollama import hold, say
from tests.whole.stack import running, servers
from tests.whole.test_process import started


async def test_a_refused_intent_is_done_without(tmp_path: Path, monkeypatch, caplog):
    async def claims_the_intent(_: str) -> Application:
        return Application(1, "Burble", has_message_content=True)

    monkeypatch.setattr(endpoint, "ask_application", claims_the_intent)
    async with servers(tmp_path, message_content=False) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: "going on without it" in caplog.text)
            await stack.until(lambda: stack.world.bot_online)
            stack.ask("Hello")
            await stack.shows("Hello from the scripted model.")
            stopping.set()
            assert await run == EXIT_OK


async def test_a_reply_goes_on_after_the_bot_was_built_anew(tmp_path: Path):
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping, go = Stop(0.2), asyncio.Event()
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: stack.world.bot_online)
            stack.ollama.enqueue([*say("Half of it"), hold(go), *say(" and the rest.")])
            stack.ask("Go")
            await stack.shows("Half of it")
            await stack.discord.close_gateway(4014)
            await stack.until(lambda: not stack.world.bot_online)
            await stack.until(lambda: stack.world.bot_online)
            go.set()
            await stack.shows("Half of it and the rest.")
            await stack.until(lambda: stack.texts() == ["Half of it and the rest."])
            stopping.set()
            assert await run == EXIT_OK


async def test_a_reply_that_waited_for_a_global_limit_with_an_errand_goes_on_when_that_is_cut(tmp_path: Path):
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        body = {"message": "slow", "retry_after": 60, "global": True}
        refused = stack.discord.inject(method="PUT", route="/applications/*/commands", status=429, body=body)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: refused.hits)
            stack.ask("Go")
            await stack.until(lambda: stack.ollama.chats)
            await stack.discord.close_gateway(4014)
            await stack.shows("Hello from the scripted model.")
            stopping.set()
            assert await run == EXIT_OK


async def test_a_gateway_that_takes_the_bot_in_and_says_nothing_more_is_left_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(supervisor_room, "_READY_SECONDS", 0.1)
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        ignored: list[object] = []
        with monkeypatch.context() as patch:
            patch.setattr(stack.discord.gateway, "_open", ignored.append)
            stopping = Stop(0.2)
            async with app.open_services(stack.settings) as services:
                supervisor = supervisor_room.Supervisor(services, stopping)
                monkeypatch.setattr(supervisor, "_disconnected", supervisor_room.Backoff(cap=0.0))
                run = asyncio.create_task(supervisor.run())
                # on a slow machine the first try may be given up before it gets there
                await stack.until(lambda: ignored and "never said that the bot is ready" in caplog.text)
                patch.undo()
                monkeypatch.setattr(supervisor_room, "_READY_SECONDS", 5.0)
                await stack.until(lambda: stack.world.bot_online)
                stack.ask("Hello")
                await stack.shows("Hello from the scripted model.")
                stopping.set()
                assert await run == EXIT_OK


@pytest.mark.parametrize("gets_ready", [False, True])
async def test_only_a_connection_that_got_ready_ends_a_row_of_failures(
    tmp_path: Path, monkeypatch, caplog, *, gets_ready: bool
):
    """Discord resets the token of a bot that identifies 1000 times in a day: what fails is tried ever less often."""
    failures: list[int] = []
    caplog.set_level("INFO")
    monkeypatch.setattr(supervisor_room, "_STEADY_SECONDS", 0.0)
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        if not gets_ready:
            monkeypatch.setattr(supervisor_room, "_READY_SECONDS", 0.02)
            monkeypatch.setattr(stack.discord.gateway, "_open", lambda _: None)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            supervisor = supervisor_room.Supervisor(services, stopping)
            supervisor._disconnected.delay()

            async def wait(backoff: supervisor_room.Backoff, _: object) -> None:
                failures.append(backoff.failures)
                stopping.set()

            monkeypatch.setattr(supervisor, "_wait", wait)
            run = asyncio.create_task(supervisor.run())
            if gets_ready:
                await stack.until(lambda: "Ready as" in caplog.text)
                await stack.discord.close_gateway(4010)
            assert await run == EXIT_OK
    assert failures == [0 if gets_ready else 1]


async def test_a_bot_that_was_given_up_does_not_go_on_connecting(tmp_path: Path, monkeypatch, caplog):
    async def fail(*_: object, **__: object) -> None:
        raise OSError("out of reach")

    monkeypatch.setattr(supervisor_room, "_READY_SECONDS", 0.05)
    monkeypatch.setattr(supervisor_room, "CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(DiscordWebSocket, "from_client", fail)
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: "never said that the bot is ready" in caplog.text)
            await stack.until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "discord"])
            stopping.set()
            assert await run == EXIT_OK


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_wait_that_makes_no_sense_is_not_waited_for(tmp_path: Path, monkeypatch, method: str):
    route = {"GET": "/users/@me", "PUT": "/applications/*/commands"}[method]
    monkeypatch.setattr(command_sync, "_RETRY", (0.01, 0.01))
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        body = {"message": "a time, not a wait", "retry_after": 1470173023, "global": True}
        stack.discord.inject(method=method, route=route, status=429, body=body)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            supervisor = supervisor_room.Supervisor(services, stopping)
            monkeypatch.setattr(supervisor, "_disconnected", supervisor_room.Backoff(cap=0.0))
            run = asyncio.create_task(supervisor.run())
            await stack.until(lambda: stack.world.commands)
            stack.ask("Hello")
            await stack.shows("Hello from the scripted model.")
            stopping.set()
            assert await run == EXIT_OK


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Something that accepts connections and says nothing."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_sigterm_while_discord_hangs_ends_in_time(tmp_path: Path):
    async with (
        servers(tmp_path) as stack,
        silent_server() as address,
        started(stack, tmp_path, DISCORD_API_URL=f"http://{address}/api/v10") as bot,
    ):
        await bot.logged("Ollama 0.32.9")
        before = time.monotonic()
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.exit_code() == 0
        assert time.monotonic() - before < 0.2 + 2.0 + 0.5  # grace, 2 s, and the interpreter's own end


async def test_a_hanging_ollama_holds_up_neither_start_nor_end(tmp_path: Path):
    async with (
        servers(tmp_path) as stack,
        silent_server() as address,
        started(stack, tmp_path, OLLAMA_HOST=address, OLLAMA_MODEL="") as bot,
    ):
        await bot.logged("Invite: ", 8.0)  # Ollama's version is asked for 10 s
        before = time.monotonic()
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.exit_code() == 0
        assert time.monotonic() - before < 0.2 + 2.0 + 0.5


async def test_a_hanging_name_lookup_does_not_hold_up_the_end(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\n"
        "usual = socket.getaddrinfo\n"
        "def lookup(host, *rest, **more):\n"
        "    return time.sleep(30) or [] if host == 'ollama.example' else usual(host, *rest, **more)\n"
        "socket.getaddrinfo = lookup\n"
    )
    async with (
        servers(tmp_path) as stack,
        started(stack, tmp_path, OLLAMA_HOST="ollama.example", PYTHONPATH=str(tmp_path)) as bot,
    ):
        await bot.logged("Invite: ")
        before = time.monotonic()
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.exit_code() == 0
        assert time.monotonic() - before < 0.2 + 2.0 + 0.5


async def test_a_gateway_that_always_fails_is_tried_less_and_less_often(tmp_path: Path, monkeypatch):
    """Discord resets the token of a bot that identifies 1000 times in a day."""
    waits: list[float] = []

    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            supervisor = supervisor_room.Supervisor(services, stopping)

            async def fail(_: object) -> None:
                raise discord.GatewayNotFound

            async def wait(backoff: supervisor_room.Backoff, _: object) -> None:
                waits.append(backoff.delay())
                if len(waits) == 60:
                    stopping.set()

            monkeypatch.setattr(supervisor, "_run_bot", fail)
            monkeypatch.setattr(supervisor, "_wait", wait)
            assert await supervisor.run() == EXIT_OK
    assert sum(waits) > 3600  # so less than 1000 a day


@pytest.mark.slow
@pytest.mark.parametrize(
    "frame", ['{"op": zorillafern', '["zorillafern"]', '{"op": 10}', '{"op": 0, "t": "RESUMED", "s": 9, "d": null}']
)
async def test_a_frame_that_cannot_be_read_costs_the_connection_and_not_the_bot(tmp_path: Path, caplog, frame: str):
    caplog.set_level("INFO")
    async with servers(tmp_path) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping = Stop(0.2)
        async with app.open_services(stack.settings) as services:
            run = asyncio.create_task(supervisor_room.Supervisor(services, stopping).run())
            await stack.until(lambda: stack.world.bot_online)
            [session] = stack.discord.gateway.connected
            session.connection.send(frame)
            await stack.until(lambda: "cannot be read" in caplog.text)
            await stack.until(lambda: len(stack.discord.gateway.connected) == 1 and stack.world.bot_online)
            stack.ask("Still there?")
            await stack.shows("Hello from the scripted model.")
            stopping.set()
            assert await run == EXIT_OK
    assert "zorillafern" not in caplog.text


async def test_an_errand_that_fails_is_logged_and_holds_up_no_other(tmp_path: Path, monkeypatch, caplog):
    async def fail(*_: object) -> None:
        raise RuntimeError("zorillafern")

    monkeypatch.setattr(Recovery, "run", fail)
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.world.commands)
    [record] = [each for each in caplog.records if each.getMessage() == "Closing open replies failed"]
    assert record.exc_info
