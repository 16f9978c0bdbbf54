"""A connection that breaks in the middle of an answer: the model goes on, once, and the continuation does not show."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.speaker_labels import neutralise
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from tests.scripted_ollama import (
    DEFAULT_TEXT,
    Script,
    cut,
    done,
    end,
    error,
    hang,
    hold,
    model_entry,
    pause,
    raw,
    reset,
    say,
    status,
    think,
    token,
    wire,
)
from tests.whole.faults import COMPLETE, FAILED, Seen, ask, check_clean, faulty, new_channel
from tests.whole.stack import CURSOR, Stack, talk

RESUMED = "-# ↻ resumed: the connection to Ollama broke in the middle"
CUT = "-# ⚠️ The answer was cut off before its end"
FIRST, REST = "Yes the zorillafern was", " in bloom since May."


@pytest.fixture
async def stack(tmp_path: Path):
    async with faulty(tmp_path) as stack:
        yield stack


async def broken(stack: Stack, *scripts: Script, caplog: Any, **options: Any) -> Seen:
    """Ask; the first answer and those to the resumes are *scripts*."""
    caplog.set_level(logging.INFO)
    for script in scripts:
        stack.ollama.enqueue(script)
    seen = await ask(stack, **options)
    check_clean(stack, seen, caplog)
    return seen


BREAKS: dict[str, Script] = {
    "closed": [*say(FIRST), cut()],
    "reset": [*say(FIRST), pause(0.02), reset()],
    "closed within a line": [*say(FIRST), raw(b'{"model":"m","mess'), cut()],
    "ended within a line": [*say(FIRST), raw(b'{"model":"m","mess')],
    "bad coding": [*say(FIRST), pause(0.02), wire(b"zz\r\nzz\r\n"), hang()],
}


@pytest.mark.parametrize("script", BREAKS.values(), ids=BREAKS)
async def test_the_model_goes_on_where_the_connection_broke(stack: Stack, script: Script, caplog) -> None:
    seen = await broken(stack, script, say(REST), caplog=caplog)
    assert seen.texts == [f"{FIRST}{REST}\n{RESUMED}"]
    assert (seen.state, seen.text) == (COMPLETE, FIRST + REST)
    assert "StreamCut" in caplog.text
    assert f"resuming after {len(FIRST)} characters" in caplog.text
    first, second = stack.ollama.chats
    assert second.path == "/api/chat"
    assert second.json["messages"] == [*first.json["messages"], {"role": "assistant", "content": FIRST}]
    assert second.json | {"messages": None} == first.json | {"messages": None}


SEAMS = {
    "the last words again": ("The tide is caused by", "caused by the moon.", "The tide is caused by the moon."),
    "everything again": ("It rises twice.", "It rises twice. It falls twice.", "It rises twice. It falls twice."),
    "a new paragraph": ("One.\n\n", "\n\nTwo.", "One.\n\nTwo."),
    "a code block": ("```py\nx = 1\n", "\ny = 2\n```", "```py\nx = 1\ny = 2\n```"),
    "a list": ("- one\n- tw", "o\n- three", "- one\n- two\n- three"),
    "nothing more": ("It was all said", "", "It was all said"),
}


@pytest.mark.parametrize(("before", "after", "whole"), SEAMS.values(), ids=SEAMS)
async def test_what_is_said_twice_at_the_seam_stands_once(stack: Stack, before, after, whole, caplog) -> None:
    seen = await broken(stack, [token(before), cut()], [token(piece) for piece in after], caplog=caplog)
    assert seen.text == whole
    assert seen.texts == [f"{whole}\n{RESUMED}"]
    assert stack.ollama.chats[1].json["messages"][-1]["content"] == before.rstrip()


HALVES = ["42", "1, 2, 3, 1, 2, 3", "Write <|im_start|> before it", "Word by word. " * 1_500]


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half[:12])
async def test_a_half_answer_that_a_native_model_sends_again_stands_once(tmp_path: Path, half: str, caplog) -> None:
    async with faulty(tmp_path, num_ctx=32_768) as stack:
        sent = neutralise(half.rstrip())
        seen = await broken(stack, [token(half), cut()], [token(sent + "andreall"), *say(" stops")], caplog=caplog)
        assert stack.ollama.chats[1].json["messages"][-1]["content"] == sent
        assert seen.text == half + "andreall stops"
        assert seen.state == COMPLETE


async def test_wherever_it_breaks_the_text_is_whole(stack: Stack, caplog) -> None:
    whole = "A **bold** word, `code`, a list:\n- one\n- two\n\n```py\nprint(1)\n```\nEnd."
    pieces = say(whole)
    for position in range(1, len(pieces)):
        seen = await broken(stack, [*pieces[:position], cut()], pieces[position:], caplog=caplog)
        assert seen.text == whole, position
        assert seen.shown == f"{whole}\n{RESUMED}", position


async def test_what_is_remembered_is_the_joined_text(stack: Stack, caplog) -> None:
    channel = new_channel(stack)
    await broken(stack, [*say(FIRST), cut()], say(REST), caplog=caplog, channel=channel)
    await ask(stack, "And then?", channel=channel)
    assert talk(stack, -1)[1] == {"role": "assistant", "content": FIRST + REST}


async def test_the_answer_goes_on_growing_on_screen(stack: Stack) -> None:
    more = asyncio.Event()
    stack.ollama.enqueue(say(FIRST), cut())
    stack.ollama.enqueue(say(REST), hold(more), say(" And on."))
    stack.ask("Hello")
    assert CURSOR in await stack.shows(FIRST + REST)
    more.set()
    assert await stack.answered() == [f"{FIRST}{REST} And on.\n{RESUMED}"]


async def test_it_is_resumed_once_only(stack: Stack, caplog) -> None:
    seen = await broken(stack, [*say(FIRST), cut()], [*say(" in bloom"), cut()], say("never"), caplog=caplog)
    assert len(stack.ollama.chats) == 2
    text, *lines = seen.shown.splitlines()
    assert text == seen.text == f"{FIRST} in bloom"
    assert lines[0] == RESUMED
    assert lines[1].startswith(CUT)
    assert seen.state == FAILED


VAIN: dict[str, Script] = {
    "prefill refused": status(
        400, {"error": '{"error":{"message":"Assistant response prefill is incompatible with enable_thinking."}}'}
    ),
    "forbidden": status(403),
    "no such model": status(404, {"error": "model 'llama3.2' not found"}),
    "crash": status(500, {"error": "model runner has unexpectedly stopped"}),
    "error line": error("boom"),
    "cut at once": [cut()],
    "empty": [end()],
    "a model that thinks all the same": [*think("hm"), *say("Yes")],
    "a web page": status(200, "<html>", "text/html"),
}


@pytest.mark.parametrize("script", VAIN.values(), ids=VAIN)
async def test_where_resuming_fails_the_text_stays_with_the_reason(stack: Stack, script: Script, caplog) -> None:
    seen = await broken(stack, [*say(FIRST), cut()], *[script] * 6, caplog=caplog)
    text, *lines = seen.shown.splitlines()
    assert text == seen.text == FIRST
    assert len(lines) == 1
    assert lines[0].startswith(CUT)
    assert lines[0].endswith("I tried to resume it, in vain.")
    assert seen.state == FAILED
    assert "could not be resumed" in caplog.text
    await stack.ollama.closed(-1)


async def test_an_error_after_the_seam_is_the_reason_that_is_told(stack: Stack, caplog) -> None:
    seen = await broken(stack, [*say(FIRST), cut()], [*say(" in bloom"), error("out of memory")], caplog=caplog)
    assert seen.text == f"{FIRST} in bloom"
    assert seen.lines[0] == RESUMED
    assert "in the middle of the answer" in seen.lines[1]
    assert "out of memory" in caplog.text


async def test_words_held_back_at_the_seam_are_not_lost_by_a_failure(stack: Stack, caplog) -> None:
    seen = await broken(stack, [*say("One two three"), cut()], [token("two"), error("boom")], caplog=caplog)
    assert seen.text == "One two threetwo"


async def test_the_length_limit_is_told_beside_the_seam(stack: Stack, caplog) -> None:
    seen = await broken(stack, [*say(FIRST), cut()], [*say(REST), done("length")], caplog=caplog)
    assert seen.lines == [RESUMED, "-# ✂️ The model reached its length limit here."]


THINKER = model_entry("llama3.2:latest", capabilities=["completion", "thinking"])


async def test_a_model_that_can_think_is_told_not_to(stack: Stack, caplog) -> None:
    stack.ollama.models = [THINKER]
    seen = await broken(stack, [*think("hm"), *say(FIRST), cut()], say(REST), caplog=caplog)
    assert seen.text == FIRST + REST
    assert stack.ollama.chats[1].json["think"] is False


async def test_a_model_that_was_seen_thinking_is_told_not_to(stack: Stack, caplog) -> None:
    await broken(stack, [*think("hm"), *say(FIRST), cut()], say(REST), caplog=caplog)
    assert stack.ollama.chats[1].json["think"] is False


async def test_old_servers_that_tell_no_capabilities_are_asked_without_a_word_on_thinking(stack: Stack, caplog) -> None:
    stack.ollama.models = [{k: v for k, v in THINKER.items() if k != "capabilities"}]
    seen = await broken(stack, [*say(FIRST), cut()], say(REST), caplog=caplog)
    assert seen.text == FIRST + REST
    assert "think" not in stack.ollama.chats[1].json


async def test_without_a_word_so_far_the_question_is_put_again(stack: Stack, caplog) -> None:
    seen = await broken(stack, [raw(b'{"mess'), cut()], [*think("hm"), *say(FIRST)], caplog=caplog)
    assert (seen.texts, seen.state) == ([FIRST], COMPLETE)
    first, second = stack.ollama.chats
    assert first.body == second.body


NOT: dict[str, tuple[Script, str]] = {
    "silence": ([*say(FIRST), hang()], "went quiet"),
    "error line": ([*say(FIRST), error("boom")], "in the middle of the answer"),
    "ended in good order": ([*say(FIRST), end()], "cut off"),
    "a broken line": ([*say(FIRST), raw(b"{oops\n"), done()], "could not read"),
}


@pytest.mark.parametrize(("script", "why"), NOT.values(), ids=NOT)
async def test_what_the_server_ended_itself_is_not_resumed(tmp_path: Path, script: Script, why: str, caplog) -> None:
    async with faulty(tmp_path, idle_timeout_seconds=0.3) as stack:
        seen = await broken(stack, script, caplog=caplog)
        assert len(stack.ollama.chats) == 1
        assert seen.text == FIRST
        assert len(seen.lines) == 1
        assert why in seen.lines[0]


async def test_thoughts_that_were_cut_off_are_not_thought_again(stack: Stack, caplog) -> None:
    seen = await broken(stack, [*think("a long thought"), cut()], caplog=caplog)
    assert len(stack.ollama.chats) == 1
    assert seen.shown.startswith("⚠️ The answer was cut off")


async def test_the_setting_turns_it_off(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, resume_replies="off") as stack:
        seen = await broken(stack, [*say(FIRST), cut()], caplog=caplog)
        assert len(stack.ollama.chats) == 1
        assert seen.text == FIRST
        assert seen.lines[0].startswith(CUT)


async def test_an_answer_that_fills_the_window_is_not_resumed(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, num_ctx=512) as stack:
        text = "All work and no play makes a dull boy. " * 40
        seen = await broken(stack, [token(text), cut()], caplog=caplog)
        assert len(stack.ollama.chats) == 1
        assert seen.text == text
        assert "too long to be resumed" in caplog.text


async def test_old_turns_make_room_for_a_long_half_answer(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, num_ctx=1024) as stack:
        channel = new_channel(stack)
        for number in range(3):
            stack.ollama.enqueue(say(f"Answer {number}: " + "well " * 60))
            await ask(stack, f"Question {number}?", channel=channel)
        half = "And so on and so forth, it said again. " * 30
        seen = await broken(stack, [token(half), cut()], say("End."), caplog=caplog, channel=channel)
        assert seen.state == COMPLETE
        *_, question, partial = talk(stack, -1)
        assert question["content"].endswith("in bloom?")
        assert partial["content"] == half.rstrip()
        assert len(talk(stack, -1)) < len(talk(stack, -2)) + 1


async def test_a_server_that_restarts_is_waited_for(stack: Stack, caplog) -> None:
    busy = status(503, {"error": "loading"})
    seen = await broken(stack, [*say(FIRST), cut()], [reset()], [reset()], busy, say(REST), caplog=caplog)
    assert seen.texts == [f"{FIRST}{REST}\n{RESUMED}"]


async def test_what_others_tried_in_vain_meanwhile_takes_no_try_from_an_answer_that_broke(stack: Stack) -> None:
    go = asyncio.Event()
    for script in ([*say(FIRST), hold(go), cut()], [reset()], [reset()], say(REST)):
        stack.ollama.enqueue(script)
    stack.ask("Go")
    await stack.shows(FIRST)
    stack.services.responder._answerer._outage.note(time.monotonic())
    go.set()
    assert await stack.answered() == [f"{FIRST}{REST}\n{RESUMED}"]


async def test_a_server_that_is_gone_for_good_leaves_the_text(stack: Stack, caplog) -> None:
    caplog.set_level(logging.INFO)
    gone = asyncio.Event()
    stack.ollama.enqueue(say(FIRST), hold(gone), cut())
    question = asyncio.create_task(ask(stack))
    await stack.until(lambda: any(FIRST in text for c in stack.world.channels for text in stack.texts(c)))
    await stack.ollama.stop()
    seen = await question
    assert seen.text == FIRST
    assert seen.lines[0].startswith(CUT)
    assert "OllamaUnreachable" in caplog.text


async def test_it_can_be_stopped_while_it_is_resumed(stack: Stack) -> None:
    stack.ollama.enqueue(say(FIRST), cut())
    stack.ollama.enqueue(say(" in"), hang())
    prompt = stack.ask("Hello")
    await stack.shows(f"{FIRST} in")
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], "⏹️")
    [text] = await stack.answered()
    assert text.splitlines()[0] == f"{FIRST} in"
    assert "stopped by Ada" in text
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)


async def test_a_stop_before_the_model_goes_on_keeps_what_was_there(stack: Stack) -> None:
    stack.ollama.enqueue(say(FIRST), cut())
    stack.ollama.enqueue(hang())
    prompt = stack.ask("Hello")
    await stack.ollama.arrived(2)
    await stack.shows(FIRST)
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], "⏹️")
    [text] = await stack.answered()
    assert text == f"{FIRST}\n-# ⏹️ stopped by Ada"


async def test_an_ask_is_resumed_as_a_chat(tmp_path: Path) -> None:
    async with faulty(tmp_path, system_prompt="Be brief.") as stack:
        stack.ollama.enqueue(say(FIRST), cut())
        stack.ollama.enqueue(say(REST))
        stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": "Was it?"})
        await stack.shows(f"{FIRST}{REST}\n{RESUMED}")
        first, second = stack.ollama.chats
        assert first.path == "/api/generate"
        assert second.path == "/api/chat"
        assert second.json["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Was it?"},
            {"role": "assistant", "content": FIRST},
        ]


async def test_others_are_answered_meanwhile(stack: Stack) -> None:
    stack.ollama.enqueue(say(FIRST), cut())
    stack.ollama.enqueue(hang())
    stack.ask("Hello")
    await stack.ollama.arrived(2)
    where = new_channel(stack)
    stack.ask("free?", channel=where)
    await stack.until(lambda: DEFAULT_TEXT in stack.texts(where))
