"""What a silent wait is for: a model that loads, one that is busy, one that answers nobody."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from bot.generation.status import StatusTiming
from bot.ollama.client import OllamaClient
from bot.playground.loopback.seed import ADA_ID, CODE_ID, GENERAL_ID
from tests.scripted_ollama import DEFAULT_TEXT, SeenRequest, hang, headers, hold, model_entry, pause, say, status
from tests.whole.faults import COMPLETE, FAILED, KEPT, Fault, ask, check_clean, faulty, new_channel, suffer
from tests.whole.stack import Stack, loaded, servers


@pytest.fixture
async def stack(tmp_path: Path):
    async with faulty(tmp_path) as stack:
        yield stack


def asked(stack: Stack, path: str) -> list[SeenRequest]:
    return [request for request in stack.ollama.requests if request.path == path]


def loads(stack: Stack) -> list[dict[str, Any]]:
    """Requests that only load (or unload) a model."""
    return [r.json for r in asked(stack, "/api/chat") if not r.json["messages"]]


# What the status line says.


async def test_a_model_that_loads_is_told_with_the_time_running(stack: Stack) -> None:
    stack.ollama.running = []
    ready = asyncio.Event()
    stack.ollama.enqueue(hold(ready), say(KEPT))
    stack.ask("Hello")
    line = await stack.shows("loading `llama3.2`")
    assert line.startswith("-# ⏳")
    assert ":R>" in line
    ready.set()
    assert await stack.answered() == [KEPT]
    assert len(asked(stack, "/api/ps")) == 1


async def test_a_model_that_is_loaded_is_waited_for(stack: Stack) -> None:
    ready = asyncio.Event()
    stack.ollama.enqueue(hold(ready), say(KEPT))
    stack.ask("Hello")
    await stack.shows("waiting for `llama3.2`")
    await stack.until(lambda: asked(stack, "/api/ps"))
    await asyncio.sleep(0.05)
    assert "loading" not in stack.texts()[0]
    ready.set()
    assert await stack.answered() == [KEPT]


async def test_a_model_that_is_loaded_with_another_window_is_loaded_anew(stack: Stack) -> None:
    stack.ollama.running = [loaded("llama3.2:latest", 2048)]
    stack.ollama.enqueue(pause(0.2), say(KEPT))
    stack.ask("Hello")
    await stack.shows("loading `llama3.2`")
    await stack.answered()


async def test_a_model_that_waits_for_anothers_room_says_so(stack: Stack, monkeypatch) -> None:
    monkeypatch.setattr("bot.generation.waiting._LOOK_AGAIN", 0.05)
    done, ready = asyncio.Event(), asyncio.Event()
    await stack.services.store.set_channel_model(int(CODE_ID), "qwen3:8b")
    stack.ollama.enqueue(say("Still"), hold(done), say(" talking"))
    stack.ask("Hello")
    await stack.shows("Still")
    stack.ollama.enqueue(hold(ready), say(KEPT))
    stack.ask("Hello", channel=CODE_ID)
    await stack.shows("`qwen3:8b` waits for room: `llama3.2:latest` is still answering", CODE_ID)
    done.set()
    stack.ollama.running = []
    await stack.shows("loading `qwen3:8b`", CODE_ID)
    stack.ollama.running = [loaded("qwen3:8b")]
    await stack.shows("waiting for `qwen3:8b`", CODE_ID)
    ready.set()
    assert await stack.answered(1, CODE_ID) == [KEPT]


async def test_a_model_that_is_loaded_under_another_name_is_not_loading(stack: Stack) -> None:
    weights = f"# made\nFROM /usr/share/ollama/blobs/sha256-{'a' * 64}\nSYSTEM be brief\n"
    stack.ollama.details = {name: {"modelfile": weights, "details": {}} for name in ("llama3.2", "persona:latest")}
    stack.ollama.running = [loaded("persona:latest")]
    stack.ollama.enqueue(pause(0.3), say(KEPT))
    stack.ask("Hello")
    await stack.shows("waiting for `llama3.2`")
    await stack.answered()
    said = [str(payload.get("content")) for _, payload in stack.events]
    assert not [text for text in said if "loading" in text or "being loaded" in text]


async def test_another_model_of_somebody_else_may_have_to_make_room(stack: Stack) -> None:
    stack.ollama.running = [loaded("mistral:latest")]
    stack.ollama.enqueue(pause(0.2), say(KEPT))
    stack.ask("Hello")
    line = await stack.shows("`mistral:latest` must make room first")
    assert "loading" not in line
    await stack.answered()


async def test_a_window_that_the_server_rounded_up_is_the_same(stack: Stack) -> None:
    stack.ollama.running = [loaded("llama3.2:latest", 8192 + 128)]
    stack.ollama.enqueue(pause(0.2), say(KEPT))
    stack.ask("Hello")
    await stack.shows("waiting for `llama3.2`")
    await stack.answered()
    assert not [p for _, p in stack.events if "loading" in str(p.get("content"))]


async def test_a_long_wait_for_a_loaded_model_is_remarked_upon(stack: Stack) -> None:
    stack.services.responder._answerer._timing = short(long_after=0.1)
    ready = asyncio.Event()
    stack.ollama.enqueue(hold(ready), say(KEPT))
    stack.ask("Hello")
    await stack.shows("waiting for `llama3.2` (busy with someone else?)")
    ready.set()
    assert await stack.answered() == [KEPT]


async def test_a_cloud_model_is_never_loading(stack: Stack) -> None:
    stack.ollama.running = []
    await stack.services.store.set_channel_model(int(GENERAL_ID), "gpt-oss:120b-cloud")
    stack.ollama.models.append(model_entry("gpt-oss:120b-cloud", remote_host="https://ollama.com:443"))
    stack.ollama.enqueue(pause(0.2), say(KEPT))
    stack.ask("Hello")
    await stack.shows("waiting for `gpt-oss:120b-cloud`")
    assert await stack.answered() == [KEPT]
    assert asked(stack, "/api/ps") == []


async def test_a_quick_answer_asks_for_no_status(stack: Stack) -> None:
    for _ in range(3):
        await ask(stack)
    assert asked(stack, "/api/ps") == []


@pytest.mark.parametrize("answer", [[hang()], [status(500)], [status(200, "[]")], [pause(0.3), status(200, {})]])
async def test_a_status_that_does_not_come_delays_nothing(stack: Stack, answer: Any, caplog) -> None:
    stack.ollama.override("/api/ps", answer)
    stack.ollama.enqueue(pause(0.12), say(KEPT))
    began = asyncio.get_running_loop().time()
    stack.ask("Hello")
    await stack.shows("waiting for `llama3.2`")
    assert await stack.answered() == [KEPT]
    assert asyncio.get_running_loop().time() - began < 1.5
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Nothing of ours cuts a load.


async def test_no_limit_but_the_first_bytes_cuts_a_load(tmp_path: Path) -> None:
    limits = {"connect_timeout_seconds": 0.2, "idle_timeout_seconds": 0.2, "first_byte_timeout_seconds": 20}
    async with faulty(tmp_path, **limits) as stack:
        stack.ollama.running = []
        stack.ollama.enqueue(pause(1.2), say(KEPT))
        seen = await ask(stack)
        assert (seen.texts, seen.state) == ([KEPT], COMPLETE)
        assert len(stack.ollama.chats) == 1


async def test_headers_that_a_gateway_sends_early_do_not_shorten_a_load(tmp_path: Path) -> None:
    async with faulty(tmp_path, idle_timeout_seconds=0.2) as stack:
        stack.ollama.enqueue(headers(), pause(0.8), say(KEPT))
        assert (await ask(stack)).texts == [KEPT]


async def test_silence_in_the_middle_ends_with_the_text_so_far(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, idle_timeout_seconds=0.3) as stack:
        await suffer(stack, Fault([*say(KEPT), hang()], "went quiet for 0.3 s", KEPT, log="IdleTimeout"), caplog)


async def test_a_wait_for_the_first_byte_can_be_stopped(stack: Stack) -> None:
    stack.ollama.running = []
    stack.ollama.enqueue(hang())
    prompt = stack.ask("Hello")
    await stack.shows("loading")
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], "⏹️")
    [text] = await stack.answered()
    assert text == "⏹️ stopped by Ada"
    await asyncio.wait_for(stack.ollama.chats[-1].closed.wait(), 1.0)


async def test_what_comes_after_a_stop_is_in_no_later_answer(stack: Stack) -> None:
    late = asyncio.Event()
    stack.ollama.enqueue(say("One"), hold(late), say(" LATE words"))
    prompt = stack.ask("Hello")
    await stack.shows("One")
    stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], "⏹️")
    await stack.answered()
    late.set()
    stack.ollama.enqueue(say("Two"))
    stack.ask("Again")
    texts = await stack.answered(2)
    assert texts[1] == "Two"
    assert "LATE" not in "".join(texts)


# A model that stops in mid-answer.


async def test_a_stall_is_told_below_the_text_until_more_comes(tmp_path: Path) -> None:
    async with servers(tmp_path) as stack:
        stack.timing = short(stalled_after=0.15)
        more = asyncio.Event()
        stack.ollama.enqueue(*say("Half a sentence"), hold(more), *say(" and the rest."))
        async with stack.running_bot():
            stack.ask("Hello")
            shown = await stack.shows("the model's last words came <t:")
            assert shown.startswith("Half a sentence ▌\n-# ⏳")
            more.set()
            assert await stack.answered() == ["Half a sentence and the rest."]


async def test_a_stall_that_lasts_ends_in_the_text_so_far_and_the_reason(tmp_path: Path) -> None:
    async with servers(tmp_path, idle_timeout_seconds=1.0) as stack:
        stack.timing = short(stalled_after=0.15)
        stack.ollama.enqueue(*say("Half a sentence"), hang())
        async with stack.running_bot():
            stack.ask("Hello")
            await stack.shows("the model's last words came <t:")
            [text] = await stack.answered()
    assert text.startswith("Half a sentence\n-# ⚠️")
    assert "went quiet" in text
    assert "last words" not in text


# A model that answers nobody.


def short(**timing: float) -> StatusTiming:
    return StatusTiming(**({"status_after": 0.05, "control_after": 0.05} | timing))


def watchful(stack: Stack, after: float = 0.15) -> None:
    stack.services.responder._answerer._timing = short(long_after=0.05)
    stack.services.responder._answerer._stuck.after = after


async def test_a_model_that_answers_nobody_is_told_to_the_operator_with_the_remedy(stack: Stack, caplog) -> None:
    watchful(stack)
    freed = asyncio.Event()
    for channel in (GENERAL_ID, CODE_ID):
        stack.ollama.enqueue(hold(freed), say(KEPT))
        stack.ask("Hello", channel=channel)
    for channel in (GENERAL_ID, CODE_ID):
        line = await stack.shows("answers nobody", channel)
        assert "remedy in my log" in line
    told = [record for record in caplog.records if "ollama stop llama3.2" in record.getMessage()]
    assert [record.levelname for record in told] == ["ERROR"]
    assert not [body for body in loads(stack) if body.get("keep_alive") == 0], "nothing is unloaded by itself"
    freed.set()
    for channel in (GENERAL_ID, CODE_ID):
        assert await stack.answered(1, channel) == [KEPT]


async def test_one_who_gives_up_on_it_is_told_too(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, first_byte_timeout_seconds=0.8) as stack:
        watchful(stack)
        seen = []
        for _ in range(2):
            stack.ollama.enqueue(hang())
            seen.append(await ask(stack))
        assert "answered nobody" not in seen[0].shown
        assert "did not begin to answer" in seen[1].shown
        assert "`llama3.2` has answered nobody for a while" in seen[1].shown
        assert seen[1].state == FAILED
        assert caplog.text.count("ollama stop") == 1
        assert (await ask(stack)).texts == [DEFAULT_TEXT]


async def test_a_model_that_is_busy_with_one_of_ours_is_not_accused(stack: Stack, caplog) -> None:
    watchful(stack, 0.06)
    more = asyncio.Event()
    stack.ollama.enqueue(say(KEPT), hold(more))
    stack.ask("Hello")
    await stack.shows(KEPT)
    waiting = [new_channel(stack) for _ in range(3)]
    for channel in waiting:
        stack.ollama.enqueue(hold(more), say("Next"))
        stack.ask("Hello", channel=channel)
    await asyncio.sleep(0.5)
    assert "ollama stop" not in caplog.text
    more.set()
    for channel in waiting:
        assert await stack.answered(1, channel) == ["Next"]


async def test_a_model_that_is_still_loading_is_not_accused(stack: Stack, caplog) -> None:
    watchful(stack, 0.06)
    stack.ollama.running = []
    ready = asyncio.Event()
    for channel in (GENERAL_ID, CODE_ID):
        stack.ollama.enqueue(hold(ready), say(KEPT))
        stack.ask("Hello", channel=channel)
    await stack.shows("loading")
    await asyncio.sleep(0.1)
    assert "ollama stop" not in caplog.text
    ready.set()
    await stack.answered()
    await stack.answered(1, CODE_ID)


# Loading ahead.


async def use(stack: Stack, name: str) -> None:
    await stack.until(lambda: stack.world.commands)
    stack.world.run_command(ADA_ID, GENERAL_ID, ["model", "use"], {"name": name})
    await stack.shows("answers in this channel")


async def test_the_default_model_is_loaded_at_start_where_that_is_wanted(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    async with faulty(tmp_path, preload_model="on", keep_alive="30m") as stack:
        await stack.until(lambda: "is loaded" in caplog.text)
        [load] = loads(stack)
        assert load["model"] == "llama3.2"
        assert load["options"] == {"num_ctx": 8192}
        assert load["keep_alive"] == "30m"
        seen = await ask(stack)
        assert stack.ollama.chats[0].json["options"] == load["options"], "another window would load it anew"
        check_clean(stack, seen, caplog)


async def test_a_chosen_model_is_loaded_where_that_is_wanted(tmp_path: Path) -> None:
    async with faulty(tmp_path, preload_model="on") as stack:
        await use(stack, "qwen3:8b")
        await stack.until(lambda: [load["model"] for load in loads(stack)] == ["llama3.2", "qwen3:8b"])


async def test_nothing_is_loaded_ahead_by_default(stack: Stack) -> None:
    await use(stack, "qwen3:8b")
    await ask(stack)
    assert loads(stack) == []


async def test_a_load_ahead_that_fails_is_logged_and_costs_nothing(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, preload_model="on", ollama_model="gone:7b") as stack:
        stack.ollama.strict_models = True
        stack.services.preloader.want()
        await stack.until(lambda: "Model (default) could not be loaded ahead: ModelMissing" in caplog.text)
        await use(stack, "qwen3:8b")
        assert (await ask(stack, channel=GENERAL_ID)).texts == [DEFAULT_TEXT]


async def test_a_load_ahead_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch) -> None:
    ended = asyncio.Event()

    async def load(self: object, *_: object, **__: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(OllamaClient, "load", load)
    async with faulty(tmp_path, preload_model="on") as stack:
        assert (await ask(stack)).texts == [DEFAULT_TEXT]
        assert not ended.is_set()
    assert ended.is_set(), "leaving ends it"
