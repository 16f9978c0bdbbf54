from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from bot.conversation import database
from bot.conversation.migrations import config, upgrade
from bot.conversation.schema import HEAD, REVISIONS, metadata
from bot.conversation.store import Store
from bot.errors import StoreError
from tests.conversation.builders import CHANNEL, a_prompt, answer

if TYPE_CHECKING:
    from sqlalchemy import Connection


def sql(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]
    finally:
        connection.close()


@pytest.fixture
def url(path: Path) -> str:
    """A file, whose properties most of these tests are about."""
    return f"sqlite:///{path}"


def read(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


async def opens(url: str) -> None:
    async with Store.open(url) as store:
        await store.setting("any")


# Files


async def test_only_the_owner_can_read_what_is_created(path: Path, url: str) -> None:
    async with Store.open(url) as store:
        await store.set_setting("k", "v")
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes == {"burble.db": 0o600, "burble.db-wal": 0o600, "burble.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_closed_store_leaves_one_file(path: Path, url: str) -> None:
    await opens(url)
    assert [entry.name for entry in path.parent.iterdir()] == ["burble.db"]


async def test_the_file_is_in_write_ahead_mode(path: Path, url: str) -> None:
    await opens(url)
    assert sql(path, "PRAGMA journal_mode") == [("wal",)]


async def test_writes_do_not_wait_for_the_disk_and_references_hold(store: Store) -> None:
    pragmas = [
        await store._database.run(lambda connection, name=name: connection.exec_driver_sql(f"PRAGMA {name}").scalar())
        for name in ("synchronous", "foreign_keys", "busy_timeout")
    ]
    assert pragmas == [1, 1, database.BUSY_TIMEOUT_SECONDS * 1000]


@pytest.mark.parametrize("prefix", ["sqlite:///", "sqlite+aiosqlite:///", " sqlite:///"])
async def test_a_driver_in_the_url_does_not_matter(path: Path, prefix: str) -> None:
    await opens(f"{prefix}{path}")
    assert sql(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_a_database_in_memory_works() -> None:
    async with Store.open("sqlite://") as store:
        await answer(store, 10, "x")
        assert len(await store.history(CHANNEL)) == 1


# What cannot be opened


async def test_bytes_that_are_no_database_are_left_alone(path: Path, url: str) -> None:
    put(path, b"dear diary, " * 1000)
    with pytest.raises(StoreError, match=rf"{path} is not an SQLite database\. Move it aside"):
        await opens(url)
    assert read(path) == b"dear diary, " * 1000


async def test_a_damaged_database_is_left_alone(path: Path, url: str) -> None:
    async with Store.open(url) as store:
        for message_id in range(200):
            await answer(store, message_id, "x" * 500)
    raw = bytearray(read(path))
    raw[4096 * 3 : -4096] = b"\xa5" * (len(raw) - 4096 * 4)
    put(path, raw)
    with pytest.raises(StoreError, match=rf"{path} is damaged\. Move it aside"):
        await opens(url)
    assert read(path) == raw


async def test_a_database_cut_short_is_left_alone(path: Path, url: str) -> None:
    await opens(url)
    cut = read(path)[:10_000]
    put(path, cut)
    with pytest.raises(StoreError, match="is damaged"):
        await opens(url)
    assert read(path) == cut


@pytest.mark.parametrize("damage", ["bytes", "cut"])
async def test_a_damaged_database_can_be_replaced_and_is_kept(
    path: Path, url: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x" * 50_000)
    broken = read(path)[:20_000] if damage == "cut" else b"dear diary, " * 1000
    put(path, broken)
    for _ in range(2):  # the second time it is sound
        async with Store.open(url, replace_damaged=True) as store:
            assert await store.history(CHANNEL) == []
    asides = [file for file in path.parent.iterdir() if file.name.startswith("burble.db.damaged-")]
    assert [read(file) for file in asides] == [broken]
    assert caplog.text.count("a new one was begun") == 1


async def test_a_locked_or_foreign_database_is_never_replaced(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opens(url)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked"):
            async with Store.open(url, replace_damaged=True):
                pass
    assert [entry.name for entry in path.parent.iterdir() if "damaged" in entry.name] == []


async def test_another_programs_database_is_left_alone(path: Path, url: str) -> None:
    path.parent.mkdir()
    sql(path, "CREATE TABLE notes (words)")
    with pytest.raises(StoreError, match=f"{path} holds other tables"):
        await opens(url)
    assert sql(path, "SELECT name FROM sqlite_master") == [("notes",)]


async def test_a_newer_schema_is_left_alone(path: Path, url: str) -> None:
    await opens(url)
    sql(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=f"{path} was written by a newer version .*9999.*Upgrade the bot"):
        await opens(url)


async def test_a_read_only_database_says_so(path: Path, url: str) -> None:
    await opens(url)
    with pytest.raises(StoreError, match=r"is read-only\. Give the user"):
        await opens(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_a_locked_database_says_so(path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await opens(url)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=f"{path} is locked by another process"):
        await opens(url)
    other.close()


async def test_a_lock_that_goes_away_is_waited_for_or_survived(
    path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    async with Store.open(url) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked"):
            await store.add_prompt(a_prompt(10))
        with pytest.raises(StoreError, match="is locked"):
            await store.begin_reply(10, model="m", at=0)
        assert await store.history(CHANNEL) == []  # readers do not wait for a writer
        other.close()
        assert await store.add_prompt(a_prompt(10))


async def test_a_full_disk_says_so_and_costs_nothing_stored(store: Store) -> None:
    await answer(store, 10, "x")
    pages = await store._database.run(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar())
    await store._database.run(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="the disk is full"):
        await answer(store, 11, "y" * 100_000)
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["x"]
    await store._database.run(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    await answer(store, 12, "y" * 100_000)


async def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError, match=r"file/burble\.db cannot be created: .*Check DATA_DIR"):
        await opens(f"sqlite:///{tmp_path}/file/burble.db")


async def test_a_directory_in_place_of_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path} cannot be opened"):
        await opens(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("url", ["", "burble.db", "mysql://host/db", "postgresql://host:port/db"])
async def test_a_url_that_is_none_of_ours_says_so(url: str) -> None:
    with pytest.raises(StoreError, match="DATABASE_URL"):
        await opens(url)


@pytest.mark.parametrize("address", ["ada:hunter2@127.0.0.1:1/burble", "ada@127.0.0.1:1/burble?password=hunter2"])
async def test_no_password_is_in_an_error(address: str) -> None:
    with pytest.raises(StoreError) as caught:
        await opens(f"postgresql://{address}")
    assert "127.0.0.1:1/burble" in str(caught.value)
    assert "hunter2" not in str(caught.value)


# Schema


def index_of(index: Any) -> dict[str, Any]:
    options = index.get("dialect_options", {})
    where = options.get("sqlite_where", options.get("postgresql_where"))
    return {**index, "dialect_options": str(where)}


def described(connection: Connection) -> dict[str, Any]:
    inspector = inspect(connection)
    return {
        table: {
            "columns": [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)],
            "primary key": inspector.get_pk_constraint(table),
            "references": inspector.get_foreign_keys(table),
            "indexes": sorted(map(index_of, inspector.get_indexes(table)), key=itemgetter("name")),
        }
        for table in sorted(inspector.get_table_names())
    }


async def test_a_migrated_schema_equals_a_created_one(path: Path, url: str) -> None:
    await opens(url)
    created = create_engine(url)
    migrated = create_engine(f"sqlite:///{path}.migrated")
    with created.begin() as one, migrated.begin() as other:
        upgrade(other)
        assert described(one) == described(other)
        assert compare_metadata(MigrationContext.configure(other), metadata) == []
        versions = [connection.execute(text("SELECT * FROM alembic_version")).all() for connection in (one, other)]
        assert versions == [[(HEAD,)], [(HEAD,)]]
    created.dispose()
    migrated.dispose()


def test_the_known_revisions_are_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(config())
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


async def test_an_older_schema_is_upgraded_at_opening(path: Path, url: str) -> None:
    path.parent.mkdir()
    sql(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        with pytest.raises(StoreError):  # references are enforced again
            await store.begin_reply(99, model="m", at=0)
    assert sql(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_an_upgrade_that_fails_changes_nothing(path: Path, url: str) -> None:
    path.parent.mkdir()
    sql(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)", "CREATE TABLE setting (key)")
    with pytest.raises(StoreError):
        await opens(url)
    assert sql(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("alembic_version",), ("setting",)]


OLDER = REVISIONS[:-1]
SCHEMAS = Path(__file__).parent / "schemas"
"""A database of each earlier schema, as the bot of that time wrote it (``.dump`` of sqlite3)."""


def load(path: Path, revision: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))


async def holds_what_an_earlier_bot_stored(store: Store) -> None:
    assert [(turn.text, turn.reply) for turn in await store.history(CHANNEL)] == [
        ("Question 0", "An answer."),
        ("Question 1", "Half an ans"),
    ]
    assert await store.channel_model(CHANNEL) == "qwen3:8b"
    assert await store.setting("commands:1") == "abc"
    owner = await store.reply_by_message(1_300_000_000_000_000_001)
    assert owner is not None
    assert owner.prompt_id == 1_200_000_000_000_000_001
    left = await store.leftovers(at=1_760_000_011.0)
    assert [(reply.prompt.text, reply.attempts) for reply in left] == [("Question 3", 1), ("Nobody answered", 1)]


@pytest.mark.parametrize("revision", OLDER)
async def test_what_an_earlier_bot_stored_survives_the_upgrade(path: Path, url: str, revision: str) -> None:
    load(path, revision)
    async with Store.open(url) as store:
        await holds_what_an_earlier_bot_stored(store)


@pytest.mark.parametrize("revision", OLDER)
async def test_an_upgraded_schema_equals_a_created_one(path: Path, url: str, revision: str) -> None:
    load(path, revision)
    await opens(url)
    fresh = f"sqlite:///{path}.fresh"
    await opens(fresh)
    engines = [create_engine(each) for each in (url, fresh)]
    with engines[0].begin() as one, engines[1].begin() as other:
        assert described(one) == described(other)
    for engine in engines:
        engine.dispose()


def test_every_earlier_schema_has_its_database_here() -> None:
    assert sorted(file.stem for file in SCHEMAS.iterdir()) == list(OLDER)


@pytest.mark.parametrize("query", ["waiting", "open"])
async def test_the_questions_at_start_use_their_partial_index(store: Store, query: str) -> None:
    from bot.conversation import queries  # noqa: PLC0415

    statement = queries.unanswered() if query == "waiting" else queries.unfinished()

    def plan(connection: Connection) -> str:
        compiled = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all())

    assert f"_{query}" in await store._database.run(plan)


def test_a_plain_start_imports_no_alembic(url: str) -> None:
    script = (
        "import asyncio, sys\n"
        "from bot.conversation.store import Store\n"
        "async def main():\n"
        "    async with Store.open(sys.argv[1]) as store:\n"
        "        await store.setting('any')\n"
        "asyncio.run(main())\n"
        "sys.exit(any(name.split('.')[0] in {'alembic', 'mako', 'greenlet'} for name in sys.modules))\n"
    )
    for _ in range(2):  # a fresh file, then a known one
        subprocess.run([sys.executable, "-W", "error", "-c", script, url], check=True, cwd=Path(__file__).parents[2])


async def test_a_database_that_hangs_gathers_no_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_MOST_WAITING", 5)
    release = threading.Event()
    calls = [asyncio.create_task(store._database.run(lambda _: release.wait(10)))]
    calls += [asyncio.create_task(store.set_setting("k", str(number))) for number in range(20)]
    await asyncio.sleep(0.02)
    calls[1].cancel()  # goes on all the same, and counts
    with pytest.raises(StoreError, match="does not keep up: 5 calls wait"):
        await store.setting("k")
    release.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, StoreError) for outcome in outcomes) == 16
    assert await store.setting("k") == "3"
