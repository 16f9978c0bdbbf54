"""The catalog: what is installed, who answers, how large the window is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.errors import ModelMissing, NoModelInstalled, OllamaUnreachable
from bot.generation.models import ModelCatalog
from bot.ollama.client import OllamaClient
from bot.ollama.types import Message
from tests.scripted_ollama import ScriptedOllama, hang, model_entry, pause, status


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as server:
        yield server


@asynccontextmanager
async def catalog_of(
    server: ScriptedOllama, *, default: str | None = None, num_ctx: int = 8192, clock: Clock | None = None
) -> AsyncIterator[ModelCatalog]:
    async with OllamaClient(server.url) as client:
        yield ModelCatalog(client, default=default, num_ctx=num_ctx, clock=clock or Clock())


async def system(catalog: ModelCatalog, name: str) -> str:
    details = await catalog.details(name)
    assert details is not None
    return details.system


def asked(server: ScriptedOllama, path: str = "/api/tags") -> int:
    return sum(request.path == path for request in server.requests)


async def test_the_models_are_asked_once_for_a_while(server: ScriptedOllama) -> None:
    clock = Clock()
    async with catalog_of(server, clock=clock) as catalog:
        await catalog.installed()
        await catalog.installed()
        assert asked(server) == 1
        clock.now += 20
        await catalog.installed()
        assert asked(server) == 2
        await catalog.installed(fresh=True)
        assert asked(server) == 3


async def test_one_question_serves_all_who_ask_at_once(server: ScriptedOllama) -> None:
    server.override("/api/tags", pause(0.03), status(200, {"models": server.models}))
    async with catalog_of(server) as catalog:
        answers = await asyncio.gather(*(catalog.installed() for _ in range(20)))
    assert asked(server) == 1
    assert all(len(answer) == 2 for answer in answers)


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(server: ScriptedOllama) -> None:
    server.override("/api/tags", pause(0.05), status(200, {"models": server.models}))
    async with catalog_of(server) as catalog:
        impatient = asyncio.create_task(catalog.installed())
        patient = asyncio.create_task(catalog.installed())
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert len(await patient) == 2


async def test_what_was_seen_last_is_known_when_the_server_hangs_or_is_gone(server: ScriptedOllama) -> None:
    clock = Clock()
    async with catalog_of(server, clock=clock) as catalog:
        assert len(await catalog.known(within=1.0)) == 2
        clock.now += 20
        server.override("/api/tags", hang())
        async with asyncio.timeout(1):
            assert len(await catalog.known(within=0.03)) == 2
        await server.stop()
        assert len(await catalog.known(within=1.0)) == 2


async def test_nothing_is_known_of_a_server_that_was_never_there(server: ScriptedOllama) -> None:
    await server.stop()
    async with catalog_of(server) as catalog:
        assert list(await catalog.known(within=1.0)) == []
        with pytest.raises(OllamaUnreachable):
            await catalog.installed()


async def test_a_failed_question_is_asked_again(server: ScriptedOllama) -> None:
    server.override("/api/tags", status(503, {"error": "busy"}))
    async with catalog_of(server) as catalog:
        assert list(await catalog.known(within=1.0)) == []
        server.overrides.clear()
        assert len(await catalog.known(within=1.0)) == 2


async def test_the_newest_model_that_can_answer_is_the_default(server: ScriptedOllama) -> None:
    server.models = [model_entry("embed:latest", capabilities=["embedding"]), *server.models]
    async with catalog_of(server) as catalog:
        assert await catalog.default() == "llama3.2:latest"
        assert catalog.default_among(await catalog.installed()) == "llama3.2:latest"


async def test_the_hosts_choice_needs_no_question(server: ScriptedOllama) -> None:
    await server.stop()
    async with catalog_of(server, default="mine:1b") as catalog:
        assert await catalog.default() == "mine:1b"
        assert catalog.default_among([]) == "mine:1b"


async def test_no_model_that_can_answer_is_said(server: ScriptedOllama) -> None:
    server.models = [model_entry("embed:latest", capabilities=["embedding"])]
    async with catalog_of(server) as catalog:
        assert catalog.default_among(await catalog.installed()) is None
        with pytest.raises(NoModelInstalled):
            await catalog.default()


@pytest.mark.parametrize("name", ["llama3.2", "llama3.2:latest", "LLAMA3.2", " llama3.2 "])
async def test_a_model_is_found_as_ollama_would(server: ScriptedOllama, name: str) -> None:
    async with catalog_of(server) as catalog:
        found = await catalog.find(name)
        assert found is not None
        assert found.name == "llama3.2:latest"
        assert await catalog.find("llama3.2:1b") is None


@pytest.mark.parametrize(("trained", "wanted", "window"), [(131072, 8192, 8192), (2048, 8192, 2048)])
async def test_the_window_is_the_wanted_one_capped_by_the_training(
    server: ScriptedOllama, trained: int, wanted: int, window: int
) -> None:
    server.models[0]["details"]["context_length"] = trained
    async with catalog_of(server, num_ctx=wanted) as catalog:
        assert await catalog.window("llama3.2") == window
        assert asked(server, "/api/show") == 0


async def test_an_older_server_is_asked_for_the_length_once(server: ScriptedOllama) -> None:
    server.models[0]["details"].pop("context_length")
    info = {"general.architecture": "llama", "llama.context_length": 4096}
    server.details["llama3.2"] = {"model_info": info, "details": {}}
    async with catalog_of(server) as catalog:
        assert [await catalog.window(name) for name in ("llama3.2", "llama3.2:latest")] == [4096, 4096]
    assert asked(server, "/api/show") == 1


async def test_the_window_of_a_model_that_is_not_there_is_an_error(server: ScriptedOllama) -> None:
    async with catalog_of(server) as catalog:
        with pytest.raises(ModelMissing):
            await catalog.window("gone:7b")


@pytest.mark.parametrize("answer", [[hang()], [status(500, {"error": "x"})], [status(200, "<html>", "text/html")]])
async def test_a_window_that_nobody_tells_is_the_wanted_one_and_is_asked_again(
    server: ScriptedOllama, answer: list, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.ollama.client._TAGS_SECONDS", 0.05)
    server.override("/api/tags", answer)
    async with catalog_of(server, num_ctx=200_000) as catalog:
        assert await catalog.window("llama3.2") == 200_000
        assert "The window of llama3.2 could not be asked" in caplog.text
        server.overrides.clear()
        assert await catalog.window("llama3.2") == 131_072


async def test_what_is_remembered_is_asked_from_nobody(server: ScriptedOllama) -> None:
    server.models.append(model_entry("gpt-oss:120b-cloud", remote_model="gpt-oss:120b"))
    async with catalog_of(server) as catalog:
        assert catalog.remembered("llama3.2") is None
        assert catalog.is_remote("other:cloud")
        await catalog.installed()
        found = catalog.remembered("LLAMA3.2")
        assert found is not None
        assert found.name == "llama3.2:latest"
        assert not catalog.is_remote("llama3.2")
        assert catalog.is_remote("gpt-oss:120b-cloud")
        assert asked(server) == 1


async def test_what_is_known_of_a_model_follows_its_digest(server: ScriptedOllama) -> None:
    entry = model_entry("llama3.2:latest", digest="a" * 64)
    server.models = [entry]
    server.details["llama3.2"] = {"system": "You are a pirate.", "details": {}}
    async with catalog_of(server) as catalog:
        assert await catalog.window("llama3.2") == 8192
        assert await system(catalog, "llama3.2") == "You are a pirate."
        assert await system(catalog, "llama3.2:latest") == "You are a pirate."
        assert asked(server, "/api/show") == 1
        entry |= {"digest": "b" * 64, "details": entry["details"] | {"context_length": 2048}}
        server.details["llama3.2"] = {
            "system": "You are terse.",
            "messages": [
                {"role": "user", "content": "Ahoy"},
                {"role": "assistant", "content": "Aye"},
                {"role": "x"},
                5,
            ],
            "template": "{{ .Prompt }}",
            "capabilities": ["completion", "thinking"],
        }
        assert await catalog.window("llama3.2") == 2048
        details = await catalog.details("llama3.2")
    assert details is not None
    assert (details.system, details.template) == ("You are terse.", "{{ .Prompt }}")
    assert details.messages == (Message("user", "Ahoy"), Message("assistant", "Aye"))
    assert details.capabilities == {"completion", "thinking"}


async def test_a_list_that_hangs_later_changes_nothing_and_holds_nobody_up(
    server: ScriptedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.generation.models._LIST_PATIENCE", 0.03)
    server.models[0]["details"]["context_length"] = 2048
    clock = Clock()
    async with catalog_of(server, clock=clock) as catalog:
        assert await catalog.window("llama3.2") == 2048
        server.override("/api/tags", hang())
        async with asyncio.timeout(1):
            assert await catalog.window("llama3.2") == 2048
        monkeypatch.setattr("bot.generation.models._LIST_PATIENCE", 5.0)
        clock.now += 6  # who asks while the list still does not come, waits no more
        async with asyncio.timeout(1):
            assert await catalog.window("llama3.2") == 2048
        await server.stop()
        assert await catalog.window("llama3.2") == 2048


def unlisted(name: str, **changes: object) -> dict:
    """An entry of a server that does not list capabilities."""
    entry = model_entry(name, digest=name, **changes)
    del entry["capabilities"]
    return entry


@pytest.mark.parametrize(
    "embedder",
    [
        {"capabilities": ["embedding"]},
        {"model_info": {"general.architecture": "gemma3", "gemma3.pooling_type": 1}},
    ],
)
async def test_an_embedder_is_never_the_default_whatever_its_family(server: ScriptedOllama, embedder: dict) -> None:
    server.models = [unlisted(name) for name in ("plain:latest", "second:latest", "able:latest", "older:latest")]
    server.details = {
        "plain:latest": embedder,
        "second:latest": embedder,
        "able:latest": {"capabilities": ["completion"]},
    }
    async with catalog_of(server) as catalog:
        assert await catalog.default() == "able:latest"
        models = await catalog.installed(fresh=True)
        assert catalog.default_among(models) == "able:latest"
        assert [model.can_complete for model in models] == [False, False, True, True]
    assert asked(server, "/api/show") == 3  # asked once for each digest, and no further than needed


@pytest.mark.parametrize(
    "answer", [status(404, "404 page not found", "text/plain"), status(500, {"error": "x"}), hang()]
)
@pytest.mark.parametrize(
    "embedder", ["nomic-embed-text:latest", "embeddinggemma:300m", "all-minilm:22m", "bge-m3:latest"]
)
async def test_without_show_the_name_tells_an_embedder(
    server: ScriptedOllama, answer, embedder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.generation.models._SHOW_PATIENCE", 0.05)
    server.models = [unlisted(embedder), unlisted("llama3.2:latest")]
    server.override("/api/show", answer)
    async with catalog_of(server) as catalog:
        assert await catalog.default() == "llama3.2:latest"


@pytest.mark.parametrize(
    "cloud",
    [
        model_entry("fine:latest", remote_host="https://ollama.com:443", remote_model="fine"),
        model_entry("fine:latest", remote_host="https://elsewhere.example"),
        model_entry("gpt-oss:120b-cloud"),
        model_entry("glm-4.6:cloud"),
        unlisted("glm-4.6:cloud"),
    ],
)
async def test_a_cloud_model_is_never_the_default(server: ScriptedOllama, cloud: dict) -> None:
    server.models = [cloud]
    async with catalog_of(server) as catalog:
        with pytest.raises(NoModelInstalled):
            await catalog.default()
        server.models = [cloud, model_entry("llama3.2:latest")]
        assert catalog.default_among(await catalog.installed(fresh=True)) == "llama3.2:latest"
    async with catalog_of(server, default=cloud["name"]) as catalog:
        assert await catalog.default() == cloud["name"]  # the host's own decision


async def test_a_local_name_for_a_cloud_model_is_found_out_where_the_list_is_silent(server: ScriptedOllama) -> None:
    server.models = [unlisted("mine:latest"), unlisted("llama3.2:latest")]
    server.details = {
        "mine:latest": {"capabilities": ["completion"], "remote_model": "big", "remote_host": "https://ollama.com"},
        "llama3.2:latest": {"capabilities": ["completion"]},
    }
    async with catalog_of(server) as catalog:
        assert await catalog.default() == "llama3.2:latest"
