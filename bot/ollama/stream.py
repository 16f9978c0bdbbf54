"""One streamed answer: bytes off the socket, typed chunks out, failures after the text."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import aiohttp

from bot.errors import (
    FirstByteTimeout,
    IdleTimeout,
    NotOllama,
    OllamaError,
    ProtocolError,
    StreamCut,
)
from bot.ollama.failures import foreign_line, is_error, line_error
from bot.ollama.ndjson import NDJSONDecoder, NDJSONError
from bot.ollama.types import ChatChunk

# How often a stream looks whether it waits in vain; the idle limit itself is kept to the moment.
_CHECK_SECONDS = 2.0
# Ollama ends an answer without a word after 31 pieces that are equal but for white space (``llm/llama_server.go``).
_REPEATED_PIECES = 30

ParseChunk = Callable[[dict[str, Any]], ChatChunk]


class ChatStream:
    """The chunks of one answer, by ``async for`` or a batch at a time.

    Whatever arrived before a failure is yielded first; then the failure is
    raised: `StreamError` for an error line, `StreamCut` for an end without
    ``done``, `IdleTimeout` when no whole object came for *idle* seconds while
    we waited (`FirstByteTimeout` if none had come yet), `NotOllama` or
    `ProtocolError` for what is no answer of Ollama's. What comes after ``done`` is not read.

    Args:
        response: an answer with status 200; the stream closes it.
        parse: makes a chunk of one line's object.
        url: the server's address for errors.
        idle: seconds without a whole object after which we give up. Bytes that
            complete nothing do not count, so a trickle cannot go on for ever.
        first: the same until the first object: the model may be loading.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, parse: ParseChunk, *, url: str, idle: float, first: float | None = None
    ) -> None:
        self.url = url
        self._response = response
        self._parse = parse
        self._idle = idle
        self._first = idle if first is None else first
        self._decoder = NDJSONDecoder()
        self._ready: deque[ChatChunk] = deque()
        self._failure: OllamaError | None = None
        self._ended = False
        self._seen_object = False
        self._last_line: dict[str, Any] = {}
        self._is_odd = False  # a line was JSON, but no object
        self._piece = ""
        self._pieces = 0  # equal ones in a row
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatChunk:
        if not self._ready:
            await self._fill()
        if self._ready:
            return self._ready.popleft()
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def read_batch(self) -> list[ChatChunk]:
        """Return every chunk that is there, waiting for one if there is none; empty at the end.

        Raises:
            OllamaError: once all chunks before the failure were returned.
        """
        if not self._ready:
            await self._fill()
        batch = list(self._ready)
        self._ready.clear()
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def close(self) -> None:
        """Close the connection at once; the server stops generating. Chunks not taken are dropped."""
        self._ended = True
        self._ready.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._response.close()

    async def _fill(self) -> None:
        """Read until there is a chunk or the end."""
        self._waiting_since = self._loop.time()
        if self._timer is None and not self._ended:
            self._timer = self._loop.call_later(self._soon(), self._check)
        try:
            while not self._ready and not self._ended:
                self._take(await self._read())
        finally:
            self._waiting_since = None

    async def _read(self) -> bytes:
        """Return the next bytes, empty at the end of the stream however it came about."""
        if self._failure is not None:
            return b""
        content = self._response.content
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if self._ended:  # closed by us while we read
                return b""
            if self._failure is None:
                self._failure = StreamCut(self.url, str(error) or type(error).__name__)
            return _rescue(content)

    def _take(self, data: bytes) -> None:
        """Turn *data* into chunks; no data is the end."""
        try:
            objects = self._decoder.feed(data) if data else self._decoder.flush()
        except NDJSONError as error:
            self._accept(error.objects)
            self._fail(self._bad_line(error, at_end=not data))
            return
        self._accept(objects)
        if not data and not self._ended:
            self._end()

    def _accept(self, objects: list[Any]) -> None:
        """Append the chunks of *objects*, up to the last one or the first that is an error."""
        for line in objects:
            if self._ended:
                return
            if type(line) is not dict:
                self._is_odd = True
                continue
            self._last_line = line
            if "error" in line and is_error(line):
                self._fail(line_error(self.url, line))
            elif "choices" in line and not self._seen_object:
                self._fail(NotOllama(self.url, "an OpenAI-style answer"))
            else:
                self._append(self._parse(line))

    def _end(self) -> None:
        """Tell what an end in good order means that no line announced."""
        if self._last_line.get("done_reason") and self._failure is None:
            self._append(self._parse({**self._last_line, "done": True, "message": {}, "response": ""}))
        elif self._is_odd and not self._last_line:
            self._fail(NotOllama(self.url, "JSON without an object"))
        else:
            is_repetition = self._pieces >= _REPEATED_PIECES
            words = "the answer ended without its last line"
            self._fail(StreamCut(self.url, words, is_lost=False, is_repetition=is_repetition))

    def _append(self, chunk: ChatChunk) -> None:
        self._seen_object = True
        piece = (chunk.content or chunk.thinking).strip()
        self._pieces = self._pieces + 1 if piece == self._piece else 1
        self._piece = piece
        self._ready.append(chunk)
        if chunk.done:
            self._ended = True
            self._failure = None

    def _fail(self, failure: OllamaError) -> None:
        """End the stream; a cut tells least, so it does not replace another failure."""
        if self._ended:
            return
        self._ended = True
        if self._failure is None or not isinstance(failure, StreamCut):
            self._failure = failure

    def _bad_line(self, error: NDJSONError, *, at_end: bool) -> OllamaError:
        """Return the error for a line that is not JSON: cut, foreign or broken."""
        foreign = foreign_line(error.line)
        if foreign:
            return NotOllama(self.url, foreign)
        if at_end and (self._seen_object or error.line.lstrip().startswith(b"{")):
            return StreamCut(self.url, "the answer ended within a line")
        if not self._seen_object and not error.line.lstrip().startswith(b"{"):
            return NotOllama(self.url, error.line.decode("utf-8", "replace"))
        return ProtocolError(self.url, str(error))

    def _check(self) -> None:
        """Give up if we have been waiting in vain or for too long, else look again soon."""
        self._timer = None
        if self._ended:
            return
        waited = 0.0 if self._waiting_since is None else self._loop.time() - self._waiting_since
        if waited and self._is_dead():
            self._give_up(StreamCut(self.url, "the connection broke"))
        elif waited >= self._limit:
            kind = IdleTimeout if self._seen_object else FirstByteTimeout
            self._give_up(kind(self.url, self._limit))
        else:
            self._timer = self._loop.call_later(min(self._limit - waited, self._soon()), self._check)

    def _soon(self) -> float:
        """Return when to look again: the limit may become the idle one at any moment."""
        return min(self._first, self._idle, _CHECK_SECONDS)

    @property
    def _limit(self) -> float:
        return self._idle if self._seen_object else self._first

    def _is_dead(self) -> bool:
        """Return whether the socket is gone although nobody told the reader.

        That is what aiohttp makes of chunked coding that turns invalid.
        """
        connection = self._response.connection
        return connection is not None and connection.transport is None

    def _give_up(self, failure: OllamaError) -> None:
        self._failure = failure
        # Wakes the read, which then finds the failure that is told.
        self._response.close()


def _rescue(content: aiohttp.StreamReader) -> bytes:
    """Return what *content* had buffered when its connection broke.

    aiohttp raises before it hands out what it has: text that came in the same
    moment as the reset would be lost.
    """
    content.set_exception(None)  # type: ignore[arg-type]  # clears it; there is no other way
    return content.read_nowait(-1)
