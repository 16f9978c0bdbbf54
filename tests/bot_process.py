"""The bot as an operator runs it: a process of its own, on loopback servers, with a log and a database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bot.playground.loopback.discord import LoopbackDiscord
from tests.conversation.builders import rows
from tests.scripted_ollama import ScriptedOllama


class BotProcess:
    """Starts the bot, over and over if need be, always on the same directory.

    *module* is what is run (``python -m module run``); *settings* are further
    settings by their names in the environment.
    """

    def __init__(
        self,
        directory: Path,
        discord: LoopbackDiscord,
        ollama: ScriptedOllama,
        *,
        module: str = "bot",
        **settings: str,
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.process: asyncio.subprocess.Process | None = None
        self._module = module
        self._log_start = 0
        self._environment = {
            "PATH": os.environ["PATH"],
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "OLLAMA_HOST": ollama.url,
            "OLLAMA_MODEL": "llama3.2",
            "USER_PROMPTS_PER_MINUTE": "0",
            "CHANNEL_PROMPTS_PER_MINUTE": "0",
            "DATA_DIR": str(self.data),
            "BURBLE_ENV_FILE": "",
        } | settings

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the bot; kill it at the end, if it lives."""
        with self._log_file.open("ab") as log:
            self._log_start = self._log_file.stat().st_size
            process = self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module, "run"),
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[1],
            )
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    @property
    def _log_file(self) -> Path:
        return self.directory / "bot.log"

    def log(self) -> str:
        """Return what the running process logged."""
        with self._log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode()

    def check_alive(self) -> None:
        """Fail with the end of the log if the process has ended."""
        assert self.process is not None
        assert self.process.returncode is None, self.log()[-3000:]

    async def ready(self) -> None:
        """Wait until it can be talked with."""
        await self.until(lambda: "Invite: " in self.log(), seconds=60)

    async def until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Wait until *condition* is true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.check_alive()
                await asyncio.sleep(0.05)  # another process does it

    def unfinished(self) -> int:
        """Return how many replies are open or prompts are waiting, by the database."""
        query = "SELECT (SELECT count(*) FROM reply WHERE is_open) + count(*) FROM prompt WHERE state = 'waiting'"
        return int(self.query(query)[0][0])

    def query(self, query: str) -> list[tuple[Any, ...]]:
        """Ask its database."""
        return rows(
            self._environment.get("DATABASE_URL") or f"sqlite:///file:{self.data}/burble.db?mode=ro&uri=true", query
        )
