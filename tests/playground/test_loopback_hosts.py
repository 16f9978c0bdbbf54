"""The server answers this machine's own pages and programs only."""

from __future__ import annotations

import errno
import socket

import aiohttp
import pytest
import yarl

from bot.playground.page.ollama_proxy import OllamaProxy
from bot.playground.standin.server import StandIn
from tests.loopback import GENERAL, api_of, loopback

PATHS = ["/api/v10/users/@me", "/gateway", "/attachments/1/2/a.txt", "/nothing"]


async def status_of(server, path, **headers):
    async with aiohttp.ClientSession() as session, session.get(server.url + path, headers=headers) as response:
        return response.status


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}"]
)
async def test_a_foreign_host_is_refused_everywhere(path, host):
    async with loopback() as server:
        assert await status_of(server, path, Host=host.format(port=server.port)) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
async def test_every_name_of_the_loopback_is_taken(host):
    async with loopback() as server:
        assert await status_of(server, "/api/v10/gateway", Host=f"{host}:{server.port}") == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:1", "file://"]
)
async def test_a_foreign_origin_is_refused_everywhere(path, origin):
    async with loopback() as server:
        assert await status_of(server, path, Origin=origin) == 403


async def test_the_own_origin_is_taken():
    async with loopback() as server:
        for name in ("127.0.0.1", "localhost"):
            assert await status_of(server, "/api/v10/gateway", Origin=f"http://{name}:{server.port}") == 200


@pytest.mark.parametrize(
    ("site", "destination", "status"),
    [
        ("cross-site", "image", 403),
        ("same-site", "empty", 403),
        ("cross-site", "document", 200),
        ("same-origin", "empty", 200),
        ("none", "document", 200),
    ],
)
async def test_a_foreign_page_may_link_here_and_no_more(site, destination, status):
    async with loopback() as server:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": destination}
        assert await status_of(server, "/api/v10/gateway", **headers) == status


async def test_a_websocket_from_a_foreign_page_is_refused():
    async with loopback() as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(server.gateway_url, origin="https://evil.example")
        assert refused.value.status == 403


async def test_uploads_cannot_run_on_the_pages_origin():
    async with loopback() as server, api_of(server) as api:
        upload = {"filename": "a.html", "data": b"<script>1</script>"}
        from_ada = server.world.send(server.world.people[0]["id"], GENERAL, "", attachments=[upload])
        url = from_ada["attachments"][0]["url"]
        assert url.startswith(server.url)
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.headers["Content-Disposition"] == "attachment"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in response.headers["Content-Security-Policy"]
        assert (await api("GET", "/users/@me")).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost"])
async def test_a_websocket_under_a_foreign_name_is_refused(host):
    async with loopback() as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(server.gateway_url, headers={"Host": host.format(port=server.port)})
        assert refused.value.status == 403


def is_taken(address, port):
    """Whether something listens on *port* at that address of this machine."""
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


async def test_all_servers_of_the_playground_listen_on_one_loopback_address_alone():
    async with loopback() as discord, StandIn() as standin, OllamaProxy(standin.url) as proxy:
        for url in (discord.url, standin.url, proxy.url):
            port = yarl.URL(url).port
            assert is_taken("127.0.0.1", port)
            # of a server on 0.0.0.0 this would be an address, too
            assert not is_taken("127.0.0.2", port)
