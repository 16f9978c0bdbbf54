"""While not a byte of an answer came, the question is put again: visibly, a few times, never a load."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.playground.loopback.seed import GENERAL_ID
from tests.scripted_ollama import DEFAULT_TEXT, Script, ScriptedOllama, cut, hang, pause, reset, say, status
from tests.whole import stack as stacks
from tests.whole.faults import COMPLETE, FAILED, KEPT, Fault, ask, check_clean, faulty, suffer
from tests.whole.stack import Stack

BUSY = status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
PASSING: dict[str, Script] = {
    "503": BUSY,
    "503 of a cloud": status(503, {"error": "Server overloaded, please retry shortly (ref: aaa65c70)"}),
    "429": status(429, {"error": "slow down"}),
    "502": status(502, "<html>502 Bad Gateway</html>", "text/html"),
    "504": status(504, "<html>", "text/html"),
    "429 with Retry-After": status(429, {"error": "x"}, extra_headers={"Retry-After": "0"}),
    "closed": [cut()],
    "reset": [reset()],
}


@pytest.fixture
async def stack(tmp_path: Path):
    async with faulty(tmp_path) as stack:
        yield stack


def patient(stack: Stack, *, base: float) -> None:
    """Wait longer before the next try, so that it can be looked at."""
    stack.services.responder._answerer._retry = stacks.RetryPolicy(base=base, cap=base, within=60)


@pytest.mark.parametrize("script", PASSING.values(), ids=PASSING)
async def test_what_passes_is_never_seen_in_the_answer(stack: Stack, script: Script, caplog) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        stack.ollama.enqueue(script)
    stack.ollama.enqueue(say(KEPT))
    seen = await ask(stack)
    assert (seen.texts, seen.state, seen.text) == ([KEPT], COMPLETE, KEPT)
    check_clean(stack, seen, caplog)
    bodies = {request.body for request in stack.ollama.chats}
    assert len(bodies) == 1, "the same question each time"


async def test_the_reader_sees_at_once_that_it_is_tried_again(stack: Stack) -> None:
    patient(stack, base=0.4)
    responder = stack.services.responder
    responder._options = replace(responder._options, timing=stacks.StatusTiming(status_after=60))
    stack.ollama.enqueue(BUSY)
    stack.ollama.enqueue(say(KEPT))
    stack.ask("Hello")
    shown = await stack.shows("Ollama is busy, retrying (2 of 3)")
    assert shown.startswith("-# ⏳")
    assert len(stack.ollama.chats) == 1, "told while it waits"
    assert await stack.answered() == [KEPT]


async def test_a_server_that_comes_back_is_found_again(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path) as stack:
        port = stack.ollama._port
        await stack.ollama.stop()
        patient(stack, base=0.2)
        stack.ask("Hello")
        await stack.shows("I cannot reach Ollama, retrying (2 of 3)")
        async with ScriptedOllama(port=port):
            assert await stack.answered() == [DEFAULT_TEXT]


async def test_one_who_is_never_there_is_named_with_the_remedy(stack: Stack, caplog) -> None:
    caplog.set_level(logging.INFO)
    await stack.ollama.stop()
    seen = await ask(stack)
    assert stack.ollama.url in caplog.text
    assert stack.ollama.url not in seen.shown
    assert "Is it running?" in seen.shown
    assert (seen.state, seen.text) == (FAILED, "")
    check_clean(stack, seen, caplog)
    assert "try 3 of 3" in caplog.text
    assert "OllamaUnreachable" in caplog.text


async def test_who_waited_while_another_tried_in_vain_is_told_at_the_first_try(stack: Stack, caplog) -> None:
    caplog.set_level(logging.INFO)
    await stack.ollama.stop()
    for n in range(4):
        stack.ask(f"Hello {n}")
    texts = await stack.answered(4)
    assert all("Is it running?" in text for text in texts)
    assert caplog.text.count("try 3 of 3") == 1
    stack.ask("And now?")
    await stack.answered(5)
    assert caplog.text.count("try 3 of 3") == 2, "who asks later has tries of their own"


async def test_who_waited_while_another_tried_in_vain_still_waits_for_a_busy_server(stack: Stack) -> None:
    stack.services.responder._answerer._outage.note(time.monotonic() + 60)
    stack.ollama.enqueue(BUSY)
    stack.ollama.enqueue(say(KEPT))
    stack.ask("Hello")
    assert await stack.answered() == [KEPT]


NEVER: dict[str, Fault] = {
    "500": Fault([status(500, {"error": "no"})], "HTTP 500"),
    "404": Fault([status(404, {"error": "model 'x' not found"})], "not installed"),
    "503 that wants an hour": Fault([status(503, {"error": "x"}, extra_headers={"Retry-After": "3600"})], "60 minutes"),
    "504 after long": Fault([pause(1.2), status(504, "<html>", "text/html")], "HTTP 504"),
    "closed after long": Fault([pause(1.2), cut()], "cannot reach Ollama", times=2),
}


@pytest.mark.parametrize("fault", NEVER.values(), ids=NEVER)
async def test_what_would_not_pass_or_took_long_is_told_at_once(stack: Stack, fault: Fault, caplog) -> None:
    await suffer(stack, fault, caplog)
    assert "try 2" not in caplog.text


async def test_a_first_byte_that_never_comes_is_waited_for_once(tmp_path: Path, caplog) -> None:
    async with faulty(tmp_path, first_byte_timeout_seconds=0.3) as stack:
        await suffer(stack, Fault([hang()], "did not begin to answer within 0.3 s", log="FirstByteTimeout"), caplog)


async def test_waiting_for_the_next_try_can_be_stopped(stack: Stack) -> None:
    patient(stack, base=20)
    stack.ollama.enqueue(BUSY)
    prompt = stack.ask("Hello")
    await stack.shows("retrying")
    stack.world.react(prompt["author"]["id"], GENERAL_ID, prompt["id"], stacks.STOP)
    [text] = await stack.answered()
    assert "stopped by Ada" in text
    assert len(stack.ollama.chats) == 1


async def test_many_that_were_sent_away_together_all_get_their_answer(stack: Stack) -> None:
    patient(stack, base=0.2)
    channels = [str(stack.world.create_channel(f"busy{n}")["id"]) for n in range(10)]
    for _ in channels:
        stack.ollama.enqueue(BUSY)
    for channel in channels:
        stack.ask("Hello", channel=channel)
    for channel in channels:
        assert await stack.answered(1, channel) == [DEFAULT_TEXT]
    times = sorted(request.at for request in stack.ollama.chats[10:])
    assert times[-1] - times[0] > 0.04


async def test_the_lists_that_come_before_a_question_are_asked_again_too(stack: Stack, monkeypatch) -> None:
    monkeypatch.setattr(stack.services.catalog, "_details", {})
    monkeypatch.setattr(stack.services.catalog, "_asked_at", float("-inf"))
    stack.ollama.override("/api/tags", BUSY)
    stack.ask("Hello")
    await stack.shows("busy, retrying")
    stack.ollama.overrides.clear()
    assert await stack.answered() == [DEFAULT_TEXT]


async def test_an_address_that_speaks_no_tls_is_named(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    async with ScriptedOllama() as plain, faulty(tmp_path, ollama_host=plain.url.replace("http:", "https:")) as stack:
        seen = await ask(stack)
        assert plain.url.replace("http:", "https:") in caplog.text
        assert (seen.state, seen.text) == (FAILED, "")
        check_clean(stack, seen, caplog)
        assert "OllamaTLSError" in caplog.text


async def test_a_name_that_nobody_knows_is_named(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    async with faulty(tmp_path, ollama_host="http://no-such-host.invalid:11434") as stack:
        seen = await ask(stack)
        assert "no-such-host.invalid" in caplog.text
        assert "no-such-host" not in seen.shown
        assert (seen.state, seen.text) == (FAILED, "")
        check_clean(stack, seen, caplog)
        assert "try 2" not in caplog.text, "a wrong name needs somebody's hand"


async def test_an_address_where_nothing_answers_is_named(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO)
    # A listener whose backlog is full answers no SYN, as an unroutable host does.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with faulty(tmp_path, ollama_host=host, connect_timeout_seconds=0.15) as stack:
            seen = await ask(stack)
    assert host in caplog.text
    assert "Is its machine up?" in seen.shown
    assert (seen.state, seen.text) == (FAILED, "")
    check_clean(stack, seen, caplog)
    assert "ConnectTimeout" in caplog.text
