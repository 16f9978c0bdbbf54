"""Writes that wait for the one connection are stored together, and fail each for itself."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import event

from bot.conversation import database
from bot.conversation.store import Store
from bot.errors import StoreError
from tests.conversation.builders import a_prompt, answer, locked, record_message, rows


def counted(store: Store) -> Counter[str]:
    """What the database does from now on."""
    seen: Counter[str] = Counter()
    for name in ("commit", "rollback"):
        event.listen(store._database._engine, name, lambda _, name=name: seen.update([name]))
    return seen


async def test_what_waits_goes_into_one_transaction(store: Store) -> None:
    seen = counted(store)
    assert await asyncio.gather(*(store.add_prompt(a_prompt(number)) for number in range(50))) == [True] * 50
    assert seen == {"commit": 1}
    assert len(await store.unanswered_prompts()) == 50


async def test_more_than_two_hundred_at_once_hold_nobody_up_for_all_of_them(store: Store) -> None:
    seen = counted(store)
    await asyncio.gather(*(store.set_setting(str(number), "x") for number in range(401)))
    assert seen == {"commit": 3}


async def test_one_that_fails_costs_the_others_nothing(store: Store) -> None:
    seen = counted(store)
    calls = [store.add_prompt(a_prompt(number)) for number in range(20)]
    calls.insert(10, record_message(store, 12345, 0, nonce="of no reply"))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results.pop(10), StoreError)
    assert results == [True] * 20
    assert len(await store.unanswered_prompts()) == 20
    assert seen["rollback"] == 2  # of all, and of the one by itself


async def test_whoever_is_told_finds_it_stored(store: Store, url: str) -> None:
    async def write(number: int) -> None:
        await store.set_setting(str(number), "x")
        assert rows(url, f"SELECT value FROM setting WHERE key = '{number}'") == [("x",)]

    await asyncio.gather(*map(write, range(20)))


async def test_a_read_sees_what_was_written_before_it_and_nothing_later(store: Store) -> None:
    values = await asyncio.gather(
        store.set_setting("k", "1"), store.setting("k"), store.set_setting("k", "2"), store.setting("k")
    )
    assert values == [None, "1", None, "2"]


async def test_a_lock_is_waited_for_once_and_not_by_each(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.01)
    async with Store.open(url) as store:
        await answer(store, 10, "x")
        seen = counted(store)
        with locked(url):
            calls = [store.set_setting(str(number), "x") for number in range(10)]
            results = await asyncio.gather(*calls, store.setting("0"), return_exceptions=True)
        assert [type(each) for each in results] == [StoreError] * 10 + [type(None)]
        assert "is locked by another" in str(results[0])
        assert seen["rollback"] == 1


async def test_what_still_waits_at_the_end_is_stored(url: str) -> None:
    async with Store.open(url) as store:
        writes = [asyncio.create_task(store.set_setting(str(number), "x")) for number in range(450)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    async with Store.open(url) as store:
        assert [await store.setting(key) for key in ("0", "449")] == ["x", "x"]
