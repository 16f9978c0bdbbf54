"""Answers that go on past the most messages: nothing that was on screen goes, all comes as a file."""

from __future__ import annotations

import asyncio
import random
import re
from itertools import pairwise

import pytest

from bot.markdown.splitter import STATE_ROOM, Splitter
from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer
from tests.streaming.simulated import SimulatedDiscord, SimulatedSink
from tests.streaming.virtual_time import in_virtual_time

PARAGRAPH = "Some words of **bold** text, `code` and more. " * 6 + "\n\n"
ANSWERS = {
    "paragraphs": PARAGRAPH * 60,
    "one line": "word " * 3000,
    "one word": "x" * 12000,
    "code": "Look:\n```py\n" + "print('a line of code')\n" * 600 + "```",
    "table": "| a | b |\n|---|---|\n" + "| cell one | cell two |\n" * 500,
    "sections": ("## Title\n\n" + PARAGRAPH * 3) * 20,
}
LINES = re.compile(r"\n-# (?:too long for|the whole answer, )[^\0]*\Z")


def letters(text: str) -> str:
    """Return what a cursor, closing marks and our lines do not change."""
    return re.sub(r"[\s▌`*│]", "", LINES.sub("", text))


async def tell(answer: str, most: int, footer: str = "") -> tuple[SimulatedSink, list[str]]:
    """Stream *answer* into *most* messages; return the sink and what the last of them ever showed."""
    sink = SimulatedSink(SimulatedDiscord())
    streamer = ReplyStreamer(sink, Splitter(last=most), EditBudget(), max_messages=most)
    writer = asyncio.create_task(streamer.run())
    chance = random.Random(1)
    at = 0
    while at < len(answer):
        size = chance.randint(1, 40)
        streamer.feed(answer[at : at + size])
        at += size
        await asyncio.sleep(0.02)
    streamer.end(footer)
    await writer
    assert sink.discord.refused == 0
    return sink, [text for _, ordinal, text in sink.seen if ordinal == most - 1]


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("kind", ANSWERS)
@in_virtual_time
async def test_what_was_on_screen_stays_while_characters_are_counted_below(kind: str, most: int) -> None:
    sink, shown = await tell(ANSWERS[kind], most, "-# ⏹️ stopped")
    assert len(sink.messages) == most
    for before, after in pairwise(shown):
        assert letters(after).startswith(letters(before)), (before, after)
    counted = [text for text in shown if "characters so far, a file follows ▌" in text]
    assert len(counted) > 1
    assert shown[-1].endswith(
        f"-# the whole answer, {len(ANSWERS[kind]):,} characters, is in the attached file\n-# ⏹️ stopped"
    )
    assert [file.data.decode() for file in sink.files] == [ANSWERS[kind]]


@in_virtual_time
async def test_a_long_ending_fits_below_the_last_page() -> None:
    sink, shown = await tell("word " * 3000, 1, "-# " + "a long complaint " * 60)
    assert shown[-1].endswith("…")
    assert len(shown[-1]) > 2000 - STATE_ROOM
    assert len(sink.files) == 1


@in_virtual_time
async def test_an_answer_that_just_fits_ends_as_any_other() -> None:
    sink, shown = await tell("word " * 310, 1, "-# done")
    assert shown[-1] == ("word " * 310).strip() + "\n-# done"
    assert sink.files == []


def test_the_last_page_takes_what_fits_on_it() -> None:
    """A page that ended early would make an answer too long that is not."""
    splitter = Splitter(last=1)
    splitter.feed("word " * 40 * 7 + "\n\n" + "word " * 30)
    splitter.finish()
    assert len(splitter.closed) == 1
