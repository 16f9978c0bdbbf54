"""What a model writes besides its answer is not shown, not remembered and not sent again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.generation.answer_filter import FIRST_MESSAGE
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, GRACE_ID
from tests.scripted_ollama import Step, cut, done, hold, say, token
from tests.whole.stack import CURSOR, Stack, running

MODES = pytest.mark.parametrize("mode", ["discord", "raw"])


def pieces(text: str, size: int = 3) -> list[Step]:
    return [token(text[at : at + size]) for at in range(0, len(text), size)]


async def remembered(stack: Stack) -> str:
    """Return what the model is sent as its own last answer."""
    stack.ollama.enqueue(say("Good."))
    before = len(stack.texts())
    stack.ask("And now?")
    await stack.answered(before + 1)
    said = [m["content"] for m in stack.ollama.chats[-1].json["messages"] if m["role"] == "assistant"]
    return str(said[-1])


@MODES
@pytest.mark.parametrize(
    ("writes", "shown"),
    [
        ("<think>\nThe user said hello.\n</think>\n\nHello!", "Hello!"),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello!", "Hello!"),
        ("<|channel>thought\nHm.<channel|>Hello!", "Hello!"),
        ("They said hello.\n\n</think>\n\nHello!", "Hello!"),
        ("Four.<|im_end|>\n<|im_start|>user\nAnd five?", "Four."),
        ("Four.</s>[INST] And five?", "Four."),
        ("⟦Burble⟧ The tide is low.\n\n⟦Ada⟧ Thanks a lot!", "The tide is low."),
        ("The class ⟦e⟧ is `<think>`:\n```xml\n<think>x</think><|im_end|>\n```", None),
    ],
)
async def test_only_the_answer_is_shown_and_remembered(tmp_path: Path, mode: str, writes: str, shown: str | None):
    async with running(tmp_path, render_markdown=mode) as stack:
        stack.ollama.enqueue(pieces(writes))
        stack.ask("Hello")
        assert await stack.answered() == [shown or writes]
        assert (await remembered(stack)).strip() == (shown or writes).replace("<think>", "< think>").replace(
            "</think>", "< /think>"
        ).replace("<|im_end|>", "< |im_end|>")


async def test_while_a_thought_lasts_the_status_says_so_and_what_was_shown_is_taken_back_in_place(tmp_path: Path):
    more, last = asyncio.Event(), asyncio.Event()
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(
            [token("They want"), token(" a tide table."), hold(more), token("</think>\n"), hold(last), *pieces("Low.")]
        )
        stack.ask("The tide?")
        await stack.shows("They want a tide table.")
        more.set()
        await stack.shows("is thinking")
        last.set()
        assert await stack.answered() == ["Low."]
        assert stack.rows("SELECT text FROM reply") == [("Low.",)]
        assert await remembered(stack) == "Low."


async def test_what_is_past_the_first_message_stays_when_a_thought_seems_to_end(tmp_path: Path):
    text = ("word " * (FIRST_MESSAGE // 5 + 1)).strip()
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token(text), token("</think> more")])
        stack.ask("Go on")
        assert await stack.answered() == [f"{text} more"]


async def test_where_the_template_opens_the_thought_nothing_of_it_is_ever_shown(tmp_path: Path):
    more = asyncio.Event()
    async with running(tmp_path) as stack:
        stack.ollama.details["llama3.2"] = {"template": "{{ .Prompt }}<|im_start|>assistant\n<think>\n"}
        stack.ollama.enqueue([*pieces("They want a tide table."), hold(more), *pieces("\n</think>\n\nLow.")])
        stack.ask("The tide?")
        await stack.shows("is thinking")
        more.set()
        assert await stack.answered() == ["Low."]
        assert not any("They" in payload.get("content", "") for _, payload in stack.events)


async def test_an_end_in_the_text_ends_the_connection(tmp_path: Path):
    never = asyncio.Event()
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token("Four."), token("<|im_"), token("end|>"), hold(never), token("five")])
        stack.ask("Two and two?")
        assert await stack.answered() == ["Four."]
        await stack.until(stack.ollama.chats[0].closed.is_set)


async def test_the_other_speakers_are_those_of_the_request(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue(say("Hi."))
        stack.ask("Hello", user=GRACE_ID)
        await stack.answered(1)
        stack.ollama.enqueue(pieces("Low.\n⟦Grace⟧ And high?"))
        stack.ask("The tide?", user=ADA_ID)
        assert (await stack.answered(2))[1] == "Low."


async def test_a_resumed_answer_is_filtered_too(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([*pieces("The tide is low today, "), cut()])
        stack.ollama.enqueue(pieces("<think>\n\n</think>and high at night.<|im_end|>more"))
        stack.ask("The tide?")
        [text] = await stack.answered()
        assert text.startswith("The tide is low today, and high at night.")
        assert "more" not in text


async def test_ask_shows_no_thought_in_the_text(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([*pieces("<think>Hm.</think>Low."), done("stop")])
        await stack.until(lambda: stack.world.commands)
        stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "The tide?"})
        await stack.until(lambda: any("Low." in text and CURSOR not in text for text in stack.texts()))
        assert not any("Hm." in str(payload.get("content", "")) for _, payload in stack.events)
