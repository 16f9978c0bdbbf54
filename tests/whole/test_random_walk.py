"""Random sequences of what people do, kills and restarts between them: what is promised holds all the same."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.conversation import erasure
from bot.playground.loopback.errors import WorldError
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from bot.recovery import reruns
from tests.scripted_ollama import say
from tests.whole.stack import CURSOR, STOP, Stack, servers
from tests.whole.test_forgetting import in_files

PEOPLE = (ADA_ID, GRACE_ID, LINUS_ID)
STEPS = 25
HEARD_SECONDS = 0.3  # within which everything that was heard is heeded
STATUS = ("is thinking", "waiting for", "in line")


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(erasure, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(reruns, "QUIET_SECONDS", 0.03)


class Walk:
    """What was done so far: each question, quote and answer is made of words of its own."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack, self.random, self.count = stack, random.Random(seed), 0
        self.there: dict[str, tuple[str, str]] = {}  # by message: its author and its word
        self.gone: list[tuple[str, float]] = []  # words, and since when nobody may read them
        self.said: list[str] = []
        self.steps: list[Callable[[], Any]] = [
            *[self.ask] * 5, *[self.edit] * 4, *[self.delete] * 2, self.ask_about, self.delete_quoted, self.delete_some,
            self.delete_answer, self.copy, self.stop, self.click, self.reset, self.fail,
        ]  # fmt: skip

    async def step(self) -> None:
        chosen = self.random.choice(self.steps)
        present = {message["id"] for message in self.stack.world.messages(GENERAL_ID)}
        self.there = {each: what for each, what in self.there.items() if each in present}
        self.said.append(chosen.__name__)
        try:
            chosen()
        except (WorldError, IndexError):
            self.said[-1] += " (nothing)"
        await asyncio.sleep(self.random.choice([0, 0, 0.01, 0.05, 0.15]))

    def word(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}x"

    def latest(self, kind: str) -> str:
        return self.random.choice([each for each, (_, word) in self.there.items() if word.startswith(kind)][-4:])

    def forget(self, message_id: str) -> None:
        self.gone.append((self.there.pop(message_id)[1], time.monotonic()))

    def ask(self, **options: Any) -> None:
        name, pages = self.word("answer"), self.random.choice([0, 0, 1, 8, 20])
        text = "\n\n".join([name, *(f"{name}p{page} " + "blah " * 60 for page in range(pages))])
        self.stack.ollama.enqueue(say(text.rstrip(), self.random.choice([0, 0, 0.001])))
        user, word = self.random.choice(PEOPLE), self.word("question")
        self.there[self.stack.ask(word, user=user, **options)["id"]] = (user, word)

    def ask_about(self) -> None:
        user, word = self.random.choice(PEOPLE), self.word("quoted")
        source = self.stack.say(word, user=user)
        self.there[source["id"]] = (user, word)
        self.ask(reply_to=source["id"])

    def edit(self) -> None:
        chosen = self.latest("question")
        user, word = self.there[chosen][0], self.word("question")
        self.stack.world.edit(user, GENERAL_ID, chosen, self.random.choice([f"<@{BOT_ID}> {word}", word]))
        self.forget(chosen)
        self.there[chosen] = (user, word)

    def delete(self, kind: str = "question") -> None:
        chosen = self.latest(kind)
        self.stack.world.delete(self.there[chosen][0], GENERAL_ID, chosen)
        self.forget(chosen)

    def delete_quoted(self) -> None:
        self.delete("quoted")

    def delete_some(self) -> None:
        chosen = [message["id"] for message in self.stack.world.messages(GENERAL_ID)][-self.random.randrange(1, 6) :]
        self.stack.world.delete_many(GENERAL_ID, chosen)
        for each in self.there.keys() & chosen:
            self.forget(each)

    def delete_answer(self) -> None:
        self.stack.world.delete(GRACE_ID, GENERAL_ID, self.random.choice(self.stack.replies()[-5:])["id"])

    def copy(self) -> None:
        chosen = self.latest("question")
        user, word = self.there.pop(chosen)
        self.stack.world.message_rules.create_by_webhook(GENERAL_ID, "Lyra", word)
        self.stack.world.delete(user, GENERAL_ID, chosen)

    def stop(self) -> None:
        if self.stack.world.commands:
            self.stack.world.run_command(self.random.choice(PEOPLE), GENERAL_ID, ["stop"], {})

    def reset(self) -> None:
        if self.stack.world.commands and self.random.random() < 0.3:
            self.stack.world.run_command(ADA_ID, GENERAL_ID, ["reset"], {})

    def click(self) -> None:
        chosen = [message for message in self.stack.replies() if message.get("reactions")][-1]
        self.stack.world.react(self.random.choice(PEOPLE), GENERAL_ID, chosen["id"], STOP)

    def fail(self) -> None:
        method, status = self.random.choice(["PATCH", "POST", "DELETE"]), self.random.choice([500, 502])
        self.stack.discord.inject(method=method, route="/channels/*/messages*", status=status)

    async def rest(self) -> None:
        """Wait until nothing is done any more."""
        self.stack.discord.faults.clear()
        for _ in range(3):
            await asyncio.sleep(0.08)
            await self.stack.idle()

    async def check(self) -> None:
        for chat in self.stack.ollama.chats:
            late = [word for word, at in self.gone if chat.at > at + HEARD_SECONDS]
            assert not [word for word in late if re.search(rf"\b{word}\b", str(chat.json))], self.said
        words = [word for word, _ in self.gone]
        await self.stack.until(lambda: not any(in_files(self.stack, word) for word in words))
        for message in self.stack.replies():
            assert CURSOR not in message["content"], self.said
            assert not [words for words in STATUS if words in message["content"]], (message["content"], self.said)
            assert not [each for each in message.get("reactions", ()) if each["me"]], (message["content"], self.said)
        pages = re.findall(r"answer\d+xp\d+", "\n".join(self.stack.texts()))
        assert len(pages) == len(set(pages)), self.said
        created = [data for name, data in self.stack.events if name == "MESSAGE_CREATE" and data["author"].get("bot")]
        about = {(data.get("message_reference") or {}).get("message_id") for data in created}
        silent = [word for each, (_, word) in self.there.items() if word.startswith("question") and each not in about]
        assert not silent, self.said


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(10))
async def test_whatever_people_do_what_is_promised_holds(tmp_path: Path, seed: int):
    async with servers(tmp_path) as stack:
        walk = Walk(stack, seed)
        for life in range(3):
            async with stack.running_bot() as bot:
                await stack.until(bot.is_ready)
                for _ in range(STEPS):
                    await walk.step()
                if life == 2 or walk.random.random() < 0.5:
                    await walk.rest()
                    await walk.check()
                elif walk.random.random() < 0.5:
                    await bot.responder.shutdown(walk.random.choice([0, 0.1]))
                # of what was heard last before a kill only what is sent again is heeded
                walk.gone = [(word, at) for word, at in walk.gone if at < time.monotonic() - HEARD_SECONDS]
                walk.said.append("restart")
