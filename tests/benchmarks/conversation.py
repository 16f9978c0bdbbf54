"""A long conversation: how much of it the model has to read anew, and how much of its room is used.

    python -m tests.benchmarks.conversation

The whole bot talks to a model server that counts tokens and keeps what it has
read of the longest equal beginning, as llama.cpp does with one slot: its own
answer stays read, token for token. Counted from the first time on that the window
was full. The bot is started anew in the middle.
"""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scripted_ollama import Reply, Step
from tests.whole.stack import Stack, servers

TURNS, TURN_TOKENS, NUM_CTX = 120, 400, 8192
SPEEDS = (500, 3000)
"""Tokens that a model reads in a second: a small machine, a good graphics card."""

_WORDS = (
    "the harbour keeps its lights on for boats that come late and nobody asks why a pilot would rather wait "
    "outside until morning while engineers measure currents, temperature, pressure; numbers fill another table"
)
# Words in pieces, each sign alone: about what the tokenizers of today do.
_TOKEN = re.compile(r"\w{1,7}|[^\w\s]")


def tokens(text: str) -> list[str]:
    """Return the tokens of *text*."""
    return _TOKEN.findall(text)


def prose(rng: random.Random, count: int) -> str:
    """Return *count* tokens of text."""
    words, written = _WORDS.split(), ""
    while len(tokens(written)) < count:
        written += f"{rng.choice(words)} "
    return written.strip()


@dataclass
class WarmModel:
    """A model server's memory of one slot.

    Attributes:
        prompts: for each request how many tokens it had, and how many of these were read anew.
        is_move: for each request whether it did not begin as the one before.
    """

    seed: int = 1
    prompts: list[tuple[int, int]] = field(default_factory=list)
    is_move: list[bool] = field(default_factory=list)
    _read: list[str] = field(default_factory=list)
    _asked: list[str] = field(default_factory=list)

    async def play(self, reply: Reply) -> None:
        """Answer with some words, and count."""
        prompt = _rendered(reply.request.json["messages"])
        common = _common(self._read, prompt)
        self.is_move.append(common < len(self._asked) - _TAIL)
        self.prompts.append((len(prompt), len(prompt) - common))
        rng = random.Random(self.seed * 1000 + len(self.prompts))
        answer = prose(rng, rng.randint(TURN_TOKENS // 2, TURN_TOKENS))
        self._asked, self._read = prompt, prompt + tokens(answer)
        await reply.line(reply.value(answer, done=False))
        counts = {"prompt_eval_count": len(prompt), "eval_count": len(tokens(answer))}
        await reply.line(reply.value("", done=True, done_reason="stop", **counts))
        await reply.wire(b"0\r\n\r\n")


_TAIL = 1  # the mark at a prompt's end, behind which the model goes on


def _rendered(messages: Sequence[dict[str, Any]]) -> list[str]:
    """Return the tokens of a conversation as a template makes them, ready for the answer."""
    marked = [[f"<{message['role']}>", *tokens(message["content"]), "<end>"] for message in messages]
    return [token for message in marked for token in message] + ["<assistant>"]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@dataclass(frozen=True)
class Outcome:
    """What a conversation came to, from the first move on."""

    requests: int
    moves: int
    share_anew: float
    room_used: float
    most_tokens: int
    mean_anew: float
    most_anew: int

    @classmethod
    def of(cls, model: WarmModel, room: int) -> Outcome:
        """Return the outcome of what *model* saw, *room* being the window without what is kept for the answer."""
        first = model.is_move.index(True, 1)
        prompts = model.prompts[first:]
        whole, anew = (sum(counts) for counts in zip(*prompts, strict=True))
        return cls(
            len(prompts),
            sum(model.is_move[first:]),
            anew / whole,
            whole / len(prompts) / room,
            max(size for size, _ in prompts),
            anew / len(prompts),
            max(read for _, read in prompts),
        )

    def told(self) -> str:
        """Return the outcome in words."""
        reading = "; ".join(
            f"at {speed} tokens/s {self.mean_anew / speed:.2f} s a question, {self.most_anew / speed:.1f} s at a move "
            f"(all anew: {self.most_tokens / speed:.1f} s)"
            for speed in SPEEDS
        )
        return (
            f"{self.requests} questions from the first move on, {self.moves} moves: {self.share_anew:.0%} read anew, "
            f"room used {self.room_used:.0%}, at most {self.most_tokens} tokens; reading {reading}"
        )


async def converse(stack: Stack, turns: int) -> WarmModel:
    """Have a conversation of *turns* turns, with a restart in the middle."""
    model = WarmModel()
    rng = random.Random(2)
    asked = 0
    for part in (turns // 2, turns - turns // 2):
        async with stack.running_bot():
            for _ in range(part):
                stack.ollama.enqueue(Step(model.play, ends=True))
                stack.ask(prose(rng, rng.randint(20, TURN_TOKENS // 2 - 20)))
                asked += 1
                await stack.until(lambda count=asked: len(model.prompts) >= count)
                await stack.idle()
    return model


async def played(turns: int = TURNS) -> Outcome:
    """Play the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        async with servers(Path(folder), num_ctx=NUM_CTX) as stack:
            return Outcome.of(await converse(stack, turns), NUM_CTX - NUM_CTX // 4)


if __name__ == "__main__":
    print(f"conversation of {TURNS} turns, window {NUM_CTX}: {asyncio.run(played()).told()}")
