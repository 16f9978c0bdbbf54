"""What was asked while no bot was there: answered or told by the next start, once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID, GRACE_ID
from bot.shutdown import wind_down
from bot.streaming.backoff import Backoff
from tests.whole.stack import Stack, servers

pytestmark = pytest.mark.both_databases

CANNED = "Hello from the scripted model."
AWAY = "⏹️ I was away when you asked this. Please ask again."


@pytest.fixture
async def stack(tmp_path: Path):
    """A bot was there before, heard everything, and is away."""
    async with servers(tmp_path) as stack:
        await start(stack)
        yield stack


async def start(stack: Stack) -> None:
    """Start the bot, let it do what it finds to do, and stop it."""
    async with stack.running_bot() as bot:
        await stack.until(lambda: bot.is_ready() and bot.services.seen._lost_at is None)
        await asyncio.sleep(0.02)  # what was found is on its way to the responder
        await stack.until(lambda: not bot.responder._taking_in)
        await stack.idle()


def looks(stack: Stack) -> int:
    """How often messages were looked up."""
    return sum(record.method == "GET" and record.path.endswith("/messages") for record in stack.discord.log)


async def test_a_prompt_that_came_while_no_bot_was_there_is_answered_once(stack: Stack):
    stack.say("nobody in particular")
    prompt = stack.ask("Is anybody there?")
    await start(stack)
    [reply] = stack.replies()
    assert reply["content"] == CANNED
    assert reply["message_reference"]["message_id"] == prompt["id"]
    await start(stack)
    assert stack.texts() == [CANNED]
    assert len(stack.ollama.chats) == 1


async def test_prompts_are_answered_in_their_order_everywhere_the_bot_may_read(stack: Stack):
    channels = [GENERAL_ID, CODE_ID, stack.world.create_channel("never-spoken-in")["id"]]
    for channel in channels:
        for number in range(2):
            stack.ask(f"Question {number}", channel=channel)
    await start(stack)
    for channel in channels:
        assert stack.texts(channel) == [CANNED] * 2
    asked = [chat.json["messages"][-1]["content"] for chat in stack.ollama.chats]
    assert sorted(asked) == ["⟦Ada⟧ Question 0"] * 3 + ["⟦Ada⟧ Question 1"] * 3


async def test_a_reply_to_the_bot_is_found_too(stack: Stack):
    stack.ask("First")
    await start(stack)
    stack.say("And then?", reply_to=stack.replies()[0]["id"], ping_reply=False)
    await start(stack)
    assert stack.texts() == [CANNED] * 2


async def test_a_direct_message_is_found_where_people_have_talked_to_the_bot(stack: Stack):
    channel = stack.world.open_dm(ADA_ID)["id"]
    async with stack.running_bot():
        stack.say("Hello", channel=channel)
        await stack.answered(1, channel)
    stack.say("Are you there?", channel=channel)
    await start(stack)
    assert stack.texts(channel) == [CANNED] * 2


async def test_what_was_refused_before_a_stop_is_not_answered_by_the_starts_after_it(tmp_path: Path):
    async with servers(tmp_path, user_prompts_per_minute=1) as stack:
        await start(stack)
        async with stack.running_bot() as bot:
            for number in range(3):
                last = stack.ask(f"Question {number}")
            await stack.until(lambda: bot.services.seen.was_refused(int(last["id"])))
            await stack.until(lambda: len(stack.texts()) == 2)
            await stack.idle()
            await wind_down(bot, 0.0)
        texts = stack.texts()
        for _ in range(2):
            async with stack.running_bot() as bot:
                await stack.until(lambda bot=bot: bot.is_ready() and bot.services.seen._lost_at is None)
                await asyncio.sleep(0.02)
                await stack.idle()
                await wind_down(bot, 0.0)
        assert stack.texts() == texts
        assert len(stack.ollama.chats) == 1


async def test_who_asked_too_long_ago_is_told_once(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.recovery.backfill.ANSWERED_WITHIN_SECONDS", -1.0)
    stack.ask("Is anybody there?")
    prompts = [stack.ask("Hello?"), stack.ask("And I?", user=GRACE_ID)]
    async with stack.running_bot():
        await stack.until(lambda: stack.texts() == [AWAY] * 2)
    assert {reply["message_reference"]["message_id"] for reply in stack.replies()} == {each["id"] for each in prompts}
    assert stack.ollama.chats == []


async def test_what_was_answered_without_the_store_is_not_answered_again(stack: Stack):
    async with stack.running_bot():
        stack.ask("")
        [hint] = await stack.answered(1)
    stack.world.message_rules._nonces.clear()  # Discord knows a nonce for minutes only
    await start(stack)
    assert stack.texts() == [hint]


async def test_a_command_that_was_cut_before_it_was_taken_in_is_told(stack: Stack):
    interaction = stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "What then?"})
    stack.world.interactions.respond(interaction.id, interaction.token, {"type": 5})
    await start(stack)
    assert stack.texts() == ["⏹️ interrupted by a restart. Please ask again."]
    assert stack.ollama.chats == []


async def test_a_new_bot_leaves_alone_what_was_said_before_it_came(tmp_path: Path):
    async with servers(tmp_path) as stack:
        stack.ask("Are you new here?")
        await start(stack)
        assert stack.texts() == []
        assert looks(stack) == 0


async def test_where_nothing_is_new_nothing_is_looked_up(stack: Stack):
    stack.ask("Hello")
    await start(stack)
    before = looks(stack)
    assert before > 0
    await start(stack)
    assert looks(stack) - before <= 1  # the slack reaches back over the answer


async def test_where_the_history_may_not_be_read_nothing_is_tried(stack: Stack, caplog: pytest.LogCaptureFixture):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.READ_MESSAGE_HISTORY))
    stack.ask("Is anybody there?")
    with caplog.at_level(logging.INFO):
        await start(stack)
    assert looks(stack) == 0
    assert "cannot be read" not in caplog.text


@pytest.mark.parametrize("answer", [{"status": 403}, {"status": 200, "body": [{"id": "1"}]}], ids=["403", "poison"])
async def test_a_channel_that_fails_costs_the_others_nothing(
    stack: Stack, caplog: pytest.LogCaptureFixture, answer: dict
):
    stack.ask("Is anybody there?")
    stack.ask("And here?", channel=CODE_ID)
    stack.discord.inject(method="GET", route=f"*/channels/{CODE_ID}/messages", **answer)
    with caplog.at_level(logging.INFO):
        await start(stack)
    assert stack.texts() == [CANNED]
    assert f" in channel {CODE_ID} cannot be read" in caplog.text


async def test_of_several_shards_each_must_hear_again_before_nothing_is_missed(stack: Stack):
    async with stack.running_bot() as bot:
        seen = bot.services.seen
        await stack.until(lambda: bot.is_ready() and seen._lost_at is None)
        for event, shard_id in (("shard_disconnect", 1), ("shard_disconnect", 2), ("shard_resumed", 1)):
            bot.dispatch(event, shard_id)
            await asyncio.sleep(0.01)
        assert seen.heard_until == seen._lost_at
        before = looks(stack)
        stack.ask("Who hears me?")
        await stack.answered(1)
        bot.dispatch("shard_ready", 2)
        await stack.until(lambda: seen._lost_at is None)
        assert looks(stack) > before
        assert stack.texts() == [CANNED]


async def test_a_new_session_that_is_resumed_before_the_look_back_hides_nothing(stack: Stack):
    async with stack.running_bot() as bot:
        seen, missed = bot.services.seen, bot.get_cog("GapListener")
        await stack.until(lambda: seen._lost_at is None)
        await missed.on_shard_disconnect(0)
        await missed.on_shard_connect(0)
        await missed.on_shard_resumed(0)
        assert seen._lost_at is not None
        await missed.on_shard_ready(0)
        assert seen._lost_at is None


async def test_what_the_bot_says_itself_is_not_looked_up(stack: Stack):
    async with stack.running_bot() as bot:
        stack.ask("Hello")
        await stack.answered(1)
        await stack.idle()
        before = looks(stack)
        missed = bot.get_cog("GapListener")
        await missed.on_shard_disconnect(0)
        await missed.on_shard_ready(0)
        assert looks(stack) == before


@pytest.mark.parametrize("fault", [{"reset": True}, {"hang": True}, {"delay": 0.5}], ids=["reset", "hanging", "slow"])
async def test_a_channel_that_fails_for_a_while_is_looked_into_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, fault
):
    monkeypatch.setattr("bot.delivery.http.OTHERS_SECONDS", 0.2)
    monkeypatch.setattr("bot.recovery.backfill.Backoff", lambda: Backoff(base=0.02))
    stack.ask("Is anybody there?")
    stack.ask("And here?", channel=CODE_ID)
    stack.discord.inject(method="GET", route=f"*/channels/{CODE_ID}/messages", times=2, **fault)
    await start(stack)
    assert (stack.texts(), stack.texts(CODE_ID)) == ([CANNED], [CANNED])
