"""The supervisor: what Discord refuses, and what passes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot import app
from bot.delivery import endpoint
from bot.delivery.endpoint import Application
from tests.whole.stack import servers


async def test_a_refused_intent_is_done_without(tmp_path: Path, monkeypatch, caplog):
    async def claims_the_intent(_: str) -> Application:
        return Application(1, "Burble", has_message_content=True)

    monkeypatch.setattr(endpoint, "ask_application", claims_the_intent)
    async with servers(tmp_path, message_content=False) as stack:
        endpoint.use_api(stack.discord.api_url)
        stopping = asyncio.Event()
        async with app.open_services(stack.settings) as services:
            running = asyncio.create_task(app.Supervisor(services, stopping).run())
            await stack.until(lambda: "going on without it" in caplog.text)
            await stack.until(lambda: stack.world.bot_online)
            stack.ask("Hello")
            await stack.shows("Hello from the scripted model.")
            stopping.set()
            assert await running == app.EXIT_OK
