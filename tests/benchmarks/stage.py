"""The three processes of the benchmark, and one scenario played on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psutil

from tests.benchmarks.control import Server, running
from tests.benchmarks.lags import ReplyTrace
from tests.benchmarks.report import ROUND_TRIP, Outcome
from tests.benchmarks.streams import Scenario, length, make_tokens, numbers, page_breaks
from tests.streaming.simulated import LimiterKind

CHANNELS = 220
# Words of the second reply in a channel are numbered from here on.
_SECOND = 100_000
_SAMPLE_SECONDS = 0.25
# So long after the last token everything must have been shown.
_PATIENCE = 20.0
# So many looks of half a second without news, once the model is done, and nothing more will come.
_QUIET_LOOKS = 10
_START_SECONDS = 30.0


@dataclass
class Planned:
    """A reply that is to come: where, when, what."""

    delay: float
    channel: int
    count: int
    seed: int
    base: int = 0
    is_command: bool = False

    @property
    def name(self) -> str:
        return f"r{self.channel}-{self.base}"


def plan(scenario: Scenario, runs: int) -> list[Planned]:
    """Return the replies of all runs, each in a channel of its own unless they share one."""
    planned: list[Planned] = []
    for run in range(runs):
        for i in range(scenario.channels):
            seed = run * scenario.channels + i
            delay = run * scenario.stagger + i * scenario.spread / scenario.channels
            count = length(scenario, seed)
            if scenario.is_shared or scenario.is_queued:
                is_command = scenario.is_shared and i == 1
                planned.append(Planned(delay, run, count, seed, base=i * _SECOND, is_command=is_command))
            else:
                planned.append(Planned(delay, seed % CHANNELS, count, seed))
    return planned


class Bot:
    """The bot's process and what it costs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._watched = psutil.Process(process.pid)
        self.peak = 0.0

    @property
    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> float:
        """Resident memory now, in MiB."""
        return float(self._watched.memory_info().rss) / 2**20

    async def watch(self) -> None:
        """Note the peak of its memory until cancelled."""
        while True:
            self.peak = max(self.peak, self.memory)
            await asyncio.sleep(_SAMPLE_SECONDS)


@dataclass
class Stage:
    """Discord, model server and bot, ready to play.

    Attributes:
        start_cpu: seconds of CPU time that the bot took until it was ready.
        idle_memory: MiB that it held then.
    """

    kind: LimiterKind
    discord: Server
    model: Server
    bot: Bot
    start_cpu: float = 0.0
    idle_memory: float = 0.0

    async def play(self, scenario: Scenario, runs: int) -> Outcome:
        """Play *runs* runs of *scenario*; return what was seen."""
        planned = plan(scenario, runs)
        await self._take()
        self.bot.peak, cpu = 0.0, self.bot.cpu
        watching = asyncio.create_task(self.bot.watch())
        prompts = [(p.delay, p.channel, _prompt(p, scenario), p.is_command) for p in planned]
        await self.discord.do("ask", prompts=prompts)
        replies, refused, backlog = await self._listen(scenario, planned)
        watching.cancel()
        spent = self.bot.cpu - cpu
        return Outcome(scenario, self.kind, replies, refused, spent, self.bot.peak, backlog)

    async def _listen(self, scenario: Scenario, planned: list[Planned]) -> tuple[list[ReplyTrace], int, int]:
        """Collect what is emitted and seen until every reply is complete, or nothing came for too long."""
        loop = asyncio.get_running_loop()
        traces = {p.name: ReplyTrace(base=p.base, breaks=_breaks(p, scenario)) for p in planned}
        seen: list[list[Any]] = []
        done: set[str] = set()
        refused = backlog = quiet = 0
        longest = max(p.delay + p.count / scenario.rate for p in planned)
        deadline = loop.time() + longest + _PATIENCE
        while loop.time() < deadline:
            await asyncio.sleep(0.5)
            news, emitted = await self._take()
            seen += news["seen"]
            refused += news["refused"]
            done |= set(emitted["done"])
            backlog = max(backlog, emitted["backlog"])
            for name, at in emitted["emitted"].items():
                traces[name].emitted += at
            quiet = 0 if news["seen"] or len(done) < len(planned) else quiet + 1
            if quiet == _QUIET_LOOKS:
                break
        self._show(planned, traces, seen)
        return [traces[p.name] for p in planned], refused, backlog

    def _show(self, planned: list[Planned], traces: dict[str, ReplyTrace], seen: list[list[Any]]) -> None:
        channels: dict[str, int] = {channel: i for i, channel in enumerate(self.discord.hello["channels"])}
        owners: dict[tuple[int, bool], str] = {(p.channel, p.base > 0): p.name for p in planned}
        for at, channel, message, text in seen:
            shown = numbers(text)
            owner = owners.get((channels[channel], bool(shown) and shown[0] >= _SECOND))
            if owner is not None and shown:
                traces[owner].show(message, text, at)

    async def _take(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return await self.discord.do("take"), await self.model.do("take")


def _breaks(planned: Planned, scenario: Scenario) -> list[int]:
    return page_breaks(make_tokens(planned.count, planned.seed, is_markdown=scenario.is_markdown, base=planned.base))


def _prompt(planned: Planned, scenario: Scenario) -> str:
    return (
        f"play id={planned.name} count={planned.count} rate={scenario.rate:g} base={planned.base} "
        f"seed={planned.seed} markdown={int(scenario.is_markdown)}"
    )


@contextlib.asynccontextmanager
async def stage(kind: LimiterKind) -> AsyncIterator[Stage]:
    """Start all three processes; end them afterwards."""
    async with (
        running("tests.benchmarks.discord_server", kind, str(ROUND_TRIP), str(CHANNELS)) as discord,
        running("tests.benchmarks.model_server") as model,
    ):
        with tempfile.TemporaryDirectory(prefix="burble-bench-") as folder:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "run", env=_environment(discord, model, folder)
            )
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await discord.do("ready")
                bot = Bot(process)
                await asyncio.sleep(3.0)  # discord.py waits for guilds, commands are registered
                yield Stage(kind, discord, model, bot, bot.cpu, bot.memory)
            finally:
                if process.returncode is None:
                    process.terminate()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(12):
                            await process.wait()
                if process.returncode is None:
                    process.kill()


def _environment(discord: Server, model: Server, folder: str) -> dict[str, str]:
    return os.environ | {
        "BURBLE_ENV_FILE": "",
        "DISCORD_TOKEN": discord.hello["token"],
        "DISCORD_API_URL": discord.hello["url"],
        "OLLAMA_HOST": model.hello["url"],
        "OLLAMA_MODEL": "bench",
        "DATA_DIR": folder,
        "DATABASE_URL": "",
        "MAX_CONCURRENT_REPLIES": "1000",
        "USER_PROMPTS_PER_MINUTE": "0",
        "CHANNEL_PROMPTS_PER_MINUTE": "0",
        "MAX_MESSAGES": "50",
        "LOG_LEVEL": "WARNING",
    }
