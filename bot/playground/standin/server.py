"""A model server that speaks Ollama's HTTP API and says that it is a stand-in.

For trying Burble on a machine without Ollama, and for tests. The wire format
follows Ollama's ``api/types.go`` and ``server/routes.go``: Go's field order and
escapes, one HTTP chunk per token, counts only with ``done``, ``omitempty``
fields absent when zero.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from bot.playground.loopback.hosts import guard
from bot.playground.standin.replies import Script, compose, tokens_of
from bot.playground.standin.wire import (
    CONTEXT_LENGTH,
    MODELS,
    ModelCard,
    chunk,
    go_json,
    go_time,
    joined,
    json_response,
    shown,
    size_of,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["StandIn"]

VERSION = "0.32.9"
MIN_SPEED, MAX_SPEED = 0.5, 5000.0
_KEPT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory: until when, and with which window."""

    expires_at: datetime
    num_ctx: int


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class _Job:
    """One chat or generate request, checked."""

    card: ModelCard
    model: str
    script: Script
    prompt_tokens: int
    num_ctx: int
    limit: int
    chat: bool
    stream: bool


class StandIn:
    """The server; ``async with StandIn() as server`` listens on 127.0.0.1.

    Attributes:
        speed: tokens per second, settable while answers run.
        active: answers running now.
        requests: chat and generate requests taken so far.
    """

    def __init__(self, *, speed: float = 40.0, port: int = 0) -> None:
        self.speed = speed
        self.active = 0
        self.requests = 0
        self._port = port
        self._loaded: dict[str, _Loaded] = {}
        self._runner: web.AppRunner | None = None
        self.app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[guard(lambda: self._port)])
        self.app.add_routes(
            [
                web.get("/", self._root),
                web.get("/api/version", self._version),
                web.get("/api/tags", self._tags),
                web.get("/api/ps", self._ps),
                web.post("/api/show", self._show),
                web.post("/api/chat", self._chat),
                web.post("/api/generate", self._generate),
            ]
        )

    @property
    def speed(self) -> float:
        """Tokens per second of the default model."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._speed = min(max(float(value), MIN_SPEED), MAX_SPEED)

    @property
    def url(self) -> str:
        """The base URL, once started."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        # handler_cancellation: a client that leaves while we pause is noticed at once, as Go's request context does.
        self._runner = web.AppRunner(self.app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running (a stand-in)")

    async def _version(self, _: web.Request) -> web.Response:
        return json_response({"version": VERSION})

    async def _tags(self, _: web.Request) -> web.Response:
        return json_response({"models": [tag(card) for card in MODELS]})

    async def _ps(self, _: web.Request) -> web.Response:
        models = [
            tag(card, running=True)
            | {"expires_at": go_time(now.expires_at), "size_vram": size_of(card), "context_length": now.num_ctx}
            for card in MODELS
            if (now := self._loaded.get(card.name))
        ]
        return json_response({"models": models})

    async def _show(self, request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            return json_response(shown(_card(str(body.get("model") or body.get("name") or ""))))
        except _Refused as refusal:
            return json_response({"error": str(refusal)}, refusal.status)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            body = await _body(request)
            card = _card(str(body.get("model") or ""))
            _check_think(card, body)
        except _Refused as refusal:
            return json_response({"error": str(refusal)}, refusal.status)
        if not (body.get("messages") if chat else body.get("prompt")):
            return self._load_or_unload(card, body, chat=chat)
        job = _job(card, body, chat=chat)
        self.requests += 1
        self.active += 1
        try:
            return await self._play(request, job)
        finally:
            self.active -= 1

    def _load_or_unload(self, card: ModelCard, body: dict[str, Any], *, chat: bool) -> web.Response:
        unload = body.get("keep_alive") in (0, "0")
        if unload:
            self._loaded.pop(card.name, None)
        else:
            self._loaded[card.name] = _Loaded(datetime.now(UTC) + _KEPT, _num_ctx(body))
        extra = {"done": True, "done_reason": "unload" if unload else "load"}
        return json_response(chunk(body["model"], chat=chat) | extra)

    async def _play(self, request: web.Request, job: _Job) -> web.StreamResponse:
        if job.stream:
            return await self._stream(request, job)
        lines = [line async for line in self._lines(job)]
        if "error" in lines[-1]:
            return json_response(lines[-1], 500)
        return json_response(joined(lines, chat=job.chat))

    async def _stream(self, request: web.Request, job: _Job) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        # Headers wait for the first value, as with Ollama: load and prefill come before the status line.
        async for line in self._lines(job):
            if not response.prepared:
                await response.prepare(request)
            try:
                await response.write(go_json(line) + b"\n")
            except ConnectionError:
                return response
        await response.write_eof()
        return response

    async def _lines(self, job: _Job) -> AsyncIterator[dict[str, Any]]:
        started = time.monotonic_ns()
        loading = 0.0 if job.card.name in self._loaded else job.card.load_seconds
        await asyncio.sleep(job.script.delay + loading)
        self._loaded[job.card.name] = _Loaded(datetime.now(UTC) + _KEPT, job.num_ctx)
        pieces = [(token, True) for token in tokens_of(job.script.thinking)]
        pieces += [(token, False) for token in tokens_of(job.script.content)]
        begun, due = time.monotonic_ns(), time.monotonic()
        for token, thought in pieces[: job.limit]:
            due += 1 / (self._speed * job.card.pace * job.script.pace)
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield chunk(job.model, token, thought=thought, chat=job.chat) | {"done": False}
        if job.script.error:
            yield {"error": job.script.error}
            return
        yield _final(job, len(pieces), loading, started, begun)


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        raise _Refused(400, "missing request body")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise _Refused(400, f"invalid character {raw[:1].decode(errors='replace')!r} looking for a value") from error
    if not isinstance(body, dict):
        raise _Refused(400, f"json: cannot unmarshal {type(body).__name__} into Go value of type api.ChatRequest")
    return body


def _card(name: str) -> ModelCard:
    if not name.strip():
        raise _Refused(400, "model is required")
    wanted = name.strip().lower()
    wanted = wanted if ":" in wanted else f"{wanted}:latest"
    for card in MODELS:
        if card.name == wanted:
            return card
    raise _Refused(404, f"model '{name}' not found")


def _check_think(card: ModelCard, body: dict[str, Any]) -> None:
    if body.get("think") and "thinking" not in card.capabilities:
        raise _Refused(400, f'"{body["model"]}" does not support thinking')


def _job(card: ModelCard, body: dict[str, Any], *, chat: bool) -> _Job:
    messages = body["messages"] if chat else [{"role": "user", "content": body["prompt"]}]
    messages = [message for message in messages if isinstance(message, dict)]
    script = compose(messages, always_think=card.always_thinks)
    if body.get("think") is False:
        script = Script(script.content, "", script.delay, script.pace, script.error)
    predict = (body.get("options") or {}).get("num_predict", -1)
    return _Job(
        card=card,
        model=str(body["model"]),
        script=script,
        prompt_tokens=sum(4 + len(tokens_of(str(message.get("content") or ""))) for message in messages),
        num_ctx=_num_ctx(body),
        limit=predict if isinstance(predict, int) and predict >= 0 else 10 * CONTEXT_LENGTH,
        chat=chat,
        stream=body.get("stream") is not False,
    )


def _num_ctx(body: dict[str, Any]) -> int:
    wanted = (body.get("options") or {}).get("num_ctx")
    return min(wanted, CONTEXT_LENGTH) if isinstance(wanted, int) and wanted > 0 else 4096


def _final(job: _Job, pieces: int, loading: float, started: int, begun: int) -> dict[str, Any]:
    now = time.monotonic_ns()
    metrics = {
        "total_duration": now - started,
        "load_duration": int(loading * 1e9) or 1_000_000,
        "prompt_eval_count": job.prompt_tokens,
        "prompt_eval_duration": max(1, begun - started - int(loading * 1e9)),
        "eval_count": min(pieces, job.limit),
        "eval_duration": now - begun,
    }
    reason = "length" if pieces > job.limit else "stop"
    present = {key: value for key, value in metrics.items() if value}  # omitempty
    context = {} if job.chat else {"context": list(range(job.prompt_tokens + min(pieces, job.limit)))}
    return chunk(job.model, chat=job.chat) | {"done": True, "done_reason": reason} | context | present
