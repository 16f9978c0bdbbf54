"""What people do while the soak runs: ask, stop, edit, delete, and use commands."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.playground.loopback import seed
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID, LINUS_ID, RANDOM_ID
from bot.playground.loopback.world import World, WorldError
from tests.kills.checking import WORD, Witness, prompt_of
from tests.soak.model import FlakyOllama, tokens_of

STOP = "⏹️"
_MODERATOR = GRACE_ID
_SEEDED = (ADA_ID, GRACE_ID, LINUS_ID)
_CROWD = 60  # so many that nobody has more questions waiting than one may have
_ASK_COMMANDS = 0.15
_MISHAPS = {"": 72, "stopped": 11, "edited": 8, "deleted": 4, "replies deleted": 5}
_COMMANDS: tuple[tuple[list[str], dict[str, str]], ...] = (
    (["reset"], {}),
    (["model", "list"], {}),
    (["model", "use"], {"name": "qwen3:8b"}),
    (["model", "use"], {"name": "llama3.2"}),
    (["model", "use"], {"name": "no-such-model"}),
    (["model", "show"], {}),
    (["help"], {}),
    (["stop"], {}),
)
_GIVEN_UP = 60.0  # seconds after which nobody counts on a question that never reached the model


def make_channels(world: World, count: int) -> list[str]:
    """Return so many channels: the world's own, a direct message of each person, and new ones."""
    channels = [GENERAL_ID, CODE_ID, RANDOM_ID, *(world.open_dm(person)["id"] for person in _SEEDED)]
    return [*channels, *(world.create_channel(f"room-{n}")["id"] for n in range(count - len(channels)))][:count]


def _crowd(world: World) -> list[str]:
    """Let more people into the server; return the ids of all."""
    for number in range(_CROWD - len(_SEEDED)):
        member = seed.member(seed.user(world.state.ids.next(), f"guest{number}", f"Guest {number}", "#206694"), [])
        world.state.members[member["user"]["id"]] = member
        world.state.users[member["user"]["id"]] = member["user"]
    return [person["id"] for person in world.people]


class Screen(Witness):
    """Remembers, too, which of the bot's messages belong to which question, and what answered a command."""

    def __init__(self, world: World) -> None:
        self.pages: dict[int, dict[str, Any]] = defaultdict(dict)  # number of the question → messages by id
        self.answers: dict[str, str] = {}  # id of a prompt or interaction → the newest text that answers it
        self.failed: set[str] = set()  # interactions of which Discord said that the bot did not answer
        super().__init__(world)

    def _note(self, name: str, payload: dict[str, Any]) -> None:
        super()._note(name, payload)
        if name == "INTERACTION_STATE" and payload["state"] == "failed":
            self.failed.add(payload["id"])
        elif name in {"MESSAGE_CREATE", "MESSAGE_UPDATE"} and payload.get("author", {}).get("id") == BOT_ID:
            self.answers[prompt_of(payload)] = payload["content"]
            for number in {int(number) for number, _ in WORD.findall(payload["content"])}:
                self.pages[number][payload["id"]] = payload


@dataclass(frozen=True)
class Question:
    """One question that somebody asked.

    Attributes:
        id: of the message, or of the interaction.
    """

    number: int
    id: str
    user: str
    channel: str
    is_command: bool
    length: int
    at: float = field(default_factory=time.monotonic)


class People:
    """Asks questions and does to some of them what people do; *scale* multiplies all times.

    Attributes:
        asked: all questions, by number.
        disturbed: numbers of those whose answers somebody stopped, or deleted a part of.
        deleted: ids of messages that were deleted.
        counts: what was done how often.
    """

    def __init__(
        self, world: World, screen: Screen, model: FlakyOllama, channels: list[str], seed: int, scale: float
    ) -> None:
        self._world = world
        self._screen = screen
        self._model = model
        self._channels = channels
        self._crowd = _crowd(world)
        self._seed = seed
        self._scale = scale
        self._chance = random.Random(f"{seed}/people")
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: dict[int, Question] = {}
        self.disturbed: set[int] = set()
        self.deleted: set[str] = set()
        self.counts: Counter[str] = Counter()

    def outstanding(self) -> int:
        """Return how many tokens are still to come for what was asked."""
        horizon = time.monotonic() - _GIVEN_UP * self._scale
        waiting = 0
        for question in reversed(self.asked.values()):
            if question.at < horizon:
                break
            waiting += 0 if question.number in self._model.begun else question.length
        return waiting + sum(self._model.to_come.values())

    def ask(self) -> None:
        """Ask the next question somewhere, and see to it that what is to happen to its answer happens."""
        number = len(self.asked)
        user, channel = self._somebody()
        is_command = self._chance.random() < _ASK_COMMANDS
        text = f"Please answer question {number}"
        if is_command:
            prompt_id = self._world.run_command(user, channel, ["ask"], {"prompt": text}).id
        else:
            prompt_id = self._world.send(user, channel, f"<@{BOT_ID}> {text}")["id"]
        question = Question(number, prompt_id, user, channel, is_command, len(tokens_of(number, self._seed)))
        self.asked[number] = question
        (mishap,) = self._chance.choices(list(_MISHAPS), list(_MISHAPS.values()))
        if mishap:
            self._soon(mishap, question)

    def meddle(self) -> None:
        """Use some command, or chat with somebody else."""
        user, channel = self._somebody()
        if self._chance.random() < 0.3 and "recipients" not in self._world.channels[channel]:
            self._world.send(user, channel, "Lunch?")
            return
        name, options = self._chance.choice(_COMMANDS)
        if name == ["stop"]:
            self._disturb_channel(channel)
        self.counts[f"/{' '.join(name)}"] += 1
        self._world.run_command(user, channel, name, options)

    async def leave(self) -> None:
        """Do nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _somebody(self) -> tuple[str, str]:
        channel = self._chance.choice(self._channels)
        recipients = self._world.channels[channel].get("recipients")
        return (recipients[0]["id"] if recipients else self._chance.choice(self._crowd)), channel

    def _soon(self, mishap: str, question: Question) -> None:
        actions: dict[str, Callable[[Question], bool]] = {
            "stopped": self._stop,
            "edited": self._edit,
            "deleted": self._delete_prompt,
            "replies deleted": self._delete_reply,
        }
        delay = self._chance.expovariate(1 / 15) * self._scale

        async def act() -> None:
            await asyncio.sleep(delay)
            with contextlib.suppress(WorldError):  # what it was about is gone already
                self.counts[mishap] += actions[mishap](question)

        task = asyncio.create_task(act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ what happens to a question; each tells if it did

    def _stop(self, question: Question) -> bool:
        by = self._chance.choice((question.user, question.user, self._moderator(question)))
        control = self._controlled(question)
        if control is not None and self._chance.random() < 0.7:
            self.disturbed.add(question.number)
            self._world.react(by, question.channel, control, STOP)
        elif not question.is_command and self._chance.random() < 0.5:
            self.disturbed.add(question.number)
            self._world.react(by, question.channel, question.id, STOP)
        else:
            self._disturb_channel(question.channel)
            self._world.run_command(by, question.channel, ["stop"], {})
        return True

    def _edit(self, question: Question) -> bool:
        if question.is_command:
            return False
        text = f"<@{BOT_ID}> Please answer question {question.number} in other words"
        self._world.edit(question.user, question.channel, question.id, text)
        return True

    def _delete_prompt(self, question: Question) -> bool:
        if question.is_command:
            return False
        self.disturbed.add(question.number)
        self.deleted.add(question.id)
        self._world.delete(question.user, question.channel, question.id)
        return True

    def _delete_reply(self, question: Question) -> bool:
        pages = [page for page in self._screen.pages[question.number] if page not in self.deleted]
        if not pages or self._is_direct(question):
            return False
        page = self._chance.choice(pages)
        self.disturbed.add(question.number)
        self.deleted.add(page)
        self._world.delete(_MODERATOR, question.channel, page)
        return True

    def _disturb_channel(self, channel: str) -> None:
        """Note that whatever is not finished there may be stopped."""
        numbers = {number for number, question in self.asked.items() if question.channel == channel}
        self.disturbed |= numbers - self._model.finished

    def _controlled(self, question: Question) -> str | None:
        """Return the id of the message under which the answer can be stopped."""
        for page in reversed(self._screen.pages[question.number]):
            if page not in self.deleted:
                message = self._world.message(question.channel, page)
                if any(reaction["me"] for reaction in message.get("reactions", ())):
                    return page
        return None

    def _moderator(self, question: Question) -> str:
        return question.user if self._is_direct(question) else _MODERATOR

    def _is_direct(self, question: Question) -> bool:
        return "recipients" in self._world.channels[question.channel]
