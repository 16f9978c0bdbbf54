"""The real bot on a real store and a scripted model server, in SimCord's Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import discord
import pytest
import simcord
from simcord import ChannelHandle, Env, GuildHandle, MemberActor

from bot.app import open_services
from bot.bot import OllamaBot
from bot.command_sync import sync_commands
from bot.services import Services
from bot.settings.settings import Settings
from tests.scripted_ollama import ScriptedOllama


def new_bot(services: Services, *, message_content: bool = True) -> OllamaBot:
    """The bot as the composition root makes it; SimCord wants the shards counted."""
    return OllamaBot(services, message_content=message_content, shard_count=1)


@dataclass
class Scene:
    """A server with a channel: Ada writes, Grace moderates, Linus may only read."""

    env: Env
    ollama: ScriptedOllama
    guild: GuildHandle
    channel: ChannelHandle
    other: ChannelHandle
    ada: MemberActor
    grace: MemberActor
    linus: MemberActor
    resources: AsyncExitStack

    @asynccontextmanager
    async def restarted(self, settings: Settings) -> AsyncIterator[None]:
        """Close what the bot works with, and start another one on the same data."""
        await self.resources.aclose()
        async with open_services(settings) as services:
            await self.env.restart_bot(new_bot(services))
            await sync_commands(self.bot)
            yield
            await self.bot.close()

    @property
    def bot(self) -> OllamaBot:
        assert isinstance(self.env.bot, OllamaBot)
        return self.env.bot

    def settings(self, path: Path) -> Settings:
        return Settings(data_dir=path, ollama_host=self.ollama.url)


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, ollama: ScriptedOllama) -> Settings:
    return Settings(data_dir=tmp_path, ollama_host=ollama.url)


@asynccontextmanager
async def opened(settings: Settings, ollama: ScriptedOllama, *, message_content: bool = True) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as resources:
        services = await resources.enter_async_context(open_services(settings))
        bot = new_bot(services, message_content=message_content)
        # not simcord.run(): it keeps context variables, and a fixture ends in another context
        env = Env(bot)
        await env.start()
        try:
            await sync_commands(bot)
            yield _populate(env, ollama, resources)
        finally:
            await env.shutdown()
        simcord.assert_no_errors(env)


def _populate(env: Env, ollama: ScriptedOllama, resources: AsyncExitStack) -> Scene:
    guild = env.create_guild()
    channel = guild.create_text_channel("general")
    other = guild.create_text_channel("code")
    moderators = guild.create_role("moderators", permissions=discord.Permissions(manage_messages=True))
    ada, linus = (guild.add_member(env.create_user(name)) for name in ("Ada", "Linus"))
    grace = guild.add_member(env.create_user("Grace"), roles=[moderators])
    return Scene(env, ollama, guild, channel, other, ada, grace, linus, resources)


@pytest.fixture
async def scene(settings: Settings, ollama: ScriptedOllama) -> AsyncIterator[Scene]:
    async with opened(settings, ollama) as scene:
        yield scene
