from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    ModelMissing,
    NotOllama,
    OllamaError,
    OllamaNameError,
    OllamaTLSError,
    OllamaUnauthorized,
    OllamaUnreachable,
    ProtocolError,
    StreamCut,
)
from bot.ollama.client import OllamaClient, Timeouts
from bot.ollama.types import Message
from tests.scripted_ollama import (
    DEFAULT_TEXT,
    ScriptedOllama,
    cut,
    done,
    hang,
    hold,
    model_entry,
    pause,
    reset,
    say,
    status,
    token,
    wire,
)

PROMPT = [Message("user", "hi")]
SHORT = Timeouts(connect=1, first_byte=2)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedOllama) -> AsyncIterator[OllamaClient]:
    async with OllamaClient(server.url) as opened:
        yield opened


@asynccontextmanager
async def listening(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A bare TCP server; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def answer_of(client: OllamaClient, **options: Any) -> str:
    async with client.chat("llama3.2", PROMPT, **options) as stream:
        return "".join([chunk.content async for chunk in stream])


async def failure_of(url: str, timeouts: Timeouts = SHORT) -> OllamaError:
    async with OllamaClient(url, timeouts=timeouts) as client:
        with pytest.raises(OllamaError) as caught:
            await answer_of(client)
    return caught.value


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
    ],
)
def test_a_key_goes_only_over_https_or_to_loopback(url: str, sent: bool, caplog: pytest.LogCaptureFixture) -> None:
    client = OllamaClient(url, api_key="sesame")
    assert ("Authorization" in client._headers) is sent
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


# Waiting.


async def test_no_headers_in_time(server: ScriptedOllama) -> None:
    server.enqueue(hang())
    failure = await failure_of(server.url, Timeouts(first_byte=0.1))
    assert type(failure) is FirstByteTimeout
    assert failure.seconds == 0.1
    await server.closed()


async def test_the_first_byte_may_take_longer_than_the_idle_limit(server: ScriptedOllama) -> None:
    server.enqueue(pause(0.2), say("late"))
    async with OllamaClient(server.url, timeouts=Timeouts(connect=0.1, first_byte=5, idle=0.1)) as client:
        assert await answer_of(client) == "late"


async def test_an_answer_may_take_longer_than_the_first_byte_limit(server: ScriptedOllama) -> None:
    server.enqueue(say("a b c d", delay=0.05))
    async with OllamaClient(server.url, timeouts=Timeouts(first_byte=0.15, idle=1)) as client:
        assert await answer_of(client) == "a b c d"


async def test_a_host_that_drops_packets() -> None:
    # A listener whose backlog is full answers no SYN, as an unroutable host does.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        failure = await failure_of(
            f"http://127.0.0.1:{listener.getsockname()[1]}", Timeouts(connect=0.15, first_byte=2)
        )
    assert type(failure) is ConnectTimeout
    assert failure.seconds == 0.15


# No connection.


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_refused() -> None:
    port = free_port()
    failure = await failure_of(f"http://127.0.0.1:{port}")
    assert type(failure) is OllamaUnreachable
    assert f"http://127.0.0.1:{port}" in failure.sentence()


async def test_an_unknown_name() -> None:
    assert type(await failure_of("http://no-such-host.invalid:11434", Timeouts(connect=5))) is OllamaNameError


async def test_tls_to_a_plain_port(server: ScriptedOllama) -> None:
    assert type(await failure_of(server.url.replace("http:", "https:"))) is OllamaTLSError


async def test_plain_http_to_a_tls_port() -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x15\x03\x01\x00\x02\x02\x46")

    async with listening(alert) as port:
        assert type(await failure_of(f"http://127.0.0.1:{port}")) is OllamaTLSError


async def test_another_protocol() -> None:
    async def ssh(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()

    async with listening(ssh) as port:
        assert type(await failure_of(f"http://127.0.0.1:{port}")) is NotOllama


@pytest.mark.parametrize("step", [cut, reset])
async def test_a_connection_closed_before_a_byte_is_tried_once_more(server: ScriptedOllama, step: Any) -> None:
    server.enqueue(step())
    async with OllamaClient(server.url) as client:
        assert await answer_of(client) == DEFAULT_TEXT
    assert len(server.chats) == 2


@pytest.mark.parametrize("step", [cut, reset])
async def test_it_is_not_tried_a_third_time(server: ScriptedOllama, step: Any) -> None:
    for _ in range(3):
        server.enqueue(step())
    assert type(await failure_of(server.url)) is OllamaUnreachable
    assert len(server.chats) == 2


async def test_nothing_is_tried_again_once_the_answer_began(server: ScriptedOllama) -> None:
    server.enqueue(token("one"), cut())
    assert type(await failure_of(server.url)) is StreamCut
    assert len(server.chats) == 1


async def test_a_stale_pooled_connection_is_replaced() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"version":"1"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await reader.readuntil(b"\r\n\r\n")  # the next request comes on it, and is not answered

    async with listening(once) as port, aiohttp.ClientSession() as session:
        async with OllamaClient(f"http://127.0.0.1:{port}", session=session) as client:
            assert await client.version() == "1"
            assert await client.version() == "1"
        assert not session.closed


async def test_outside_of_its_block_a_client_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await OllamaClient("http://127.0.0.1:1").version()


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
        (b'{"models":[' + b" " * (33 * 1024 * 1024), ProtocolError),
    ],
    ids=["page", "text", "list", "other", "empty", "error", "huge"],
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
    with pytest.raises(StreamCut):
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


async def test_a_certificate_that_is_not_trusted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "samples/self-signed.pem")
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    try:
        failure = await failure_of(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    finally:
        listener.close()
    assert type(failure) is OllamaTLSError
    assert "certificate" in failure.detail


async def test_a_handshake_that_is_broken_off() -> None:
    async def leave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(10)

    async with listening(leave) as port:
        assert type(await failure_of(f"https://127.0.0.1:{port}")) is OllamaTLSError
