"""A Discord that fails for longer than anybody waits: the bot gives up in time, and the next start ends the reply."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.records import ReplyState
from bot.generation import responder
from bot.playground.loopback.seed import GENERAL_ID
from bot.streaming.backoff import Backoff
from tests.whole.faults import new_channel
from tests.whole.long_answer import FIRST, WHOLE, growing, limited, nothing_left_running, recorded, squeezed
from tests.whole.stack import CURSOR, servers

OUTAGES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503": {"status": 503},
    "408": {"status": 408},
    "hang": {"hang": True},
    "reset": {"reset": True},
    "429": limited(),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    brief = partial(responder.ReplyStreamer, give_up_after=0.4, backoff=Backoff(base=0.02, cap=0.05))
    monkeypatch.setattr(responder, "ReplyStreamer", brief)
    monkeypatch.setattr("bot.delivery.control.Backoff", lambda **_: Backoff(base=0.01, cap=0.02))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", OUTAGES.values(), ids=OUTAGES)
async def test_what_an_outage_left_unfinished_is_ended_by_the_next_start(tmp_path: Path, caplog, what: dict[str, Any]):
    async with servers(tmp_path) as stack:
        async with stack.running_bot() as bot:
            bot.request_seconds = 0.1
            each = await growing(stack)
            for method in ("POST", "PATCH", "DELETE", "PUT"):
                stack.discord.inject(method=method, route=f"/channels/{GENERAL_ID}/*", times=-1, **what)
            for step in each.steps:
                step.set()
            await asyncio.wait_for(stack.ollama.chats[-1].finished.wait(), 5)
            await stack.idle()
            nothing_left_running()
            assert "cannot be shown any more" in caplog.text
            assert stack.texts() == [f"{FIRST} {CURSOR}"]
            elsewhere = new_channel(stack)
            stack.ask("And here?", channel=elsewhere)
            assert len(await stack.answered(1, elsewhere)) == 1
        stack.discord.faults.clear()
        async with stack.running_bot():
            await stack.shows("it ends")
            await stack.until(lambda: not any(CURSOR in text for text in stack.texts()))
            assert squeezed("".join(stack.texts())) == squeezed(WHOLE)
            await recorded(stack, GENERAL_ID, ReplyState.COMPLETE, WHOLE)
