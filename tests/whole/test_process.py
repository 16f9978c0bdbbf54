"""The bot as its own process: start, signals, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scripted_ollama import hang, say
from tests.whole.stack import Stack, servers


class Process:
    """A running `python -m bot`, its log collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log += line.decode()

    async def logged(self, words: str, seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while words not in self.log:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.01)

    async def exit_code(self, seconds: float = 15.0) -> int:
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await self._reader
            return code


@contextlib.asynccontextmanager
async def started(
    stack: Stack, tmp_path: Path, *options: str, umask: int = -1, **changes: str
) -> AsyncIterator[Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "DISCORD_TOKEN": stack.discord.token,
        "DISCORD_API_URL": stack.discord.api_url,
        "OLLAMA_HOST": stack.ollama.url,
        "OLLAMA_MODEL": "llama3.2",
        "DATA_DIR": str(tmp_path / "data"),
        "BURBLE_ENV_FILE": "",
        "SHUTDOWN_GRACE_SECONDS": "0.2",
    } | changes
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "run", *options, env=environment, stdin=pipe, stderr=pipe, umask=umask
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_prompt_is_answered_and_sigterm_ends_cleanly(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path) as bot:
        await bot.logged("Invite: ")
        assert "permissions=274878008384" in bot.log
        stack.ask("Hello")
        await stack.shows("Hello from the scripted model.")
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.exit_code() == 0
        assert stack.discord.token not in bot.log
        assert "Hello from the scripted model" not in bot.log


async def test_sigterm_closes_a_running_reply_in_words_and_in_time(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path) as bot:
        await bot.logged("Invite: ")
        stack.ollama.enqueue([*say("As far as it came"), hang()])
        stack.ask("Go")
        await stack.shows("As far as it came")
        bot.process.send_signal(signal.SIGTERM)
        before = time.monotonic()
        assert await bot.exit_code() == 0
        assert time.monotonic() - before < 0.2 + 2.0 + 0.5  # grace, 2 s, and the interpreter's own end
        assert stack.texts()[0].splitlines() == ["As far as it came", "-# ⏹️ stopped: the bot was shut down"]


async def test_a_second_ctrl_c_ends_at_once(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path, SHUTDOWN_GRACE_SECONDS="60") as bot:
        await bot.logged("Invite: ")
        stack.ollama.enqueue([*say("Wait for me"), hang()])
        stack.ask("Go")
        await stack.shows("Wait for me")
        bot.process.send_signal(signal.SIGINT)
        await bot.logged("Stopping: 1 running, 0 waiting, 60 s grace")
        bot.process.send_signal(signal.SIGINT)
        assert await bot.exit_code(2.0) == 1


async def test_the_end_of_input_stops_who_was_told_to_heed_it_and_waits_for_nobody(tmp_path: Path):
    async with (
        servers(tmp_path) as stack,
        started(stack, tmp_path, "--stop-with-input", SHUTDOWN_GRACE_SECONDS="60") as bot,
    ):
        await bot.logged("Invite: ")
        stack.ollama.enqueue([*say("As far as it came"), hang()])
        stack.ask("Go")
        await stack.shows("As far as it came")
        assert bot.process.stdin is not None
        bot.process.stdin.write(b"this is not the end\n")
        bot.process.stdin.close()
        assert await bot.exit_code() == 0
        assert stack.texts()[0].splitlines() == ["As far as it came", "-# ⏹️ stopped: the bot was shut down"]


async def test_the_end_of_input_means_nothing_to_others(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path) as bot:
        assert bot.process.stdin is not None
        bot.process.stdin.close()
        await bot.logged("Invite: ")
        stack.ask("Hello")
        await stack.shows("Hello from the scripted model.")


async def test_a_refused_token_exits_with_2(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path, DISCORD_TOKEN="MTIz.wrong.token") as bot:
        assert await bot.exit_code() == 2
        assert "DISCORD_TOKEN" in bot.log
        assert "MTIz.wrong.token" not in bot.log


async def test_a_bad_setting_exits_with_2_and_names_it(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path, NUM_CTX="many") as bot:
        assert await bot.exit_code() == 2
        assert "NUM_CTX" in bot.log


async def test_an_unreachable_discord_is_tried_again_and_told(tmp_path: Path):
    async with (
        servers(tmp_path) as stack,
        started(stack, tmp_path, DISCORD_API_URL="http://127.0.0.1:9/api/v10") as bot,
    ):
        await bot.logged("Discord is out of reach")
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.exit_code() == 0


async def test_with_ollama_down_the_bot_comes_up_and_says_so(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path, OLLAMA_HOST="127.0.0.1:9") as bot:
        await bot.logged("Invite: ")
        assert "cannot reach Ollama" in bot.log
        stack.ask("Hello")
        await stack.shows("retrying (2 of 3)")
        await stack.until(lambda: "Is it running?" in stack.texts()[-1], seconds=15)
        assert "127.0.0.1:9" not in stack.texts()[-1]


async def test_without_the_content_intent_it_is_not_asked_for_and_the_log_says_so(tmp_path: Path):
    async with servers(tmp_path, message_content=False) as stack, started(stack, tmp_path) as bot:
        await bot.logged("Invite: ")
        assert "message-content intent is off" in bot.log
        stack.ask("Hello")
        await stack.shows("Hello from the scripted model.")


def exposed(folder: Path) -> dict[str, str]:
    """Files and directories in *folder*, itself included, that are not their owner's alone, with their modes."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    return {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
async def test_whatever_the_bot_writes_is_for_its_owner_alone(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path, umask=0) as bot:
        await bot.logged("Invite: ")
        stack.ask("Hello")
        await stack.shows("Hello from the scripted model.")
        data = tmp_path / "data"
        assert {path.name for path in data.iterdir()} >= {"burble.db", "burble.db-wal", "burble.db-shm"}
        assert exposed(data) == {}
        assert "chmod" not in bot.log


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
async def test_data_and_settings_that_others_can_read_are_told_with_the_remedy(tmp_path: Path):
    data, settings = tmp_path / "data", tmp_path / "burble.env"
    data.mkdir()
    data.chmod(0o755)
    settings.write_text("OLLAMA_MODLE=zorillafern\nTZ=UTC\nOLLAMA_NUM_PARALLEL=4\n")
    settings.chmod(0o640)
    async with servers(tmp_path) as stack:
        async with started(stack, tmp_path, BURBLE_ENV_FILE=str(settings)) as bot:
            await bot.logged("Invite: ")
        assert f"Run: chmod 600 {settings}\n" in bot.log
        assert f"chmod 600 {data}" not in bot.log, "a new database is for its owner alone"
        (data / "burble.db").chmod(0o644)
        async with started(stack, tmp_path, BURBLE_ENV_FILE=str(settings)) as bot:
            await bot.logged("Invite: ")
        assert f"Run: chmod 600 {data / 'burble.db'}" in bot.log
        assert "'OLLAMA_MODLE' in" in bot.log
        assert "did you mean OLLAMA_MODEL?" in bot.log
        for unsaid in ("zorillafern", "'TZ'", "NUM_PARALLEL"):
            assert unsaid not in bot.log


HANGS = {"the loop": "time.sleep(30)", "a task": "await asyncio.Event().wait()"}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
async def test_a_stop_that_hangs_is_ended_by_force_and_says_so(hang: str):
    script = f"""
import asyncio, os, signal, time
from bot.signals import Stop, listening
async def main():
    stop = Stop(0.05)
    with listening(stop, margin=0.05):
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        {hang}
asyncio.run(main())
"""
    arguments = (sys.executable, "-c", script)
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 3
    assert b"the stop hung" in said
