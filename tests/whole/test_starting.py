"""A start on a database that cannot be used, or that an earlier version wrote."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bot.conversation import database
from bot.conversation.schema import HEAD, REVISIONS
from bot.conversation.store import Store
from bot.errors import StoreError
from tests.scripted_ollama import say
from tests.whole.stack import servers, talk
from tests.whole.test_process import started

SCHEMAS = Path(__file__).parents[1] / "conversation" / "schemas"


async def made(path: Path) -> Path:
    """A database with nothing in it."""
    async with Store.open(f"sqlite:///{path}"):
        pass
    return path


async def test_a_read_only_database_ends_the_start_with_the_remedy(tmp_path: Path):
    path = await made(tmp_path / "burble.db")
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    async with servers(tmp_path) as stack, started(stack, tmp_path, DATABASE_URL=url) as bot:
        assert await bot.exit_code() == 1
        assert "is read-only. Give the user that runs the bot the right to write it" in bot.log
        assert "Traceback" not in bot.log


async def test_a_database_that_another_program_locks_ends_the_start_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    path = await made(tmp_path / "burble.db")
    async with servers(tmp_path) as stack:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match="is locked by another process"):
                async with stack.running_bot():
                    pass
        async with stack.running_bot():  # and left it as it was
            stack.ask("Hello?")
            await stack.answered(1)


async def test_a_disk_that_takes_nothing_more_ends_the_start_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def set_pragmas(connection: sqlite3.Connection, record: object) -> None:
        usual(connection, record)
        connection.execute("PRAGMA max_page_count = 3").close()

    usual = database._set_pragmas
    monkeypatch.setattr(database, "_set_pragmas", set_pragmas)
    async with servers(tmp_path) as stack:
        with pytest.raises(StoreError, match="cannot grow: the disk is full"):
            async with stack.running_bot():
                pass
        monkeypatch.setattr(database, "_set_pragmas", usual)
        async with stack.running_bot():
            stack.ask("Hello?")
            await stack.answered(1)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_the_database_of_an_earlier_version_is_upgraded_and_used(tmp_path: Path, revision: str):
    with contextlib.closing(sqlite3.connect(tmp_path / "burble.db")) as old:
        old.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))
        words = "text" if revision < "0005" else "json_extract(parts, '$[0].text')"
        before = old.execute(f"SELECT message_id, {words} FROM prompt ORDER BY message_id").fetchall()
    async with servers(tmp_path) as stack, stack.running_bot():
        stack.ollama.enqueue(say("Noted."))
        stack.ask("Remember the number 42.")
        stack.ask("Which number?")
        await stack.answered(2)
        assert [message["content"] for message in talk(stack, 1)][1] == "Noted."
        with contextlib.closing(sqlite3.connect(tmp_path / "burble.db")) as new:
            after = new.execute(
                "SELECT message_id, json_extract(parts, '$[0].text') FROM prompt ORDER BY message_id"
            ).fetchall()
            assert new.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert after[: len(before)] == before
        assert len(after) == len(before) + 2
