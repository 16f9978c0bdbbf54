"""Group commit: whatever waits for the database's one connection goes into one transaction.

A commit costs more than most of what it stores, and so does each change of
threads. While one transaction is under way the next calls pile up; they are
stored together, each caller hears of its own, and one that fails costs the
others nothing but a transaction each.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bot.conversation.db_errors import is_away, is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

_MOST = 200  # calls in one transaction: nobody waits for much more than their own


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    is_read: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """Runs calls in order in the one thread of *threads*, writes that wait together in one transaction of *engine*."""

    def __init__(self, engine: Engine, threads: Executor) -> None:
        self._engine = engine
        self._threads = threads
        self._waiting: deque[_Call] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, work: Callable[[Connection], T], *, is_read: bool = False) -> asyncio.Future[T]:
        """Line *work* up; the future has its result once that is stored, or what it failed with.

        A write may be run a second time after the first was rolled back, so it
        changes nothing but the database.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(work, future, is_read))
        if self._idle.is_set():
            self._idle.clear()
            # not at once: who else calls in this round of the loop comes along
            asyncio.get_running_loop().call_soon(self._next)
        return future

    async def drained(self) -> None:
        """Wait until nothing is left to be done."""
        await self._idle.wait()

    def _next(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
        working = asyncio.get_running_loop().run_in_executor(self._threads, self._work_off, calls)
        working.add_done_callback(lambda done: self._tell(calls, done.result()))

    def _tell(self, calls: Iterable[_Call], outcomes: Iterable[_Outcome]) -> None:
        for call, outcome in zip(calls, outcomes, strict=True):
            if call.future.cancelled():
                continue
            if outcome.error is not None:
                call.future.set_exception(outcome.error)
            else:
                call.future.set_result(outcome.result)
        if self._waiting:
            self._next()
        else:
            self._idle.set()

    # ------------------------------------------------------------ in the thread

    def _work_off(self, calls: Iterable[_Call]) -> list[_Outcome]:
        """Do *calls* in order, neighbouring writes together; return what became of each."""
        groups: list[list[Callable[[Connection], Any]]] = []
        for is_read, some in itertools.groupby(calls, lambda call: call.is_read):
            works = [call.work for call in some]
            groups += [[work] for work in works] if is_read else [works]
        return self._in_turn(groups)

    def _in_turn(self, groups: Iterable[list[Callable[[Connection], Any]]]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        for works in groups:
            if outcomes and is_away(outcomes[-1].error):  # the others do not wait for it each
                outcomes += outcomes[-1:] * len(works)
            else:
                outcomes += self._together(works)
        return outcomes

    def _together(self, works: list[Callable[[Connection], Any]]) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                results = [work(connection) for work in works]
        except Exception as error:  # noqa: BLE001 - it is the callers'
            if len(works) == 1 or is_locked(error) or is_away(error):
                return [_Outcome(error=error)] * len(works)
            return self._in_turn([work] for work in works)
        return [_Outcome(result) for result in results]
