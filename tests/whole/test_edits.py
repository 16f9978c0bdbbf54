"""Editing is asking again: what a question says now is what the model is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation import erasure
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, LINUS_ID
from tests.scripted_ollama import hold, say
from tests.whole.stack import Stack, running, talk
from tests.whole.test_forgetting import asked, erased, sent


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.02)
    async with running(tmp_path) as stack:
        yield stack


def edit(stack: Stack, message: dict, text: str, user: str = ADA_ID) -> None:
    stack.world.edit(user, GENERAL_ID, message["id"], text)


async def test_an_older_question_is_remembered_with_its_new_words(stack: Stack):
    prompt, _ = await asked(stack, "Question-oldish", "Answer-one")
    await asked(stack, "Another", "Answer-two")
    edit(stack, prompt, f"<@{BOT_ID}> Question-newish")
    request = await sent(stack)
    assert "oldish" not in request
    assert "Question-newish" in request
    assert "Answer-one" in request
    assert len(stack.ollama.chats) == 3
    await erased(stack, "Question-oldish")


async def test_a_question_that_waits_is_asked_with_its_new_words_in_its_old_place(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue(say("one"), hold(go))
    stack.ask("first")
    await stack.until(lambda: stack.ollama.chats)
    waiting = stack.ask("second-oldish")
    stack.ask("third", user=LINUS_ID)
    await stack.until(lambda: len(list(stack.services.queue)) == 3)
    edit(stack, waiting, f"<@{BOT_ID}> second-newish")
    await asyncio.sleep(0.05)
    go.set()
    await stack.answered(3)
    assert [talk(stack, index)[-1]["content"] for index in range(3)] == [
        "⟦Ada⟧ first",
        "⟦Ada⟧ second-newish",
        "⟦Linus⟧ third",
    ]
    assert "oldish" not in str([chat.json for chat in stack.ollama.chats])
    await erased(stack, "second-oldish")


async def test_a_mention_that_is_added_makes_a_question(stack: Stack):
    message = stack.say("What is a lyre?")
    await asyncio.sleep(0.02)
    edit(stack, message, f"<@{BOT_ID}> What is a lyre?")
    await stack.answered()
    assert stack.replies()[0]["message_reference"]["message_id"] == message["id"]
    edit(stack, message, "What is a lyre?")  # taking it out withdraws nothing
    assert "What is a lyre?" in await sent(stack)
    assert len(stack.ollama.chats) == 2


async def test_a_mention_that_is_added_too_late_makes_none(stack: Stack):
    message = stack.say("What is a lyre?")
    stored = stack.world.state.message(GENERAL_ID, message["id"])
    told = stored | {"content": f"<@{BOT_ID}> What?", "mentions": [stack.world.bot_user]}
    old_id = str(int(message["id"]) - (200_000 << 22))
    stack.discord.dispatch("MESSAGE_UPDATE", told | {"id": old_id, "edited_timestamp": stored["timestamp"]})
    await asyncio.sleep(0.1)
    assert not stack.ollama.chats


@pytest.mark.parametrize("what", ["a preview", "a pin", "the same words", "no content"])
async def test_what_is_no_edit_changes_nothing(stack: Stack, what: str):
    prompt, _ = await asked(stack, "Question", "Answer")
    stored = dict(stack.world.state.message(GENERAL_ID, prompt["id"]))
    if what == "a preview":
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"content": "", "embeds": [{"type": "link"}]})
    elif what == "a pin":
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"pinned": True})
    elif what == "the same words":
        edit(stack, prompt, prompt["content"])
    else:
        stack.discord.dispatch("MESSAGE_UPDATE", stored | {"content": "", "edited_timestamp": stored["timestamp"]})
    await asyncio.sleep(0.05)
    assert talk(stack, -1)[0]["content"] == "⟦Ada⟧ Question"
    assert "Question" in await sent(stack)
    assert len(stack.ollama.chats) == 2


async def test_an_edit_keeps_what_the_question_refers_to(stack: Stack):
    source = stack.say("A message to be quoted", user=LINUS_ID)
    prompt, _ = await asked(stack, "oldish", "Well.", reply_to=source["id"])
    await asked(stack, "Another", "Yes.")
    edit(stack, prompt, f"<@{BOT_ID}> newish")
    request = await sent(stack)
    assert "A message to be quoted" in request
    assert "newish" in request
