"""Discord's limits, through the whole bot: learned from its answers, felt by nobody but the edits, never fatal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation.records import ReplyState
from bot.playground.loopback.seed import ADA_ID, CODE_ID, GENERAL_ID
from tests.scripted_ollama import hold, raw, say
from tests.whole.faults import line, new_channel
from tests.whole.long_answer import PASSING, WHOLE, Answer, growing, nothing_left_running, recorded, squeezed
from tests.whole.stack import CURSOR, SCALE, Stack, running

CANNED = "Hello from the scripted model."
WORDS = [f"word{number} " for number in range(60)]


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


async def slowly(stack: Stack, channel: str) -> None:
    """An answer of some periods' length; every word of it arrives."""
    stack.ollama.enqueue([say(word, delay=0.01) for word in WORDS])
    stack.ask("Slowly", channel=channel)
    assert squeezed("".join(await stack.answered(1, channel))) == squeezed("".join(WORDS))
    await recorded(stack, channel, ReplyState.COMPLETE, "".join(WORDS))


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
async def test_a_channel_of_three_edits_in_ten_seconds_is_paced_and_loses_nothing(stack: Stack, kind: str):
    stack.discord.limits.kind = kind
    channel = new_channel(stack)
    stack.discord.limits.overrides["edit", channel] = (3, 10.0)
    await slowly(stack, channel)
    sent = [r for r in stack.discord.log if r.method == "PATCH" and r.channel_id == channel]
    assert len(sent) >= 3
    assert sum(r.status == 429 for r in sent) <= 1


@pytest.mark.parametrize("kind", ["fixed", "leaky"])
@pytest.mark.parametrize(("limit", "period"), [(2, 10.0), (10, 2.0)])
async def test_a_limit_that_changes_in_the_middle_of_a_reply_costs_no_text(stack: Stack, kind, limit, period):
    stack.discord.limits.kind = kind
    channel = new_channel(stack)
    reply = asyncio.create_task(slowly(stack, channel))
    await stack.shows("word20", channel)
    stack.discord.limits.overrides["edit", channel] = (limit, period)
    await reply
    assert sum(r.status == 429 for r in stack.discord.log) <= 3


async def test_edits_of_an_old_message_are_limited_unannounced_and_no_text_is_lost(stack: Stack):
    channel = new_channel(stack)
    stack.ollama.enqueue([say(word, delay=0.01) for word in WORDS])
    refused = dict(PASSING["429-old-message-30046"], times=3)
    stack.discord.inject(method="PATCH", route=f"/channels/{channel}/messages/*", **refused)
    stack.ask("Slowly", channel=channel)
    assert squeezed("".join(await stack.answered(1, channel))) == squeezed("".join(WORDS))


async def exhausted(stack: Stack, seconds: float = 2.0) -> Answer:
    """An answer in a channel of one edit per so many *seconds*, which is spent: whoever waits for it is seen."""
    stack.discord.limits.overrides["edit", GENERAL_ID] = (1, seconds / SCALE)
    each = await growing(stack)
    each.steps[0].set()
    await stack.shows("second part")
    return each


def edits(stack: Stack) -> int:
    return sum(r.method == "PATCH" and r.path.startswith("/channels/") for r in stack.discord.log)


@pytest.mark.slow
async def test_a_further_message_does_not_wait_until_edits_are_allowed_again(stack: Stack):
    each = await exhausted(stack)
    each.steps[1].set()
    await stack.until(lambda: len(stack.replies()) == 2, seconds=1.5)
    assert edits(stack) == 1
    each.steps[2].set()
    await stack.idle()
    assert squeezed("".join(stack.texts())) == squeezed(WHOLE)


@pytest.mark.slow
async def test_other_words_in_the_channel_do_not_wait_until_edits_are_allowed_again(stack: Stack):
    each = await exhausted(stack, seconds=6.0)
    stack.ask("")
    await stack.until(lambda: any("Hi!" in text for text in stack.texts()), seconds=1.5)
    stack.world.run_command(ADA_ID, GENERAL_ID, ["model", "use"], {"name": "qwen3:8b"})
    await stack.until(lambda: any("answers in this channel" in text for text in stack.texts()), seconds=1.5)
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "And this?"})
    await stack.until(lambda: any(CANNED in text for text in stack.texts()), seconds=1.5)
    assert edits(stack) == 1
    for step in each.steps:
        step.set()
    await stack.idle()
    assert squeezed("".join(stack.texts())).count(squeezed("it ends")) == 1


@pytest.mark.parametrize("name", [name for name in PASSING if name.startswith("429")])
async def test_no_429_makes_the_process_mute(stack: Stack, name: str):
    """Every request of the bot is refused for a while, some of them while their reply is being stopped."""
    assert stack.bot is not None
    stack.ollama.enqueue(say("It begins"), hold(asyncio.Event()))
    prompt = stack.ask("Stopped meanwhile", channel=CODE_ID)
    await stack.shows("It begins", CODE_ID)
    fault = stack.discord.inject(times=12, **PASSING[name])
    stack.ask("Hello")
    stack.world.run_command(ADA_ID, GENERAL_ID, ["help"], {})
    await stack.until(lambda: fault.hits >= 2)
    stack.world.react(ADA_ID, CODE_ID, prompt["id"], "⏹️")
    await stack.shows(CANNED)
    await stack.shows("stopped by Ada", CODE_ID)
    await stack.idle()
    assert stack.bot.http._global_over.is_set()
    nothing_left_running()
    stack.discord.faults.clear()
    stack.ask("And again")
    await stack.until(lambda: stack.texts().count(CANNED) == 2)


async def test_the_model_is_read_to_its_end_while_an_edit_hangs(stack: Stack):
    """More than the sockets' buffers hold: who waited for Discord would hold the model up."""
    more = asyncio.Event()
    padding = "x" * 2_000_000
    stack.ollama.enqueue(say("It begins."), hold(more), [raw(line(f" word{n}", padding=padding)) for n in range(16)])
    stack.ask("Go")
    await stack.shows("It begins.")
    fault = stack.discord.inject(method="PATCH", route="/channels/*/messages/*", hang=True)
    more.set()
    chat = stack.ollama.chats[-1]
    await stack.until(lambda: fault.hits)
    await stack.until(chat.finished.is_set)
    assert [r for r in stack.discord.pending if r.method == "PATCH"], "the edit hangs still"
    assert stack.texts() == [f"It begins. {CURSOR}"]
