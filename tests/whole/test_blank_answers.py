"""Answers that nobody would see anything of end in a sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from tests.scripted_ollama import done, hang, hold, say, token
from tests.whole.stack import CURSOR, STOP, running

EMPTY = "The model gave an empty answer. Please ask again in other words."
NO_ANSWER = "✂️ The model used up its whole budget on thinking and gave no answer. Ask again, or ask for less."
BLANKS = [
    "\u200b",
    "\ufeff",
    "\u3164",
    "\u2800",
    "\u00ad",
    "&nbsp;",
    "&#8203;",
    "<br><br/>",
    "```",
    "```python\n\n```",
    "~~~",
    "# ",
    "> ",
    "- ",
    "1. ",
    "- [ ] ",
    "[]()",
    "[^1]: ",
    "|  |\n|--|\n|  |",
]


async def test_each_blank_answer_ends_in_the_sentence_in_place_of_the_status(tmp_path: Path):
    async with running(tmp_path) as stack:
        for count, answer in enumerate(BLANKS):
            more = asyncio.Event()
            stack.ollama.enqueue([hold(more), token(answer)])
            stack.ask("Go on")
            await stack.until(lambda shown=count: len(stack.texts()) > shown and "waiting" in stack.texts()[-1])
            more.set()
            await stack.idle()
            assert stack.texts()[count:] == [EMPTY], repr(answer)


async def test_a_blank_answer_that_was_cut_short_says_so(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token("\u200b\n```"), done("length")])
        stack.ask("Go on")
        assert await stack.answered() == [NO_ANSWER]


async def test_a_blank_answer_is_not_remembered(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say("\u200b"))
        stack.ask("One?")
        await stack.answered(1)
        stack.ask("Two?")
        await stack.answered(2)
        assert "assistant" not in [message["role"] for message in stack.ollama.chats[1].json["messages"]]


@pytest.mark.parametrize("answer", ["42", "42.", "#!", "`", "-1", "1)"])
async def test_the_shortest_answers_are_shown(tmp_path: Path, answer: str):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token(answer)])
        stack.ask("How many?")
        [text] = await stack.answered()
        assert text.replace("\\", "") == answer


@pytest.mark.parametrize(
    ("half", "shown"),
    [
        ("It is **very impor", "It is **very impor**"),
        ("See [Ollama](https://oll", "See Ollama"),
        ("```py\nx = 1\n``", "```py\nx = 1\n```"),
        ("Hidden: ||sec", "Hidden: ||sec||"),
        ("Use `ollama ru", "Use `ollama ru`"),
    ],
)
async def test_what_is_open_in_a_stopped_answer_is_closed(tmp_path: Path, half: str, shown: str):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token(half), hang()])
        prompt = stack.ask("Go on")
        await stack.shows(CURSOR)
        stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)
        await stack.shows("stopped")
        await stack.idle()
        [text] = stack.texts()
        assert text.startswith(f"{shown}\n-# ⏹️ stopped")


async def test_what_is_open_in_an_answer_cut_for_length_is_closed(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token("It is **very impor"), done("length")])
        stack.ask("Go on")
        [text] = await stack.answered()
        assert text.startswith("It is **very impor**\n-# ✂️")
