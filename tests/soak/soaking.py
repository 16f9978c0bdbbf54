"""One soak: Discord, the model and the people here, the bot a process of its own that is watched."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from bot.playground.loopback.discord import LimitSettings, LoopbackDiscord
from bot.playground.loopback.world import World
from tests.bot_process import BotProcess
from tests.soak.checking import Check
from tests.soak.memory import Memory
from tests.soak.model import FlakyOllama
from tests.soak.people import People, Screen, make_channels
from tests.soak.weather import Weather

_AHEAD = 30.0  # seconds' worth of tokens that are asked for before they come
_HURRY = 30  # how much faster the model talks when nobody asks any more
_KEPT_ALIVE = 60.0  # twice as long as aiohttp keeps a connection that nobody uses
# The part of all requests that the limits may refuse: none but for a machine that stalls in between.
_STRAY_REFUSALS = 0.001
_TICK = 0.2
_ALARMS = re.compile(r".*(?:never retrieved|never awaited|Unclosed|ERROR .*reference [0-9a-f]{8}|CRITICAL).*")


@dataclass(frozen=True)
class Plan:
    """How a soak is to be.

    Attributes:
        seconds: how long people ask.
        tokens: how many the model sends meanwhile, at least.
        channels: in how many channels.
        seed: of all random choices.
        scale: what all times of Discord, model and people are multiplied by.
        growth: by what part the memory may grow in the last third.
        request_fault, gateway_fault: seconds from one fault to the next, on average, before they are scaled.
        hangs: whether requests hang, too: each costs 15 s that nobody scales.
    """

    seconds: float
    tokens: int
    channels: int
    seed: int
    scale: float = 1.0
    growth: float = 0.02
    request_fault: float = 2.0
    gateway_fault: float = 30.0
    hangs: bool = True


@dataclass(frozen=True)
class Holding:
    """What the bot's process holds.

    Attributes:
        tasks: by name, how many run.
        sockets: connections, by what they lead to.
        files: other descriptors, by what they lead to.
        left: files on disk, but for the database.
        objects: how many the garbage collector knows.
    """

    tasks: Counter[str]
    sockets: Counter[str]
    files: Counter[str]
    left: set[str]
    objects: int

    def at_rest(self) -> Holding:
        """Return the same without connections that are kept for the next request: the gateway's is left."""
        within = self.sockets["within the machine"]
        return replace(self, sockets=Counter({"Discord": 1, "within the machine": within}))

    def more_than(self, idle: Holding) -> list[str]:
        """Return what is held here and was not when it was idle."""
        return [
            f"{what} left over: {dict(more) if isinstance(more, Counter) else sorted(more)}"
            for what in ("tasks", "sockets", "files", "left")
            if (more := getattr(self, what) - getattr(idle, what))
        ]


@dataclass
class Soak:
    """Plays a plan; `problems` and `summary` tell how it went."""

    directory: Path
    plan: Plan
    progress: Callable[[str], None] = lambda _: None
    problems: list[str] = field(default_factory=list)
    summary: str = ""

    async def play(self) -> None:
        """Start everything, let it rage, wait for quiet, look at what is left."""
        plan = self.plan
        world = World()
        limits = LimitSettings(scale=plan.scale)
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        async with (
            LoopbackDiscord(world, limits=limits) as self.discord,
            FlakyOllama(plan.seed, haste=1 / plan.scale) as self.model,
        ):
            self.discord.rest.log = self.log = _Refusals(maxlen=1000)
            channels = make_channels(world, plan.channels)
            self.screen = Screen(world)
            self.people = People(world, self.screen, self.model, channels, plan.seed, plan.scale)
            self.weather = Weather(self.discord, plan.seed, plan.scale, hangs=plan.hangs)
            self.bot = BotProcess(
                self.directory,
                self.discord,
                self.model,
                module="tests.soak.watched",
                MAX_CONCURRENT_REPLIES="40",
                TMPDIR=str(temporary),
            )
            async with self.bot.running() as process:
                await self.bot.ready()
                await self.bot.until(lambda: bool(world.commands), seconds=60)
                self._process = psutil.Process(process.pid)
                idle = (await self._holding()).at_rest()
                await self._rage()
                self.minutes = (time.monotonic() - self._began) / 60
                await self._quiet()
                resting = await self._rested(idle)
                process.send_signal(signal.SIGTERM)
                code = await asyncio.wait_for(process.wait(), 30)
            self._judge(world, idle, resting, code)

    # ------------------------------------------------------------ while it runs

    async def _rage(self) -> None:
        """Ask, meddle and let things fail until the time is over and the tokens have come."""
        plan = self.plan
        self._began = time.monotonic()
        self.memory = Memory()
        others = [
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._report()),
            asyncio.create_task(
                self.weather.rage(
                    request_every=plan.request_fault * plan.scale, gateway_every=plan.gateway_fault * plan.scale
                )
            ),
        ]
        next_meddling = 0.0
        while (elapsed := time.monotonic() - self._began) < plan.seconds or self.model.emitted < plan.tokens:
            self.bot.check_alive()
            if elapsed > 2 * plan.seconds:
                self.problems.append(f"only {self.model.emitted:,} tokens came in twice the time")
                break
            due = plan.tokens * (elapsed + _AHEAD * plan.scale) / plan.seconds
            if self.model.emitted + self.people.outstanding() < due:
                self.people.ask()
            if elapsed > next_meddling:
                next_meddling = elapsed + 5 * plan.scale
                self.people.meddle()
            await asyncio.sleep(_TICK * plan.scale)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.model.is_flaky = False
        self.model.haste *= _HURRY
        await self.people.leave()

    async def _watch(self) -> None:
        while True:
            self.memory.samples.append(self._process.memory_info().rss / 2**20)
            await asyncio.sleep(self.plan.seconds / 1800)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(60)
            held = await self._ask_bot()
            self.progress(
                f"{(time.monotonic() - self._began) / 60:.0f} min: {self.model.emitted:,} tokens, "
                f"{len(self.people.asked)} prompts, {self.discord.requests:,} requests, "
                f"RSS {self.memory.samples[-1]:.1f} MiB, {held['objects']:,} objects, "
                f"{sum(held['tasks'].values())} tasks, CPU {sum(self._process.cpu_times()[:2]):.0f} s"
            )

    async def _ask_bot(self) -> dict[str, Any]:
        """Have the bot tell what it holds; see `tests.soak.watched`."""
        process = self.bot.process
        assert process is not None
        assert process.stdout is not None
        process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(30):
            answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer

    # ------------------------------------------------------------ before and after

    async def _rested(self, idle: Holding) -> Holding:
        """Return what the bot holds when all is over: what clears up and connections that are kept get time to end."""
        end = time.monotonic() + _KEPT_ALIVE
        while True:
            held = await self._holding()
            if not held.more_than(idle) or time.monotonic() > end:
                return held
            await asyncio.sleep(0.5)

    async def _holding(self) -> Holding:
        told = await self._ask_bot()
        descriptors = Counter(_descriptors(self._process.pid))
        ports = {self.discord.port: "Discord", int(self.model.url.rsplit(":", 1)[1]): "Ollama"}
        connections = self._process.net_connections("inet")
        sockets = Counter(ports.get(each.raddr.port if each.raddr else 0, "elsewhere") for each in connections)
        sockets["within the machine"] = descriptors.pop("socket", 0) - len(connections)
        left = {str(path) for path in (self.directory / "tmp").rglob("*")}
        left |= {path.name for path in self.bot.data.iterdir() if not path.name.startswith("burble.db")}
        return Holding(Counter(told["tasks"]), sockets, descriptors, left, told["objects"])

    async def _quiet(self) -> None:
        """Wait until everybody has got an answer."""
        end = time.monotonic() + 120 + 600 * self.plan.scale
        while time.monotonic() < end:
            self.bot.check_alive()
            if self.discord.bot_online and not self.bot.unfinished() and not self.model.to_come:
                return
            await asyncio.sleep(0.5)
        self.problems.append(f"it did not come to rest: {self.bot.unfinished()} replies are unfinished")
        self._process.send_signal(signal.SIGUSR2)  # the log tells where they wait

    def _judge(self, world: World, idle: Holding, resting: Holding, code: int) -> None:
        checked = Check(world, self.screen, self.people, self.model, self.bot.query)
        self.problems += checked.run()
        self.problems += resting.more_than(idle)
        self.problems += [f"the process ended with {code}"] if code else []
        self.problems += [f"in the log: {line[:300]}" for line in sorted(set(_ALARMS.findall(self.bot.log())))]
        if self.log.refused.total() > max(2, self.discord.requests * _STRAY_REFUSALS):
            self.problems.append(f"refused with 429 by the limits: {_listed(self.log.refused)}")
        growth = self.memory.growth()
        if growth > self.plan.growth:
            self.problems.append(f"memory grew by {growth:.1%} in the last third")
        self.summary = self._summary(checked.states, idle, resting, growth)

    def _summary(self, states: Counter[str], idle: Holding, resting: Holding, growth: float) -> str:
        people, memory = self.people.counts, self.memory
        return (
            f"{self.model.emitted:,} tokens, {self.plan.channels} channels, {self.minutes:.1f} min, "
            f"{len(self.people.asked)} prompts ({_listed(people)}), faults: {_listed(self.weather.counts)}, "
            f"model {sum(self.model.faults.values())}; ended: {_listed(states)}; "
            f"{self.discord.requests:,} requests, {self.log.refused.total()} refused; "
            f"RSS {memory.samples[0]:.1f} → {memory.around(1 / 3):.1f} → {memory.around(2 / 3):.1f} → "
            f"{memory.around(0.95):.1f} MiB (last third {growth:+.1%}), "
            f"objects {idle.objects:,} → {resting.objects:,}, "
            f"tasks {idle.tasks.total()} → {resting.tasks.total()}, "
            f"sockets {idle.sockets.total()} → {resting.sockets.total()}, "
            f"files {idle.files.total()} → {resting.files.total()}, problems {len(self.problems)}"
        )


class _Refusals(deque[Any]):
    """The log of requests, with a count by route of those that the limits refused; injected ones have no bucket."""

    def __init__(self, maxlen: int) -> None:
        super().__init__(maxlen=maxlen)
        self.refused: Counter[str] = Counter()

    def append(self, record: Any) -> None:
        super().append(record)
        asyncio.get_running_loop().call_soon(self._count, record)  # the status is set a moment later

    def _count(self, record: Any) -> None:
        if record.status == 429 and record.bucket:
            self.refused[f"{record.method} {record.route}"] += 1


def _descriptors(pid: int) -> list[str]:
    """Return what the open descriptors of a process lead to; all sockets under one name."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:  # closed meanwhile
            continue
        found.append(re.sub(r":\[\d+\]$", "", target))
    return found


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
