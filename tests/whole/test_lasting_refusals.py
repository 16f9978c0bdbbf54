"""What Discord refuses for good, at each call of a reply: no cursor stays, nothing hangs, nothing hammers.

Each refusal strikes every call of a reply, each call in a channel of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.playground.loopback.seed import ADA_ID, LINUS_ID
from bot.streaming.backoff import Backoff
from tests.scripted_ollama import DEFAULT_TEXT
from tests.whole.faults import new_channel, row
from tests.whole.long_answer import (
    CALLS,
    HTML,
    WHOLE,
    Answer,
    direct,
    nothing_left_running,
    squeezed,
)
from tests.whole.stack import CURSOR, Stack, running


def refused(status: int, code: int = 0) -> dict[str, Any]:
    return {"status": status, "body": {"message": "injected", "code": code}}


LASTING: dict[str, dict[str, Any]] = {
    "400-invalid-form": refused(400, 50035),
    "400-automod": refused(400, 200000),
    "400-blank": refused(400, 50006),
    "403-permission": refused(403, 50013),
    "403-access": refused(403, 50001),
    "403-of-a-proxy": {"status": 403, "body": HTML, "via": False},
    "404-message": refused(404, 10008),
    "404-channel": refused(404, 10003),
    "413": refused(413, 40005),
    "401-of-a-proxy": {"status": 401, "body": HTML, "via": False},
}
OPTIONAL = {"reaction", "unreaction", "typing"}
AWAY = {"first", "overflow"}
"""What cannot be posted goes to who asked."""


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.delivery.control.Backoff", lambda **_: Backoff(base=0.01, cap=0.02))
    async with running(tmp_path) as stack:
        assert stack.bot is not None
        stack.bot.request_seconds = 0.4
        yield stack


class Struck:
    """One answer, of which one call is refused from its part on."""

    def __init__(self, stack: Stack, call: str, what: dict[str, Any], asker: str) -> None:
        method, route, self._at = CALLS[call]
        self.answer = Answer(stack, stack.world.create_channel(call)["id"])
        path = f"/channels/{self.answer.channel}{route}"
        self._strike = partial(stack.discord.inject, method=method, route=path, times=-1, **what)
        self._stack = stack
        self.asker = asker
        self.prompt: dict[str, Any] = {}

    async def go(self) -> None:
        """Ask, refuse, let the model talk to its end."""
        stack, chats = self._stack, len(self._stack.ollama.chats)
        if self._at == 0:
            self.fault = self._strike()
        self.prompt = stack.ask("Tell me", channel=self.answer.channel, user=self.asker)
        await stack.until(lambda: len(stack.ollama.chats) > chats)
        self.chat = stack.ollama.chats[-1]
        self.finishing = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        texts = ("first words", "second part", "word329")
        for number, words in enumerate(texts, 1):
            if self._at >= number:
                await self._stack.shows(words, self.answer.channel)
            if self._at == number:
                self.fault = self._strike()
            self.answer.steps[number - 1].set()
            if not self._at:
                await asyncio.sleep(0.15)
        await self._stack.idle(self.answer.channel)


@pytest.mark.parametrize("name", LASTING)
async def test_what_is_refused_for_good_ends_well_at_each_call(stack: Stack, caplog, name: str):
    struck = {}
    for call in CALLS:
        asker = LINUS_ID if call == "overflow" else ADA_ID  # who gets direct messages is told apart by that
        struck[call] = each = Struck(stack, call, LASTING[name], asker)
        stack.ollama.enqueue(each.answer.script())
        await each.go()
    await asyncio.gather(*(each.finishing for each in struck.values()))
    await stack.idle()
    nothing_left_running()
    hits = {call: each.fault.hits for call, each in struck.items()}
    assert all(hits.values()), hits
    assert max(hits.values()) <= 16, "it hammers"
    for call, each in struck.items():
        texts = stack.texts(each.answer.channel)
        if name.startswith("404") and call not in OPTIONAL:  # somebody deleted it: a decision
            assert await asyncio.wait_for(each.chat.closed.wait(), 1)
            continue
        assert not any(CURSOR in text for text in texts), call
        away = direct(stack, each.asker)[1:] if call in AWAY else []
        shown = [text.partition("\n-# ⚠️")[0] for text in texts] + away
        assert squeezed("".join(shown)) == squeezed(WHOLE), call
        assert row(stack, each.prompt["id"]) == ("complete", WHOLE), call
        assert call in OPTIONAL or each.answer.channel in caplog.text, call
    assert "word240" not in caplog.text
    refusals = Counter(r.channel_id for r in stack.discord.log if r.status in (401, 403))
    assert max(refusals.values(), default=0) <= 6, "each counts towards Discord's ban"
    assert await answers_again(stack)


async def answers_again(stack: Stack) -> bool:
    stack.discord.faults.clear()
    channel = new_channel(stack)
    stack.ask("And now?", channel=channel)
    return await stack.answered(1, channel) == [DEFAULT_TEXT]


@pytest.mark.parametrize("name", ["400-invalid-form", "403-permission", "403-of-a-proxy"])
@pytest.mark.parametrize(("call", "at"), [("followup", 2), ("edit", 1)])
async def test_what_is_refused_for_good_to_a_command_ends_well_too(stack: Stack, name: str, call: str, at: int):
    each = Answer(stack, new_channel(stack))
    stack.ollama.enqueue(each.script())
    token = stack.world.run_command(ADA_ID, each.channel, ["ask"], {"prompt": "Tell me"}).token
    method, route = ("POST", "") if call == "followup" else ("PATCH", "/messages/*")
    await stack.shows("first words", each.channel)
    if at == 2:
        each.steps[0].set()
        await stack.shows("second part", each.channel)
    fault = stack.discord.inject(method=method, route=f"/webhooks/*/{token}{route}", times=-1, **LASTING[name])
    for step in each.steps:
        step.set()
    await stack.idle()
    assert 0 < fault.hits <= 8
    texts = stack.texts(each.channel)
    assert not any(CURSOR in text for text in texts)
    shown = [text.partition("\n-# ⚠️")[0] for text in texts] + direct(stack)[1:]
    assert squeezed(WHOLE) in squeezed("".join(shown))
    nothing_left_running()
