"""When to stop: on SIGTERM or Ctrl-C, or when whoever started the bot is gone; and by when at the latest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_SETTINGS, EXIT_HUNG = 0, 1, 2, 3


class Stop(asyncio.Event):
    """Set when the bot is to stop.

    Attributes:
        grace: seconds that running replies get then.
    """

    def __init__(self, grace: float) -> None:
        super().__init__()
        self.grace = grace


@contextlib.contextmanager
def listening(stop: Stop, *, margin: float, with_input: bool = False) -> Iterator[None]:
    """Set *stop* on the first SIGTERM or Ctrl-C; the second ends the process at once.

    *with_input* sets it at the end of standard input as well, without grace:
    a parent that holds the other end of that pipe was killed, and what it
    showed is gone. Whatever hangs on the way out, the process ends *margin*
    seconds after the grace: with `EXIT_HUNG`, or with `EXIT_OK` if everything
    was closed and only a thread is left, in which a name may be looked up.
    """
    loop = asyncio.get_running_loop()
    closed = threading.Event()

    def begin() -> None:
        stop.set()
        # a thread, for a loop that is stuck calls nothing
        watchdog = threading.Timer(stop.grace + margin, _end_by_force, (closed,))
        watchdog.daemon = True
        watchdog.start()

    def on_signal() -> None:
        if stop.is_set():
            log.warning("Stopped at once")
            os._exit(EXIT_FAILED)
        begin()

    def on_end_of_input() -> None:
        if not stop.is_set():
            log.warning("Whoever started this bot is gone")
            stop.grace = 0.0
            begin()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))
    if with_input:
        # a thread works on every system and with every kind of input; nobody waits for it
        threading.Thread(target=_await_end_of_input, args=(loop, on_end_of_input), daemon=True).start()
    yield
    closed.set()


def _end_by_force(closed: threading.Event) -> None:
    if not closed.is_set():  # not by the log: what hangs may hold its lock
        os.write(2, b"burble: the stop hung, so the process was ended by force (exit code 3)\n")
    os._exit(EXIT_OK if closed.is_set() else EXIT_HUNG)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):  # none at all is an end, too
        while os.read(sys.stdin.fileno() if sys.stdin else -1, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: we were stopping already
        loop.call_soon_threadsafe(then)
