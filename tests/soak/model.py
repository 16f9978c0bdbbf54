"""A model that answers at many paces, in Markdown, and breaks now and then; each word tells where it belongs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from asyncio import StreamReader, StreamWriter
from collections import Counter, deque
from typing import Any

from tests.benchmarks.streams import make_tokens
from tests.scripted_ollama import (
    Reply,
    ScriptedOllama,
    SeenRequest,
    Step,
    cut,
    done,
    end,
    error,
    pause,
    reset,
    status,
    think,
    token,
)

LENGTHS = (1, 20, 60, 150, 150, 300, 300, 600, 900, 1900)
"""Tokens of an answer, each a word; the longest does not fit into the messages of a reply."""
PACES = (4.0, 8.0, 15.0, 30.0, 60.0)
"""Tokens per second."""

_QUESTION = re.compile(r"question (\d+)")
_SEEN_KEPT = 100
# How it ends, and how often of a hundred times; the rest end well.
_REFUSALS: list[tuple[int, Step]] = [
    (2, status(500, {"error": "llama runner process has terminated: exit status 2"})),
    (2, status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})),
]
_BREAKS: list[tuple[int, Step]] = [
    (4, cut()),
    (3, reset()),
    (2, error("an error was encountered while running the model: CUDA error")),
    (1, end()),
    (1, done("length")),
]


def tokens_of(number: int, seed: int) -> list[str]:
    """The answer to question *number*: Markdown with the words q17w0, q17w1, …, one in each token."""
    chance = random.Random(f"{seed}/{number}")
    tokens = make_tokens(chance.choice(LENGTHS), chance.randrange(10**6), is_markdown=True)
    return [re.sub(r"\bw(\d+)\b", rf"q{number}w\1", each) for each in tokens]


class FlakyOllama(ScriptedOllama):
    """Answers question 17 with the words q17w0 q17w1 …, and counts.

    While `is_flaky`, one answer in seven goes wrong.

    Attributes:
        haste: what all paces are multiplied by, those of answers that run, too.
        emitted: tokens sent so far.
        faults: what went wrong, by the number of the question.
        to_come: tokens that answers now running will still send, by the number of the question.
        begun, finished: numbers of the questions whose answers were begun, and sent to their last word.
    """

    def __init__(self, seed: int, *, haste: float = 1.0) -> None:
        super().__init__()
        self.requests = deque(maxlen=_SEEN_KEPT)  # type: ignore[assignment]
        self.emitted = 0
        self.faults: dict[int, int] = Counter()
        self.to_come: dict[int, int] = {}
        self.begun: set[int] = set()
        self.finished: set[int] = set()
        self.is_flaky = True
        self._seed = seed
        self.haste = haste
        self._chance = random.Random(f"{seed}/model")

    async def _answer(self, request: SeenRequest, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await super()._answer(request, reader, writer)
        finally:
            if (number := _number(request)) is not None:
                self.to_come.pop(number, None)

    def _chat_script(self, request: SeenRequest) -> list[Step]:
        number = _number(request)
        if number is None:
            return super()._chat_script(request)
        refusal = self._one_of(_REFUSALS)
        if refusal is not None:
            self.faults[number] += 1
            return [refusal]
        rest = self._rest(request, number)
        self.begun.add(number)
        self.to_come[number] = len(rest)
        pace = self._chance.choice(PACES)
        steps = [self._token(each, number, pace) for each in rest]
        broken = self._one_of(_BREAKS) if steps else None
        if broken is not None:
            self.faults[number] += 1
            steps = steps[: self._chance.randrange(len(steps))]
        elif self._chance.random() < 0.2 and steps:
            steps.insert(self._chance.randrange(len(steps)), pause(self._chance.uniform(1, 5) / self.haste))
        return [*self._before(request), *steps, broken or self._done(number)]

    def _before(self, request: SeenRequest) -> list[Step]:
        """Time to read the prompt, and at times thoughts."""
        steps = [pause(self._chance.choice((0.0, 0.2, 1.0, 4.0)) / self.haste)]
        if self._chance.random() < 0.1 and request.json.get("think") is not False:
            steps += think("What may they want to know? ", 0.2 / self.haste)
        return steps

    def _rest(self, request: SeenRequest, number: int) -> list[str]:
        """Return what is still to be said: all, or what comes after the half answer that was sent back."""
        tokens = tokens_of(number, self._seed)
        messages = request.json.get("messages", [{"role": "user"}])
        if messages[-1]["role"] != "assistant":
            return tokens
        said, whole = messages[-1]["content"], "".join(tokens)
        assert whole.startswith(said), f"question {number} was resumed with another text"
        count = 0
        while len("".join(tokens[:count]).rstrip()) < len(said):
            count += 1
        space = whole[len(said) : len("".join(tokens[:count]))]
        return [space + "".join(tokens[count : count + 1]), *tokens[count + 1 :]]

    def _token(self, text: str, number: int, pace: float) -> Step:
        step = token(text)

        async def play(reply: Reply) -> None:
            await asyncio.sleep(1 / (pace * self.haste))
            await step.play(reply)
            self.emitted += 1
            with contextlib.suppress(KeyError):
                self.to_come[number] -= 1

        return Step(play)

    def _done(self, number: int) -> Step:
        async def play(reply: Reply) -> None:
            self.finished.add(number)
            await done().play(reply)

        return Step(play, ends=True)

    def _one_of(self, choices: list[tuple[int, Step]]) -> Step | None:
        drawn = self._chance.uniform(0, 100)
        for weight, step in choices:
            drawn -= weight
            if drawn < 0:
                return step if self.is_flaky else None
        return None


def _number(request: SeenRequest) -> int | None:
    """Return the number of the question, None if it is no question."""
    body: dict[str, Any] = request.json or {}
    messages = [each["content"] for each in body.get("messages", ()) if each["role"] == "user"]
    found = _QUESTION.findall(messages[-1] if messages else str(body.get("prompt", "")))
    return int(found[-1]) if found else None
