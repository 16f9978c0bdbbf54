"""The whole bot with people who use its commands and look at what comes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.bot import OllamaBot
from bot.playground.loopback import seed
from tests.scripted_ollama import ScriptedOllama
from tests.whole.stack import Stack, servers


@dataclass(frozen=True)
class Place:
    """A channel, a thread or a direct message."""

    key: str

    @property
    def id(self) -> int:
        return int(self.key)


@dataclass(frozen=True)
class Answer:
    """What the bot said to a command."""

    id: int
    content: str
    ephemeral: bool
    deferred: bool


@dataclass(frozen=True)
class Person:
    """Somebody in the server."""

    stack: Stack = field(repr=False)
    key: str

    @property
    def id(self) -> int:
        return int(self.key)

    @property
    def dm(self) -> Place:
        return Place(self.stack.world.open_dm(self.key)["id"])

    async def slash(self, place: Place, command: str, **options: Any) -> Answer:
        """Use a command; wait for its answer."""
        interaction = self.stack.world.run_command(self.key, place.key, command.split(), options)

        def answer() -> dict[str, Any] | None:
            found = (m for m in self.stack.world.messages(place.key, self.key) if m["id"] == interaction.original_id)
            return next((message for message in found if message["content"]), None)

        message = await self.stack.until(answer)
        states = [told["state"] for name, told in self.stack.events if name == "INTERACTION_STATE"]
        return Answer(int(message["id"]), message["content"], bool(message["flags"] & 64), "deferred" in states)

    async def autocomplete(self, place: Place, command: str, option: str, typed: str) -> list[dict[str, Any]]:
        """Type into an option of a command; return the suggestions."""
        return await self.stack.world.autocomplete(self.key, place.key, command.split(), {option: typed}, option)

    def send(self, place: Place, text: str) -> int:
        """Write a message; return its id."""
        return int(self.stack.say(text, user=self.key, channel=place.key)["id"])


@dataclass
class Scene:
    """A server with two channels: Ada and Linus write, Grace moderates."""

    stack: Stack
    resources: contextlib.AsyncExitStack
    channel = Place(seed.GENERAL_ID)
    other = Place(seed.CODE_ID)

    def __post_init__(self) -> None:
        self.ada, self.grace, self.linus = (
            Person(self.stack, key) for key in (seed.ADA_ID, seed.GRACE_ID, seed.LINUS_ID)
        )

    @property
    def bot(self) -> OllamaBot:
        assert self.stack.bot is not None
        return self.stack.bot

    @property
    def ollama(self) -> ScriptedOllama:
        return self.stack.ollama

    def newcomer(self, name: str) -> Person:
        """Somebody who joins the server."""
        state = self.stack.world.state
        key = state.ids.next()
        user = state.users[key] = seed.user(key, "newcomer", name, "#99aab5")
        state.members[key] = seed.member(user, [])
        return Person(self.stack, key)

    def place(self, name: str, whose: Person, *, allow: int = 0, deny: int = 0) -> Place:
        """A new channel in which somebody has other permissions."""
        place = Place(self.stack.world.create_channel(name)["id"])
        self.stack.world.set_permissions(place.key, whose.key, allow=allow, deny=deny)
        return place

    def sent(self, part: str) -> list[Any]:
        """The bodies of the bot's requests to paths with *part*."""
        return [record.body for record in self.stack.discord.log if part in record.path]

    async def start(self) -> None:
        """Start the bot anew on the same data."""
        await self.resources.aclose()
        await self.resources.enter_async_context(self.stack.running_bot())


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, *, message_content: bool = True) -> AsyncIterator[Scene]:
    """A server with a bot that is ready; no model is set or loaded."""
    async with servers(tmp_path, message_content=message_content, ollama_model=None) as stack:
        stack.ollama.running = []
        stack.world.state.members[seed.ADA_ID]["roles"].clear()  # the playground is hers, this server is not
        stack.world.guilds[seed.GUILD_ID]["owner_id"] = "1"
        async with contextlib.AsyncExitStack() as resources:
            scene = Scene(stack, resources)
            await scene.start()
            yield scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene
