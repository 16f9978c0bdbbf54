"""The client of one Ollama server, over aiohttp."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, Unpack

import aiohttp
import orjson
from yarl import URL

from bot.errors import (
    FirstByteTimeout,
    NotOllama,
    OllamaError,
    OllamaStatusError,
    OllamaUnreachable,
    ProtocolError,
)
from bot.ollama.credentials import authorization, concealing, secrets_of
from bot.ollama.failures import connection_error, error_text, foreign_line, is_error, status_error, told_error
from bot.ollama.ndjson import NDJSONError, decode_json
from bot.ollama.requests import Parameters, chat_body, generate_body
from bot.ollama.stream import ChatStream, ParseChunk
from bot.ollama.types import (
    Message,
    Model,
    ModelDetails,
    RunningModel,
    parse_chat_chunk,
    parse_details,
    parse_generate_chunk,
    parse_models,
    parse_running,
)

_log = logging.getLogger(__name__)

# A read hands out at most twice this: enough never to hold the server up, and
# its lines are parsed in some 20 ms.
_READ_BUFFER_BYTES = 256 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_ERROR_BODY_SECONDS = 5.0
_TAGS_SECONDS = 10.0
_PS_SECONDS = 15.0
_SHOW_SECONDS = 30.0
_UNLOAD_SECONDS = 30.0
_STALE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds; there is none on a whole answer.

    Attributes:
        connect: for name lookup, TCP and TLS together.
        first_byte: for the headers, which come after queue, load and prefill; again for the first
            object, should a gateway send the headers at once.
        idle: between the objects of an answer.
    """

    connect: float = 10.0
    first_byte: float = 900.0
    idle: float = 300.0


class OllamaClient:
    """Talks to one Ollama server; use as an async context manager.

    Every failure is raised as one of the `OllamaError` family, whose ``url``
    never holds credentials.

    Args:
        base_url: as `parse_host` returns it; user and password in it are sent as Basic authorization.
        api_key: sent as Bearer token, only to this server, and only over https or to loopback.
        timeouts: how long to wait.
        shown_as: the address to tell people, if *base_url* is one of a go-between that they do not know.
        session: for tests and special connectors; the caller closes it. By default the client has its own.

    Raises:
        ValueError: if the key cannot stand in a header.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts = Timeouts(),
        shown_as: str | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        address = URL(base_url.rstrip("/"))
        self._base = _without_login(address)
        self._shown = _without_login(URL(shown_as)) if shown_as else self._base
        self._headers = {
            "Accept": "application/x-ndjson, application/json",
            # The server hands our headers on to its cloud, which would compress the stream.
            "Accept-Encoding": "identity",
            "User-Agent": "Burble",
            **authorization(address, api_key),
        }
        self._secrets = secrets_of(address, api_key)
        self._timeouts = timeouts
        self._session = session
        self._owns_session = session is None

    @property
    def url(self) -> str:
        """The server's base URL as people know it, without credentials."""
        return self._shown

    async def __aenter__(self) -> Self:
        if self._owns_session:
            self._session = aiohttp.ClientSession(
                # A new connection each time: after a restart of the server a pooled
                # one would be dead, and aiohttp does not retry a POST.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=_READ_BUFFER_BYTES,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client's own session; answers that still run end in an error."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def chat(
        self, model: str, messages: Iterable[Message], **parameters: Unpack[Parameters]
    ) -> AsyncIterator[ChatStream]:
        """Ask for the next message of a conversation; entering waits for the headers.

        Leaving the block closes the connection, which is what stops the model.

        Args:
            model: its name.
            messages: the conversation, oldest first; none loads the model.
            parameters: see `Parameters`.

        Raises:
            OllamaError: and its family, on entering or while reading.
            ValueError: if *keep_alive* is none.
        """
        body = chat_body(model, messages, **parameters)
        async with self._stream("/api/chat", body, model, parse_chat_chunk) as stream:
            yield stream

    @asynccontextmanager
    async def generate(
        self,
        model: str,
        prompt: str,
        *,
        system: str | None = None,
        images: Sequence[str] = (),
        **parameters: Unpack[Parameters],
    ) -> AsyncIterator[ChatStream]:
        """Ask for the answer to one prompt; like `chat`, without a conversation."""
        body = generate_body(model, prompt, system=system, images=images, **parameters)
        async with self._stream("/api/generate", body, model, parse_generate_chunk) as stream:
            yield stream

    async def tags(self) -> list[Model]:
        """Return the installed models, newest first."""
        return parse_models(await self._fetch_object("GET", "/api/tags", needs="models", limit=_TAGS_SECONDS))

    async def ps(self) -> list[RunningModel]:
        """Return the models that are loaded; one that is still loading is not listed."""
        return parse_running(await self._fetch_object("GET", "/api/ps", needs="models", limit=_PS_SECONDS))

    async def show(self, model: str) -> ModelDetails:
        """Return what the server knows about *model*.

        Raises:
            ModelMissing: if it is not installed.
        """
        answer = await self._fetch_object("POST", "/api/show", {"model": model}, model=model, limit=_SHOW_SECONDS)
        return parse_details(answer, model)

    async def version(self) -> str:
        """Return the server's version, such as ``0.32.9``; the best probe for an Ollama."""
        answer = await self._fetch_object("GET", "/api/version", needs="version", limit=_TAGS_SECONDS)
        return str(answer["version"])

    async def load(self, model: str, **parameters: Unpack[Parameters]) -> None:
        """Load *model* and wait until it is; leaving earlier (cancel, timeout) aborts the load."""
        body = chat_body(model, (), **parameters)
        await self._fetch_object("POST", "/api/chat", body, model=model, limit=self._timeouts.first_byte)

    async def unload(self, model: str) -> None:
        """Unload *model* as soon as it has no work; no error if it was not loaded."""
        body = chat_body(model, (), keep_alive=0)
        await self._fetch_object("POST", "/api/chat", body, model=model, limit=_UNLOAD_SECONDS)

    @asynccontextmanager
    async def _stream(
        self, path: str, body: dict[str, Any], model: str, parse: ParseChunk
    ) -> AsyncIterator[ChatStream]:
        with concealing(self._secrets):
            async with self._within(self._timeouts.first_byte):
                response = await self._ask(path, body, model)
            stream = ChatStream(
                response, parse, url=self.url, idle=self._timeouts.idle, first=self._timeouts.first_byte
            )
            try:
                yield stream
            finally:
                stream.close()

    async def _fetch_object(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        limit: float,
        model: str | None = None,
        needs: str | None = None,
    ) -> dict[str, Any]:
        """Return the JSON object of an answer that comes whole, with the key *needs*."""
        with concealing(self._secrets):
            async with self._within(limit):
                response = await self._request(method, path, body, model)
                try:
                    data = await _read_capped(response, _MAX_ANSWER_BYTES)
                except (aiohttp.ClientError, OSError) as error:
                    raise OllamaUnreachable(self.url, f"the connection broke within the answer: {error}") from error
                finally:
                    response.close()
            return self._object(data, needs)

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise FirstByteTimeout(self.url, seconds) from None

    def _object(self, data: bytes, needs: str | None) -> dict[str, Any]:
        if len(data) > _MAX_ANSWER_BYTES:
            raise ProtocolError(self.url, "an answer of more than 32 MiB")
        try:
            answer = decode_json(data)
        except NDJSONError:
            raise NotOllama(self.url, foreign_line(data) or "the answer is not JSON") from None
        if isinstance(answer, dict) and is_error(answer):
            text = error_text(answer)
            raise told_error(self.url, 200, answer, text) or OllamaError(self.url, text)
        if not isinstance(answer, dict) or (needs and needs not in answer):
            raise NotOllama(self.url, "the answer is not Ollama's JSON")
        return answer

    async def _ask(self, path: str, body: dict[str, Any], model: str) -> aiohttp.ClientResponse:
        """Send a question, once more without ``think`` where that is refused: gateways may know less than the model."""
        try:
            return await self._request("POST", path, body, model)
        except OllamaStatusError as error:
            if not body.get("think") or error.status not in (400, 422) or "think" not in error.detail.lower():
                raise
            _log.info("%s refuses to have %s think, asking without: %s", self.url, model, error.detail)
        return await self._request("POST", path, {k: v for k, v in body.items() if k != "think"}, model)

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, model: str | None
    ) -> aiohttp.ClientResponse:
        """Return an answer with a status below 300 once its headers are there."""
        try:
            response = await self._send_twice(method, path, body)
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(self.url, error, self._timeouts.connect) from error
        if response.status < 300:
            return response
        raise status_error(self.url, response.status, response.headers, await _error_body(response), model)

    async def _send_twice(self, method: str, path: str, body: dict[str, Any] | None) -> aiohttp.ClientResponse:
        """Send a request, and once more if the connection was closed before a byte of the answer.

        A connection that was closed later was none that had gone stale: the
        server worked on the request, and may not have survived that.
        """
        sent_at = time.monotonic()
        try:
            return await self._send(method, path, body)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError, aiohttp.ClientOSError) as error:
            if time.monotonic() - sent_at > _STALE_SECONDS:
                raise
            _log.info("connection to %s closed before an answer, trying once more: %s", self.url, error)
            return await self._send(method, path, body)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("OllamaClient is used outside of its async with block")
        headers = self._headers
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        return await self._session.request(
            method,
            URL(f"{self._base}{path}", encoded=True),
            data=None if body is None else orjson.dumps(body),
            headers=headers,
            allow_redirects=False,
            # Given here, not to the session, so that a caller's session keeps to it too.
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
        )


def _without_login(address: URL) -> str:
    return str(address.with_user(None)).rstrip("/")


async def _read_capped(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """Return the body, or its beginning if it is longer than *cap*."""
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > cap:
            break
    return bytes(body)


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """Return at most the first 64 KiB of an error's body, nothing if it does not come."""
    try:
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            return await _read_capped(response, _MAX_ERROR_BYTES)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return b""
    finally:
        response.close()
