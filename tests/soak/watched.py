"""The bot as always, but on SIGUSR1 it tells on stdout what it holds, as one line of JSON.

On SIGUSR2 it tells on stderr where each of its tasks waits.

``python -m tests.soak.watched run``, in place of ``python -m bot run``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from bot.__main__ import main


def _on_signal(number: int, _frame: FrameType | None) -> None:
    # between two steps of whatever runs: the loop does it when that has come to a rest
    asyncio.get_running_loop().call_soon_threadsafe(_tell if number == signal.SIGUSR1 else _tell_stacks)


def _tell() -> None:
    tasks = Counter(_name(task) for task in asyncio.all_tasks())
    print(json.dumps({"tasks": tasks, "threads": threading.active_count(), "objects": len(gc.get_objects())}))
    sys.stdout.flush()


def _tell_stacks() -> None:
    for task in asyncio.all_tasks():
        places = (code.co_qualname for code in _waiting(task.get_coro()))
        print(f"{_name(task)} waits in {' > '.join(places)}", file=sys.stderr, flush=True)


def _waiting(coroutine: Any) -> Iterator[CodeType]:
    """Return what a coroutine waits in, from itself inwards; `asyncio.Task.get_stack` knows the outermost only."""
    while coroutine is not None:
        kind = next((kind for kind in ("cr", "ag") if hasattr(coroutine, f"{kind}_code")), None)
        if kind is None:
            return
        yield getattr(coroutine, f"{kind}_code")
        coroutine = getattr(coroutine, f"{kind}_await")


def _name(task: asyncio.Task[object]) -> str:
    coroutine = task.get_coro()
    made_up = re.fullmatch(r"Task-\d+", task.get_name())
    return str(getattr(coroutine, "__qualname__", coroutine)) if made_up else re.sub(r"\d+", "N", task.get_name())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _on_signal)
    signal.signal(signal.SIGUSR2, _on_signal)
    sys.exit(main())
