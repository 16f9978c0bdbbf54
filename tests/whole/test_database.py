"""A database that is used twice, damaged, full, locked, stuck: the bot answers all the same, or says why not."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.backup import backup, restore
from bot.conversation import database
from bot.conversation.journal import StoreHealth
from bot.conversation.store import Store
from bot.errors import StoreError
from bot.lock import claim
from bot.playground.loopback.seed import ADA_ID, GENERAL_ID
from tests.scripted_ollama import hang, say, token
from tests.whole.stack import Stack, running, servers, talk
from tests.whole.test_process import started

FORGETFUL = "-# ⚠️ answered without the conversation so far: my memory is out of order"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


# One at a time


async def test_a_second_bot_on_the_same_data_directory_refuses_to_start(tmp_path: Path):
    async with servers(tmp_path) as stack, started(stack, tmp_path) as first:
        await first.logged("Invite: ")
        async with started(stack, tmp_path) as second:
            assert await second.exit_code() == 1
            assert f"Another bot (process {first.process.pid}) is using" in second.log
            assert "Stop that one first" in second.log
        stack.ask("Are you still there?")
        await stack.shows("Hello from the scripted model.")


async def test_a_killed_bot_leaves_no_lock_behind(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with started(stack, tmp_path) as first:
            await first.logged("Invite: ")
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        async with started(stack, tmp_path) as second:
            await second.logged("Invite: ")


def test_a_lock_is_given_back_and_names_its_holder(tmp_path: Path):
    path = tmp_path / "new" / "burble.db"
    for _ in range(2):
        with claim(path), pytest.raises(StoreError, match=r"Another bot \(process \d+\)"), claim(path):
            pass
    with claim(None):
        pass


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError, match=r"lock file .* cannot be created"), claim(tmp_path / "file" / "burble.db"):
        pass


# Damaged


async def test_a_damaged_database_is_moved_aside_and_the_bot_starts_afresh(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with servers(tmp_path) as stack:
        path = tmp_path / "burble.db"
        path.write_bytes(b"no database at all" * 500)
        async with stack.running_bot():
            stack.ask("Hello?")
            assert await stack.answered(1) == ["Hello from the scripted model."]
        [aside] = await asyncio.to_thread(lambda: list(tmp_path.glob("burble.db.damaged-*Z")))
        assert aside.read_bytes() == b"no database at all" * 500
        assert f"It is now {aside}, and a new one was begun. To restore a backup: burble restore FILE" in caplog.text
        assert len(rows(path, "SELECT * FROM reply")) == 1


async def test_another_programs_database_is_not_touched(tmp_path: Path):
    async with servers(tmp_path) as stack:
        with contextlib.closing(sqlite3.connect(tmp_path / "burble.db")) as other:
            other.execute("CREATE TABLE notes (words)")
        with pytest.raises(StoreError, match="holds other tables"):
            async with stack.running_bot():
                pass
        assert rows(tmp_path / "burble.db", "SELECT name FROM sqlite_master") == [("notes",)]


# Failing while the bot runs


async def limit_size(stack: Stack, pages: int | None) -> None:
    def limit(connection: database.Connection) -> None:
        most = pages or connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    await stack.services.store._database.run(limit)


async def test_a_full_disk_costs_the_record_and_not_the_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with running(tmp_path) as stack:
        await limit_size(stack, None)
        answers = [f"Answer {number} " + "long " * 300 for number in range(8)]
        prompts = []
        for number, answer in enumerate(answers):
            stack.ollama.enqueue(say(answer))
            prompts.append(stack.ask(f"Question {number}")["id"])
        await stack.answered(8)
        shown = {reply["message_reference"]["message_id"]: reply["content"] for reply in stack.replies()}
        assert [shown[prompt].split(" long")[0] for prompt in prompts] == [f"Answer {number}" for number in range(8)]
        troubles = [record for record in caplog.records if "are not being stored" in record.message]
        assert len(troubles) == 1
        assert "the disk is full. Free some space" in troubles[0].message


async def test_what_could_not_be_stored_is_stored_when_the_database_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.conversation.journal._RETRY_SECONDS", 0.05)
    async with running(tmp_path) as stack:
        await limit_size(stack, None)
        stack.ollama.enqueue(say("long " * 2000))
        prompt = stack.ask("Go")
        await stack.until(lambda: "are not being stored" in caplog.text)
        await limit_size(stack, 10**6)
        await stack.idle()
        owner = "SELECT state, length(text) FROM reply WHERE prompt_id = " + prompt["id"]
        await stack.until(lambda: rows(tmp_path / "burble.db", owner) == [("complete", 10_000)])
        await stack.until(lambda: "The database works again" in caplog.text)


async def test_a_database_locked_by_another_program_costs_the_memory_and_not_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    async with running(tmp_path) as stack:
        with contextlib.closing(sqlite3.connect(tmp_path / "burble.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            stack.ask("Hello?")
            assert await stack.answered(1) == ["Hello from the scripted model."]
            other.execute("ROLLBACK")


async def test_a_damage_that_happens_meanwhile_is_told_and_the_user_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with running(tmp_path) as stack:
        stack.ask("First")
        await stack.answered(1)

        async def broken(*_: object, **__: object) -> None:
            raise StoreError(f"The database {tmp_path}/burble.db is damaged.")

        stack.services.store._database.run = broken  # type: ignore[method-assign]
        stack.ask("Second")
        texts = await stack.answered(2)
        assert texts[1] == f"Hello from the scripted model.\n{FORGETFUL}"
        assert "is damaged" in caplog.text


@contextlib.contextmanager
def stuck(stack: Stack) -> Iterator[None]:
    """A disk that does not answer: the store's thread hangs until the block ends."""
    release = threading.Event()
    work = stack.services.store._database.run(lambda _: release.wait(20) and None)
    hanging = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        release.set()
        assert not hanging.cancelled()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = StoreHealth.__init__
    monkeypatch.setattr(StoreHealth, "__init__", lambda self, **more: usual(self, **(more | {"patience": 0.1})))


@pytest.mark.usefixtures("impatient")
async def test_a_stuck_store_holds_a_stream_up_once_and_briefly(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with running(tmp_path) as stack:
        stack.ollama.enqueue([token("Before "), token("the disk hung, ", delay=0.3), token("and after.", delay=0.5)])
        stack.ask("Go")
        await stack.shows("Before")
        with stuck(stack):
            began = time.monotonic()
            await stack.until(lambda: stack.texts() == ["Before the disk hung, and after."])
            assert time.monotonic() - began < 2.0
            assert caplog.text.count("does not answer in time") == 1
        await stack.idle()
        stack.ask("And now?")
        await stack.answered(2)
        assert talk(stack, 1)[1]["content"] == "Before the disk hung, and after."


@pytest.mark.usefixtures("impatient")
async def test_a_prompt_that_comes_while_the_store_is_stuck_is_answered_and_stored_later(tmp_path: Path):
    async with running(tmp_path) as stack:
        stack.ask("First")
        await stack.answered(1)
        with stuck(stack):
            prompt = stack.ask("Second")
            [_, text] = await stack.answered(2)
            assert text == f"Hello from the scripted model.\n{FORGETFUL}"
        found = f"SELECT state, is_open FROM reply WHERE prompt_id = {prompt['id']}"
        await stack.until(lambda: rows(tmp_path / "burble.db", found) == [("complete", 0)])


COMMANDS: dict[str, dict[str, str]] = {
    "help": {},
    "reset": {},
    "model list": {},
    "model show": {},
    "model use": {"name": "llama3.2"},
}


@pytest.mark.parametrize(("path", "options"), COMMANDS.items(), ids=COMMANDS)
async def test_a_command_waits_for_a_stuck_store_no_longer_than_it_has_to(tmp_path: Path, monkeypatch, path, options):
    monkeypatch.setattr("bot.delivery.interactions.PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr("bot.delivery.interactions._WORK_SECONDS", 0.05)
    async with running(tmp_path) as stack:
        with stuck(stack):
            stack.world.run_command(ADA_ID, GENERAL_ID, path.split(), options)
            await stack.shows("⚠️ My database does not answer. Please try again in a few minutes.")


# Copies


def run(command: str, file: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("DATA_DIR", str(data_dir))
    monkeypatch.setenv("DISCORD_TOKEN", "paste-your-bot-token-here")
    return main([command, str(file)])


async def test_a_backup_of_a_running_bot_is_whole_and_can_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    copy = tmp_path / "copy.db"
    async with servers(tmp_path / "data") as stack:
        async with stack.running_bot():
            stack.ollama.enqueue(say("Noted."))
            stack.ask("Remember the number 42.")
            await stack.answered(1)
            stack.ollama.enqueue([*say("Under way"), hang()])
            stack.ask("Go")
            await stack.shows("Under way")
            assert await asyncio.to_thread(run, "backup", copy, tmp_path / "data", monkeypatch) == 0
            assert f"the conversations are saved in {copy}." in capsys.readouterr().err
            assert copy.stat().st_mode & 0o777 == 0o600
            assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
            assert not copy.with_name("copy.db-wal").exists()
            assert await asyncio.to_thread(run, "restore", copy, tmp_path / "data", monkeypatch) == 1
            assert "Another bot" in capsys.readouterr().err
        (tmp_path / "data" / "burble.db").write_bytes(b"lost")
        assert await asyncio.to_thread(run, "restore", copy, tmp_path / "data", monkeypatch) == 0
        [aside] = await asyncio.to_thread(lambda: list((tmp_path / "data").glob("burble.db.before-restore-*Z")))
        assert str(aside) in capsys.readouterr().err
        assert aside.read_bytes() == b"lost"
        async with stack.running_bot():
            stack.ask("Which number?")
            await stack.answered(3)
        assert "number 42" in str(talk(stack, -1))


def test_a_backup_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asyncio.run(_create(tmp_path / "burble.db"))
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    assert run("backup", copy, tmp_path, monkeypatch) == 1
    assert "exists already" in capsys.readouterr().err
    assert copy.read_text() == "precious"


async def _create(path: Path) -> None:
    async with Store.open(f"sqlite:///{path}"):
        pass


def test_a_backup_of_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run("backup", tmp_path / "copy.db", tmp_path / "data", monkeypatch) == 1
    assert "There is no database at" in capsys.readouterr().err
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("content", ["words", "other tables", "a newer schema", "nothing"])
def test_what_is_no_backup_is_not_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
):
    asyncio.run(_create(tmp_path / "burble.db"))
    before = (tmp_path / "burble.db").read_bytes()
    copy = tmp_path / "copy.db"
    if content == "words":
        copy.write_text("dear diary, " * 1000)
    elif content != "nothing":
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as other:
            other.execute("CREATE TABLE alembic_version AS SELECT '9999' AS version_num")
            if content == "other tables":
                other.execute("ALTER TABLE alembic_version RENAME TO notes")
    assert run("restore", copy, tmp_path, monkeypatch) == 1
    told = capsys.readouterr().err
    assert told.startswith("burble: ")
    assert ("There is no file" in told) == (content == "nothing")
    assert (tmp_path / "burble.db").read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir() if "restor" in each.name) == []


@pytest.mark.parametrize(("copy", "tool"), [(backup, "pg_dump"), (restore, "psql")])
def test_postgresql_has_tools_of_its_own(tmp_path: Path, copy: Callable[[str, Path], object], tool: str):
    with pytest.raises(StoreError, match=f"For PostgreSQL, use {tool}") as caught:
        copy("postgresql://ada:hunter2@localhost/burble", tmp_path / "copy.db")
    assert "hunter2" not in str(caught.value)
