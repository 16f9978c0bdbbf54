"""Keeps the bot's process running: starts it, restarts it on request or after a crash, ends it in time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["BotProcess", "BotState"]

_KEPT_LINES = 200
_LONGEST_LINE = 2000
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_STEADY_SECONDS = 30.0  # a process that lived so long did not crash "again"
_EXIT_SETTINGS = 2
# The bot logs a real page of Discord's, for an application that exists in here alone.
_NOT_IN_HERE = "Invite: https://discord.com/"
_MARGIN_SECONDS = 2.0  # within which the bot promises to be gone after its grace


class BotState(StrEnum):
    """What the bot's process is doing."""

    CONNECTING = "connecting"
    ONLINE = "online"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    CRASHED = "crashed"
    STOPPED = "stopped"


class BotProcess:
    """Supervises one process; `run` returns when `stop` was called and the process is gone.

    Args:
        command: the program and its arguments.
        env: its whole environment.
        changed: called whenever `state`, `detail` or `log` changed.
        grace: seconds for which it lets running replies go on when it is told to stop.
        margin: seconds after those until it is killed.

    Attributes:
        detail: why it is in its state, in a sentence, or "".
        log: the last lines of its output.
        starts: how often it was started.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        changed: Callable[[], None],
        *,
        grace: float = 8.0,
        margin: float = _MARGIN_SECONDS,
    ) -> None:
        self.detail = ""
        self.log: deque[str] = deque(maxlen=_KEPT_LINES)
        self.starts = 0
        self._state = BotState.CONNECTING
        self._command = command
        self._env = env
        self._changed = changed
        self._grace = grace
        self._patience = grace + margin
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = asyncio.Event()  # a restart or the end is wanted
        self._stopping = False

    @property
    def state(self) -> BotState:
        """What it is doing."""
        return self._state

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    def connected(self, online: bool) -> None:
        """Note whether the bot has a connection to the loopback Discord."""
        if self.running and self._state not in {BotState.RESTARTING, BotState.STOPPING}:
            self._become(BotState.ONLINE if online else BotState.CONNECTING)

    def restart(self) -> None:
        """Stop the process and start it anew; if it waits after a crash, start it now."""
        if not self._stopping:
            self._become(BotState.RESTARTING, self._waiting())
            self._wanted.set()

    def stop(self) -> None:
        """End the process and `run`."""
        self._stopping = True
        if self.running:
            self._become(BotState.STOPPING, self._waiting())
        self._wanted.set()

    def kill(self) -> None:
        """End the process at once."""
        if self.running and self._process is not None:
            self._process.kill()

    async def run(self) -> None:
        """Keep the process running until `stop`."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while not self._stopping:
            self._wanted.clear()
            started = loop.time()
            code = await self._run_once()
            if self._stopping:
                break
            if self._wanted.is_set():
                continue
            pause = _FIRST_PAUSE if loop.time() - started > _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE)
            await self._after_crash(code, pause)
        self._become(BotState.STOPPED)

    async def _run_once(self) -> int:
        """Start the process and wait for its end, or end it if that is wanted; return its exit code."""
        self.starts += 1
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env=dict(self._env),
            # nothing comes this way; its end tells the bot that we were killed
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in the terminal is for us; the bot gets its SIGTERM from here.
            start_new_session=True,
        )
        self._become(BotState.CONNECTING)
        reader = asyncio.create_task(self._read(process), name="bot-output")
        ended = asyncio.create_task(process.wait(), name="bot-process")
        wanted = asyncio.create_task(self._wanted.wait(), name="bot-wanted")
        try:
            await asyncio.wait((ended, wanted), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(process)
            return await ended
        finally:
            if not ended.done():
                self.kill()
            wanted.cancel()
            # What the process leaves behind may hold its output open.
            await asyncio.wait((reader,), timeout=0.5)
            reader.cancel()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._patience):
                await process.wait()
        except TimeoutError:
            self._note(f"It did not stop within {self._patience:g} s and was killed.")
            self.kill()

    async def _after_crash(self, code: int, pause: float) -> None:
        if code == _EXIT_SETTINGS:
            self._become(BotState.CRASHED, "It refuses its settings; the log says which.")
            await self._wanted.wait()
            return
        words = f"{_ending(code)}; starting again in {pause:g} s."
        self._note(words)
        self._become(BotState.CRASHED, words)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wanted.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None, "it was opened as a pipe"
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond asyncio's limit; its rest comes as further lines
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip("\r\n")
            if _NOT_IN_HERE not in text:
                self._note(text)

    def _note(self, line: str) -> None:
        self.log.append(line[:_LONGEST_LINE])
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"  bot │ {line}\n")
        self._changed()

    def _waiting(self) -> str:
        return f"Waiting up to {self._grace:g} s for running replies." if self._grace and self.running else ""

    def _become(self, state: BotState, detail: str = "") -> None:
        if (state, detail) != (self._state, self.detail):
            self._state, self.detail = state, detail
            self._changed()


def _ending(code: int) -> str:
    """Say how a process ended, by its exit code; a negative one is the signal that ended it."""
    if code == 0:
        return "It ended by itself"
    if code > 0:
        return f"It ended with code {code}"
    with contextlib.suppress(ValueError):
        number = signal.Signals(-code)
        return "It was killed" if number.name == "SIGKILL" else f"It was ended by {number.name}"
    return f"It was ended by signal {-code}"
