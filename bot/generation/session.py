"""A reply from the question to the last word on screen: its phases, and the one way to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from bot.conversation.records import PromptRecord
from bot.streaming.streamer import ReplyStreamer, Sender

T = TypeVar("T")


class ReplySink(Protocol):
    """Where a reply is shown: what sends its text, and what surrounds it: typing, the stop control, the end."""

    @property
    def deliverer(self) -> Sender:
        """What sends its text."""
        ...

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages so far."""
        ...

    @property
    def has_control(self) -> bool:
        """Whether the stop control that `offer_stop` shows can be used there, as far as known."""
        ...

    def begin(self) -> None:
        """Show that something is being done, until there is text; returns at once."""
        ...

    def text_began(self) -> None:
        """End what `begin` shows: there is text now."""
        ...

    def offer_stop(self) -> None:
        """Show the stop control on the newest message from now on, or how else to stop; returns at once."""
        ...

    async def close(self, clicked: tuple[int, int] | None) -> None:
        """Take everything away but the text; *clicked* is who used the control (message id, user id)."""
        ...


@dataclass(frozen=True, slots=True)
class StopCause:
    """Why a reply was stopped.

    Attributes:
        words: how the closing line goes on after "stopped", for example "by Ada".
        clicked: the reaction that did it (message id, user id), to be removed.
        is_silent: nothing needs to be said if nothing is on screen yet.
        is_put_off: nobody began with it; the next start answers it.
        ends_delivery: no further message is posted, even if the model has written more.
    """

    words: str
    clicked: tuple[int, int] | None = None
    is_silent: bool = False
    is_put_off: bool = False
    ends_delivery: bool = True


class ReplyStopped(Exception):
    """Raised out of a reply's work when it is stopped."""

    def __init__(self, cause: StopCause) -> None:
        super().__init__(cause.words)
        self.cause = cause


class ReplyRestarted(Exception):
    """Raised out of a reply's work when its question has other words now."""


class Phase(Enum):
    """What is being done for a reply."""

    QUEUED = "queued"
    GENERATING = "generating"  # it has one of the model's places
    DELIVERING = "delivering"  # the model is done with it; the rest of its text goes on screen
    DONE = "done"


class Session:
    """One reply from the moment it was asked for until it is recorded.

    Attributes:
        prompt: what is answered.
        phase: what is being done; set by the queue alone.
        cause: why it was stopped, or None.
        stopped: set as soon as it is stopped.
        done: set when it is done.
        sink: where it is shown.
        streamer: what brings its text on screen.
    """

    def __init__(self, prompt: PromptRecord) -> None:
        self.prompt = prompt
        self.phase = Phase.QUEUED
        self.stopped = asyncio.Event()
        self.done = asyncio.Event()
        self._is_anew = False
        self.cause: StopCause | None = None
        self.sink: ReplySink | None = None
        self.streamer: ReplyStreamer | None = None
        self._work: asyncio.Task[Any] | None = None

    def stop(self, cause: StopCause) -> bool:
        """Stop what is being done, whatever the phase; return False if that was too late, or done already.

        A queued reply leaves the line, a generating one lets the model go, of one
        that is delivered no further message is posted.
        """
        if self.cause is not None or self.phase is Phase.DONE:
            return False
        if self.phase is Phase.DELIVERING and self.streamer is not None and not self.streamer.has_more:
            return False
        self.cause = cause
        self.stopped.set()
        if self._work is not None:
            self._work.cancel()
        return True

    def restart(self) -> bool:
        """Have the model begin anew, with the prompt as it is now; return False if it is not at it."""
        if self.phase is not Phase.GENERATING or self.cause is not None or self._work is None:
            return False
        self._is_anew = True
        self._work.cancel()
        return True

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work*; raise `ReplyStopped` as soon as the reply is stopped, `ReplyRestarted` if it is to begin anew.

        *work* is cancelled then, so it must never be inside a request to Discord.
        """
        if self.cause is not None:
            work.close()
            raise ReplyStopped(self.cause)
        task: asyncio.Task[T] = asyncio.ensure_future(work)
        self._work, self._is_anew = task, False
        try:
            result = await task
        except asyncio.CancelledError:
            interruption = self._interruption()
            if interruption is None or not task.cancelled():
                task.cancel()
                raise
            raise interruption from None
        finally:
            self._work = None
        if self._is_anew:  # it ended as it was told to
            raise ReplyRestarted
        return result

    def _interruption(self) -> ReplyStopped | ReplyRestarted | None:
        if self.cause is not None:
            return ReplyStopped(self.cause)
        return ReplyRestarted() if self._is_anew else None

    @property
    def is_on_screen(self) -> bool:
        """Whether a message of the reply can be seen, or none will come any more."""
        return self.phase is Phase.DONE or (self.streamer is not None and bool(self.streamer.messages))

    def shows(self, message_id: int) -> bool:
        """Tell whether a message is the prompt or one of the reply's."""
        return message_id in {self.prompt.message_id, self.prompt.copy_id} or self.is_message(message_id)

    def is_message(self, message_id: int) -> bool:
        """Tell whether a message is one of the reply's."""
        return self.sink is not None and message_id in self.sink.message_ids
