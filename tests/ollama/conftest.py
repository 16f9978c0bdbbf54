from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.ollama.client import OllamaClient
from tests.scripted_ollama import (
    ScriptedOllama,
)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedOllama) -> AsyncIterator[OllamaClient]:
    async with OllamaClient(server.url) as opened:
        yield opened
