"""A reply's phases: the model is free as soon as it is done, and what it says next is shown in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.generation.session import Phase
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, LINUS_ID
from tests.scripted_ollama import hang, hold, say
from tests.whole.stack import STOP, Stack, running, servers, talk

PAGES = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(40))  # about seven pages


def events_of_bot(stack: Stack) -> list[str]:
    """What became visible of the bot's, in order: the first words of each new text."""
    return [
        payload["content"]
        for name, payload in stack.events
        if name in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and payload["author"].get("bot") and payload.get("content")
    ]


async def test_the_next_question_reaches_the_model_while_the_last_pages_go_out(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say(PAGES))
        stack.ollama.enqueue(say("Second answer."))
        stack.ask("first")
        await stack.until(lambda: stack.ollama.chats)
        stack.ask("second", user=LINUS_ID)
        await stack.until(lambda: len(stack.ollama.chats) == 2)
        assert "Paragraph 39." not in "".join(stack.texts()), "pages are still going out"
        await stack.idle()
        shown = events_of_bot(stack)
        second = next(i for i, text in enumerate(shown) if "Second answer." in text)
        last = max(i for i, text in enumerate(shown) if "Paragraph" in text)
        assert last < second
        assert not stack.refused()


async def test_the_next_question_is_answered_with_the_whole_answer_before_it_in_mind(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say(PAGES))
        stack.ollama.enqueue(say("Second answer."))
        stack.ask("first")
        await stack.until(lambda: stack.ollama.chats)
        stack.ask("second")
        await stack.idle()
        assert [m["content"] for m in talk(stack, 1) if m["role"] == "assistant"] == [PAGES]


async def test_one_is_generated_while_one_is_delivered_and_no_more(tmp_path: Path):
    async with running(tmp_path) as stack:
        go = asyncio.Event()
        stack.ollama.enqueue(say(PAGES))
        stack.ollama.enqueue([*say("Second answer."), hold(go)])
        stack.ollama.enqueue(say("Third answer."))
        for number in range(3):
            stack.ask(str(number), user=(ADA_ID, LINUS_ID)[number % 2])
            await stack.until(lambda count=number + 1: len(stack.ollama.chats) >= min(count, 2))
        go.set()
        await stack.idle()
        assert [text for text in stack.texts() if "answer." in text] == ["Second answer.", "Third answer."]
        assert len(stack.ollama.chats) == 3


async def test_what_has_text_already_is_shown_when_the_answer_before_it_is_on_screen(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say(PAGES))
        stack.ollama.enqueue([*say("Half of the second"), hang()])
        stack.ask("first")
        await stack.until(lambda: stack.ollama.chats)
        second = stack.ask("second", user=LINUS_ID)
        await stack.shows("Half of the second")
        assert "Paragraph 39." in "".join(stack.texts())
        stack.world.delete(LINUS_ID, second["channel_id"], second["id"])
        await stack.idle()


# ------------------------------------------------------------ stopping while pages go out


async def while_pages_go_out(stack: Stack, asker: str = ADA_ID) -> dict[str, Any]:
    """The question of an answer that is complete, of which two pages are on screen."""
    stack.ollama.enqueue(say(PAGES))
    prompt = stack.ask("Tell me a lot", user=asker)
    await stack.until(lambda: len(stack.texts()) == 2)
    (session,) = stack.services.queue
    assert session.phase is Phase.DELIVERING
    return prompt


def click(stack: Stack, prompt: dict[str, Any]) -> None:
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)


def command(stack: Stack, _: dict[str, Any]) -> None:
    assert stack.world.commands
    stack.world.run_command(ADA_ID, GENERAL_ID, ["stop"], {})


def delete_question(stack: Stack, prompt: dict[str, Any]) -> None:
    stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])


WAYS = {"click": (click, "by Ada"), "command": (command, "by Ada"), "delete": (delete_question, "deleted")}


@pytest.mark.parametrize("way", WAYS)
async def test_no_further_page_comes_once_it_is_stopped_and_the_last_says_so(tmp_path: Path, way: str):
    stop, words = WAYS[way]
    async with running(tmp_path) as stack:
        prompt = await while_pages_go_out(stack)
        stop(stack, prompt)
        await stack.shows("stopped")
        await stack.idle()
        shown = [text for text in stack.texts() if "Paragraph" in text]
        assert len(shown) <= 3, "one may have been under way"
        assert words in shown[-1].splitlines()[-1]
        assert all("stopped" not in text for text in shown[:-1])
        assert all("▌" not in text for text in shown)
        assert not [m for m in stack.replies() if any(r["emoji"]["name"] == "⏹️" for r in m.get("reactions", []))]


async def test_what_is_remembered_of_a_stopped_answer_is_what_is_on_screen(tmp_path: Path):
    async with running(tmp_path) as stack:
        click(stack, await while_pages_go_out(stack))
        await stack.idle()
        stack.ask("Go on")
        await stack.until(lambda: len(stack.ollama.chats) == 2)
        await stack.idle()
        (said,) = [m["content"] for m in talk(stack, 1) if m["role"] == "assistant"]
        assert PAGES.startswith(said)
        shown = "\n\n".join(text for text in stack.texts() if "Paragraph" in text).rpartition("\n-# ")[0]
        assert abs(len(shown.split()) - len(said.split())) < 30


async def test_the_command_counts_what_it_stops_and_nothing_else(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say(PAGES))
        stack.ollama.enqueue([*say("Half"), hang()])
        stack.ask("first")
        await stack.until(lambda: stack.ollama.chats)
        stack.ask("second")
        await stack.until(lambda: len(stack.ollama.chats) == 2 and len(stack.texts()) >= 2)
        await stack.until(lambda: stack.world.commands)
        stack.world.run_command(ADA_ID, GENERAL_ID, ["stop"], {})
        await stack.shows("Stopped 2 answers.")
        await stack.idle()
        assert sum("stopped by Ada" in text for text in stack.texts()) == 2, [(t[:14], t[-22:]) for t in stack.texts()]


async def test_a_complete_answer_that_is_on_screen_is_not_there_to_be_stopped(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say("All of it."))
        prompt = stack.ask("Hi")
        await stack.answered()
        click(stack, prompt)
        await stack.idle()
        assert stack.texts() == ["All of it."]


async def test_a_restart_after_the_stop_shows_no_further_page(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            prompt = await while_pages_go_out(stack)
            click(stack, prompt)
            await stack.shows("stopped by Ada")
        before = len(stack.replies())
        async with stack.running_bot():
            await stack.idle()
            await asyncio.sleep(0.1)
            assert len(stack.replies()) == before
            assert "stopped by Ada" in stack.texts()[-1]


async def test_stopping_while_the_model_is_ahead_shows_no_further_page_either(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([*say(PAGES)[:-1], hang()])
        prompt = stack.ask("Tell me a lot")
        await stack.until(lambda: len(stack.texts()) == 2)
        click(stack, prompt)
        await stack.shows("stopped by Ada")
        await stack.idle()
        assert len(stack.texts()) <= 3
