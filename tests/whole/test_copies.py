"""Proxy bots write a person's message anew over a webhook and delete the original: it stays that person's question."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation import erasure
from bot.playground.loopback.seed import ADA_ID, BOT_ID, CODE_ID, GENERAL_ID
from bot.recovery import copies
from tests.scripted_ollama import hang, hold, say
from tests.whole.stack import Stack, running, servers
from tests.whole.test_forgetting import asked, count, erased, rows, sent


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(erasure, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.02)
    async with running(tmp_path) as stack:
        yield stack


def copy(stack: Stack, text: str, channel: str = GENERAL_ID) -> dict:
    return stack.world.message_rules.create_by_webhook(channel, "Lyra", text)


async def test_a_question_that_is_copied_and_then_deleted_goes_on(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue(say("It begins"), hold(go), say(" and ends."))
    prompt = stack.ask("L: Who am I?")
    await stack.shows("It begins")
    made = copy(stack, f"<@{BOT_ID}> Who am I?")
    await asyncio.sleep(0.02)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await asyncio.sleep(0.05)
    go.set()
    assert await stack.shows("It begins and ends.")
    await stack.idle()
    assert len(stack.ollama.chats) == 1  # the copy is no question of its own
    assert rows(stack, "SELECT message_id, author_id, copy_id FROM prompt") == [
        (int(prompt["id"]), int(ADA_ID), int(made["id"]))
    ]
    assert "Who am I?" in await sent(stack)
    stack.world.message_rules.remove(stack.world.state.message(GENERAL_ID, made["id"]))
    assert "Who am I?" not in await sent(stack)
    await erased(stack, "Who am I?")


@pytest.mark.parametrize("order", ["copy first", "deletion first"])
async def test_an_answered_question_that_is_copied_is_remembered(stack: Stack, order: str):
    prompt, _ = await asked(stack, "L: Who am I?", "Lyra.")
    if order == "copy first":
        copy(stack, "Who am I?")
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    else:
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        await stack.until(lambda: stack.services.store.erasure.withdrawn)
        assert "Who am I?" not in await sent(stack)  # out of every request at once
        copy(stack, "Who am I?")
    await stack.until(lambda: rows(stack, "SELECT 1 FROM prompt WHERE copy_id IS NOT NULL"))
    await asyncio.sleep(0.35)
    assert "Who am I?" in await sent(stack)
    assert count(stack, "forgotten") == 0


@pytest.mark.parametrize("what", ["runs", "waits"])
async def test_a_question_that_is_deleted_and_then_copied_begins_after_all(stack: Stack, what: str):
    go = asyncio.Event()
    if what == "waits":
        stack.ollama.enqueue(hold(go), say("one"))
        stack.ask("first")
        await stack.until(lambda: stack.ollama.chats)
    else:
        stack.ollama.enqueue(say("It begins"), hang())
    prompt = stack.ask("L: Who am I?")
    await stack.shows("It begins" if what == "runs" else "next in line")
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await stack.until(lambda: stack.services.store.erasure.withdrawn)
    stack.ollama.enqueue(say("You are Lyra."))
    copy(stack, f"<@{BOT_ID}> Who am I?")
    go.set()
    await stack.shows("You are Lyra.")
    await stack.idle()
    assert "the question was deleted" not in str(stack.texts())
    assert "Who am I?" in await sent(stack)
    assert rows(stack, "SELECT author_id FROM prompt WHERE copy_id IS NOT NULL") == [(int(ADA_ID),)]


async def test_a_question_that_is_gone_before_it_is_heard_begins_with_its_copy(stack: Stack):
    message = stack.say("L: Who am I?")
    stack.world.delete(ADA_ID, GENERAL_ID, message["id"])
    await asyncio.sleep(0.05)
    mention = {"content": f"L: <@{BOT_ID}> Who am I?", "mentions": [stack.world.bot_user]}
    stack.discord.dispatch("MESSAGE_CREATE", message | mention)  # late, and after its deletion
    await asyncio.sleep(0.05)
    assert not stack.ollama.chats
    stack.ollama.enqueue(say("You are Lyra."))
    made = copy(stack, f"<@{BOT_ID}> Who am I?")
    await stack.shows("You are Lyra.")
    await stack.idle()
    assert rows(stack, "SELECT message_id, copy_id FROM prompt") == [(int(message["id"]), int(made["id"]))]


@pytest.mark.parametrize("what", ["other words", "another channel", "too late", "too early", "a bot", "nothing"])
async def test_what_is_no_copy_saves_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch, what: str):
    if what == "too early":
        monkeypatch.setattr(copies, "BEFORE_SECONDS", 0.0)
    prompt, _ = await asked(stack, "L: Who am I?", "Lyra.")
    if what == "other words":
        copy(stack, "Who are you?")
    elif what == "another channel":
        copy(stack, "Who am I?", CODE_ID)
    elif what == "too early":
        copy(stack, "Who am I?")
    elif what == "a bot":
        stack.say("Who am I?", user=stack.world.add_bot("Parrot"))
    elif what == "nothing":
        stack.world.message_rules.create_by_webhook(GENERAL_ID, "Lyra", "\u200b")
    await asyncio.sleep(0.02)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    if what == "too late":
        await stack.until(lambda: count(stack, "prompt") == 0)
        copy(stack, "Who am I?")
    assert "Who am I?" not in await sent(stack)
    await erased(stack, "L: Who am I?")


async def test_a_copied_question_is_remembered_when_its_copy_is_copied(stack: Stack):
    prompt, _ = await asked(stack, "L: Who am I?", "Lyra.")
    first = copy(stack, "Who am I?")
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await stack.until(lambda: rows(stack, "SELECT 1 FROM prompt WHERE copy_id IS NOT NULL"))
    second = copy(stack, "Who am I?")
    stack.world.message_rules.remove(stack.world.state.message(GENERAL_ID, first["id"]))
    await stack.until(lambda: rows(stack, "SELECT copy_id FROM prompt") == [(int(second["id"]),)])
    await asyncio.sleep(0.35)
    assert "Who am I?" in await sent(stack)


async def test_words_before_a_mention_that_are_deleted_and_then_copied_are_answered_after_all(stack: Stack):
    words = stack.say("L: Who am I?")
    stack.ollama.enqueue(say("It begins"), hang())
    stack.ask("")
    await stack.shows("It begins")
    stack.world.delete(ADA_ID, GENERAL_ID, words["id"])
    await stack.until(lambda: stack.services.store.erasure.withdrawn)
    stack.ollama.enqueue(say("You are Lyra."))
    copy(stack, "Who am I?")
    await stack.shows("You are Lyra.")
    await stack.idle()
    assert stack.texts() == ["You are Lyra."]
    assert "Who am I?" in await sent(stack)


async def test_a_copied_question_that_waits_is_answered_after_a_restart(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            stack.ollama.enqueue(hang())
            stack.ask("First")
            await stack.until(lambda: stack.ollama.chats)
            prompt = stack.ask("L: Who am I?")
            await stack.until(lambda: len(list(stack.services.queue)) == 2)
            copy(stack, "Who am I?")
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
            await stack.until(lambda: rows(stack, "SELECT 1 FROM prompt WHERE copy_id IS NOT NULL"))
            await bot.responder.shutdown(0)
        stack.ollama.enqueue(say("You are Lyra."))
        async with stack.running_bot():
            await stack.shows("You are Lyra.")
            await stack.idle()
            assert "Who am I?" in await sent(stack)


async def test_a_copied_question_is_not_taken_for_deleted_after_a_restart(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt, _ = await asked(stack, "L: Who am I?", "Lyra.")
            copy(stack, "Who am I?")
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
            await stack.until(lambda: rows(stack, "SELECT 1 FROM prompt WHERE copy_id IS NOT NULL"))
        async with stack.running_bot():
            assert "Who am I?" in await sent(stack)
