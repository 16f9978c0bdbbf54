"""Stop: the connection to the model closes, the text stays, the words say by whom."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.conversation.records import ReplyState
from bot.playground.loopback.permissions import Permission
from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from tests.scripted_ollama import hang, hold, say
from tests.whole.stack import STOP, Stack, running, talk

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


async def half_answer(stack: Stack, text: str = "Half an answer") -> tuple[dict, dict]:
    """An answer of Ada's that hangs in the middle; returns prompt and reply, with the control on it."""
    stack.ollama.enqueue([*say(text), hang()])
    prompt = stack.ask("Tell me a lot")
    await stack.shows(text)
    await stack.until(lambda: control(stack.replies()[-1]))
    return prompt, stack.replies()[-1]


def control(message: dict) -> list[str]:
    """Who has reacted with the stop control."""
    return [user for r in message.get("reactions", []) if r["emoji"]["name"].startswith("⏹") for user in r["user_ids"]]


async def ended(stack: Stack, words: str) -> str:
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    text = await stack.shows(words)
    await stack.idle()
    return text


@pytest.mark.parametrize("emoji", ["⏹️", "⏹"])
@pytest.mark.parametrize("on", ["reply", "prompt"])
async def test_the_asker_stops_with_a_reaction(stack: Stack, emoji: str, on: str):
    stack.world.set_permissions(GENERAL_ID, BOT_ID, allow=int(Permission.MANAGE_MESSAGES))
    prompt, reply = await half_answer(stack)
    target = reply if on == "reply" else prompt
    stack.world.react(ADA_ID, GENERAL_ID, target["id"], emoji)
    text = await ended(stack, "stopped by Ada")
    assert text.startswith("Half an answer")
    assert "▌" not in text
    assert control(stack.replies()[-1]) == []
    assert control(stack.world.message(GENERAL_ID, prompt["id"])) == []


async def test_where_the_bot_may_not_manage_messages_only_its_own_reaction_goes(stack: Stack, caplog):
    _, reply = await half_answer(stack)
    stack.world.react(ADA_ID, GENERAL_ID, reply["id"], STOP)
    await ended(stack, "stopped by Ada")
    assert control(stack.replies()[-1]) == [ADA_ID]
    assert not [record for record in stack.discord.log if record.status == 403]


async def test_a_moderator_stops_with_a_reaction(stack: Stack):
    _, reply = await half_answer(stack)
    stack.world.react(GRACE_ID, GENERAL_ID, reply["id"], STOP)
    await ended(stack, "stopped by Grace")


async def test_the_reaction_of_others_changes_nothing(stack: Stack):
    _, reply = await half_answer(stack)
    stack.world.react(LINUS_ID, GENERAL_ID, reply["id"], STOP)
    stack.world.react(ADA_ID, GENERAL_ID, reply["id"], "👍")
    await asyncio.sleep(0.05)
    assert not stack.ollama.chats[-1].closed.is_set()
    stack.world.react(ADA_ID, GENERAL_ID, reply["id"], STOP)
    await ended(stack, "stopped by Ada")


def direct(stack: Stack, user: str) -> list[str]:
    dm = stack.world.open_dm(user)["id"]
    return [message["content"] for message in stack.world.messages(dm, user)]


async def test_the_reaction_of_who_may_not_stop_is_taken_away_where_that_can_be(stack: Stack):
    stack.world.set_permissions(GENERAL_ID, BOT_ID, allow=int(Permission.MANAGE_MESSAGES))
    _, reply = await half_answer(stack)
    stack.world.react(LINUS_ID, GENERAL_ID, reply["id"], STOP)
    await stack.until(lambda: control(stack.replies()[-1]) == [BOT_ID])
    assert not stack.ollama.chats[-1].closed.is_set()
    assert direct(stack, LINUS_ID) == []


async def test_who_may_not_stop_hears_so_once_where_the_reaction_cannot_be_taken_away(stack: Stack):
    prompt, reply = await half_answer(stack)
    stack.world.react(LINUS_ID, GENERAL_ID, reply["id"], STOP)
    stack.world.react(LINUS_ID, GENERAL_ID, prompt["id"], STOP)
    await stack.until(lambda: direct(stack, LINUS_ID))
    await asyncio.sleep(0.05)
    [text] = direct(stack, LINUS_ID)
    assert "Only who asked" in text
    assert not stack.ollama.chats[-1].closed.is_set()
    assert not [record for record in stack.discord.log if record.status == 403]


async def test_the_reaction_of_another_bot_is_nobodys_wish(stack: Stack):
    _, reply = await half_answer(stack)
    other = stack.world.add_bot("Other")
    stack.world.react(other, GENERAL_ID, reply["id"], STOP)
    await asyncio.sleep(0.05)
    assert not [record for record in stack.discord.log if record.path == "/users/@me/channels"]
    assert not stack.ollama.chats[-1].closed.is_set()


async def test_stopping_before_the_first_token(stack: Stack):
    stack.ollama.enqueue([hang()])
    prompt = stack.ask("Anyone there?")
    await stack.shows("waiting for")
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)
    assert "-# ⏳" not in await ended(stack, "stopped by Ada")


async def test_stopping_while_waiting_in_line(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([*say("one"), hold(go)])
    stack.ask("first")
    await stack.until(lambda: stack.ollama.chats)
    waiting = stack.ask("second", user=LINUS_ID)
    await stack.shows("next in line")
    stack.world.react(LINUS_ID, GENERAL_ID, waiting["id"], STOP)
    await stack.shows("stopped by Linus")
    go.set()
    await stack.idle()
    assert len(stack.ollama.chats) == 1


async def test_deleting_the_prompt_stops_and_keeps_the_text(stack: Stack):
    prompt, _ = await half_answer(stack)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    text = await ended(stack, "the question was deleted")
    assert text.startswith("Half an answer")


async def test_deleting_the_prompt_before_anything_is_shown_leaves_nothing(stack: Stack):
    stack.ollama.enqueue([hang()])
    prompt = stack.ask("Oops")
    await stack.until(lambda: stack.ollama.chats)
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    assert [text for text in stack.texts() if "waiting" in text] == []


async def test_deleting_a_message_of_the_reply_stops(stack: Stack):
    words = " ".join(f"word{i}" for i in range(400))
    stack.ollama.enqueue([*say(words), hang()])
    stack.ask("Long one")
    await stack.shows("word399")
    first, last = stack.replies()
    stack.world.delete(GRACE_ID, GENERAL_ID, first["id"])
    text = await ended(stack, "a message of the answer was deleted")
    assert "word399" in text
    assert [reply["id"] for reply in stack.replies()] == [last["id"]]


async def test_a_stopped_reply_is_recorded_and_remembered_without_our_line(stack: Stack):
    _, reply = await half_answer(stack, "Half an answer")
    stack.world.react(ADA_ID, GENERAL_ID, reply["id"], STOP)
    await ended(stack, "stopped by Ada")
    owner = await stack.services.store.reply_by_message(int(reply["id"]))
    assert owner is not None
    assert owner.state is ReplyState.STOPPED
    stack.ask("Go on")
    await stack.answered(2)
    assert talk(stack, -1)[1] == {"role": "assistant", "content": "Half an answer"}


async def test_the_control_sits_on_the_newest_message_only(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([*say("A beginning."), hold(go), *say(" ".join(f"word{i}" for i in range(400))), hang()])
    stack.ask("Long one")
    await stack.until(lambda: stack.replies() and control(stack.replies()[0]) == [BOT_ID])
    go.set()
    await stack.until(lambda: len(stack.replies()) == 2 and control(stack.replies()[1]) == [BOT_ID])
    assert control(stack.replies()[0]) == []
    stack.world.react(ADA_ID, GENERAL_ID, stack.replies()[0]["id"], STOP)
    await ended(stack, "stopped by Ada")
    await stack.until(lambda: control(stack.replies()[1]) == [])


async def test_short_answers_get_no_control(stack: Stack):
    stack.ask("Quick")
    await stack.answered()
    assert not [r for r in stack.discord.log if "/reactions/" in r.path]


async def test_without_add_reactions_the_answer_comes_and_the_command_is_named(stack: Stack):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.ADD_REACTIONS))
    go = asyncio.Event()
    stack.ollama.enqueue([hold(go), *say("All the same.")])
    stack.ask("Hello")
    assert "/stop" in await stack.shows("waiting for")
    go.set()
    assert await stack.answered() == ["All the same."]


async def test_without_read_message_history_the_answer_is_no_reply(stack: Stack):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.READ_MESSAGE_HISTORY))
    stack.ask("Hello")
    [text] = await stack.answered()
    assert text == "Hello from the scripted model."


async def test_without_send_messages_the_model_is_not_asked(stack: Stack, caplog):
    stack.world.deny(GENERAL_ID, BOT_ID, int(Permission.SEND_MESSAGES))
    stack.ask("Hello")
    stack.ask("Hello again")
    await stack.until(lambda: "Cannot write in channel" in caplog.text)
    await stack.idle()
    assert caplog.text.count("Cannot write in channel") == 1
    assert stack.ollama.chats == []


async def test_a_message_that_is_deleted_before_its_id_is_known_stops_the_reply(stack: Stack):
    stack.discord.inject(method="POST", route="/channels/*/messages", delay=0.2, after=True)
    stack.ollama.enqueue([*say("Some text"), hang()])
    stack.ask("Tell me a lot")
    await stack.shows("Some text")
    stack.world.delete(GRACE_ID, GENERAL_ID, stack.replies()[0]["id"])
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)
    await stack.idle()
    assert stack.texts() == []
