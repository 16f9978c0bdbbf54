"""What a model is, through the whole bot: a model that is replaced, one that thinks, one that nobody should choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from tests.scripted_ollama import hang, model_entry, say, status, think
from tests.whole.stack import Stack, running

NATIVE = {"capabilities": ["completion", "thinking"], "details": {}, "template": "{% for m in messages %}"}
"""What /api/show tells of a model that brings its own template; the list calls it one that only completes."""


@pytest.fixture
async def stack(tmp_path: Path):
    async with running(tmp_path) as stack:
        yield stack


async def ask_alone(stack: Stack, question: str = "Why?") -> str:
    await stack.until(lambda: stack.world.commands)
    before = len(stack.replies())
    stack.world.run_command(ADA_ID, GENERAL_ID, ["ask"], {"prompt": question})
    await stack.until(lambda: len(stack.replies()) > before and stack.texts()[-1])
    await stack.idle()
    return stack.texts()[-1]


def system_of(stack: Stack, index: int = -1) -> str:
    return "".join(m["content"] for m in stack.ollama.chats[index].json["messages"] if m["role"] == "system")


async def test_a_model_that_is_made_anew_counts_from_the_next_question(stack: Stack) -> None:
    entry = model_entry("llama3.2:latest", digest="a" * 64)
    stack.ollama.models = [entry]
    stack.ollama.details["llama3.2"] = {"system": "You are a pirate.", "details": {}}
    stack.ask("One")
    await stack.answered(1)
    assert "pirate" in system_of(stack)
    entry |= {"digest": "b" * 64, "details": entry["details"] | {"context_length": 2048}}
    stack.ollama.details["llama3.2"] = NATIVE | {"system": "You are a monk."}
    stack.ask("Two")
    await stack.answered(2)
    assert "monk" in system_of(stack)
    assert "pirate" not in system_of(stack)
    assert stack.ollama.chats[-1].json["options"]["num_ctx"] == 2048
    assert stack.ollama.chats[-1].json["think"] is True


async def test_a_native_models_thoughts_are_not_the_answer_to_a_question_on_its_own(stack: Stack) -> None:
    stack.ollama.models = [model_entry("llama3.2:latest", capabilities=["completion"])]
    stack.ollama.details["llama3.2"] = NATIVE
    stack.ollama.enqueue(think("Someone asks why."), say("Because."))
    assert await ask_alone(stack) == "> Why?\nBecause."
    [request] = stack.ollama.chats
    assert request.path == "/api/chat"
    assert request.json["think"] is True
    assert [m["role"] for m in request.json["messages"]] == ["user"]


@pytest.mark.parametrize("answer", [hang(), status(500), status(404, "404 page not found", "text/plain")])
async def test_where_nobody_tells_what_a_model_can_it_is_asked_the_safe_way(
    stack: Stack, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.generation.models._SHOW_PATIENCE", 0.05)
    stack.ollama.models = [{k: v for k, v in model_entry("llama3.2:latest").items() if k != "capabilities"}]
    stack.ollama.override("/api/show", answer)
    await ask_alone(stack)
    await ask_alone(stack, "And why not?")
    assert [request.path for request in stack.ollama.chats] == ["/api/chat"] * 2
    assert "think" not in stack.ollama.chats[0].json
    assert sum(request.path == "/api/show" for request in stack.ollama.requests) == 1  # not asked again at once


async def test_an_embedder_and_a_cloud_model_do_not_answer_where_nothing_was_chosen(tmp_path: Path) -> None:
    async with running(tmp_path, ollama_model=None) as stack:
        embedder = model_entry("embeddinggemma:latest", digest="e")
        plain = model_entry("llama3.2:latest", digest="l")
        for entry in (embedder, plain):
            del entry["capabilities"]
        stack.ollama.models = [model_entry("gpt-oss:120b-cloud", remote_model="gpt-oss:120b"), embedder, plain]
        stack.ollama.details["embeddinggemma:latest"] = {"capabilities": ["embedding"], "details": {"family": "gemma3"}}
        stack.services.catalog._asked_at = float("-inf")
        stack.ask("Who are you?")
        await stack.answered(1)
        assert stack.ollama.chats[0].json["model"] == "llama3.2:latest"


REFUSAL = status(400, {"error": '"llama3.2" does not support thinking'})


async def test_where_thinking_is_refused_after_all_it_is_asked_without(stack: Stack) -> None:
    stack.ollama.details["llama3.2"] = NATIVE
    stack.ollama.enqueue(REFUSAL)
    stack.ollama.enqueue(say("Fine."))
    stack.ask("Hello")
    assert await stack.answered(1) == ["Fine."]
    assert ["think" in request.json for request in stack.ollama.chats] == [True, False]
