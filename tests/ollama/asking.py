"""What several tests of the client need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.errors import OllamaError
from bot.ollama.client import OllamaClient, Timeouts
from bot.ollama.types import Message

PROMPT = [Message("user", "hi")]
SHORT = Timeouts(connect=1, first_byte=2)


@asynccontextmanager
async def listening(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A bare TCP server; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def answer_of(client: OllamaClient, **options: Any) -> str:
    async with client.chat("llama3.2", PROMPT, **options) as stream:
        return "".join([chunk.content async for chunk in stream])


async def failure_of(url: str, timeouts: Timeouts = SHORT) -> OllamaError:
    async with OllamaClient(url, timeouts=timeouts) as client:
        with pytest.raises(OllamaError) as caught:
            await answer_of(client)
    return caught.value
