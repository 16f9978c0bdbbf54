"""The proxy passes everything on and notes when text was emitted."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bot.errors import OllamaUnreachable
from bot.ollama.client import OllamaClient
from bot.playground.page.ollama_proxy import OllamaProxy, model_server_url
from bot.playground.standin.server import StandIn
from tests.scripted_ollama import ScriptedOllama, status


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_an_answer_passes_unchanged_and_is_noted(http):
    async with StandIn(speed=5000) as standin, OllamaProxy(standin.url) as proxy:
        body = {"model": "stand-in", "messages": [{"role": "user", "content": "Ada: tell me"}]}
        async with http.post(f"{proxy.url}/api/chat", json=body) as response:
            assert response.headers["Content-Type"] == "application/x-ndjson"
            lines = (await response.read()).splitlines()
        async with http.get(f"{proxy.url}/api/tags") as response:
            assert len((await response.json())["models"]) == 3
    (stream,) = proxy.streams
    assert stream.prompt == "Adatellme"
    assert stream.text.startswith("Iamastandinnotarealmodel")
    assert len(stream.times) == len(stream.text)
    assert proxy.tokens == len(lines) - 1
    assert stream.ended


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_neither_tap_nor_stand_in_serve_foreign_pages(http, headers):
    async with StandIn() as standin, OllamaProxy(standin.url) as proxy:
        for server in (standin, proxy):
            async with http.get(f"{server.url}/api/tags", headers=headers) as response:
                assert response.status == 403


@pytest.mark.parametrize(
    ("upstream", "carries"),
    [
        ("http://127.0.0.1:1", True),
        ("https://ollama.com", True),
        ("http://192.168.1.5:11434", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
    ],
)
def test_a_key_is_for_who_was_named_and_never_goes_unencrypted_over_a_network(upstream, carries):
    assert OllamaProxy(upstream)._may_carry_key is carries


async def test_a_redirect_is_handed_on_and_not_followed(http):
    async with ScriptedOllama() as server, ScriptedOllama() as other, OllamaProxy(server.url) as proxy:
        server.override("/api/tags", status(302, b"", extra_headers={"Location": f"{other.url}/api/tags"}))
        async with http.get(
            f"{proxy.url}/api/tags", headers={"Authorization": "Bearer sesame"}, allow_redirects=False
        ) as response:
            assert response.status == 302
        assert server.requests[0].headers["authorization"] == "Bearer sesame"
        assert other.requests == []


async def test_errors_keep_their_status(http):
    async with (
        StandIn() as standin,
        OllamaProxy(standin.url) as proxy,
        http.post(f"{proxy.url}/api/chat", json={"model": "nope"}) as response,
    ):
        assert response.status == 404
        assert (await response.json())["error"] == "model 'nope' not found"


async def test_a_server_that_is_gone_looks_gone(http):
    changes = []
    async with contextlib.AsyncExitStack() as server_side:
        server = await server_side.enter_async_context(ScriptedOllama())
        async with OllamaProxy(server.url) as proxy, OllamaClient(proxy.url, shown_as=server.url) as client:
            proxy.changed = lambda: changes.append(proxy.reachable)
            await client.tags()
            await server_side.aclose()
            with pytest.raises(OllamaUnreachable) as caught:
                await client.tags()
            assert changes == [False]
    assert f"at {server.url}: " in str(caught.value)


async def test_the_model_hears_at_once_when_the_bot_leaves(http):
    async with StandIn(speed=20) as standin, OllamaProxy(standin.url) as proxy:
        body = {"model": "stand-in", "messages": [{"role": "user", "content": "long"}]}
        async with http.post(f"{proxy.url}/api/chat", json=body) as response:
            await response.content.readline()
            assert standin.active == 1
        async with asyncio.timeout(1):
            while standin.active:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)


async def test_half_an_answer_arrives_as_half_an_answer(http):
    async def cut(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"message":{"content":"half"}}\n')
        await asyncio.sleep(0.02)
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_post("/api/chat", cut)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with OllamaProxy(f"http://127.0.0.1:{runner.addresses[0][1]}") as proxy:
        async with http.post(f"{proxy.url}/api/chat", json={}) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert proxy.streams[0].text == "half"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        (' "gpu-box" ', "http://gpu-box:11434"),
        ("gpu-box:1234", "http://gpu-box:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://gpu-box", "http://gpu-box"),
        ("https://gpu-box/ollama/", "https://gpu-box/ollama"),
        ("ollama.com", "https://ollama.com"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:99", "http://[::1]:99"),
        ("gpu-box:99999", "http://gpu-box:11434"),
        ("https://me:secret@gpu-box/ollama", "https://me:secret@gpu-box/ollama"),
    ],
)
def test_ollama_host_takes_ollamas_forms(host, url):
    assert URL(model_server_url(host)) == URL(url)
