"""A stop and a start: the conversation goes on, nothing is answered twice, nothing stays frozen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import ReplyState
from bot.conversation.store import Store
from bot.generation.session import StopCause
from bot.generation.status import StatusTiming
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from bot.shutdown import wind_down
from tests.scripted_ollama import hang, say
from tests.whole.leftovers import left_message
from tests.whole.stack import Stack, servers, talk

pytestmark = pytest.mark.both_databases

PUT_OFF = "-# ⏳ I was shut down before I began with this; back within ten minutes of your question, I answer it."
CANNED = "Hello from the scripted model."


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
        assert texts[1] == PUT_OFF
        assert "▌" not in "".join(texts)
        owner = await stack.services.store.reply_by_message(int(stack.replies()[0]["id"]))
        assert owner is not None
        assert owner.state is ReplyState.STOPPED
        assert owner.prompt_id == int(prompt["id"])


async def test_prompts_that_waited_when_the_bot_was_stopped_are_answered_in_order_by_the_next_start(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            stack.ollama.enqueue([*say("As far as it came"), hang()])
            for number in range(4):
                stack.ask(f"Question {number}")
                await stack.until(lambda count=number + 1: len(list(bot.queue)) == count)
            await stack.until(lambda: len(stack.texts()) == 4)
            await wind_down(bot, 0.05)
            assert stack.texts()[1:] == [PUT_OFF] * 3
            assert not any(left_message(message) for message in stack.replies())
        async with stack.running_bot():
            await stack.until(lambda: stack.texts()[1:] == [CANNED] * 3)
            await stack.idle()
        asked = [chat.json["messages"][-1]["content"] for chat in stack.ollama.chats]
        assert asked == [f"⟦Ada⟧ Question {number}" for number in range(4)]


async def test_who_waited_without_a_status_is_left_without_a_word_for_the_next_start(tmp_path: Path):
    async with servers(tmp_path) as stack:
        stack.timing = StatusTiming(status_after=60.0)
        async with stack.running_bot() as bot:
            stack.ollama.enqueue([hang()])
            stack.ask("First")
            await stack.until(lambda: stack.ollama.chats)
            stack.ask("Second")
            await stack.until(lambda: len(list(bot.queue)) == 2)
            await wind_down(bot, 0.0)
            assert stack.texts() == ["⏹️ stopped: the bot was shut down"]
        async with stack.running_bot():
            await stack.shows(CANNED)
            await stack.idle()
        assert stack.texts() == ["⏹️ stopped: the bot was shut down", CANNED]


async def test_a_question_deleted_after_it_was_put_off_is_not_answered(tmp_path: Path):
    async with servers(tmp_path) as stack:
        prompt = await put_one_off(stack)
        stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        async with stack.running_bot():
            await stack.until(lambda: PUT_OFF not in stack.texts())
            await stack.idle()
        assert len(stack.ollama.chats) == 1


async def test_who_was_put_off_for_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.recovery.recovery.ANSWERED_WITHIN_SECONDS", -1.0)
    async with servers(tmp_path) as stack:
        await put_one_off(stack)
        async with stack.running_bot():
            await stack.until(lambda: stack.texts()[1] == "⏹️ interrupted by a restart. Please ask again.")
        assert len(stack.ollama.chats) == 1


async def test_an_ask_that_waited_for_a_free_place_is_answered_by_the_next_start(tmp_path: Path):
    async with servers(tmp_path, max_concurrent_replies=1) as stack:
        async with stack.running_bot() as bot:
            await stack.until(lambda: stack.world.commands)
            stack.ollama.enqueue([hang()])
            stack.ask("First")
            await stack.until(lambda: stack.ollama.chats)
            stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "What then?"})
            await stack.shows("waiting for")
            await stack.until(lambda: any(text.startswith("> What then?") for text in stack.texts()))
            await wind_down(bot, 0.0)
            assert f"> What then?\n{PUT_OFF}" in stack.texts()
        async with stack.running_bot():
            await stack.until(lambda: f"> What then?\n{CANNED}" in stack.texts())


async def test_a_leftover_that_is_taken_up_while_stopping_is_left_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with servers(tmp_path) as stack:
        await put_one_off(stack)
        begin_again = Store.begin_again

        async def too_late(store: Store, reply_id: int) -> None:
            await begin_again(store, reply_id)
            stack.services.queue.close(StopCause(": the bot was shut down", is_put_off=True))

        with monkeypatch.context() as patch:
            patch.setattr(Store, "begin_again", too_late)
            async with stack.running_bot() as bot:
                await stack.until(lambda: bot.queue.is_closed)
                await wind_down(bot, 0.0)
                assert stack.texts()[1] == PUT_OFF
        async with stack.running_bot():
            await stack.until(lambda: stack.texts()[1] == CANNED)


async def put_one_off(stack: Stack) -> dict[str, Any]:
    """Stop a bot that answers one prompt while another waits, with a status; return the latter."""
    async with stack.running_bot() as bot:
        stack.ollama.enqueue([*say("As far as it came"), hang()])
        stack.ask("First")
        await stack.shows("As far as it came")
        prompt = stack.ask("Second")
        await stack.shows("next in line")
        await wind_down(bot, 0.0)
        assert stack.texts()[1] == PUT_OFF
    return prompt


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
