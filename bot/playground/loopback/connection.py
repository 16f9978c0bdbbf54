"""One websocket of the gateway, written to without waiting."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from typing import Any

import orjson
from aiohttp import web


class Connection:
    """Queues frames and writes them in order from a task of its own, as one zlib stream if that was asked for.

    Args:
        request: the websocket's request, for cutting its transport.
        socket: the prepared websocket.
    """

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request = request
        self._socket = socket
        self._frames: deque[str] = deque()
        self._closing_with: tuple[int, str] | None = None
        self._held = False
        self._wake = asyncio.Event()
        self._deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        self._writer = asyncio.create_task(self._write())

    @property
    def closing(self) -> bool:
        """Whether we have closed it, or are about to; the peer then echoes a code of no meaning."""
        return self._closing_with is not None

    def send(self, frame: str) -> None:
        """Queue a text frame."""
        self._frames.append(frame)
        self._wake.set()

    def send_op(self, op: int, data: Any = None) -> None:
        """Queue an operation that is not a dispatch."""
        self.send(orjson.dumps({"op": op, "d": data, "s": None, "t": None}).decode())

    def hold(self, held: bool) -> None:
        """Keep everything back, or let it go."""
        self._held = held
        self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close with this code once the queue is written."""
        if self._closing_with is None:
            self._closing_with = (code, reason)
        self._wake.set()

    def abort(self) -> None:
        """Cut the connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def finish(self) -> None:
        """Wait for a close that was asked for, else stop writing."""
        if self._closing_with is None:
            self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    async def _put(self, frame: str) -> None:
        if self._deflate is None:
            await self._socket.send_str(frame)
        else:
            packed = self._deflate.compress(frame.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._socket.send_bytes(packed)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames and not self._held:
                await self._put(self._frames.popleft())
            if self._closing_with is not None:
                code, reason = self._closing_with
                await self._socket.close(code=code, message=reason.encode())
                return
