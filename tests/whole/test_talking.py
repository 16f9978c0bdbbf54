"""Mention the bot, watch the answer grow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.playground.loopback.seed import (
    ADA_ID,
    BOT_ID,
    BOT_ROLE_ID,
    CODE_ID,
    GENERAL_ID,
    GRACE_ID,
    GUILD_ID,
    LINUS_ID,
    MODERATOR_ROLE_ID,
)
from tests.scripted_ollama import done, hold, say, status, think, token
from tests.whole.stack import CURSOR, Stack, running, talk

pytestmark = pytest.mark.both_databases

FORWARDED = {
    "message": {
        "content": "old news",
        "type": 0,
        "embeds": [],
        "attachments": [],
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "flags": 0,
        "mentions": [],
        "mention_roles": [],
    }
}
OTHERS = ["just chatting", "@everyone look", "@here look", f"<@&{MODERATOR_ROLE_ID}> help", f"<@&{GUILD_ID}>"]


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


async def test_a_mention_is_answered_with_a_reply_that_pings_nobody(stack: Stack):
    stack.ollama.enqueue(say("Hello Ada, nice to meet you."))
    prompt = stack.ask("Hi, who are you?")
    assert await stack.answered() == ["Hello Ada, nice to meet you."]
    [reply] = stack.replies()
    assert reply["message_reference"]["message_id"] == prompt["id"]
    assert reply["pinged"] == []
    assert stack.refused() == []


async def test_the_model_gets_the_question_the_window_and_nothing_else(stack: Stack):
    stack.ask("What is the tide?")
    await stack.answered()
    [chat] = stack.ollama.chats
    assert chat.path == "/api/chat"
    assert chat.json["model"] == "llama3.2"
    assert chat.json["options"] == {"num_ctx": 8192}
    assert "think" not in chat.json
    assert "keep_alive" not in chat.json
    note, message = chat.json["messages"]
    assert note["role"] == "system"
    assert "⟦ ⟧" in note["content"]
    assert message["role"] == "user"
    assert message["content"].endswith("What is the tide?")
    assert "Ada" in message["content"]
    assert BOT_ID not in message["content"]


async def test_the_models_own_system_prompt_is_kept_beside_our_note(stack: Stack):
    stack.ollama.details["llama3.2"] = {"system": "You are a pirate.", "model_info": {}, "details": {}}
    stack.ask("Ahoy?")
    await stack.answered()
    system = stack.ollama.chats[0].json["messages"][0]
    assert system["role"] == "system"
    assert system["content"].startswith("You are a pirate.")
    assert "⟦ ⟧" in system["content"]


async def test_where_the_models_own_system_prompt_is_unknown_nothing_replaces_it(stack: Stack):
    stack.ollama.override("/api/show", status(500, {"error": "no"}))
    stack.ask("Hello")
    await stack.answered()
    assert [m["role"] for m in stack.ollama.chats[0].json["messages"]] == ["user"]


async def test_in_a_dm_nobody_is_labelled(stack: Stack):
    dm = stack.world.open_dm(GRACE_ID)
    for count in (1, 2):
        stack.say("Hello?", user=GRACE_ID, channel=dm["id"])
        await stack.answered(count, dm["id"])
    assert stack.ollama.chats[1].json["messages"] == [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hello from the scripted model."},
        {"role": "user", "content": "Hello?"},
    ]


async def test_the_answer_grows_on_screen_before_it_is_complete(stack: Stack):
    more = asyncio.Event()
    stack.ollama.enqueue([*say("The first words"), hold(more), *say(" and the last.")])
    stack.ask("Go on")
    shown = await stack.shows("The first words")
    assert CURSOR in shown
    more.set()
    assert await stack.answered() == ["The first words and the last."]


async def test_the_conversation_is_remembered_with_who_said_what(stack: Stack):
    stack.ollama.enqueue(say("Blue."))
    stack.ask("My favourite colour is blue.")
    await stack.answered(1)
    stack.ask("And mine is red.", user=LINUS_ID)
    await stack.answered(2)
    contents = [m["content"] for m in talk(stack, 1)]
    roles = [m["role"] for m in talk(stack, 1)]
    assert roles == ["user", "assistant", "user"]
    assert "Ada" in contents[0]
    assert "favourite colour is blue" in contents[0]
    assert contents[1] == "Blue."
    assert "Linus" in contents[2]


async def test_channels_threads_and_dms_have_their_own_memory(stack: Stack):
    stack.ask("one")
    await stack.answered(1)
    thread = stack.world.create_thread(ADA_ID, GENERAL_ID, "aside")
    dm = stack.world.open_dm(ADA_ID)
    for channel in (CODE_ID, thread["id"], dm["id"]):
        stack.ask("two", channel=channel)
        await stack.answered(1, channel)
    assert [len(talk(stack, i)) for i in range(4)] == [1, 1, 1, 1]


async def test_a_dm_needs_no_mention(stack: Stack):
    dm = stack.world.open_dm(GRACE_ID)
    stack.say("Hello?", user=GRACE_ID, channel=dm["id"])
    await stack.answered(1, dm["id"])
    assert "Hello?" in talk(stack, 0)[0]["content"]


@pytest.mark.parametrize("ping", [True, False])
async def test_a_reply_to_the_bot_is_answered_with_and_without_ping(stack: Stack, ping: bool):
    stack.ask("First")
    await stack.answered(1)
    [answer] = stack.replies()
    stack.say("And then?", reply_to=answer["id"], ping_reply=ping)
    await stack.answered(2)
    assert "And then?" in stack.ollama.chats[1].json["messages"][-1]["content"]


async def test_the_bots_own_role_counts_as_a_mention(stack: Stack):
    stack.say(f"<@&{BOT_ROLE_ID}> are you there?")
    await stack.answered()
    assert talk(stack, 0)[0]["content"].endswith("are you there?")


@pytest.mark.parametrize("text", OTHERS)
async def test_what_does_not_speak_to_the_bot_is_not_answered(stack: Stack, text: str):
    stack.say(text)
    stack.ask("this one counts")
    await stack.answered()
    assert len(stack.ollama.chats) == 1
    assert len(stack.replies()) == 1


async def test_names_reach_the_model_instead_of_ids(stack: Stack):
    stack.ask(f"tell <@{LINUS_ID}> in <#{CODE_ID}> about <:party:123456789012345678>, <@&{MODERATOR_ROLE_ID}>")
    await stack.answered()
    content = talk(stack, 0)[0]["content"]
    assert "tell @Linus in #code about :party:, @moderator" in content


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Write your question"),
        ({"attachments": [{"filename": "a.png", "data": b"x"}]}, "attachments"),
        ({"sticker_items": [{"id": "1", "name": "wave", "format_type": 1}]}, "sticker"),
    ],
)
async def test_a_message_without_words_gets_one_helpful_sentence(stack: Stack, options, words: str):
    stack.ask("", **options)
    await stack.until(stack.replies)
    assert words in stack.texts()[0]
    assert stack.ollama.chats == []


async def test_a_long_answer_continues_in_further_messages_without_losing_a_word(stack: Stack):
    words = [f"word{i}" for i in range(900)]
    stack.ollama.enqueue(say(" ".join(words)))
    stack.ask("Long, please")
    texts = await stack.answered(3)
    assert all(len(text) <= 2000 for text in texts)
    assert " ".join(texts).split() == words
    assert all("message_reference" not in reply or not reply["message_reference"] for reply in stack.replies()[1:])
    assert stack.refused() == []


async def test_a_code_block_is_closed_and_reopened_with_its_language(stack: Stack):
    lines = "\n".join(f"print({i})  # a line of code that fills the page" for i in range(100))
    stack.ollama.enqueue([token(f"Here:\n```python\n{lines}\n```\nDone."), done()])
    stack.ask("Code, please")
    texts = await stack.answered(3)
    assert all(text.count("```") % 2 == 0 for text in texts)
    assert all("```python" in text for text in texts)
    code = [line for text in texts for line in text.splitlines() if line.startswith("print(")]
    assert code == lines.splitlines()


async def test_nothing_a_model_writes_can_ping(stack: Stack):
    stack.ollama.enqueue(say(f"@everyone @here <@{ADA_ID}> <@&{MODERATOR_ROLE_ID}> wake up"))
    stack.ask("Ping them all")
    await stack.answered()
    assert [reply["pinged"] for reply in stack.replies()] == [[]]


async def test_a_slow_model_is_announced_and_the_status_becomes_the_answer(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([hold(go), *say("Here I am.")])
    prompt = stack.ask("Are you awake?")
    status = await stack.shows("waiting for `llama3.2`")
    assert status.startswith("-# ")
    assert "<t:" in status
    [message] = stack.replies()
    assert message["message_reference"]["message_id"] == prompt["id"]
    go.set()
    assert await stack.answered() == ["Here I am."]
    assert stack.replies()[0]["id"] == message["id"]


async def test_thinking_is_told_but_neither_shown_nor_remembered(stack: Stack):
    go = asyncio.Event()
    stack.ollama.enqueue([*think("Secret thoughts."), hold(go), *say("The answer.")])
    stack.ask("Think!")
    await stack.shows("is thinking")
    go.set()
    assert await stack.answered() == ["The answer."]
    stack.ask("More")
    await stack.answered(2)
    assert "Secret" not in str(stack.ollama.chats[1].json)


async def test_thoughts_are_kept_apart_from_the_answer(stack: Stack):
    stack.ollama.enqueue([*think("Secret thoughts."), *say("The answer.")])
    stack.ask("Think!")
    await stack.answered()
    stored = await stack.services.store._database.run(
        lambda connection: connection.exec_driver_sql("SELECT text, parts FROM reply").all()
    )
    assert stored == [("The answer.", '[{"type":"thinking","text":"Secret thoughts."}]')]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([*think("hm"), done("length")], "whole budget on thinking"),
        ([*think("hm"), done()], "gave no answer"),
        ([done()], "empty answer"),
        ([token("   \n "), done()], "empty answer"),
    ],
)
async def test_a_reply_without_text_ends_in_a_sentence(stack: Stack, script, words: str):
    stack.ollama.enqueue(script)
    stack.ask("Say nothing")
    [text] = await stack.answered()
    assert words in text


async def test_one_reply_at_a_time_per_channel_and_several_channels_at_once(stack: Stack):
    first, second = asyncio.Event(), asyncio.Event()
    stack.ollama.enqueue([*say("one"), hold(first)])
    stack.ask("first")
    await stack.until(lambda: len(stack.ollama.chats) == 1)
    stack.ollama.enqueue([*say("two"), hold(second)])
    stack.ask("second", user=LINUS_ID)
    await stack.shows("next in line")
    assert len(stack.ollama.chats) == 1
    stack.ask("elsewhere", channel=CODE_ID)
    await stack.until(lambda: len(stack.ollama.chats) == 2)
    assert "elsewhere" in str(stack.ollama.chats[1].json)
    second.set()
    first.set()
    await stack.answered(1, CODE_ID)
    await stack.answered(2)
    assert "second" in str(stack.ollama.chats[2].json)
    assert talk(stack, 2)[1]["content"] == "one"


async def test_a_prompt_that_does_not_fit_is_refused_with_both_sizes_and_nothing_is_sent(tmp_path: Path):
    async with running(tmp_path, num_ctx=512) as stack:
        stack.ask("word " * 380)
        [text] = await stack.answered()
        assert "too long for the model" in text
        assert "room for" in text
        assert stack.ollama.chats == []


async def test_without_the_content_intent_mentions_and_pinging_replies_are_answered(tmp_path: Path):
    async with running(tmp_path, message_content=False) as stack:
        stack.ask("Hello")
        await stack.answered(1)
        [answer] = stack.replies()
        stack.say("quiet reply", reply_to=answer["id"], ping_reply=False)
        stack.say("loud reply", reply_to=answer["id"])
        await stack.answered(2)
        assert len(stack.ollama.chats) == 2
        assert "loud reply" in stack.ollama.chats[1].json["messages"][-1]["content"]


async def test_past_the_messages_the_whole_answer_and_its_long_code_come_as_files(tmp_path: Path):
    code = "".join(f"print({number})  # a line of a long program\n" for number in range(200))
    answer = f"Here it is:\n```python\n{code}```\n{'And so on. ' * 100}"
    async with running(tmp_path, max_messages=2) as stack:
        stack.ollama.enqueue([token(answer), done()])
        stack.ask("A long program, please")
        texts = await stack.answered(2)
        assert len(texts) == 2
        assert "in the attached file" in texts[1]
        await stack.until(lambda: stack.replies()[1]["attachments"])
        files = stack.replies()[1]["attachments"]
        assert [file["filename"] for file in files] == ["answer.md", "code.py"]
        assert [file["size"] for file in files] == [len(answer), len(code)]
