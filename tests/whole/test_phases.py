"""A reply's phases: the model is free as soon as it is done, and what it says next is shown in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.playground.loopback.seed import ADA_ID, LINUS_ID
from tests.scripted_ollama import hang, hold, say
from tests.whole.stack import Stack, running, talk

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
