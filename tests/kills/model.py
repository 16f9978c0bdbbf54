"""A model whose answer follows from the question, so that every word on screen can be told where it belongs."""

from __future__ import annotations

import random
import re

from tests.scripted_ollama import ScriptedOllama, SeenRequest, Step, done, pause, token

LENGTHS = (1, 15, 60, 60, 250, 600, 900)  # words


def words_of(number: int, seed: int) -> list[str]:
    """The words of the answer to question *number*."""
    length = random.Random(f"{seed}/{number}").choice(LENGTHS)
    return [f"q{number}w{index}" for index in range(length)]


def text_of(number: int, seed: int) -> list[str]:
    """The answer in tokens: paragraphs, bold words, and now and then a fence."""
    chance = random.Random(f"{seed}/{number}/text")
    tokens: list[str] = []
    in_code = False
    for word in words_of(number, seed):
        shown = f"**{word}**" if not in_code and chance.random() < 0.1 else word
        tokens.append(shown + (" " if chance.random() < 0.9 else "\n" if in_code else "\n\n"))
        if chance.random() < 0.02:
            tokens.append("\n```\n")
            in_code = not in_code
    return [*tokens, "\n```"] if in_code else tokens


class AnsweringOllama(ScriptedOllama):
    """Answers question 17 with q17w0 q17w1 …, at a pace of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def _chat_script(self, request: SeenRequest) -> list[Step]:
        body = request.json
        asked = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        number = int(re.findall(r"question (\d+)", asked)[-1])
        tokens = text_of(number, self._seed)
        seconds = random.uniform(0.1, 4.0)
        steps = [pause(random.choice((0.0, 0.0, 0.3, 1.5)))]
        steps += [token("".join(tokens[i : i + 3]), 3 * seconds / len(tokens)) for i in range(0, len(tokens), 3)]
        return [*steps, done()]
