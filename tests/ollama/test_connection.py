from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    NotOllama,
    OllamaNameError,
    OllamaTLSError,
    OllamaUnreachable,
    StreamCut,
)
from bot.ollama.client import OllamaClient, Timeouts
from tests.ollama.asking import answer_of, failure_of, listening
from tests.scripted_ollama import (
    DEFAULT_TEXT,
    ScriptedOllama,
    cut,
    hang,
    pause,
    reset,
    say,
    token,
)

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
    assert f"http://127.0.0.1:{port}" in str(failure)


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


async def test_a_server_that_leaves_while_it_works_is_not_asked_again(
    server: ScriptedOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.ollama.client._STALE_SECONDS", 0.05)
    server.enqueue(pause(0.1), cut())
    assert type(await failure_of(server.url)) is OllamaUnreachable
    assert len(server.chats) == 1


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
