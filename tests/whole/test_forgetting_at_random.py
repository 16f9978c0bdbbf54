"""Whatever is asked, deleted, edited and restarted in whatever order: no model hears again of what was deleted."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.conversation import erasure
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from bot.recovery import reruns
from tests.scripted_ollama import hold, say
from tests.whole.stack import Stack, servers
from tests.whole.test_forgetting import in_files, rows

DEEDS = ("ask", "ask", "reply", "delete", "bulk", "page", "edit", "restart", "gap", "slow")


class Play:
    """What was said so far: each text has a word of its own, so that it is known wherever it turns up."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.random = random.Random(seed)
        self.words = 0
        self.spoken: set[str] = set()
        self.quoted: set[str] = set()
        self.questions: dict[str, tuple[str, str]] = {}  # message id → its word, its author
        self.answers: dict[str, list[str]] = {}  # message id of the question → words of its answers
        self.forbidden: set[str] = set()
        self.heard = 0
        self.go = asyncio.Event()
        self.go.set()

    def word(self, kind: str) -> str:
        self.words += 1
        self.spoken.add(f"{kind}{self.words:03d}z")
        return f"{kind}{self.words:03d}z"

    async def ask(self, *, reply_to: str | None = None, slow: bool = False) -> None:
        """Ask something; a *slow* model answers when `go` is set."""
        question, answer = self.word("question"), self.word("answer")
        author = self.random.choice([ADA_ID, LINUS_ID])
        length = self.random.choice([1, 1, 40])
        if slow:
            self.go.clear()
        text = "\n\n".join(f"{answer} " + "word " * 15 for _ in range(length))
        self.stack.ollama.enqueue(say(text), hold(self.go))
        asked = len(self.stack.ollama.chats)
        message = self.stack.ask(question, user=author, reply_to=reply_to)
        self.questions[message["id"]] = (question, author)
        self.answers[message["id"]] = [answer]
        await self.stack.until(lambda: len(self.stack.ollama.chats) > asked)
        if not slow:
            await self.stack.idle()
        self.check()

    def check(self) -> None:
        """No request that came since the last look holds what was deleted before it."""
        for chat in self.stack.ollama.chats[self.heard :]:
            text = str(chat.json)
            assert not [word for word in self.forbidden if word in text]
        self.heard = len(self.stack.ollama.chats)

    async def settle(self) -> None:
        """Let the slow answer end."""
        self.go.set()
        await self.stack.idle()
        self.check()

    def delete(self, message_id: str) -> None:
        question, _ = self.questions.pop(message_id)
        self.forbidden |= {question, *self.answers.pop(message_id)}

    def pages(self, message_id: str) -> list[str]:
        """The messages of the bot's that show the answer to a question."""
        words = self.answers[message_id]
        return [m["id"] for m in self.stack.replies() if any(word in m["content"] for word in words)]

    async def deed(self, what: str) -> None:
        ids = list(self.questions)
        one = self.random.choice(ids) if ids else None
        if what not in {"delete", "bulk", "page"}:
            await self.settle()
        if what == "ask" or one is None:
            await self.ask()
        elif what == "reply":
            target = self.random.choice([*ids, *self.pages(one)])
            self.quoted |= {
                word for word in self.spoken if word in self.stack.world.message(GENERAL_ID, target)["content"]
            }
            await self.ask(reply_to=target)
        elif what == "slow":
            await self.ask(slow=True)
        elif what == "delete":
            author = self.questions[one][1]
            self.delete(one)
            self.stack.world.delete(author, GENERAL_ID, one)
        elif what == "bulk":
            some = self.random.sample(ids, min(2, len(ids)))
            for each in some:
                self.delete(each)
            self.stack.world.delete_many(GENERAL_ID, some)
        elif what == "page" and (pages := self.pages(one)):
            self.forbidden |= set(self.answers[one])
            self.stack.world.delete(GRACE_ID, GENERAL_ID, self.random.choice(pages))
        elif what == "edit":
            old, author = self.questions[one]
            new, answer = self.word("question"), self.word("answer")
            self.questions[one] = (new, author)
            before = len(self.stack.ollama.chats)
            self.stack.ollama.enqueue(say(answer))
            self.stack.world.edit(author, GENERAL_ID, one, f"<@{BOT_ID}> {new}")
            await self.stack.until(lambda: rows(self.stack, f"SELECT 1 FROM prompt WHERE parts LIKE '%{new}%'"))
            reruns = self.stack.services.reruns
            await self.stack.until(lambda: not reruns._timers and not reruns._tasks._running)
            await self.stack.idle()
            if len(self.stack.ollama.chats) > before:  # it was the latest: its old answer is gone as well
                self.forbidden |= set(self.answers[one]) - self.quoted
                self.answers[one] = [answer]
            else:
                self.stack.ollama._scripts.pop()
            self.check()
            self.forbidden |= {old} - self.quoted  # a quote stays as it was first sent
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_deleted_is_in_no_later_request_and_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(erasure, "GRACE_SECONDS", 0.02)
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(reruns, "QUIET_SECONDS", 0.02)
    async with servers(tmp_path) as stack:
        play = Play(stack, seed)
        async with AsyncExitStack() as bots:
            await bots.enter_async_context(stack.running_bot())
            for _ in range(30):
                what = play.random.choice(DEEDS)
                if what in {"restart", "gap"}:
                    await play.settle()
                    await bots.aclose()
                    if what == "gap" and play.questions:
                        await play.deed(play.random.choice(["delete", "bulk"]))
                    await bots.enter_async_context(stack.running_bot())
                else:
                    await play.deed(what)
            await play.settle()
            await play.ask()
            await stack.until(lambda: not [word for word in play.forbidden if in_files(stack, word)])
