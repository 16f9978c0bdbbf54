"""The bot as always, but on SIGUSR1 it tells on stdout what it holds, as one line of JSON.

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
from types import FrameType

from bot.__main__ import main


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    # between two steps of whatever runs: the loop does it when that has come to a rest
    asyncio.get_running_loop().call_soon_threadsafe(_tell)


def _tell() -> None:
    tasks = Counter(_name(task) for task in asyncio.all_tasks())
    print(json.dumps({"tasks": tasks, "threads": threading.active_count(), "objects": len(gc.get_objects())}))
    sys.stdout.flush()


def _name(task: asyncio.Task[object]) -> str:
    coroutine = task.get_coro()
    made_up = re.fullmatch(r"Task-\d+", task.get_name())
    return str(getattr(coroutine, "__qualname__", coroutine)) if made_up else re.sub(r"\d+", "N", task.get_name())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _on_signal)
    sys.exit(main())
