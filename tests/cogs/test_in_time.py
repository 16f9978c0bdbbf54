"""What is due within three seconds, and what is said when a command fails; on real sockets and clocks."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.playground.loopback.faults import Fault
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from tests.scripted_ollama import DEFAULT_TEXT, hang, pause, status
from tests.whole.stack import Stack, running

CALLBACK = "/interactions/*/callback"


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        await stack.until(lambda: stack.world.commands)
        yield stack


def command(stack: Stack, *path: str, **options: Any):
    return stack.world.run_command(ADA_ID, GENERAL_ID, list(path), options)


async def said(stack: Stack) -> list[dict[str, Any]]:
    """The bot's answers that hold text, ephemeral ones too."""
    return await stack.until(lambda: [message for message in stack.replies() if message["content"]])


def states(stack: Stack) -> list[str]:
    return [payload["state"] for name, payload in stack.events if name == "INTERACTION_STATE"]


async def test_a_slow_server_is_waited_for_with_a_sign_of_life(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.delivery.interactions.PATIENCE_SECONDS", 0.02)
    stack.ollama.override("/api/tags", pause(0.2), status(200, {"models": stack.ollama.models}))
    command(stack, "model", "list")
    [message] = await said(stack)
    assert states(stack)[:2] == ["sent", "deferred"]
    assert message["flags"] & 64
    assert "2 models installed" in message["content"]


async def test_after_a_wait_a_refusal_takes_the_place_of_the_loading_message(stack: Stack, monkeypatch):
    monkeypatch.setattr("bot.delivery.interactions.PATIENCE_SECONDS", 0.02)
    stack.ollama.override("/api/tags", pause(0.2), status(503, {"error": "server busy"}))
    command(stack, "model", "use", name="qwen3:8b")
    [message] = await said(stack)
    assert "Ollama is busy" in message["content"]
    assert len(stack.replies()) == 1


async def test_suggestions_do_not_wait_for_a_hanging_server(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    for cog in ("cogs.model", "cogs.ask"):
        monkeypatch.setattr(sys.modules[cog], "_SUGGEST_WITHIN", 0.05)
    before = await stack.world.autocomplete(ADA_ID, GENERAL_ID, ["model", "use"], {"name": "q"}, "name")
    stack.services.catalog._asked_at = float("-inf")
    stack.ollama.override("/api/tags", hang())
    after = await stack.world.autocomplete(ADA_ID, GENERAL_ID, ["model", "use"], {"name": "q"}, "name", timeout=1)
    assert [choice["value"] for choice in before] == [choice["value"] for choice in after] == ["qwen3:8b"]


@pytest.mark.parametrize(("http", "code", "words"), [(404, 10062, "too late"), (400, 40060, "another process")])
async def test_a_lost_interaction_is_one_line_in_the_log(stack: Stack, caplog, http: int, code: int, words: str):
    fault = Fault("POST", CALLBACK, status=http, body={"code": code, "message": "no"})
    stack.discord.faults.append(fault)
    with caplog.at_level(logging.WARNING):
        command(stack, "reset")
        await stack.until(lambda: words in caplog.text)
    assert "Traceback" not in caplog.text
    assert stack.replies() == []


async def test_a_bug_is_told_with_a_reference_that_is_in_the_log(stack: Stack, caplog, monkeypatch):
    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("the inner words")

    monkeypatch.setattr(stack.services.store, "reset", explode)
    command(stack, "reset")
    [message] = await said(stack)
    reference = message["content"].split("`")[1]
    assert message["flags"] & 64
    assert f"reference {reference}" in caplog.text
    assert "the inner words" in caplog.text
    assert "the inner words" not in message["content"]


async def test_a_bug_in_suggestions_disturbs_nobody(stack: Stack, monkeypatch, caplog):
    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stack.services.catalog, "known", explode)
    with pytest.raises(Exception, match="Loading options failed"):
        await stack.world.autocomplete(ADA_ID, GENERAL_ID, ["model", "use"], {"name": "q"}, "name", timeout=0.2)
    assert stack.replies() == []
    monkeypatch.undo()
    assert await stack.world.autocomplete(ADA_ID, GENERAL_ID, ["model", "use"], {"name": "q"}, "name")


async def test_a_failure_of_discord_while_telling_is_logged_and_survived(stack: Stack, caplog):
    stack.discord.faults.append(
        Fault("POST", CALLBACK, status=403, body={"code": 50001, "message": "Missing Access"}, times=2)
    )
    with caplog.at_level(logging.WARNING):
        command(stack, "help")
        await stack.until(lambda: "Could not tell why /help failed" in caplog.text)
    command(stack, "help")
    [message] = await said(stack)
    assert "/model list" in message["content"]


LOST = {
    "a broken connection": {"reset": True},
    "a broken connection behind an answer that arrived": {"reset": True, "after": True},
    "an error of Discord's": {"status": 500},
    "an error behind an answer that arrived": {"status": 502, "after": True},
    "no answer at all": {"hang": True},
    "silence behind an answer that arrived": {"hang": True, "after": True},
}


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.delivery.interactions._TRY_SECONDS", 0.05)
    monkeypatch.setattr("bot.delivery.interactions._LATER_TRY_SECONDS", 0.05)


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
@pytest.mark.parametrize("path", [["help"], ["stop"], ["ask"]], ids=" ".join)
async def test_a_command_is_answered_once_although_its_first_answer_is_lost(stack: Stack, caplog, path, fault):
    stack.discord.inject(method="POST", route=CALLBACK, **fault)
    with caplog.at_level(logging.WARNING):
        command(stack, *path, **({"prompt": "Hello?"} if path == ["ask"] else {}))
        [message] = await said(stack)
        await stack.idle()
    [message] = await said(stack)
    expected = {"help": "/model list", "stop": "Nothing is running here.", "ask": DEFAULT_TEXT}
    assert expected[path[0]] in message["content"]
    assert "failed" not in states(stack)
    assert caplog.text == ""


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_the_word_after_a_wait_comes_although_it_is_lost_once(stack: Stack, monkeypatch, fault):
    monkeypatch.setattr("bot.delivery.interactions.PATIENCE_SECONDS", 0.02)
    stack.ollama.override("/api/tags", pause(0.1), status(200, {"models": stack.ollama.models}))
    stack.discord.inject(method="PATCH", route="/webhooks/*", **fault)
    command(stack, "model", "list")
    [message] = await said(stack)
    assert "2 models installed" in message["content"]


@pytest.mark.usefixtures("quick_tries")
async def test_a_discord_that_takes_no_answer_in_time_is_one_line_in_the_log(stack: Stack, caplog, monkeypatch):
    monkeypatch.setattr("bot.delivery.interactions._WITHIN_SECONDS", 0.3)
    stack.discord.inject(method="POST", route=CALLBACK, reset=True, times=-1)
    with caplog.at_level(logging.WARNING):
        command(stack, "help")
        await stack.until(lambda: "/help: " in caplog.text)
    assert "could not be answered" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.usefixtures("quick_tries")
async def test_a_question_that_waits_in_vain_is_told_when_nothing_said_that_it_had_arrived(stack: Stack, monkeypatch):
    monkeypatch.setattr("bot.delivery.interactions._WITHIN_SECONDS", 0.01)
    stack.discord.inject(method="POST", route=CALLBACK, hang=True, after=True)
    command(stack, "ask", prompt="Hello?")
    [message] = await said(stack)
    assert "did not take my answer in time" in message["content"]
