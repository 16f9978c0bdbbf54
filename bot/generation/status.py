"""What a waiting reader is told while there is no text, and when the stop control appears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bot.generation.session import ReplySink, Session
from bot.streaming.streamer import ReplyStreamer


@dataclass(frozen=True, slots=True)
class StatusTiming:
    """When a waiting reader is told something.

    Attributes:
        status_after: seconds without text after which a status message says what is going on.
        control_after: seconds after the first text at which the stop control appears; short answers get none.
        long_after: seconds without a first word from a loaded model after which that is remarked upon.
        stalled_after: seconds without a further word after which that is, too.
    """

    status_after: float = 2.0
    control_after: float = 1.0
    long_after: float = 30.0
    stalled_after: float = 30.0


# So often is looked for something in the time after which it is told.
_LOOKS = 3

DISCORD_TIMING = StatusTiming()


class StatusTeller:
    """Times the status line and the stop control of one reply; tells, never waits.

    The elapsed time is Discord's own relative timestamp, which counts without
    edits; it counts from when the prompt was taken in.

    Attributes:
        after: the answer that comes before this one in the channel, if any: its first message is to stand above.
    """

    def __init__(
        self,
        streamer: ReplyStreamer,
        sink: ReplySink,
        *,
        timing: StatusTiming = DISCORD_TIMING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._streamer = streamer
        self._sink = sink
        self.after: Session | None = None
        self._status_after = timing.status_after
        self._control_after = timing.control_after
        self._stalled_after = timing.stalled_after
        self._clock = clock
        self._characters = 0  # when they were looked at last
        self._quiet_looks = 0
        self._stall_timer: asyncio.TimerHandle | None = None
        self._since = int(clock())
        self._words = ""
        self._is_due = False
        self._has_text = False
        self._timer = asyncio.get_running_loop().call_later(timing.status_after, self._due)

    def say(self, words: str, *, at_once: bool = False) -> None:
        """Set what is going on, for example ``waiting for llama3.2``; shown once it is due, or *at_once*."""
        if words != self._words:
            self._words = words
            self._show()
        if at_once and not self._is_due and not self._has_text:
            self._timer.cancel()
            self._due()

    def text_began(self) -> None:
        """Note that there is text: no status any more, the control in a moment."""
        if self._has_text:
            return
        self._has_text = True
        self._timer.cancel()
        self._sink.text_began()
        self._look_later()
        if not self._is_due:
            self._timer = asyncio.get_running_loop().call_later(self._control_after, self._sink.offer_stop)

    def close(self) -> None:
        """Say nothing more."""
        self._timer.cancel()
        self._has_text = True
        if self._stall_timer is not None:
            self._stall_timer.cancel()

    def _look_later(self) -> None:
        interval = self._stalled_after / _LOOKS
        self._stall_timer = asyncio.get_running_loop().call_later(interval, self._look_for_stall)

    def _look_for_stall(self) -> None:
        """Tell once that the model has written nothing for so long; costs nothing while it writes."""
        is_quiet = self._streamer.characters == self._characters
        self._quiet_looks = self._quiet_looks + 1 if is_quiet else 0
        self._characters = self._streamer.characters
        if self._quiet_looks == _LOOKS:
            since = int(self._clock() - self._stalled_after)
            self._streamer.notice(f"-# ⏳ the model's last words came <t:{since}:R>")
        self._look_later()

    def _due(self) -> None:
        if self.after is not None and not self.after.is_on_screen:
            # the first messages of a channel's answers stand in the order of its questions
            self._timer = asyncio.get_running_loop().call_later(self._status_after / _LOOKS, self._due)
            return
        self._is_due = True
        self._show()
        self._sink.offer_stop()

    def _show(self) -> None:
        if self._is_due and not self._has_text:
            how = "⏹️ or `/stop`" if self._sink.has_control else "`/stop`"
            self._streamer.status(f"-# {self._words} · asked <t:{self._since}:R> · {how} ends it")


def in_line(ahead: int, *, is_over_share: bool = False, is_held: bool = False) -> str:
    """Return the words for a prompt that waits behind *ahead* others of its channel (0: for a free place).

    With *is_over_share* its user has as many answers under way as one may have;
    with *is_held* it comes after what was asked before a restart.
    """
    if ahead == 0 and is_held:
        return "⏳ waiting for what was asked here before my restart"
    if ahead == 0 and is_over_share:
        return "⏳ waiting for one of your other answers to end"
    if ahead == 0:
        return "⏳ waiting for a free place: many answers are being written"
    if ahead == 1:
        return "⏳ next in line in this channel"
    return f"⏳ in line in this channel: {ahead} were asked before"
