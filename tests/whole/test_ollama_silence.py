"""Silence of Ollama's, and what only looks like life: waited for, then told, through the whole bot."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.scripted_ollama import hang, headers, raw, say, think, wire
from tests.whole.faults import KEPT, Fault, faulty, happens, table
from tests.whole.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
TRICKLE = [raw(b" ", delay=0.05) for _ in range(200)]
SILENT = {
    "nothing": Fault([hang()], "did not begin to answer within 0.6 s", log="FirstByteTimeout"),
    "headers that trickle": Fault([wire(HEAD), [wire(b"X: y\r\n", 0.05) for _ in range(200)]], "did not begin"),
    "headers only": Fault([headers(), hang()], "did not begin to answer", log="FirstByteTimeout"),
    "space before a first line": Fault([headers(), *TRICKLE], "did not begin to answer"),
    "a stall": Fault([*say(KEPT), hang()], "went quiet for 0.3 s", KEPT, log="IdleTimeout"),
    "a stall within a line": Fault([*say(KEPT), raw(b'{"mess'), hang()], "went quiet", KEPT),
    "a stall within a chunk": Fault([*say(KEPT), wire(b'ff\r\n{"mess'), hang()], "went quiet", KEPT),
    "a trickle": Fault([*say(KEPT), *TRICKLE], "went quiet", KEPT, log="IdleTimeout"),
    "a trickle within a line": Fault(
        [*say(KEPT), raw(b'{"x":"'), [raw(b"y", delay=0.05) for _ in range(200)]], "went quiet", KEPT, log="IdleTimeout"
    ),
    "a stall in thought": Fault([*think("hm"), hang()], "went quiet"),
    "an error that stalls": Fault([wire(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n{"), hang()], "HTTP 500"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory):
    limits = {"idle_timeout_seconds": 0.3, "first_byte_timeout_seconds": 0.6}
    async with faulty(tmp_path_factory.mktemp("impatient"), **limits) as stack:
        yield stack


@table(SILENT)
async def test_silence_is_waited_for_and_then_told(stack: Stack, fault: Fault, caplog, monkeypatch) -> None:
    monkeypatch.setattr("bot.ollama.client._ERROR_BODY_SECONDS", 0.1)
    await happens(stack, fault, caplog)
