"""The one way to stop a reply."""

from __future__ import annotations

import asyncio

import pytest

from bot.conversation.records import PromptRecord
from bot.generation.session import ReplyStopped, Session, StopCause
from bot.parts import Text

BY_ADA = StopCause(" by Ada")


@pytest.fixture
def reply() -> Session:
    return Session(PromptRecord(1, 2, None, 3, "Ada", (Text("Hi"),), 0.0))


async def test_work_that_is_not_stopped_returns_its_result(reply: Session) -> None:
    assert await reply.unless_stopped(asyncio.sleep(0, "done")) == "done"


async def test_stopping_ends_the_work_at_once_and_says_why(reply: Session) -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    asyncio.get_running_loop().call_later(0.01, reply.stop, BY_ADA)
    with pytest.raises(ReplyStopped) as stopped:
        await asyncio.wait_for(reply.unless_stopped(work()), 1)
    assert stopped.value.cause is BY_ADA
    assert cleaned.is_set()


async def test_work_that_was_stopped_before_never_begins(reply: Session) -> None:
    reply.stop(BY_ADA)

    async def work() -> None:
        pytest.fail("it began")

    with pytest.raises(ReplyStopped):
        await reply.unless_stopped(work())


def test_only_the_first_cause_counts(reply: Session) -> None:
    assert reply.stop(BY_ADA)
    assert not reply.stop(StopCause(" by Grace"))
    assert reply.cause is BY_ADA


async def test_an_error_of_the_work_comes_through(reply: Session) -> None:
    async def work() -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await reply.unless_stopped(work())


async def test_a_cancel_from_outside_is_a_cancel_and_ends_the_work(reply: Session) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(reply.unless_stopped(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_stop_after_the_work_is_done_harms_nothing(reply: Session) -> None:
    await reply.unless_stopped(asyncio.sleep(0))
    assert reply.stop(BY_ADA)
