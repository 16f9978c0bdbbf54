"""A model server on 127.0.0.1 that plays scripts: for every test that needs an Ollama.

    async with ScriptedOllama() as server:
        server.enqueue(say("Hello there"))
        ...  # a client at server.url
        assert server.chats[0].json["model"] == "llama3.2"

A script is a list of steps, made by the functions below; lists in it are
flattened. It is played to the next ``/api/chat`` or ``/api/generate``. One that
does not say how it ends (`done`, `end`, `cut`, `reset`, `error`, `raw`,
`status`, `wire`, `hang`) gets a `done`. Without a script the answer is
"Hello from the scripted model.".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

DEFAULT_TEXT = "Hello from the scripted model."
_STATUS_WORDS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass
class SeenRequest:
    """A request as it came in; also readable like a dict (``request["json"]``).

    ``closed`` is set once the client's side of the connection is gone, ``at`` is
    time.monotonic(), ``emitted`` holds (time.monotonic(), text) of tokens sent.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    closed_at: float | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    emitted: list[tuple[float, str]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


class Reply:
    """The writing end of one answer; steps are functions over it."""

    def __init__(self, request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.writer = writer
        self.started = False
        self.model = (request.json or {}).get("model", "") if request.body else ""

    async def headers(self, status: int = 200, extra: dict[str, str] | None = None) -> None:
        if self.started:
            return
        self.started = True
        headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"} | (extra or {})
        await self.wire(_head(status, headers))

    async def wire(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.headers()
        if data:
            await self.wire(b"%x\r\n%s\r\n" % (len(data), data))

    async def line(self, value: dict[str, Any], *, newline: bytes = b"\n") -> None:
        await self.chunk(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + newline)

    def value(self, content: str = "", thinking: str = "", **rest: Any) -> dict[str, Any]:
        """One line of the API that was asked, in Go's field order."""
        head = {"model": self.model, "created_at": "2026-08-21T18:48:22.119467Z"}
        thoughts = {"thinking": thinking} if thinking else {}
        if self.request.path.endswith("/api/generate"):
            calls = {"tool_calls": rest.pop("tool_calls")} if "tool_calls" in rest else {}
            return {**head, "response": content, **thoughts, **calls, **rest}
        message = {"role": "assistant", "content": content, **thoughts}
        if "tool_calls" in rest:
            message["tool_calls"] = rest.pop("tool_calls")
        return {**head, "message": message, **rest}


Play = Callable[[Reply], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """One thing that the server does.

    *ends*: a script may stop after it. *terminate*: if it does, the chunked body is ended cleanly.
    """

    play: Play
    ends: bool = False
    terminate: bool = False


Script = Step | Iterable["Script"]


def token(text: str, delay: float = 0.0) -> Step:
    """One line with *text* as content, after *delay* seconds."""

    async def play(reply: Reply) -> None:
        await _pause(delay)
        await reply.line(reply.value(text, done=False))
        reply.request.emitted.append((time.monotonic(), text))

    return Step(play)


def say(text: str, delay: float = 0.0) -> list[Step]:
    """*text* as tokens (words with the space before them), *delay* seconds before each."""
    return [token(piece, delay) for piece in re.findall(r"\s*\S+|\s+$", text)]


def think(text: str, delay: float = 0.0) -> list[Step]:
    """*text* as tokens of thinking."""

    def one(piece: str) -> Step:
        async def play(reply: Reply) -> None:
            await _pause(delay)
            await reply.line(reply.value("", piece, done=False))

        return Step(play)

    return [one(piece) for piece in re.findall(r"\s*\S+|\s+$", text)]


def tool_call(*names: str, delay: float = 0.0) -> Step:
    """A line that calls tools."""

    async def play(reply: Reply) -> None:
        await _pause(delay)
        calls = [{"function": {"index": i, "name": name, "arguments": {}}} for i, name in enumerate(names)]
        await reply.line(reply.value("", tool_calls=calls, done=False))

    return Step(play)


def done(reason: str | None = "stop", *, content: str = "", thinking: str = "", **counts: int) -> Step:
    """The last line and a clean end; *counts* replace the usual metrics, by Ollama's names, nanoseconds."""
    metrics = counts or {
        "total_duration": 502_874_917,
        "load_duration": 41_208_333,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 40_110_000,
        "eval_count": 12,
        "eval_duration": 400_000_000,
    }

    async def play(reply: Reply) -> None:
        why = {} if reason is None else {"done_reason": reason}
        await reply.line(reply.value(content, thinking, done=True, **why, **metrics))
        await reply.wire(b"0\r\n\r\n")

    return Step(play, ends=True)


def raw(data: bytes, delay: float = 0.0) -> Step:
    """One HTTP chunk with exactly *data*; the script may stop after it, with a clean end."""

    async def play(reply: Reply) -> None:
        await _pause(delay)
        await reply.chunk(data)

    return Step(play, ends=True, terminate=True)


def wire(data: bytes, delay: float = 0.0) -> Step:
    """*data* straight onto the socket: for answers that are made by hand, status line and all."""

    async def play(reply: Reply) -> None:
        reply.started = True
        await _pause(delay)
        await reply.wire(data)

    return Step(play, ends=True)


def pause(seconds: float) -> Step:
    """Nothing for a while."""

    async def play(reply: Reply) -> None:
        await asyncio.sleep(seconds)

    return Step(play)


def hold(event: asyncio.Event) -> Step:
    """Nothing until *event* is set."""

    async def play(reply: Reply) -> None:
        await event.wait()

    return Step(play)


def hang() -> Step:
    """Nothing any more until the client leaves."""

    async def play(reply: Reply) -> None:
        await reply.request.closed.wait()

    return Step(play, ends=True)


def headers() -> Step:
    """The status line and headers now, before any token."""

    async def play(reply: Reply) -> None:
        await reply.headers()

    return Step(play)


def error(text: str) -> Step:
    """An error line and a clean end; as a script's first step it comes with status 200 too."""

    async def play(reply: Reply) -> None:
        await reply.line({"error": text})
        await reply.wire(b"0\r\n\r\n")

    return Step(play, ends=True)


def end() -> Step:
    """A clean end without ``done``."""

    async def play(reply: Reply) -> None:
        await reply.headers()
        await reply.wire(b"0\r\n\r\n")

    return Step(play, ends=True)


def cut() -> Step:
    """The connection closed without a terminator."""

    async def play(reply: Reply) -> None:
        reply.writer.close()

    return Step(play, ends=True)


def reset() -> Step:
    """The connection reset (RST)."""

    async def play(reply: Reply) -> None:
        sock: socket.socket = reply.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reply.writer.transport.abort()

    return Step(play, ends=True)


def status(
    code: int,
    body: str | bytes | dict[str, Any] = b"",
    content_type: str = "application/json; charset=utf-8",
    extra_headers: dict[str, str] | None = None,
) -> Step:
    """A whole answer with this status; a dict becomes JSON, a str without *content_type* sends none."""

    async def play(reply: Reply) -> None:
        await reply.wire(_answer(code, body, content_type, extra_headers))

    return Step(play, ends=True)


class ScriptedOllama:
    """The server; see the module.

    ``requests`` holds every request, ``chats`` those to chat and generate.
    ``models``, ``running`` and ``details`` may be changed by the test; the
    entries are Ollama's. With ``strict_models`` a chat with a model that is not
    in ``models`` is answered with 404, as the real one does.
    """

    def __init__(self, *, models: Iterable[str] = ("llama3.2:latest", "qwen3:8b"), port: int = 0) -> None:
        self.requests: list[SeenRequest] = []
        self.models: list[dict[str, Any]] = [model_entry(name) for name in models]
        self.running: list[dict[str, Any]] = []
        self.details: dict[str, dict[str, Any]] = {}
        self.version = "0.32.9"
        self.strict_models = False
        self.overrides: dict[str, list[Step]] = {}
        self._scripts: deque[list[Step]] = deque()
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the listener and every connection, as a killed server does."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def chats(self) -> list[SeenRequest]:
        return [r for r in self.requests if r.path.endswith(("/api/chat", "/api/generate")) and not _is_load(r)]

    def enqueue(self, *script: Script) -> None:
        """Play *script* to the next chat or generate that has no script yet."""
        self._scripts.append(_complete(_flat(script)))

    def override(self, path: str, *script: Script) -> None:
        """Play *script* to every request to *path*, for example ``/api/tags``."""
        self.overrides[path] = _flat(script)

    async def arrived(self, count: int = 1, timeout: float = 5.0) -> SeenRequest:
        """Wait until *count* chats have come in; return the last of these."""
        async with asyncio.timeout(timeout), self._news:
            await self._news.wait_for(lambda: len(self.chats) >= count)
        return self.chats[count - 1]

    async def closed(self, index: int = -1, timeout: float = 5.0) -> float:
        """Wait until the client has closed the connection of chat *index*; return when (time.monotonic())."""
        request = self.chats[index]
        async with asyncio.timeout(timeout):
            await request.closed.wait()
        assert request.closed_at is not None
        return request.closed_at

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = await _read_request(reader)
            if request is None:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return
            async with self._news:
                self.requests.append(request)
                self._news.notify_all()
            await self._answer(request, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: SeenRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the request's script until its end or until the client is gone."""
        player = asyncio.create_task(self._play(Reply(request, writer), self._script(request)))
        watcher = asyncio.create_task(_watch(request, reader))
        try:
            await asyncio.wait({player, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if player.done() and not writer.is_closing():
                writer.write_eof()
                request.finished.set()
                await watcher
        finally:
            for task in (player, watcher):
                task.cancel()
            results = await asyncio.gather(player, watcher, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConnectionError):
                raise result

    async def _play(self, reply: Reply, script: list[Step]) -> None:
        for step in script:
            await step.play(reply)
        if script[-1].terminate:
            await reply.wire(b"0\r\n\r\n")

    def _script(self, request: SeenRequest) -> list[Step]:
        path = request.path
        for suffix, script in self.overrides.items():
            if path.endswith(suffix):
                return script
        if path.endswith(("/api/chat", "/api/generate")):
            return self._chat_script(request)
        if path.endswith("/api/tags"):
            return [status(200, {"models": self.models})]
        if path.endswith("/api/ps"):
            return [status(200, {"models": self.running})]
        if path.endswith("/api/version"):
            return [status(200, {"version": self.version})]
        if path.endswith("/api/show"):
            return [self._show(request.json.get("model", ""))]
        return [status(404, "404 page not found", "text/plain")]

    def _chat_script(self, request: SeenRequest) -> list[Step]:
        model = request.json.get("model", "")
        if self.strict_models and not self._installed(model):
            return [_not_found(model)]
        if _is_load(request):
            reason = "unload" if request.json.get("keep_alive") == 0 else "load"
            message = {"role": "assistant", "content": ""}
            return [status(200, {"model": model, "message": message, "done": True, "done_reason": reason})]
        if self._scripts:
            return self._scripts.popleft()
        return _complete(_flat(say(DEFAULT_TEXT)))

    def _installed(self, model: str) -> dict[str, Any] | None:
        names = {model, f"{model}:latest"}
        return next((entry for entry in self.models if entry["name"] in names), None)

    def _show(self, model: str) -> Step:
        entry = self._installed(model)
        if model in self.details:
            return status(200, self.details[model])
        if entry is None:
            return _not_found(model)
        length = entry["details"].get("context_length", 131072)
        info = {"general.architecture": "llama", "llama.context_length": length}
        rest = {"capabilities": entry["capabilities"]} if "capabilities" in entry else {}
        return status(
            200, {"details": entry["details"], "model_info": info, "modified_at": entry["modified_at"], **rest}
        )


def model_entry(name: str, **changes: Any) -> dict[str, Any]:
    """An entry of ``/api/tags``."""
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-08-20T17:37:44.706015396-07:00",
        "size": 2019393189,
        "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "3.2B",
            "quantization_level": "Q4_K_M",
            "context_length": 131072,
        },
        "capabilities": ["completion", "tools"],
    } | changes


def _is_load(request: SeenRequest) -> bool:
    body = request.json or {}
    return not (body.get("prompt") if request.path.endswith("/api/generate") else body.get("messages"))


def _not_found(model: str) -> Step:
    return status(404, {"error": f"model '{model}' not found"})


def _flat(script: Script | Iterable[Script]) -> list[Step]:
    if isinstance(script, Step):
        return [script]
    return [step for part in script for step in _flat(part)]


def _complete(script: list[Step]) -> list[Step]:
    return script if script and script[-1].ends else [*script, done()]


async def _pause(delay: float) -> None:
    if delay:
        await asyncio.sleep(delay)


async def _watch(request: SeenRequest, reader: asyncio.StreamReader) -> None:
    """Note when the client is gone: it sends nothing more after its request."""
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass
    request.closed_at = time.monotonic()
    request.closed.set()


async def _read_request(reader: asyncio.StreamReader) -> SeenRequest | None:
    """Return the next request, None if the connection closes or it is not HTTP."""
    try:
        head = (await reader.readexactly(1)).decode("latin-1")
        if not head.isalpha():  # TLS, for one
            return None
        head += (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    seen = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(seen.get("content-length", "0")))
    return SeenRequest(method, path, seen, body)


def _answer(code: int, body: str | bytes | dict[str, Any], content_type: str, extra: dict[str, str] | None) -> bytes:
    if isinstance(body, dict):
        body = json.dumps(body)
    data = body.encode() if isinstance(body, str) else body
    kind = {"Content-Type": content_type} if content_type else {}
    return _head(code, kind | {"Content-Length": str(len(data))} | (extra or {})) + data


def _head(code: int, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {code} {_STATUS_WORDS.get(code, 'Status')}\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")
