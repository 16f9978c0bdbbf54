"""What only a server does: it goes away and comes back, ends sessions, has roles, encodings and older schemas."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, func, select, text

from bot.conversation import database
from bot.conversation.db_errors import ClaimLost
from bot.conversation.journal import Journals
from bot.conversation.migrations import upgrade
from bot.conversation.schema import metadata
from bot.conversation.store import Store
from bot.errors import StoreError
from tests.conversation.builders import CHANNEL, a_prompt, answer, connected, rows
from tests.conversation.test_database import OLDER, SCHEMAS, described, holds_what_an_earlier_bot_stored
from tests.postgresql import PostgresServer

pytestmark = pytest.mark.postgresql

OTHERS_CLAIM = f"SELECT pg_advisory_lock({0x62757262_6C65})"


@pytest.fixture
def url(postgresql: PostgresServer) -> Iterator[str]:
    with postgresql.database() as address:
        yield address


@pytest.fixture
def restarted(postgresql: PostgresServer) -> Iterator[PostgresServer]:
    """The server, running again after the test."""
    yield postgresql
    postgresql.stop()
    postgresql.start()


async def refuses_another(url: str) -> None:
    with pytest.raises(StoreError, match=r"Another bot is using the database .* already"):
        async with Store.open(url):
            pass


# One bot at a time


async def test_a_second_bot_is_refused_until_the_first_is_gone(url: str) -> None:
    async with Store.open(url):
        await refuses_another(url)
    async with Store.open(url) as store:
        await store.setting("any")


async def test_the_claim_is_taken_again_after_a_restart_of_the_server(url: str, restarted: PostgresServer) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        restarted.stop()
        restarted.start()
        assert [turn.reply for turn in await store.history(CHANNEL)] == ["x"]
        await refuses_another(url)


async def test_a_session_that_was_ended_is_made_anew_by_the_watch_alone(
    url: str, postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WATCH_SECONDS", 0.01)
    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with Store.open(url) as store:
        watch = asyncio.create_task(store.watch())
        postgresql.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'burble'", database="postgres"
        )
        async with asyncio.timeout(5):
            while rows(url, held) != [(1,)]:  # noqa: ASYNC110  # a server tells nobody
                await asyncio.sleep(0.01)  # a server tells nobody
        await refuses_another(url)
        watch.cancel()


async def test_who_finds_another_bot_on_the_database_is_told_and_stores_nothing_more(
    url: str, restarted: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WATCH_SECONDS", 0.01)
    async with Store.open(url) as store:
        await store.add_prompt(a_prompt(10))
        restarted.stop()
        restarted.start()
        with connected(url) as other:
            other.execute(text(OTHERS_CLAIM))
            with pytest.raises(ClaimLost, match="Another bot"):
                await store.watch()
            other.rollback()
        with pytest.raises(ClaimLost):  # what that one did is not known
            await store.add_prompt(a_prompt(11))
        assert rows(url, "SELECT message_id FROM prompt") == [(10,)]


async def test_a_prompt_is_left_to_the_bot_that_took_the_database(url: str, restarted: PostgresServer) -> None:
    async with Store.open(url) as store:
        restarted.stop()
        restarted.start()
        with connected(url) as other:
            other.execute(text(OTHERS_CLAIM))
            assert await Journals(store).begin(a_prompt(10)) is None


class Network:
    """Stands between a store and its server, and can lose a connection without telling the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pipes: set[asyncio.Task[None]] = set()
        self._clients: list[asyncio.StreamWriter] = []
        self._servers: list[asyncio.StreamWriter] = []

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        self._clients.append(writer)
        self._servers.append(to_server)
        for source, target in ((reader, to_server), (from_server, writer)):
            self._pipes.add(asyncio.create_task(self._pipe(source, target)))

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)

    def lose(self) -> None:
        for writer in self._clients:
            writer.transport.abort()

    async def close(self) -> None:
        for writer in (*self._clients, *self._servers):
            writer.transport.abort()
        await asyncio.gather(*self._pipes)


async def test_a_session_that_only_the_server_still_knows_does_not_keep_its_own_bot_off(
    url: str, postgresql: PostgresServer
) -> None:
    network = Network(postgresql.port)
    async with await asyncio.start_server(network.connect, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with Store.open(url.replace(str(postgresql.port), str(port))) as store:
            await answer(store, 10, "x")
            network.lose()
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'burble%'"
            assert rows(url, sessions) == [(1,)]
            assert [turn.reply for turn in await store.history(CHANNEL)] == ["x"]
            assert rows(url, sessions) == [(1,)]
        await network.close()


# A server that is away


async def test_while_the_server_is_away_calls_fail_at_once_and_work_when_it_is_back(
    url: str, restarted: PostgresServer
) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        restarted.stop()
        began = time.monotonic()
        calls = [call for number in range(50) for call in (store.set_setting(str(number), "v"), store.setting("0"))]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreError}
        assert "127.0.0.1" in str(outcomes[0])
        assert time.monotonic() - began < 2.0
        restarted.start()
        await answer(store, 11, "y")
        assert [turn.reply for turn in await store.history(CHANNEL)] == ["x", "y"]


async def test_a_server_that_ends_in_the_middle_of_a_transaction_costs_that_one_alone(
    url: str, restarted: PostgresServer
) -> None:
    async with Store.open(url) as store:

        def work(connection: database.Connection) -> None:
            connection.execute(text("INSERT INTO setting VALUES ('k', 'v')"))
            restarted.stop()
            restarted.start()
            connection.execute(text("SELECT 1"))

        with pytest.raises(StoreError):
            await store._database.run(work)
        assert await store.setting("k") is None
        await answer(store, 11, "y")


async def test_a_statement_that_fails_poisons_no_other(store: Store) -> None:
    async def wrong(number: int) -> None:
        with suppress(StoreError):
            await store._database.run(lambda connection: connection.execute(text(f"SELECT {number} / 0")))

    for number in range(20):
        await asyncio.gather(wrong(number), store.set_setting(str(number), "v"), wrong(number))
        assert await store.setting(str(number)) == "v"


async def test_an_error_of_the_server_holds_nobodys_words(store: Store) -> None:
    words = "a secret"
    with pytest.raises(StoreError) as caught:
        await store._database.run(
            lambda connection: connection.execute(text("INSERT INTO setting (value) VALUES (:words)"), {"words": words})
        )
    told = "".join(traceback.format_exception(caught.value))
    assert 'null value in column "key"' in told
    assert words not in told


# What cannot be used


async def test_a_server_that_is_away_at_the_start_says_so(url: str, restarted: PostgresServer) -> None:
    restarted.stop()
    with pytest.raises(StoreError, match=r"cannot be used: .*127\.0\.0\.1.*refused"):
        async with Store.open(url):
            pass


async def test_a_database_that_is_not_there_says_so(url: str) -> None:
    with pytest.raises(StoreError, match='database "burble_none" does not exist'):
        async with Store.open(url.rpartition("/")[0] + "/burble_none"):
            pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER SCHEMA public OWNER TO postgres", "belongs to another role"),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "is read-only"),
        ("CREATE TABLE notes (words text); GRANT ALL ON notes TO burble", "holds other tables"),
    ],
)
async def test_a_database_that_cannot_be_used_says_why(
    url: str, postgresql: PostgresServer, change: str, words: str
) -> None:
    name = url.rpartition("/")[2]
    postgresql.sql(change.format(name=name), database=name)
    with pytest.raises(StoreError, match=words):
        async with Store.open(url):
            pass


async def test_a_database_that_cannot_hold_every_character_is_refused(url: str, postgresql: PostgresServer) -> None:
    postgresql.sql(
        "CREATE DATABASE burble_latin OWNER burble ENCODING LATIN1 TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    with pytest.raises(StoreError, match=r"has the encoding LATIN1.*createdb --encoding=UTF8"):
        async with Store.open(url.rpartition("/")[0] + "/burble_latin"):
            pass
    postgresql.sql("DROP DATABASE burble_latin")


async def test_a_copy_of_pg_dump_is_taken_of_a_running_bot_and_put_back_with_psql(
    url: str, postgresql: PostgresServer, tmp_path: Path
) -> None:
    async with Store.open(url) as store:
        await answer(store, 10, "x", text="🎉")
        copy = tmp_path / "copy.sql"
        postgresql.program("pg_dump", f"--file={copy}", url)
    with postgresql.database() as other:
        postgresql.program("psql", "--set=ON_ERROR_STOP=1", f"--file={copy}", other)
        async with Store.open(other) as store:
            assert [(turn.text, turn.reply) for turn in await store.history(CHANNEL)] == [("🎉", "x")]
            await answer(store, 11, "y")  # ids go on where they were


# Older schemas


def load(url: str, revision: str, directory: Path) -> None:
    """Bring a database to an earlier revision, with what the bot of that time wrote in it."""
    with closing(sqlite3.connect(directory / "old.db")) as connection:
        connection.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))
    source = create_engine(f"sqlite:///{directory / 'old.db'}")
    target = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with source.begin() as old, target.begin() as new:
        upgrade(new, revision)
        tables = MetaData()
        tables.reflect(new)
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            new.execute(table.delete())  # a migration may have put something there
            columns = {column.name for column in table.columns}
            found: list[dict[str, Any]] = [
                {key: bool(value) if key.startswith("is_") else value for key, value in row._mapping.items()}
                for row in old.execute(text(f"SELECT {', '.join(sorted(columns))} FROM {table.name}"))
            ]
            if found:
                new.execute(table.insert(), found)
        new.execute(
            select(func.setval("reply_id_seq", select(func.max(tables.tables["reply"].c.id)).scalar_subquery()))
        )
    source.dispose()
    target.dispose()


@pytest.mark.parametrize("revision", OLDER)
async def test_what_an_earlier_bot_stored_survives_the_upgrade(url: str, revision: str, tmp_path: Path) -> None:
    load(url, revision, tmp_path)
    async with Store.open(url) as store:
        await holds_what_an_earlier_bot_stored(store)


@pytest.mark.parametrize("revision", OLDER)
async def test_an_upgraded_schema_equals_a_created_one(
    url: str, revision: str, postgresql: PostgresServer, tmp_path: Path
) -> None:
    load(url, revision, tmp_path)
    with postgresql.database() as fresh:
        for address in (url, fresh):
            async with Store.open(address):
                pass
        with connected(url) as one, connected(fresh) as other:
            assert described(one) == described(other)
            assert set(metadata.tables) < set(described(one))


async def test_an_upgrade_that_fails_changes_nothing(url: str, tmp_path: Path) -> None:
    load(url, OLDER[0], tmp_path)
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE reply_piece (x int)"))  # stands in the way of a migration
        connection.commit()
        before = described(connection)
    with pytest.raises(StoreError):
        async with Store.open(url):
            pass
    with connected(url) as connection:
        assert described(connection) == before
