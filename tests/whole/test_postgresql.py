"""A database server that ends, comes back, and meanwhile takes in another bot."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.playground.loopback.seed import CODE_ID
from tests.conversation.builders import connected, rows
from tests.conversation.test_postgresql import OTHERS_CLAIM
from tests.postgresql import PostgresServer
from tests.scripted_ollama import hang, say, token
from tests.whole.stack import running, servers, talk
from tests.whole.test_database import FORGETFUL
from tests.whole.test_process import started

pytestmark = pytest.mark.postgresql

CANNED = "Hello from the scripted model."


@pytest.fixture
def server(postgresql: PostgresServer) -> Iterator[PostgresServer]:
    """The server, running again after the test."""
    yield postgresql
    postgresql.stop()
    postgresql.start()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.database() as address:
        yield address
        server.stop()
        server.start()


async def test_while_the_server_is_away_answers_come_without_memory_and_then_with_it(
    tmp_path: Path, url: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.conversation.journal._RETRY_SECONDS", 0.05)
    async with running(tmp_path, database_url=url) as stack:
        stack.ask("First")
        await stack.answered(1)
        server.stop()
        stack.ask("Second")
        assert (await stack.answered(2))[1] == f"{CANNED}\n{FORGETFUL}"
        await asyncio.to_thread(server.start)
        await stack.until(lambda: stack.rows("SELECT count(*) FROM reply WHERE state = 'complete'") == [(2,)])
        stack.ask("Third")
        assert (await stack.answered(3))[2] == CANNED
        assert [turn["content"].rpartition(" ")[2] for turn in talk(stack, 2) if turn["role"] == "user"] == [
            "First",
            "Second",
            "Third",
        ]


async def test_a_server_that_restarts_under_a_running_answer_costs_none_of_it(
    tmp_path: Path, url: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.conversation.journal._RETRY_SECONDS", 0.05)
    async with running(tmp_path, database_url=url) as stack:
        stack.ollama.enqueue([token("Before "), token("and ", delay=0.5), token("after.", delay=0.5)])
        stack.ask("Go")
        await stack.shows("Before")
        await asyncio.to_thread(server.stop)
        await stack.shows("Before and")
        await asyncio.to_thread(server.start)
        assert await stack.answered(1) == ["Before and after."]
        await stack.until(lambda: stack.rows("SELECT state, text FROM reply") == [("complete", "Before and after.")])


async def test_a_second_bot_refuses_to_start_also_after_a_restart_of_the_server(
    tmp_path: Path, url: str, server: PostgresServer
):
    async with servers(tmp_path) as stack, started(stack, tmp_path, DATABASE_URL=url) as first:
        await first.logged("Invite: ")
        for _ in range(2):
            async with started(stack, tmp_path / "second", DATABASE_URL=url) as second:
                assert await second.exit_code() == 1
                assert "Another bot is using the database" in second.log
                assert "Stop that one first" in second.log
            stack.ask("Are you still there?")
            await stack.shows(CANNED)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            stack.ask("And now?")  # the claim is taken again
            await stack.until(lambda: len(stack.texts()) % 2 == 0)


async def test_a_bot_that_finds_another_on_its_database_ends_and_leaves_everything_to_it(
    tmp_path: Path, url: str, server: PostgresServer
):
    async with servers(tmp_path) as stack, started(stack, tmp_path, DATABASE_URL=url) as bot:
        await bot.logged("Invite: ")
        stack.ollama.enqueue([*say("Half of it"), hang()])
        stack.ask("Go")
        shown = await stack.shows("Half of it")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        with connected(url) as other:
            other.execute(text(OTHERS_CLAIM))
            prompt = stack.ask("Who answers this?", channel=CODE_ID)
            assert await bot.exit_code() == 1
        assert "Another bot is using the database" in bot.log
        assert "Traceback" not in bot.log, bot.log[-6000:]
        assert (stack.texts(), stack.texts(CODE_ID)) == ([shown], [])
        assert rows(url, f"SELECT count(*) FROM prompt WHERE message_id = {prompt['id']}") == [(0,)]
        async with started(stack, tmp_path, DATABASE_URL=url) as next_one:
            await next_one.logged("Invite: ")
            await stack.shows("interrupted by a restart")
            await stack.shows(CANNED, channel=CODE_ID)
            assert "▌" not in "".join(stack.texts())


async def test_a_killed_bot_leaves_no_claim_and_its_answer_to_the_next_start(tmp_path: Path, url: str):
    async with servers(tmp_path) as stack:
        async with started(stack, tmp_path, DATABASE_URL=url) as first:
            await first.logged("Invite: ")
            stack.ollama.enqueue([*say("Half of it"), hang()])
            stack.ask("Go")
            await stack.shows("Half of it")
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        async with started(stack, tmp_path, DATABASE_URL=url) as second:
            await second.logged("Invite: ")
            await stack.shows("interrupted by a restart")
            stack.ask("Go on")
            await stack.shows(CANNED)
            second.process.send_signal(signal.SIGTERM)
            assert await second.exit_code() == 0
