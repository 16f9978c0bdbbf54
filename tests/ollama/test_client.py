from __future__ import annotations

import asyncio
import time

import pytest

from bot.errors import (
    FirstByteTimeout,
    ModelMissing,
    NotOllama,
    OllamaError,
    OllamaStatusError,
    OllamaUnauthorized,
    OllamaUnreachable,
    ProtocolError,
)
from bot.ollama.client import OllamaClient
from tests.ollama.asking import PROMPT, answer_of
from tests.scripted_ollama import (
    DEFAULT_TEXT,
    ScriptedOllama,
    cut,
    done,
    hang,
    hold,
    model_entry,
    say,
    status,
    token,
    wire,
)

# What is sent.


async def test_a_chat_is_sent_exactly(server: ScriptedOllama, client: OllamaClient) -> None:
    assert await answer_of(client, num_ctx=8192, keep_alive="-1") == DEFAULT_TEXT
    request = server.chats[0]
    assert (request.method, request.path) == ("POST", "/api/chat")
    assert request.json == {
        "model": "llama3.2",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "options": {"num_ctx": 8192},
        "keep_alive": -1,
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert not {"origin", "authorization", "cookie"} & request.headers.keys()


async def test_a_generate_is_sent_exactly(server: ScriptedOllama, client: OllamaClient) -> None:
    server.enqueue(say("Blue light."), done(eval_count=4))
    async with client.generate("m", "why?", system="terse", think=False) as stream:
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.content for chunk in chunks) == "Blue light."
    assert chunks[-1].counts is not None
    assert chunks[-1].counts.reply_tokens == 4
    assert server.chats[0].path == "/api/generate"
    assert server.chats[0].json == {
        "model": "m",
        "prompt": "why?",
        "stream": True,
        "system": "terse",
        "think": False,
    }


async def test_a_path_in_the_base_url_is_kept() -> None:
    async with ScriptedOllama() as server, OllamaClient(f"{server.url}/ollama/") as client:
        assert await answer_of(client) == DEFAULT_TEXT
        assert server.chats[0].path == "/ollama/api/chat"


async def test_a_key_is_sent_to_loopback(server: ScriptedOllama) -> None:
    async with OllamaClient(server.url, api_key="sesame") as client:
        await client.version()
    assert server.requests[0].headers["authorization"] == "Bearer sesame"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://ollama.com:443", True),
        ("http://localhost:11434", True),
        ("http://[::1]:11434", True),
        ("http://127.0.0.9:1", True),
        ("http://192.168.1.5:11434", False),
        ("http://localhost.evil.example:80", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("http://127.0.0.1:80@evil.example:80", False),
        ("http://localhost@192.168.1.5:11434", False),
        ("http://[::ffff:192.168.1.5]:11434", False),
        ("http://0x7f000001:11434", False),
    ],
)
def test_a_key_goes_only_over_https_or_to_loopback(url: str, sent: bool, caplog: pytest.LogCaptureFixture) -> None:
    client = OllamaClient(url, api_key="sesame")
    assert (client._headers.get("Authorization") == "Bearer sesame") is sent
    assert bool(caplog.records) is not sent
    assert "sesame" not in caplog.text


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX: y", "schlüssel"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        OllamaClient("http://127.0.0.1:1", api_key=key)
    assert key not in str(caught.value)


async def test_credentials_in_the_url_are_sent_as_basic_and_never_shown(server: ScriptedOllama) -> None:
    server.override("/api/version", status(401, {"error": "no"}))
    async with OllamaClient(server.url.replace("//", "//ada:p%40ss@")) as client:
        with pytest.raises(OllamaUnauthorized) as caught:
            await client.version()
    assert server.requests[0].headers["authorization"] == "Basic YWRhOnBAc3M="
    assert caught.value.url == server.url
    assert "ada" not in str(caught.value) + caught.value.sentence()


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("http://ada:hunter2@192.168.1.5:80", True), ("https://ada:hunter2@h:443", False), ("http://a:b2@[::1]:1", False)],
)
def test_a_password_that_travels_unencrypted_is_warned_of(
    url: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert OllamaClient(url)._headers["Authorization"].startswith("Basic ")
    assert ("unencrypted" in caplog.text) is is_told
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_and_no_key_goes_along(server: ScriptedOllama, code: int) -> None:
    async with ScriptedOllama() as other, OllamaClient(server.url, api_key="sesame") as client:
        away = status(code, b"", extra_headers={"Location": f"{other.url}/api/tags"})
        server.override("/api/tags", away)
        server.override("/api/chat", away)
        with pytest.raises(OllamaStatusError, match="a redirect to"):
            await client.tags()
        with pytest.raises(OllamaStatusError, match="a redirect to"):
            await answer_of(client)
        assert len(server.requests) == 2
        assert other.requests == []


async def test_a_proxy_in_the_environment_is_not_used(
    server: ScriptedOllama, client: OllamaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert await client.version() == server.version


# Leaving.


async def test_leaving_in_the_middle_closes_the_connection_at_once(
    server: ScriptedOllama, client: OllamaClient
) -> None:
    server.enqueue(say("one two three"), hang())
    async with client.chat("m", PROMPT) as stream:
        async for chunk in stream:
            if "two" in chunk.content:
                break
    left = time.monotonic()
    assert await server.closed() - left < 0.2


async def test_an_error_in_the_block_closes_the_connection(server: ScriptedOllama, client: OllamaClient) -> None:
    async def fail() -> None:
        async with client.chat("m", PROMPT) as stream:
            await anext(stream)
            raise ZeroDivisionError

    server.enqueue(say("one"), hang())
    with pytest.raises(ZeroDivisionError):
        await fail()
    await server.closed(timeout=0.5)


async def test_a_cancel_in_the_middle_closes_the_connection(server: ScriptedOllama, client: OllamaClient) -> None:
    server.enqueue(say("one"), hang())
    task = asyncio.create_task(answer_of(client))
    await server.arrived()
    await asyncio.sleep(0.02)
    task.cancel()
    left = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.closed() - left < 0.2


async def test_a_cancel_before_the_headers_closes_the_connection(server: ScriptedOllama, client: OllamaClient) -> None:
    server.enqueue(hang())
    task = asyncio.create_task(answer_of(client))
    await server.arrived()
    task.cancel()
    left = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.closed() - left < 0.2
    assert len(server.chats) == 1


async def test_closing_the_stream_from_another_task_ends_the_reading(
    server: ScriptedOllama, client: OllamaClient
) -> None:
    server.enqueue(say("one"), hang())
    async with client.chat("m", PROMPT) as stream:
        assert (await anext(stream)).content == "one"
        asyncio.get_running_loop().call_later(0.02, stream.close)
        assert [chunk async for chunk in stream] == []
    await server.closed()


async def test_a_finished_answer_leaves_no_connection_behind(server: ScriptedOllama, client: OllamaClient) -> None:
    await answer_of(client)
    await server.closed()
    assert server.chats[0].finished.is_set()


async def test_late_words_of_a_cancelled_answer_reach_nobody(server: ScriptedOllama, client: OllamaClient) -> None:
    go = asyncio.Event()
    server.enqueue(token("old"), hold(go), say("old old"))
    server.enqueue(say("new"))
    async with client.chat("m", PROMPT) as stream:
        await anext(stream)
    go.set()
    assert await answer_of(client) == "new"


async def test_many_answers_stream_at_once(server: ScriptedOllama, client: OllamaClient) -> None:
    go = asyncio.Event()
    for _ in range(150):
        server.enqueue(token("a"), hold(go), token("b"))
    answers = asyncio.gather(*(answer_of(client) for _ in range(150)))
    await server.arrived(150, timeout=10)
    go.set()
    assert await answers == ["ab"] * 150


# The other questions.


async def test_version_tags_show_and_ps(server: ScriptedOllama, client: OllamaClient) -> None:
    server.running = [model_entry("qwen3:8b", size_vram=1, expires_at="2318-01-01T00:00:00Z")]
    assert await client.version() == "0.32.9"
    assert [model.name for model in await client.tags()] == ["llama3.2:latest", "qwen3:8b"]
    assert [model.name for model in await client.ps()] == ["qwen3:8b"]
    details = await client.show("llama3.2")
    assert (details.model, details.context_length) == ("llama3.2", 131072)
    assert server.requests[-1].json == {"model": "llama3.2"}
    with pytest.raises(ModelMissing):
        await client.show("nope")


async def test_load_and_unload(server: ScriptedOllama, client: OllamaClient) -> None:
    await client.load("m", num_ctx=8192, keep_alive="10m")
    await client.unload("m")
    load, unload = (request.json for request in server.requests)
    assert load == {"model": "m", "messages": [], "stream": True, "options": {"num_ctx": 8192}, "keep_alive": "10m"}
    assert unload == {"model": "m", "messages": [], "stream": True, "keep_alive": 0}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>login</html>", NotOllama),
        (b"Ollama is running", NotOllama),
        (b"[]", NotOllama),
        (b"{}", NotOllama),
        (b"", NotOllama),
        (b'{"error":"boom"}', OllamaError),
        (b'{"error":"Unexpected endpoint or method. (GET /api/tags)"}', NotOllama),
        (b'{"models":[' + b" " * (33 * 1024 * 1024), ProtocolError),
    ],
    ids=["page", "text", "list", "other", "empty", "error", "LM Studio", "huge"],
)
async def test_a_list_that_is_none_is_told(
    server: ScriptedOllama, client: OllamaClient, body: bytes, kind: type[OllamaError]
) -> None:
    server.override("/api/tags", status(200, body))
    with pytest.raises(OllamaError) as caught:
        await client.tags()
    assert type(caught.value) is kind


async def test_a_list_that_is_cut_is_told(server: ScriptedOllama, client: OllamaClient) -> None:
    server.override("/api/tags", wire(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"models"'), cut())
    with pytest.raises(OllamaUnreachable):
        await client.tags()


async def test_a_list_that_never_comes_has_a_short_limit(
    server: ScriptedOllama, client: OllamaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.ollama.client._TAGS_SECONDS", 0.1)
    server.override("/api/tags", wire(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"models"'), hang())
    with pytest.raises(FirstByteTimeout):
        await client.tags()


async def test_old_servers_without_ps_are_told(server: ScriptedOllama, client: OllamaClient) -> None:
    server.override("/api/ps", status(404, "404 page not found", "text/plain"))
    with pytest.raises(NotOllama):
        await client.ps()
