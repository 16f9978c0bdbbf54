"""A pass-through in front of the model server that notes when each character was emitted.

The bot talks to the proxy as if it were Ollama; bytes pass unchanged, in both
directions at once, and a cut connection on one side cuts the other, as does
one that cannot be made. What passes
by is kept in `TokenStream` objects, from which `bot.playground.page.lag` tells how
late a reader sees it.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from bot.playground.loopback.hosts import guard
from bot.playground.page.lag import TokenStream, letters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OllamaProxy", "model_server_url"]

_HOP_BY_HOP = frozenset({
    "connection", "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_STREAMED = frozenset({"/api/chat", "/api/generate"})
_KEPT_STREAMS = 64
_LONGEST_LINE = 1 << 20


def model_server_url(host: str) -> str:
    """Return the base URL for an ``OLLAMA_HOST``, by the rules of Ollama's ``envconfig.Host``.

    Quotes and spaces are trimmed; the port is 11434 unless a scheme names
    another; an address that means "every interface" becomes loopback.
    """
    text = host.strip().strip("'\"").strip() or "127.0.0.1"
    scheme, _, rest = text.rpartition("://")
    default_port = {"http": 80, "https": 443}.get(scheme, 11434)
    if not scheme and rest.partition("/")[0].lower() == "ollama.com":
        scheme, default_port = "https", 443
    authority, _, path = rest.partition("/")
    login, _, address = authority.rpartition("@")
    name, port = _name_and_port(address, default_port)
    if name in ("", "0.0.0.0", "::"):  # noqa: S104 - recognised, not bound to
        name = "127.0.0.1"
    url = URL.build(scheme=scheme or "http", host=name, port=port, path=f"/{path}".rstrip("/") or "")
    user, _, password = login.partition(":")
    return str(url.with_user(user or None).with_password(password or None) if user else url).rstrip("/")


def _name_and_port(address: str, default: int) -> tuple[str, int]:
    if address.startswith("["):
        name, _, tail = address[1:].partition("]")
        port = tail.removeprefix(":")
    elif address.count(":") > 1:  # a bare IPv6 address
        name, port = address, ""
    else:
        name, _, port = address.partition(":")
    return name, int(port) if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else default


class OllamaProxy:
    """The pass-through; ``async with OllamaProxy(url) as proxy`` listens on 127.0.0.1.

    Attributes:
        upstream: base URL of the model server.
        streams: the latest answers that passed by, oldest first.
        tokens: content and thinking chunks that passed by so far.
        reachable: whether the model server answered the latest request.
        changed: called when `reachable` changed.
    """

    def __init__(self, upstream: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self.upstream = upstream.rstrip("/")
        self.streams: deque[TokenStream] = deque(maxlen=_KEPT_STREAMS)
        self.tokens = 0
        self.reachable = True
        self.changed: Callable[[], None] = lambda: None
        self._now = now
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        target = URL(self.upstream)
        # A key is for the server that the user named, and never travels in the clear over a network.
        protected = target.scheme == "https" or target.host in ("127.0.0.1", "localhost", "::1")
        self._may_carry_key = protected and target.user is None

    @property
    def shown_upstream(self) -> str:
        """The model server's address without credentials."""
        return str(URL(self.upstream).with_user(None))

    @property
    def url(self) -> str:
        """The base URL to give the bot, once started."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=1 << 30, middlewares=[guard(lambda: self._port)])
        app.router.add_route("*", "/{path:.*}", self._pass)
        # handler_cancellation: when the bot closes, the model must hear of it at once.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        if self._session is None:
            raise RuntimeError("the proxy is not running")
        body = await request.read()
        recorder = self._recorder(request.path, body)
        headers = _forwarded(request.headers)
        headers["Accept-Encoding"] = "identity"
        if not self._may_carry_key:
            headers.pop("Authorization", None)
        url = URL(self.upstream + request.raw_path, encoded=True)
        try:
            upstream = await self._session.request(
                request.method, url, data=body or None, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError):
            if recorder is not None:
                recorder.stream.ended = True
            self._note(reachable=False)
            # An answer of ours would pass for one of the server's; the bot says itself that nobody answered.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        self._note(reachable=True)
        async with upstream:
            return await self._relay(request, upstream, recorder)

    async def _relay(
        self, request: web.Request, upstream: aiohttp.ClientResponse, recorder: _Recorder | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status, headers=_forwarded(upstream.headers))
        await response.prepare(request)
        try:
            async for data in upstream.content.iter_any():
                if recorder is not None:
                    self.tokens += recorder.feed(data)
                await response.write(data)
            await response.write_eof()
        except (aiohttp.ClientError, OSError):
            # Half an answer must arrive as half an answer, not as a whole one.
            if request.transport is not None:
                request.transport.abort()
        finally:
            if recorder is not None:
                recorder.stream.ended = True
        return response

    def _note(self, *, reachable: bool) -> None:
        if reachable != self.reachable:
            self.reachable = reachable
            self.changed()

    def _recorder(self, path: str, body: bytes) -> _Recorder | None:
        if path not in _STREAMED:
            return None
        stream = TokenStream(prompt=letters(_prompt(body)))
        self.streams.append(stream)
        return _Recorder(stream, self._now)


class _Recorder:
    """Reads the lines of one answer as their bytes pass by."""

    def __init__(self, stream: TokenStream, now: Callable[[], float]) -> None:
        self.stream = stream
        self._now = now
        self._tail = b""

    def feed(self, data: bytes) -> int:
        """Note the text in *data*; return how many chunks carried any."""
        at = self._now()
        *lines, self._tail = (self._tail + data).split(b"\n")
        if len(self._tail) > _LONGEST_LINE:
            self._tail = b""
        count = 0
        for line in lines:
            content, thinking = _text_of(line)
            self.stream.feed(content, at)
            count += bool(content or thinking)
        return count


def _text_of(line: bytes) -> tuple[str, str]:
    try:
        chunk: Any = json.loads(line)
    except ValueError:
        return "", ""
    if not isinstance(chunk, dict):
        return "", ""
    message = chunk.get("message")
    part = message if isinstance(message, dict) else chunk
    return str(part.get("content") or part.get("response") or ""), str(part.get("thinking") or "")


def _prompt(body: bytes) -> str:
    try:
        asked: Any = json.loads(body)
        messages = asked.get("messages")
        return str(messages[-1].get("content") if messages else asked.get("prompt") or "")
    except (ValueError, AttributeError, LookupError, TypeError):
        return ""


def _forwarded(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
