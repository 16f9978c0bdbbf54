"""The playground as a whole: what it starts, with which environment, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.errors import StoreError
from bot.lock import claim
from bot.playground.app import PlaygroundOptions, open_playground
from bot.playground.loopback.errors import PlaygroundError
from bot.playground.standin.server import StandIn
from bot.playground.supervisor import BotProcess, BotState

DUMP = "import json, os, sys, time; print(json.dumps(dict(os.environ))); sys.stdout.flush(); time.sleep(60)"


def python(code):
    return (sys.executable, "-c", code)


def options(tmp_path, **more):
    given = {"port": 0, "data_dir": tmp_path / "playground", "no_browser": True, "stand_in": True}
    return PlaygroundOptions(**given | more)


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)


async def environment_of_bot(playground):
    running = asyncio.create_task(playground.bot.run())
    await until(lambda: playground.bot.log)
    env = json.loads(playground.bot.log[0])
    playground.bot.stop()
    await running
    return env


@pytest.fixture(autouse=True)
def foreign_environment(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "the-real-one")
    monkeypatch.setenv("DISCORD_API_URL", "https://discord.com/api/v10")
    monkeypatch.setenv("DATABASE_URL", "postgresql://production/burble")
    monkeypatch.setenv("OLLAMA_MODEL", "llama3.2")
    monkeypatch.setenv("SYSTEM_PROMPT", "Be brief.")


async def test_the_bot_is_led_to_the_loopback_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.playground.supervisor._LONGEST_LINE", 100_000)
    async with open_playground(options(tmp_path, bot_command=python(DUMP))) as playground:
        env = await environment_of_bot(playground)
        assert env["DISCORD_TOKEN"] == playground.discord.token
        assert env["DISCORD_API_URL"] == f"http://127.0.0.1:{playground.discord.port}/api/v10"
        assert env["OLLAMA_HOST"].startswith("http://127.0.0.1:")
        assert Path(env["DATA_DIR"]).is_relative_to(tmp_path)
        assert env["BURBLE_ENV_FILE"] == ""
        assert env["SYSTEM_PROMPT"] == "Be brief."
        assert "the-real-one" not in str(env)
        assert "DATABASE_URL" not in env
        assert "OLLAMA_MODEL" not in env  # the stand-in has no such model


async def test_an_ollama_that_answers_is_used(tmp_path):
    async with (
        StandIn() as ollama,
        open_playground(options(tmp_path, stand_in=False, ollama_host=ollama.url)) as playground,
    ):
        model = playground.control_panel.status()["model"]
        assert model["stand_in"] is False
        assert model["note"] == f"Ollama 0.32.9 at {ollama.url}"


async def test_without_one_the_stand_in_says_so(tmp_path, unused_tcp_port):
    host = f"someone:secret@127.0.0.1:{unused_tcp_port}"
    async with open_playground(options(tmp_path, stand_in=False, ollama_host=f"http://{host}")) as playground:
        model = playground.control_panel.status()["model"]
        assert model["stand_in"] is True
        assert "No Ollama answered" in model["note"]
        assert "secret" not in model["note"]


@pytest.fixture
def taken_port():
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        yield owner.getsockname()[1]


async def test_a_port_that_was_asked_for_is_had_or_refused(tmp_path, taken_port):
    with pytest.raises(PlaygroundError, match=f"Port {taken_port} cannot be used: address already in use"):
        async with open_playground(options(tmp_path, port=taken_port)):
            pytest.fail("it started elsewhere")


async def test_without_a_wish_the_next_free_port_is_taken_and_told(tmp_path, taken_port, monkeypatch):
    for module in ("ports", "app"):
        monkeypatch.setattr(f"bot.playground.{module}.DEFAULT_PORT", taken_port)
    async with open_playground(options(tmp_path, port=None)) as playground:
        assert playground.discord.port != taken_port
        assert f"Port {taken_port} is taken, using {playground.discord.port}." in playground.greeting()
        async with aiohttp.ClientSession() as http, http.get(playground.url) as response:
            assert response.status == 200


async def test_a_second_playground_on_the_same_directory_is_sent_to_the_first(tmp_path):
    async with open_playground(options(tmp_path)) as first:
        with pytest.raises(PlaygroundError, match=f"already in use by the playground at {first.url}"):
            async with open_playground(options(tmp_path)):
                pytest.fail("both would write the same files")
    async with open_playground(options(tmp_path)) as later:
        assert later.url


async def test_a_directory_that_cannot_be_used_is_a_sentence(tmp_path):
    (tmp_path / "playground").write_text("a file")
    with pytest.raises(PlaygroundError, match=r"cannot be used: .*--data-dir"):
        async with open_playground(options(tmp_path)):
            pytest.fail("there is no directory")


async def test_nothing_is_written_outside_the_data_directory(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    async with open_playground(options(tmp_path, no_bot=True)) as playground:
        world = playground.world
        world.send(world.people[0]["id"], next(iter(world.channels)), "keep this")
    assert list(home.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path != home] == ["playground"]
    async with open_playground(options(tmp_path, no_bot=True)) as playground:
        channel = next(iter(playground.world.channels))
        assert [each["content"] for each in playground.world.messages(channel)] == ["keep this"]


async def test_without_a_bot_the_greeting_says_how_to_connect_one(tmp_path):
    async with open_playground(options(tmp_path, no_bot=True)) as playground:
        assert playground.bot is None
        greeting = playground.greeting()
        assert f"DISCORD_API_URL={playground.discord.api_url}" in greeting
        assert f"DISCORD_TOKEN={playground.discord.token}" in greeting
        status = playground.control_panel.status()
        assert status["bot"]["state"] == "external"
        (address,) = re.findall(r"OLLAMA_HOST=(http://127\.0\.0\.1:\d+)", greeting)
        assert f"OLLAMA_HOST={address}" in status["model"]["note"]
        async with aiohttp.ClientSession() as http, http.get(f"{address}/api/tags") as response:
            assert (await response.json())["models"][0]["name"] == "stand-in:latest"


def process(code, changes=None, **more):
    notes = changes if changes is not None else []
    return BotProcess(python(code), dict(os.environ), lambda: notes.append(1), **more)


async def test_a_restart_stops_the_process_and_starts_another():
    bot = process("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    running = asyncio.create_task(bot.run())
    await until(lambda: len(bot.log) == 1)
    bot.connected(True)
    assert bot.state is BotState.ONLINE
    bot.restart()
    assert bot.state is BotState.RESTARTING
    await until(lambda: len(bot.log) == 2)
    assert bot.log[0] != bot.log[1]
    assert bot.starts == 2
    bot.stop()
    await running
    assert bot.state is BotState.STOPPED
    assert not bot.running


async def test_a_restart_and_the_end_say_what_is_waited_for():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('busy', flush=True); time.sleep(60)"
    bot = process(code, grace=0.2, margin=0)
    running = asyncio.create_task(bot.run())
    await until(lambda: len(bot.log) == 1)
    bot.connected(True)
    bot.restart()
    assert (bot.state, bot.detail) == (BotState.RESTARTING, "Waiting up to 0.2 s for running replies.")
    await until(lambda: bot.log[-1] == "busy" and bot.starts == 2)
    bot.connected(True)
    assert (bot.state, bot.detail) == (BotState.ONLINE, "")
    bot.stop()
    bot.connected(False)
    assert (bot.state, bot.detail) == (BotState.STOPPING, "Waiting up to 0.2 s for running replies.")
    await running
    assert bot.state is BotState.STOPPED


async def test_a_crash_is_shown_and_mended(monkeypatch):
    monkeypatch.setattr("bot.playground.supervisor._FIRST_PAUSE", 0.01)
    states = []
    bot = BotProcess(python("print('boom'); raise SystemExit(1)"), dict(os.environ), lambda: states.append(bot.detail))
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.starts == 3)
    bot.stop()
    await running
    assert any("code 1; starting again" in detail for detail in states)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGKILL, "It was killed; starting"), (signal.SIGSEGV, "It was ended by SIGSEGV;")]
)
async def test_a_signal_that_ended_the_bot_is_told_in_words(number, told):
    bot = process(f"import os; os.kill(os.getpid(), {number:d})")
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.state is BotState.CRASHED)
    assert bot.detail.startswith(told)
    bot.stop()
    await running


async def test_no_invitation_to_the_real_discord_is_shown():
    link = "https://discord.com/oauth2/authorize?client_id=1"
    bot = process(f"print('INFO bot.bot  Invite: {link}'); print('after', flush=True); import time; time.sleep(60)")
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.log)
    assert list(bot.log) == ["after"]
    bot.stop()
    await running


async def test_wrong_settings_are_not_tried_again_until_asked():
    bot = process("raise SystemExit(2)")
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.state is BotState.CRASHED)
    assert "settings" in bot.detail
    await asyncio.sleep(0.05)
    assert bot.starts == 1
    bot.restart()
    await until(lambda: bot.starts == 2 and bot.state is BotState.CRASHED)
    bot.stop()
    await running


async def test_a_process_that_will_not_stop_is_killed():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    bot = process(code, grace=0.1, margin=0)
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.log)
    bot.stop()
    async with asyncio.timeout(3):
        await running
    assert "was killed" in bot.log[-1]


async def test_a_very_long_line_does_not_end_the_reading():
    bot = process("print('x' * 300_000); print('after', flush=True); import time; time.sleep(60)")
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.log and bot.log[-1] == "after")
    bot.stop()
    await running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_playground_cleanly(tmp_path, number):
    command = [sys.executable, "-m", "bot", "playground", "--no-browser", "--no-bot", "--stand-in", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    first = (await process.stdout.readline()).decode()
    assert first.startswith("Burble playground: http://127.0.0.1:")
    process.send_signal(number)
    async with asyncio.timeout(5):
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    assert "DISCORD_TOKEN=" in rest


async def test_a_playground_that_is_killed_takes_its_bot_along(tmp_path):
    command = [sys.executable, "-m", "bot", "playground", "--no-browser", "--stand-in", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", str(tmp_path), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            async for line in process.stderr:
                if b"Ready as" in line:
                    break
    finally:
        process.kill()
    assert await process.wait() == -signal.SIGKILL
    database = tmp_path / "bot" / "burble.db"
    assert not is_free(database)
    await until(lambda: is_free(database))
    assert not database.with_name("burble.db-wal").exists()  # it closed what it had open


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
async def test_what_a_playground_writes_is_for_its_owner_alone(tmp_path):
    command = [sys.executable, "-m", "bot", "playground", "--no-browser", "--stand-in", "--port", "0"]
    data = tmp_path / "data" / "playground"
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", str(data), stdout=asyncio.subprocess.DEVNULL, umask=0
    )
    async with asyncio.timeout(20):
        await until(lambda: (data / "world.json").exists() and (data / "bot" / "burble.db-wal").exists(), 20)
    process.terminate()
    assert await process.wait() == 0
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [data.parent, *data.parent.rglob("*")]}
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def is_free(database):
    try:
        with claim(database):
            return True
    except StoreError:
        return False
