"""One run: Discord and the model here, the bot a process of its own that is killed and started again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.playground.loopback.discord import LimitSettings, LoopbackDiscord
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from bot.playground.loopback.world import World
from tests.bot_process import BotProcess
from tests.kills.checking import Witness, check
from tests.kills.model import AnsweringOllama

SCALE = 0.1  # 5 edits per 0.5 s
PEOPLE = (ADA_ID, GRACE_ID, LINUS_ID)


@dataclass(frozen=True)
class Result:
    """What came out."""

    summary: str
    problems: list[str]


@dataclass
class KillRun:
    """Asks all the time, kills at random moments, looks at everything in the end."""

    directory: Path
    seed: int
    settings: dict[str, str] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda _: None
    asked: dict[str, int] = field(default_factory=dict)  # prompt id → number of the question
    before_ready: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    async def play(self, kills: int) -> Result:
        world = World(response_seconds=3.0)
        limits = LimitSettings(scale=SCALE)
        async with LoopbackDiscord(world, limits=limits) as discord, AnsweringOllama(self.seed) as ollama:
            self.channels = [GENERAL_ID, *(world.create_channel(f"room-{n}")["id"] for n in range(7))]
            self.channels.append(world.open_dm(ADA_ID)["id"])
            witness = Witness(world)
            self.bot = BotProcess(self.directory, discord, ollama, **self.settings)
            for number in range(kills):
                await self._round(world)
                if number % 20 == 19:
                    self.progress(f"{number + 1} kills, {len(self.asked)} prompts")
            async with self.bot.running() as process:
                await self._quiet()
                process.send_signal(signal.SIGTERM)
                code = await asyncio.wait_for(process.wait(), 30)
            problems = check(world, witness, self.bot.query, self.asked)
            problems += [f"the last process ended with {code}"] if code else []
            self.refused = sum(record.status == 429 for record in discord.log)
            # what the killed process had used up of a limit, the next one cannot know
            if self.refused > kills:
                problems.append(f"{self.refused} requests were refused with 429")
        return Result(self._summary(kills), problems)

    async def _round(self, world: World) -> None:
        async with self.bot.running():
            if self.random.random() < 0.2:
                self.before_ready += 1
                await self._pause(2.0)
                return
            await self.bot.ready()
            asking = asyncio.create_task(self._ask(world))
            await self._pause(3.5)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            self.bot.check_alive()

    async def _pause(self, most: float) -> None:
        await asyncio.sleep(self.random.uniform(0.0, most))

    async def _ask(self, world: World) -> None:
        """Ask all the time."""
        while True:
            number = len(self.asked)
            channel, user = self.random.choice(self.channels), self.random.choice(PEOPLE)
            if channel == self.channels[-1]:
                user = ADA_ID
            if world.commands and self.random.random() < 0.25:
                prompt_id = world.run_command(user, channel, ["ask"], {"prompt": f"question {number}"}).id
            else:
                prompt_id = world.send(user, channel, f"<@{BOT_ID}> question {number}")["id"]
            self.asked[prompt_id] = number
            await self._pause(0.5)

    async def _quiet(self) -> None:
        """Wait until nothing is left to be done."""
        began = time.time()
        await self.bot.ready()
        alive = "SELECT CAST(value AS DOUBLE PRECISION) FROM setting WHERE key = 'alive_at'"
        await self.bot.until(lambda: self.bot.query(alive)[0][0] > began, seconds=60)
        for _ in range(2):  # what was found at last is on its way into the store
            await self.bot.until(lambda: not self.bot.unfinished(), seconds=600)
            await asyncio.sleep(1.0)

    def _summary(self, kills: int) -> str:
        states = dict(self.bot.query("SELECT state, count(*) FROM reply GROUP BY state"))
        told = self.bot.query("SELECT count(*) FROM reply WHERE state = 'interrupted' AND text = ''")[0][0]
        again = self.bot.query("SELECT count(*) FROM reply WHERE attempts > 1")[0][0]
        known = sum(states.values())
        return (
            f"{kills} kills ({self.before_ready} before the bot was ready), {len(self.asked)} prompts, {known} of them "
            f"taken in: {states.get('complete', 0)} answered ({again} begun again after a kill), "
            f"{states.get('interrupted', 0) - told} closed with the text on screen, {told} told to ask again, "
            f"{self.refused} refused requests."
        )
