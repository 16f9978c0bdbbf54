from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from bot.conversation.journal import Journals, ReplyJournal, StoreHealth
from bot.conversation.records import PromptKind, ReplyEnd, ReplyMessage, ReplyState
from bot.errors import StoreError
from tests.conversation.builders import CHANNEL, a_prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.conversation.records import UnfinishedReply
    from bot.conversation.store import Store


@pytest.fixture
async def journals(store: Store) -> AsyncIterator[Journals]:
    made = Journals(store, health=StoreHealth(patience=0.05), flush_every=0.02)
    yield made
    await made.drain(1.0)


async def begun(journals: Journals, message_id: int = 10) -> ReplyJournal:
    journal = await journals.begin(a_prompt(message_id))
    assert journal is not None
    return journal


async def only(store: Store) -> UnfinishedReply:
    [reply] = await store.unfinished_replies()
    return reply


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110  # a database tells nobody
            await asyncio.sleep(0.005)  # a database tells nobody


async def note(journal: ReplyJournal, text: str, message_id: int | None = 500, ordinal: int = 0) -> None:
    await journal.note(ReplyMessage(ordinal, CHANNEL, message_id, f"n{ordinal}", text))


def broken(store: Store, monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("The disk is full.")

    for method in methods:
        monkeypatch.setattr(store, method, refuse)


# What is written, and when


async def test_what_the_model_wrote_is_stored_before_a_request_shows_it(store: Store, journals: Journals) -> None:
    journal = await begun(journals)
    journal.append("Hel")
    journal.append("lo")
    await note(journal, "Hello ▌")
    reply = await only(store)
    assert reply.text == "Hello"
    assert reply.messages == (ReplyMessage(0, CHANNEL, 500, "n0", "Hello ▌"),)


async def test_text_is_stored_without_a_request_too(store: Store, journals: Journals) -> None:
    journal = await begun(journals)
    journal.append("Discord is slow")

    async def is_stored() -> bool:
        return (await only(store)).text == "Discord is slow"

    await until(is_stored)


async def test_each_part_is_written_once_however_long_the_answer_is(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    usual = store.write_down

    async def write_down(reply_id: int, **more: Any) -> None:
        written.append(len(more["piece"].text) if more.get("piece") else 0)
        await usual(reply_id, **more)

    monkeypatch.setattr(store, "write_down", write_down)
    journal = await begun(journals)
    for _ in range(200):
        journal.append("x" * 1000)
        await note(journal, "x")
    assert sum(written) == 200_000
    assert (await only(store)).text == "x" * 200_000


async def test_an_ending_replaces_the_parts_and_leaves_the_reply_open(store: Store, journals: Journals) -> None:
    journal = await begun(journals)
    journal.append("who")
    await note(journal, "who ▌")
    journal.append("le")
    journal.end(ReplyEnd(ReplyState.COMPLETE, "whole", footer="-# ✂️", at=5.0, model="m", reply_tokens=3))
    await journal.settle()
    reply = await only(store)
    assert (reply.state, reply.text, reply.footer, reply.model) == (ReplyState.COMPLETE, "whole", "-# ✂️", "m")
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["whole"]
    await journal.close(is_shown=True)
    assert await store.unfinished_replies() == []


async def test_a_reply_that_could_not_be_shown_stays_open(store: Store, journals: Journals) -> None:
    journal = await begun(journals)
    journal.end(ReplyEnd(ReplyState.FAILED, "half"))
    await journal.close(is_shown=False)
    assert (await only(store)).state is ReplyState.FAILED


async def test_a_known_prompt_gets_no_journal_in_this_process_or_the_next(store: Store, journals: Journals) -> None:
    await begun(journals)
    assert await journals.begin(a_prompt(10)) is None
    assert await Journals(store).begin(a_prompt(10)) is None
    assert len(await store.unfinished_replies()) == 1


async def test_a_reopened_journal_goes_on_with_the_stored_reply(store: Store, journals: Journals) -> None:
    reply_id = await store.take_in(a_prompt(10, kind=PromptKind.ASK), model="m", at=0)
    assert reply_id is not None
    await store.begin_again(reply_id)
    journal = journals.reopen(a_prompt(10), reply_id)
    journal.append("Now")
    await note(journal, "Now")
    reply = await only(store)
    assert (reply.reply_id, reply.text, reply.attempts) == (reply_id, "Now", 2)


# A store that fails or hangs


async def test_a_failing_store_costs_nothing_but_the_record(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken(store, monkeypatch, "take_in", "write_down")
    for message_id in range(10, 20):
        journal = await begun(journals, message_id)
        journal.append("text")
        await note(journal, "text")
        journal.end(ReplyEnd(ReplyState.COMPLETE, "text"))
        await journal.close(is_shown=True)
    assert caplog.text.count("Conversations are not being stored") == 1
    assert "The disk is full." in caplog.text
    assert await journals.begin(a_prompt(10)) is None  # a redelivered event is known all the same


async def test_what_failed_is_stored_once_the_store_works(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.conversation.journal._RETRY_SECONDS", 0.02)
    with monkeypatch.context() as patch:
        broken(store, patch, "write_down")
        journal = await begun(journals)
        journal.append("one ")
        await note(journal, "one ▌")
        journal.append("two")
        await note(journal, "one two ▌")

    async def is_stored() -> bool:
        return (await only(store)).text == "one two"

    await until(is_stored)
    assert [message.text for message in (await only(store)).messages] == ["one two ▌"]
    assert "The database works again" in caplog.text


def test_a_store_that_comes_and_goes_is_logged_once_a_minute_each_way(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    health = StoreHealth(clock=lambda: now)
    for _ in range(10):
        health.failed(StoreError("The disk is full."))
        now += 5.0
        health.worked()
    assert caplog.text.count("Conversations are not being stored") == 1
    assert caplog.text.count("The database works again") == 1


async def test_a_stuck_store_is_waited_for_once(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journals.health.patience = 5.0  # a slow machine is no stuck store
    journal, other = await begun(journals, 10), await begun(journals, 11)
    journals.health.patience = 0.05
    release = asyncio.Event()
    usual = store.write_down
    calls = []

    async def hang(reply_id: int, **more: Any) -> None:
        calls.append(reply_id)
        await release.wait()
        await usual(reply_id, **more)

    monkeypatch.setattr(store, "write_down", hang)
    began = time.monotonic()
    for number in range(100):
        journal.append(f"{number} ")
        await note(journal, "x")
        await note(other, "x")
    await asyncio.sleep(0)
    assert time.monotonic() - began < 1.0  # one patience of 0.05 s, not two hundred
    assert len(calls) == 2  # nothing piles up behind a store that hangs: one call for each reply
    with pytest.raises(StoreError, match="in time"):
        await journals.health.read(store.channel_model(CHANNEL))
    assert caplog.text.count("does not answer in time") == 1
    release.set()
    await journals.drain(2.0)
    assert [reply.text for reply in await store.unfinished_replies()] == ["".join(f"{n} " for n in range(100)), ""]


async def test_a_prompt_taken_in_late_is_recorded_with_its_answer(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    usual = store.take_in

    async def late(*arguments: Any, **more: Any) -> int | None:
        await release.wait()
        return await usual(*arguments, **more)

    monkeypatch.setattr(store, "take_in", late)
    journal = await begun(journals)
    journal.append("text")
    await note(journal, "text")
    journal.end(ReplyEnd(ReplyState.COMPLETE, "text"))
    await journal.close(is_shown=True)
    assert await store.unfinished_replies() == []
    release.set()
    await journals.drain(2.0)
    assert [turn.reply for turn in await store.history(CHANNEL)] == ["text"]
    assert await store.unfinished_replies() == []


async def test_endings_that_wait_for_a_store_are_bounded(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.conversation.journal._OVERDUE", 5)
    broken(store, monkeypatch, "take_in")
    for message_id in range(10, 20):
        journal = await begun(journals, message_id)
        journal.end(ReplyEnd(ReplyState.COMPLETE, "text"))
        await journal.close(is_shown=True)
    assert len(journals._dirty) <= 6
    assert "A reply to prompt 10 could not be stored" in caplog.text


async def test_a_bug_in_writing_is_logged_and_costs_no_reply(
    store: Store, journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    journal = await begun(journals)
    monkeypatch.setattr(store, "write_down", fail)
    await note(journal, "text")
    assert "The journal of reply 1 failed" in caplog.text
