from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.conversation import database, erasure
from bot.conversation.records import Piece, PromptKind, ReplyMessage, ReplyState
from bot.conversation.store import Store
from bot.errors import StoreError
from bot.parts import Quote, QuoteKind, Text
from tests.conversation.builders import CHANNEL, NOW, a_prompt, locked, record_message
from tests.conversation.test_database import load

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a very secret word"


@pytest.fixture
async def store(store: Store) -> Store:
    store.erasure.grace = 0.0
    return store


async def turn(store: Store, message_id: int, *, pages: tuple[int, ...] = (), **changes: Any) -> int:
    """Store a whole turn whose answer is shown in *pages*; return the reply's id."""
    await store.add_prompt(a_prompt(message_id, **{"text": f"question {message_id} {SECRET}"} | changes))
    reply_id = await store.begin_reply(message_id, model="m", at=NOW)
    for ordinal, page in enumerate(pages):
        await record_message(
            store, reply_id, ordinal, nonce=f"{message_id}.{ordinal}", message_id=page, text=f"page {SECRET}"
        )
    await store.finish_reply(reply_id, state=ReplyState.COMPLETE, text=f"answer {message_id} {SECRET}", at=NOW + 1)
    return reply_id


async def gone(store: Store, *message_ids: int, **options: Any) -> None:
    """Have messages deleted, and the grace pass."""
    await withdrawn(store, *message_ids, **options)
    await asyncio.sleep(0.001)
    await store.erasure.settle()


async def withdrawn(store: Store, *message_ids: int, **options: Any) -> None:
    store.erasure.note_deleted(message_ids, **options)
    await store.erasure.settle()


async def told(store: Store) -> list[tuple[int, bool]]:
    """Which questions would be sent, and whether with an answer."""
    return [(turn.message_id, bool(turn.reply)) for turn in await store.history(CHANNEL)]


async def count(store: Store, table: str) -> int:
    rows = await store._database.run(
        lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    )
    assert isinstance(rows, int)
    return rows


def found_in_files(path: Path, words: str) -> list[str]:
    return [file.name for file in path.parent.iterdir() if words.encode() in file.read_bytes()]


# Questions


async def test_a_deleted_question_goes_with_its_answer_and_messages(store: Store) -> None:
    await turn(store, 10, pages=(100, 101))
    await turn(store, 11, pages=(102,))
    await gone(store, 10)
    assert await told(store) == [(11, True)]
    assert [await count(store, name) for name in ("prompt", "reply", "reply_message", "forgotten")] == [1, 1, 1, 1]


async def test_a_question_is_out_of_requests_before_it_is_erased_and_can_come_back(store: Store) -> None:
    store.erasure.grace = 60.0
    await turn(store, 10)
    await withdrawn(store, 10)
    assert await told(store) == []
    assert [record.text for record in store.erasure.withdrawn.values()] == [f"question 10 {SECRET}"]
    assert await store.erasure.restore(10, 999)
    assert await told(store) == [(10, True)]
    assert await count(store, "forgotten") == 0
    store.erasure.grace = 0.0
    await gone(store, 999)  # the second message of the question counts as well
    assert (await told(store), await count(store, "prompt")) == ([], 0)


async def test_what_is_erased_cannot_be_restored(store: Store) -> None:
    await turn(store, 10)
    await gone(store, 10)
    assert not await store.erasure.restore(10, 999)
    assert await told(store) == []


async def test_a_deleted_question_that_is_told_again_is_not_taken_in_for_a_day(store: Store) -> None:
    await turn(store, 10)
    await gone(store, 10)
    assert await store.take_in(a_prompt(10), model="m", at=NOW) is None
    assert await store.known_prompts([10, 11]) == {10}
    await store.erasure.tidy(now=1e12)
    assert await count(store, "forgotten") == 0


async def test_a_question_that_is_deleted_before_it_is_stored_is_never_stored(store: Store) -> None:
    await gone(store, 10, asked={10})
    assert await store.take_in(a_prompt(10), model="m", at=NOW) is None
    assert await count(store, "prompt") == 0


async def test_deleting_what_nobody_asked_leaves_no_trace(store: Store) -> None:
    await turn(store, 10, pages=(100,))
    await gone(store, *range(1000, 3500))
    assert await told(store) == [(10, True)]
    assert await count(store, "forgotten") == 0


async def test_a_running_question_keeps_its_rows_until_its_messages_are_closed(store: Store) -> None:
    await store.add_prompt(a_prompt(10, text=SECRET))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await record_message(store, reply_id, 0, nonce="n", message_id=100, text=SECRET)
    await gone(store, 10)
    [left] = await store.unfinished_replies()
    assert (left.is_deleted, left.messages[0].text) == (True, SECRET)
    await store.write_down(reply_id, piece=Piece(0, SECRET))
    await store.finish_reply(reply_id, state=ReplyState.STOPPED, text=SECRET, at=NOW)
    assert [await count(store, name) for name in ("prompt", "reply", "reply_message", "reply_piece")] == [0, 0, 0, 0]


# Answers


@pytest.mark.parametrize("page", [100, 101, 102])
async def test_one_deleted_message_of_an_answer_takes_the_answer_but_not_the_question(store: Store, page: int) -> None:
    reply_id = await turn(store, 10, pages=(100, 101, 102))
    await gone(store, page)
    assert await told(store) == [(10, False)]
    later = await store.begin_reply(10, model="m", at=NOW)  # answered once more
    await store.finish_reply(later, state=ReplyState.COMPLETE, text="anew", at=NOW)
    assert await told(store) == [(10, True)]
    assert later != reply_id


async def test_an_earlier_answer_does_not_come_in_for_a_deleted_one(store: Store) -> None:
    await turn(store, 10, pages=(100,))
    later = await store.begin_reply(10, model="m", at=NOW)
    await record_message(store, later, 0, nonce="n", message_id=200, text="anew")
    await store.finish_reply(later, state=ReplyState.COMPLETE, text="anew", at=NOW)
    await gone(store, 200)
    assert await told(store) == [(10, False)]


async def test_an_answer_that_is_deleted_while_it_runs_is_not_kept_when_it_ends(store: Store) -> None:
    await store.add_prompt(a_prompt(10))
    reply_id = await store.begin_reply(10, model="m", at=NOW)
    await record_message(store, reply_id, 0, nonce="n", message_id=100, text=SECRET)
    await gone(store, 100)
    assert await told(store) == [(10, False)]
    await store.write_down(reply_id, piece=Piece(0, SECRET))
    await store.finish_reply(reply_id, state=ReplyState.STOPPED, text=SECRET, at=NOW)
    assert await told(store) == [(10, False)]
    texts = await store._database.run(lambda c: c.exec_driver_sql("SELECT text FROM reply").scalars().all())
    assert texts == [""]


async def test_the_first_message_of_a_command_is_its_question(store: Store) -> None:
    for message_id in (10, 20):
        await turn(store, message_id, pages=(message_id * 10, message_id * 10 + 1), kind=PromptKind.ASK)
    await gone(store, 100)
    assert await count(store, "prompt") == 1
    await gone(store, 201)
    assert await count(store, "prompt") == 1
    await gone(store, 200)
    assert await count(store, "prompt") == 0


async def test_what_is_compared_with_a_channel_stands_in_it(store: Store) -> None:
    reply_id = await turn(store, 10, pages=(100,))
    dm = ReplyMessage(1, CHANNEL + 1, 101, "n", "the rest")
    await store.write_down(reply_id, messages=[dm])
    await turn(store, 20, pages=(200,), copy_id=15)  # a bare mention after the words
    await turn(store, 30, pages=(300,), copy_id=35)  # a copy in place of the original
    assert await store.erasure.messages_of([10, 20, 30]) == {10, 100, 20, 15, 200, 35, 300}


# Quotes


def a_quote(source_id: int | None, text: str = SECRET, **changes: Any) -> Quote:
    return Quote(QuoteKind.REPLY, "Ada", text, source_id, **changes)


async def test_deleting_a_message_erases_it_where_it_is_quoted_and_nothing_else(store: Store) -> None:
    words = Text("And this?")
    quoting = {
        10: (a_quote(900, is_cut=True), words),
        11: (words, a_quote(901), a_quote(900)),
        12: (a_quote(None),),
        13: (a_quote(901),),
    }
    for message_id, parts in quoting.items():
        await turn(store, message_id, parts=parts, channel_id=CHANNEL)
    await gone(store, 900)
    blank = Quote(QuoteKind.REPLY, "", "", 900, missing="it was deleted")
    stored = {turn.message_id: turn.parts for turn in await store.history(CHANNEL)}
    assert stored == quoting | {10: (blank, words), 11: (words, a_quote(901), blank)}


async def test_a_quote_goes_with_the_question_that_it_is_of(store: Store) -> None:
    await turn(store, 10, pages=(100,))
    await turn(store, 11, parts=(a_quote(10),))
    await turn(store, 12, parts=(a_quote(100),))
    await gone(store, 10)  # and the answer is not quoted any more either
    assert [[part.text for part in turn.parts] for turn in await store.history(CHANNEL)] == [[""], [""]]
    await gone(store, 12)
    assert await count(store, "quoted") == 0


# Channels and servers


async def test_a_deleted_channel_takes_its_rows_along_and_no_others(store: Store) -> None:
    await turn(store, 10, pages=(100,))
    await turn(store, 11, channel_id=CHANNEL + 1)
    await store.set_channel_model(CHANNEL, "m")
    await store.reset(CHANNEL + 1, at_message_id=5)
    store.erasure.note_channel_deleted(CHANNEL)
    await store.erasure.settle()
    assert [await count(store, name) for name in ("prompt", "reply", "reply_message", "channel")] == [1, 1, 0, 1]
    assert len(await store.history(CHANNEL + 1)) == 1


async def test_a_server_that_was_left_is_erased_after_seven_days_unless_the_bot_comes_back(store: Store) -> None:
    day = 86400.0
    for guild_id in (7, 8, 9):
        await turn(store, guild_id, guild_id=guild_id, channel_id=guild_id)
        await store.set_channel_model(guild_id, "m")
    await turn(store, 20, guild_id=None, channel_id=20)
    store.erasure.note_left(7, at=NOW)
    store.erasure.note_left(8, at=NOW)
    store.erasure.note_left(8, at=NOW + 6 * day)  # told again
    store.erasure.note_back(8)
    await store.erasure.tidy(now=NOW + 6.9 * day)
    assert await count(store, "prompt") == 4
    await store.erasure.tidy(now=NOW + 7.1 * day)
    assert await count(store, "prompt") == 3
    assert await count(store, "channel") == 2
    assert await store.setting("left:7") is None


async def test_a_complete_list_of_servers_tells_which_were_left_unheard(store: Store) -> None:
    day = 86400.0
    for guild_id in (7, 8):
        await turn(store, guild_id, guild_id=guild_id, channel_id=guild_id)
    store.erasure.note_servers([8], at=NOW)
    store.erasure.note_servers([8], at=NOW + 3 * day)  # a later start does not begin the week anew
    store.erasure.note_left(8, at=NOW)
    store.erasure.note_servers([8], at=NOW + 6 * day)
    await store.erasure.tidy(now=NOW + 7.1 * day)
    assert [row.message_id for row in await store.history(8)] == [8]
    assert await store.history(7) == []


# What is left in the files


sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""On a server, its vacuum sees to what follows."""


@sqlite_only
@pytest.mark.parametrize("how", ["question", "answer", "channel", "server"])
async def test_what_is_erased_is_found_in_none_of_the_files(store: Store, path: Path, how: str) -> None:
    for number in range(40):
        first = 1000 + 10 * number
        text = f"question {SECRET}" if number % 2 else "harmless"
        channel = CHANNEL if number % 2 else CHANNEL + 1
        await store.add_prompt(a_prompt(first, text=text, channel_id=channel, guild_id=7 if number % 2 else 8))
        reply_id = await store.begin_reply(first, model="m", at=NOW)
        words = f"{SECRET} " * 300 if number % 2 else "harmless " * 300
        for start in range(0, len(words), 500):
            await store.write_down(reply_id, piece=Piece(start, words[start : start + 500]))
            shown = ReplyMessage(0, channel, first + 1, str(first), words[: start + 500][:1900])
            await store.write_down(reply_id, messages=[shown])
        await store.finish_reply(reply_id, state=ReplyState.COMPLETE, text=words, at=NOW)
    assert found_in_files(path, SECRET)
    secret = [1000 + 10 * number for number in range(40) if number % 2]
    if how == "question":
        await gone(store, *secret)
    elif how == "answer":
        await store._database.run(lambda c: c.exec_driver_sql("UPDATE prompt SET parts = '[]'"))
        await gone(store, *(message_id + 1 for message_id in secret))
    elif how == "channel":
        store.erasure.note_channel_deleted(CHANNEL)
        await store.erasure.settle()
    else:
        store.erasure.note_left(7, at=0.0)
        await store.erasure.tidy(now=NOW)
    assert await store.erasure.scrub()
    assert found_in_files(path, SECRET) == []
    assert found_in_files(path, "harmless")


@sqlite_only
async def test_a_checkpoint_waits_for_who_reads_and_is_tried_again(store: Store, path: Path) -> None:
    await turn(store, 10)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM prompt").fetchall()
        await gone(store, 10)
        assert not await store.erasure.scrub()
        assert await store.history(CHANNEL) == []
    assert await store.erasure.scrub()
    assert found_in_files(path, SECRET) == []


@sqlite_only
async def test_it_happens_by_itself(url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "TICK_SECONDS", 0.01)
    async with Store.open(url) as store, store.erasure.at_work():
        store.erasure.grace = 0.01
        await turn(store, 10)
        await withdrawn(store, 10)
        for _ in range(500):
            if not found_in_files(path, SECRET):
                return
            await asyncio.sleep(0.01)
    raise AssertionError("it is still there")


@sqlite_only
async def test_what_a_process_withdrew_before_it_was_killed_is_erased_by_the_next(url: str, path: Path) -> None:
    async with Store.open(url) as store:
        await turn(store, 10)
        await withdrawn(store, 10)
    async with Store.open(url) as store, store.erasure.at_work():
        assert await count(store, "prompt") == 0
        assert await store.known_prompts([10]) == {10}
    assert found_in_files(path, SECRET) == []


async def test_a_closed_answer_stands_in_the_database_once(store: Store) -> None:
    await turn(store, 10, pages=(100, 101), text="q")
    rows = await store._database.run(
        lambda c: c.exec_driver_sql("SELECT text FROM reply_message UNION ALL SELECT text FROM reply_piece").all()
    )
    assert {text for (text,) in rows} == {""}


@sqlite_only
@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
async def test_an_upgrade_leaves_no_text_twice_and_nothing_removed(path: Path, url: str, revision: str) -> None:
    load(path, revision)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE reply_message SET text = ? || reply_id", (SECRET,))
        connection.execute("INSERT INTO setting VALUES ('x', ?)", (SECRET * 500,))
        connection.commit()
        connection.execute("DELETE FROM setting WHERE key = 'x'")
        connection.commit()
    async with Store.open(url) as store, store.erasure.at_work():
        assert await store.setting("rewrite") is None
        assert await store.erasure.scrub()
        assert [found_in_files(path, SECRET + end) for end in ("1", "2", SECRET)] == [[], [], []]


# A database that fails


async def test_what_could_not_be_withdrawn_is_before_anything_is_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    async with Store.open(url) as store:
        await turn(store, 10, pages=(100,))
        await turn(store, 11, pages=(110,))
        with locked(url):
            for message_id in (10, 110):
                with pytest.raises(StoreError):
                    await withdrawn(store, message_id)
            with pytest.raises(StoreError):  # rather nothing than what was deleted
                await store.history(CHANNEL)
        assert await told(store) == [(11, False)]


# Whatever happens in whatever order

MESSAGES = range(1, 7)
deeds = st.lists(
    st.tuples(
        st.sampled_from(["ask", "end", "delete", "page", "restore", "erase", "again"]), st.sampled_from(MESSAGES)
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(deeds=deeds)
def test_no_order_of_deeds_brings_back_what_was_deleted(deeds: list[tuple[str, int]]) -> None:
    asyncio.run(play(deeds))


async def play(deeds: list[tuple[str, int]]) -> None:
    """Do *deeds* on a store and on a model of it: which questions are deleted, which answers."""
    running: dict[int, int] = {}
    deleted: set[int] = set()
    unsaid: set[int] = set()
    known: set[int] = set()
    async with Store.open("sqlite://") as store:
        store.erasure.grace = 1000.0
        for deed, number in deeds:
            if deed in {"ask", "again"}:
                reply_id = await store.take_in(a_prompt(number, text=f"q{number}"), model="m", at=NOW)
                assert (reply_id is None) == (number in known)
                known.add(number)
                if reply_id is not None:
                    running[number] = reply_id
                    await record_message(
                        store, reply_id, 0, nonce=str(number), message_id=100 + number, text=f"a{number}"
                    )
            elif deed == "end" and number in running:
                await store.finish_reply(running.pop(number), state=ReplyState.COMPLETE, text=f"a{number}", at=NOW)
            elif deed == "delete":
                await withdrawn(store, number, 500 + number)
                deleted |= {number} & known
            elif deed == "page":
                await withdrawn(store, 100 + number)
                unsaid |= {number} & known
            elif deed == "restore" and number in store.erasure.withdrawn:
                assert await store.erasure.restore(number, 900 + number)
                deleted.discard(number)
            elif deed == "erase":
                store.erasure._expire(number)
            sent = {turn.message_id: turn.reply for turn in await store.history(CHANNEL)}
            assert not deleted & sent.keys()
            assert not [each for each in unsaid if sent.get(each)]
