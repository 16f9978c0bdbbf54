"""A stop and a start: the conversation goes on, nothing is answered twice, nothing stays frozen."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.conversation.records import ReplyState
from tests.scripted_ollama import hang, say
from tests.whole.stack import Stack, servers, talk


async def test_the_conversation_survives_a_restart(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            stack.ollama.enqueue(say("Noted."))
            stack.ask("Remember the number 42.")
            await stack.answered(1)
        async with stack.running_bot():
            stack.ask("Which number?")
            await stack.answered(2)
        contents = [m["content"] for m in talk(stack, 1)]
        assert "number 42" in contents[0]
        assert contents[1] == "Noted."


async def test_a_redelivered_message_is_answered_once(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt = stack.ask("Once, please")
            await stack.answered(1)
            stack.discord.dispatch("MESSAGE_CREATE", prompt)
            stack.ask("Next")
            await stack.answered(2)
        assert len(stack.ollama.chats) == 2


async def test_running_replies_get_their_grace_and_then_closing_words(tmp_path: Path):
    async with servers(tmp_path) as stack, stack.running_bot():
        stack.ollama.enqueue([*say("As far as it came"), hang()])
        prompt = stack.ask("Go")
        await stack.shows("As far as it came")
        stack.ask("I wait")
        await stack.shows("next in line")
        await stack.services.responder.shutdown(0.05)
        texts = stack.texts()
        assert texts[0].splitlines()[0] == "As far as it came"
        assert "stopped: the bot was shut down" in texts[0]
        assert "stopped: the bot was shut down" in texts[1]
        assert "▌" not in "".join(texts)
        owner = await stack.services.store.reply_by_message(int(stack.replies()[0]["id"]))
        assert owner is not None
        assert owner.state is ReplyState.STOPPED
        assert owner.prompt_id == int(prompt["id"])


async def test_a_prompt_that_comes_while_stopping_gets_a_sentence(tmp_path: Path):
    async with servers(tmp_path) as stack, stack.running_bot():
        await stack.services.responder.shutdown(0.05)
        stack.ask("Too late?")
        [text] = await stack.answered(1)
        assert "shutting down" in text


async def test_a_prompt_that_is_being_taken_in_while_stopping_gets_a_sentence(tmp_path: Path):
    async with servers(tmp_path) as stack, stack.running_bot():
        taking_in = asyncio.Event()
        begin = stack.services.responder._journals.begin

        async def slowly(*args: object, **options: object) -> object:
            taking_in.set()
            await asyncio.sleep(0.03)
            return await begin(*args, **options)

        stack.services.responder._journals.begin = slowly
        stack.ask("Just in time?")
        await taking_in.wait()
        await stack.services.responder.shutdown(0.05)
        assert "shutting down" in stack.texts()[0]


async def test_a_reply_that_was_running_at_a_crash_is_closed_by_the_next_start(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            stack.ollama.enqueue([*say("Half of it"), hang()])
            stack.ask("Go")
            await stack.shows("Half of it")
            await crash(stack)
            assert bot.is_closed()
        assert "▌" in stack.texts()[0]
        async with stack.running_bot():
            text = await stack.shows("interrupted by a restart")
            assert text.splitlines()[0] == "Half of it"
            assert "▌" not in text
            stack.ask("Go on")
            await stack.answered(2)
        assert talk(stack, -1)[1]["content"] == "Half of it"


async def crash(stack: Stack) -> None:
    """Stop the bot's tasks where they are: nothing more is sent or stored."""
    assert stack.bot is not None
    await stack.bot.close()
    for task in asyncio.all_tasks():
        if task.get_name().startswith("reply-writer"):
            task.cancel()
    await asyncio.sleep(0)
