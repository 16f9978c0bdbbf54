"""After a reply's end no ⏹️ of ours stays, however it ended and whatever Discord did to the ⏹️."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.playground.loopback.seed import ADA_ID, BOT_ID, GENERAL_ID
from tests.scripted_ollama import Script, done, error, hang, hold, say
from tests.whole.stack import STOP, Stack, running
from tests.whole.test_stopping import control

ROUTE = "/channels/*/messages/*/reactions/*/*"
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "slow to put": {"method": "PUT", "delay": 0.1},
    "put, but the answer is lost": {"method": "PUT", "reset": True, "after": True},
    "put, but the answer says 500": {"method": "PUT", "status": 500, "after": True, "times": 2},
    "refused for a moment": {"method": "PUT", "status": 429},
    "not taken away at first": {"method": "DELETE", "status": 503, "times": 2},
    "not reached to take it away": {"method": "DELETE", "reset": True, "times": 2},
    "slow to take away": {"method": "DELETE", "delay": 0.1},
}
ENDINGS = ["complete", "failed", "stopped", "deleted question"]


def script(ending: str, go: asyncio.Event) -> Script:
    rest: list[Any] = {"complete": [done()], "failed": [error("boom")]}.get(ending, [hang()])
    return [*say("Some words"), hold(go), *say(" and more."), *rest]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_control_of_ours_outlives_its_reply(tmp_path: Path, ending: str, fault: dict[str, Any]):
    async with running(tmp_path) as stack:
        if fault:
            stack.discord.inject(route=ROUTE, **fault)
        go = asyncio.Event()
        stack.ollama.enqueue(script(ending, go))
        prompt = stack.ask("Tell me")
        await stack.shows("Some words")
        await stack.until(
            lambda: any("/reactions/" in each.path for each in (*stack.discord.log, *stack.discord.pending))
        )
        go.set()
        await stack.shows("and more")
        if ending == "stopped":
            stack.world.react(ADA_ID, GENERAL_ID, prompt["id"], STOP)
        elif ending == "deleted question":
            stack.world.delete(ADA_ID, GENERAL_ID, prompt["id"])
        await stack.idle()
        await left_alone(stack)


async def left_alone(stack: Stack) -> None:
    """Wait out what is still on its way; look at all messages."""
    await stack.until(lambda: not stack.discord.pending)
    for reply in stack.replies():
        assert BOT_ID not in control(reply)
