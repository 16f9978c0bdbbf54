"""A model server that plays streams at exact rates and notes when it emitted each token.

Run as a process of its own (see `tests.benchmarks.control`). A prompt holds what
to play: ``play id=r1 count=600 rate=40 base=0 seed=3 markdown=0``. A token is
noted as emitted when its line has been handed to the socket; the ``done`` line
follows the last token at once.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from tests.benchmarks.control import serve
from tests.benchmarks.streams import make_tokens

_PLAY = re.compile(
    r"play id=(?P<id>\S+) count=(?P<count>\d+) rate=(?P<rate>[\d.]+) base=(?P<base>\d+) "
    r"seed=(?P<seed>\d+) markdown=(?P<markdown>\d)"
)
_MODEL = "bench:latest"
_DETAILS = {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M", "context_length": 131072}
_ENTRY = {
    "name": _MODEL,
    "model": _MODEL,
    "modified_at": "2026-08-20T17:37:44Z",
    "size": 2019393189,
    "digest": "a" * 64,
    "details": _DETAILS,
    "capabilities": ["completion"],
}
_SHOWN = {
    "details": _DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "capabilities": ["completion"],
}
_LISTS: dict[str, dict[str, Any]] = {
    "/api/version": {"version": "0.12.0"},
    "/api/tags": {"models": [_ENTRY]},
    "/api/ps": {"models": []},
    "/api/show": _SHOWN,
}


class ModelServer:
    """Serves the part of Ollama's API that a bot needs.

    Attributes:
        emitted: reply id → when each of its tokens was emitted, by time.monotonic().
        done: ids of replies whose last line was sent.
        backlog: the most bytes that ever waited for one reader.
    """

    def __init__(self) -> None:
        self.emitted: dict[str, list[float]] = {}
        self.done: set[str] = set()
        self.backlog = 0
        self.port = 0

    async def start(self) -> None:
        """Listen on 127.0.0.1."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def take(self) -> dict[str, Any]:
        """Return what was emitted since the last time."""
        taken = {"emitted": self.emitted, "done": sorted(self.done), "backlog": self.backlog}
        self.emitted, self.done, self.backlog = {}, set(), 0
        return taken

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                if path in ("/api/chat", "/api/generate"):
                    await self._play(path, json.loads(body), writer)
                else:
                    _answer(writer, _LISTS.get(path, {}))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _play(self, path: str, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        prompt = asked["messages"][-1]["content"] if asked.get("messages") else str(asked.get("prompt", ""))
        found = _PLAY.search(prompt)
        if found is None:
            _answer(writer, {"done": True, "done_reason": "load"})
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self._stream(found, "message" if path == "/api/chat" else "response", writer)

    async def _stream(self, asked: re.Match[str], field: str, writer: asyncio.StreamWriter) -> None:
        count, rate = int(asked["count"]), float(asked["rate"])
        tokens = make_tokens(count, int(asked["seed"]), is_markdown=asked["markdown"] == "1", base=int(asked["base"]))
        start = time.monotonic()
        for i, token in enumerate(tokens):
            if (wait := start + i / rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            _chunk(writer, _line(field, token))
            self.emitted.setdefault(asked["id"], []).append(time.monotonic())
            self.backlog = max(self.backlog, writer.transport.get_write_buffer_size())
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": 20, "eval_count": count, "total_duration": 1}
        _chunk(writer, _line(field, "", **end))
        writer.write(b"0\r\n\r\n")
        self.done.add(asked["id"])


def _line(field: str, text: str, **rest: Any) -> bytes:
    shown: Any = {"role": "assistant", "content": text} if field == "message" else text
    value = {"model": _MODEL, "created_at": "2026-08-20T17:37:44Z", field: shown, "done": False, **rest}
    return json.dumps(value).encode() + b"\n"


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _answer(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)


async def _main() -> None:
    server = ModelServer()
    await server.start()

    async def command(asked: dict[str, Any]) -> dict[str, Any]:
        return server.take() if asked["do"] == "take" else {}

    await serve({"url": f"http://127.0.0.1:{server.port}"}, command)


if __name__ == "__main__":
    asyncio.run(_main())
