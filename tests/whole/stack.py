"""The whole bot on real parts: loopback Discord, scripted Ollama, a real database, in one process.

    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say("Hello"))
        prompt = stack.ask("Hi there")
        reply = await stack.settled(prompt)
        assert stack.texts() == ["Hello"]

Discord's periods are scaled down, so nothing here waits for real seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot import app
from bot.bot import OllamaBot
from bot.delivery import endpoint
from bot.errands import run_errands
from bot.gateway_pace import RedialTiming
from bot.generation.retry import RetryPolicy
from bot.generation.status import StatusTiming
from bot.playground.loopback.discord import LimitSettings, LoopbackDiscord
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID
from bot.playground.loopback.world import World
from bot.services import Services
from bot.settings.settings import Settings
from bot.streaming.bucket import Limits
from bot.streaming.budget import EditBudget
from bot.streaming.rate import GlobalRate
from tests.conversation.builders import rows
from tests.scripted_ollama import ScriptedOllama, model_entry

SCALE = 0.02  # 5 edits per 0.1 s
TIMING = StatusTiming(status_after=0.05, control_after=0.05)
REDIAL = RedialTiming(first=1.0 * SCALE, longest=60.0 * SCALE, steady=60.0 * SCALE)
RETRY = RetryPolicy(base=0.02, cap=0.04, within=1.0)
SETTINGS: dict[str, Any] = {}
"""Further settings of every bot of a test; `conftest` puts another database there."""
STOP = "⏹️"
CURSOR = "▌"


@dataclass
class Stack:
    """Everything of one test."""

    world: World
    discord: LoopbackDiscord
    ollama: ScriptedOllama
    settings: Settings
    timing: StatusTiming = TIMING
    bot: OllamaBot | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.world.subscribe(self._note)

    def _note(self, name: str, payload: dict[str, Any]) -> None:
        self.events.append((name, payload))
        self._news.set()

    @property
    def services(self) -> Services:
        assert self.bot is not None
        return self.bot.services

    def say(self, text: str, *, user: str = ADA_ID, channel: str = GENERAL_ID, **options: Any) -> dict[str, Any]:
        """Write a message as a person."""
        return self.world.send(user, channel, text, **options)

    def ask(self, text: str, **options: Any) -> dict[str, Any]:
        """Mention the bot and ask something."""
        return self.say(f"<@{BOT_ID}> {text}".rstrip(), **options)

    def replies(self, channel: str = GENERAL_ID) -> list[dict[str, Any]]:
        """The bot's messages in a channel, oldest first."""
        return [m for m in self.world.messages(channel, ADA_ID) if m["author"]["id"] == BOT_ID]

    def texts(self, channel: str = GENERAL_ID) -> list[str]:
        """What the bot's messages show."""
        return [message["content"] for message in self.replies(channel)]

    async def until(self, condition: Callable[[], Any], *, seconds: float = 8.0) -> Any:
        """Wait until *condition* is true; looked at whenever something happens in the world, and now and then."""
        async with asyncio.timeout(seconds):
            while not (result := condition()):
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._news.wait()
        return result

    async def idle(self, channel: str | None = None) -> None:
        """Wait until no reply runs or waits (in *channel*), and if everywhere: until all is cleared away."""
        if channel is not None:
            await self.until(lambda: not self.services.queue.in_channel(int(channel)))
        else:
            await self.until(lambda: not list(self.services.queue) and not self.services.responder.is_busy)

    async def answered(self, count: int = 1, channel: str = GENERAL_ID) -> list[str]:
        """Wait until the bot has *count* messages there and is idle; return their texts."""
        await self.until(lambda: len(self.replies(channel)) >= count)
        await self.idle(channel)
        return self.texts(channel)

    async def shows(self, text: str, channel: str = GENERAL_ID) -> str:
        """Wait until one of the bot's messages holds *text*; return that message's text."""
        return str(await self.until(lambda: next((t for t in self.texts(channel) if text in t), "")))

    def refused(self) -> list[Any]:
        """Requests that Discord answered with 429."""
        return [record for record in self.discord.log if record.status == 429]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What another program finds in the database."""
        return rows(self.settings.store_url, query)

    @contextlib.asynccontextmanager
    async def running_bot(self) -> AsyncIterator[OllamaBot]:
        """Start a bot of its own services on this stack's database; restart by leaving and entering again."""
        endpoint.use_api(self.discord.api_url)
        budget = EditBudget(prior=Limits(5, 5.0 * SCALE), rate=GlobalRate(48, 1.0 * SCALE))
        async with app.open_services(self.settings, budget=budget, timing=self.timing, retry=RETRY) as services:
            services.line.reactions.gap *= SCALE
            content = self.world.state.message_content
            bot = OllamaBot(services, message_content=content, guild_ready_timeout=0.02, redial=REDIAL)
            token = self.settings.discord_token
            assert token is not None
            running = asyncio.create_task(bot.start(token.get_secret_value()))
            errands = asyncio.create_task(run_errands(bot))
            self.bot = bot
            try:
                await asyncio.wait((errands, running), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    await running
                yield bot
            finally:
                await bot.close()
                await asyncio.gather(running, errands, return_exceptions=True)
                self.bot = None


def talk(stack: Stack, index: int) -> list[dict[str, Any]]:
    """The messages of the *index*-th chat, without the system prompt."""
    return [m for m in stack.ollama.chats[index].json["messages"] if m["role"] != "system"]


def make_settings(tmp_path: Path, ollama_url: str, token: str, **changes: Any) -> Settings:
    """Settings for a bot on loopback servers."""
    values: dict[str, Any] = {
        "discord_token": token,
        "ollama_host": ollama_url,
        "data_dir": tmp_path,
        "ollama_model": "llama3.2",
        "idle_timeout_seconds": 5,
        "first_byte_timeout_seconds": 10,
        # a test is quicker than people
        "user_prompts_per_minute": 0,
        "channel_prompts_per_minute": 0,
    }
    return Settings(**(values | SETTINGS | changes))


def loaded(name: str, context_length: int = 8192) -> dict[str, Any]:
    """An entry of ``/api/ps``."""
    return model_entry(name, size_vram=2019393189, context_length=context_length, expires_at="2318-01-01T00:00:00Z")


@contextlib.asynccontextmanager
async def servers(tmp_path: Path, *, message_content: bool = True, **changes: Any) -> AsyncIterator[Stack]:
    """Discord and Ollama, without a bot yet; *changes* are settings."""
    world = World(message_content=message_content, response_seconds=2.0)
    limits = LimitSettings(scale=SCALE)
    async with LoopbackDiscord(world, limits=limits) as discord, ScriptedOllama() as ollama:
        settings = make_settings(tmp_path, ollama.url, discord.token, **changes)
        ollama.running = [loaded("llama3.2:latest", settings.num_ctx)]
        yield Stack(world, discord, ollama, settings)


@contextlib.asynccontextmanager
async def running(tmp_path: Path, *, message_content: bool = True, **changes: Any) -> AsyncIterator[Stack]:
    """Discord, Ollama and a bot that is ready."""
    async with servers(tmp_path, message_content=message_content, **changes) as stack, stack.running_bot():
        yield stack
