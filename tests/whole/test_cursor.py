"""The model may write the character of our cursor: what is finished stays as it was written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation.records import ReplyEnd, ReplyState
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID
from tests.scripted_ollama import hold, say
from tests.whole.leftovers import left, note, posted
from tests.whole.stack import STOP, Stack, servers
from tests.whole.test_stopping import half_answer

TEXTS = ["A half block looks like ▌ and that is all.", "▌", "It ends with a ▌", "```\n███ ▌\n```", "```\nx\n```\n▌"]


@pytest.fixture
async def stack(tmp_path: Path):
    async with servers(tmp_path) as stack:
        yield stack


@pytest.mark.parametrize("text", TEXTS)
async def test_an_answer_with_the_cursors_character_is_shown_whole(stack: Stack, caplog, text: str):
    async with stack.running_bot():
        stack.ollama.enqueue(say(text))
        stack.ask("Draw it")
        assert await stack.answered() == [text]
        await stack.idle()
        assert stack.texts() == [text]
    async with stack.running_bot():
        await asyncio.sleep(0.05)
        assert stack.texts() == [text]
    assert "could not be" not in caplog.text


@pytest.mark.parametrize("text", TEXTS)
async def test_it_is_shown_whole_where_only_the_hint_names_the_command(stack: Stack, text: str):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.ADD_REACTIONS))
    async with stack.running_bot():
        go = asyncio.Event()
        stack.ollama.enqueue([hold(go), *say(text)])
        stack.ask("Draw it")
        await stack.shows("waiting for")
        go.set()
        assert await stack.answered() == [text]
        await stack.idle()
        assert stack.texts() == [text]


@pytest.mark.parametrize("text", TEXTS)
async def test_an_ending_that_was_recorded_but_not_shown_is_shown_whole(stack: Stack, text: str):
    prompt = stack.ask("Draw it")
    message = posted(stack, prompt, 0, "A half ▌")
    end = ReplyEnd(ReplyState.COMPLETE, text, at=1.0)
    await left(stack, prompt, text=text, notes=[note(prompt, 0, message, "A half ▌")], end=end)
    async with stack.running_bot():
        await stack.until(lambda: stack.texts() == [text])
        await stack.idle()
        assert stack.texts() == [text]


async def test_a_finished_message_of_another_reply_is_no_stray(stack: Stack):
    async with stack.running_bot():
        stack.ollama.enqueue(say(TEXTS[2]))
        stack.ask("Draw it")
        await stack.answered()
        await stack.idle()
    second = stack.ask("And?")
    half = posted(stack, second, 0, "Half of ▌")
    await left(stack, second, text="Half of it", notes=[note(second, 0, half, "Half of ▌")])
    async with stack.running_bot():
        await stack.shows("interrupted by a restart")
        assert stack.texts()[0] == TEXTS[2]


async def test_a_stopped_answer_keeps_its_own_block(stack: Stack):
    async with stack.running_bot():
        _, reply = await half_answer(stack, "A block: ▌")
        assert reply["content"].endswith("▌ ▌")
        stack.world.react(ADA_ID, GENERAL_ID, reply["id"], STOP)
        assert (await stack.shows("stopped by Ada")).startswith("A block: ▌\n-# ")


async def test_what_discord_takes_no_more_of_loses_only_the_cursor(stack: Stack):
    async with stack.running_bot():
        more = asyncio.Event()
        words = " ".join(f"word{number}" for number in range(400))
        stack.ollama.enqueue([*say("A ▌ first. ▌"), hold(more), *say(words)])
        stack.ask("Draw it")
        await stack.shows("first. ▌ ▌")
        stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
        closed = {"message": "Cannot send messages to this user", "code": 50007}
        stack.discord.inject(method="POST", route="/channels/*/messages", status=403, body=closed, times=-1)
        more.set()
        await stack.until(stack.ollama.chats[-1].finished.is_set)
        await stack.idle()
        [here] = stack.texts()
        assert here.startswith("A ▌ first. ▌")
        assert here.count("▌") == 2
