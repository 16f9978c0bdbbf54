"""Recognises a model that answers nobody although it is loaded.

When a client leaves in the middle of an answer, Ollama may keep the place that
the answer held (``llm/llama_server.go``: a send on a channel that nobody reads
any more, with the runner's semaphore held). With one place per model, the
default, every later request then waits until the model is unloaded.

From outside that looks like a model that is busy with somebody else, so this
is slow to judge: several questions must have waited for long, one after the
other or side by side, with not a byte for any of ours in between. And it only
tells. Unloading by ourselves would wait for the very requests that hang, and
would cost other clients of that server their model if we were wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.ollama.names import canonical_name

# Evidence of before that is worth nothing: by then the model was unloaded, or somebody helped it.
_STALE_SECONDS = 3600.0


@dataclass(slots=True, eq=False)
class Wait:
    """One request that waits for a model's first byte, then reads its answer."""

    model: str
    since: float
    is_answered: bool = False


@dataclass(slots=True)
class _Silence:
    """What is known of one model."""

    waits: set[Wait] = field(default_factory=set)
    given_up: list[float] = field(default_factory=list)  # when those began that left unanswered
    reading: int = 0
    heard_at: float = float("-inf")
    is_told: bool = False


class StuckModelWatch:
    """Counts who waits in vain, per model. Pure: the caller says what happens.

    *after* is how long (seconds) a question waits before it counts, and *waits*
    how many must; the whole silence must be twice *after*.
    """

    def __init__(self, *, after: float = 300.0, waits: int = 2, clock: Callable[[], float] = time.monotonic) -> None:
        self.after = after
        self._least = waits
        self._clock = clock
        self._models: dict[str, _Silence] = {}

    def asked(self, model: str) -> Wait:
        """Note that *model* was asked; every wait ends with `left`."""
        key = canonical_name(model)
        wait = Wait(key, self._clock())
        self._models.setdefault(key, _Silence()).waits.add(wait)
        return wait

    def answered(self, wait: Wait) -> None:
        """Note a first byte: the model answers."""
        if not wait.is_answered:
            wait.is_answered = True
            silence = self._models[wait.model]
            silence.reading += 1
            self._heard(silence)

    def left(self, wait: Wait) -> None:
        """Note that a request is over, answered or not."""
        silence = self._models[wait.model]
        silence.waits.discard(wait)
        if wait.is_answered:
            silence.reading -= 1
            self._heard(silence)
        elif self._clock() - self._begin(silence, wait) >= self.after:
            silence.given_up.append(self._begin(silence, wait))
        if not silence.waits and not silence.given_up:
            del self._models[wait.model]

    def is_stuck(self, model: str) -> bool:
        """Tell whether everything so far speaks for a lost place; whether the model is loaded is yours to ask."""
        silence = self._models.get(canonical_name(model))
        if silence is None or silence.reading:
            return False
        now = self._clock()
        silence.given_up = [began for began in silence.given_up if now - began < _STALE_SECONDS]
        waiting = [self._begin(silence, wait) for wait in silence.waits]
        begun = [began for began in waiting if now - began >= self.after] + silence.given_up
        return len(begun) >= self._least and now - min(begun) >= 2 * self.after

    def is_asked(self, model: str) -> bool:
        """Tell whether a question of ours is open there, answered just now or not yet."""
        silence = self._models.get(canonical_name(model))
        return silence is not None and bool(silence.waits)

    def tell_once(self, model: str) -> bool:
        """Return True the first time, until the model answers again."""
        silence = self._models[canonical_name(model)]
        is_news, silence.is_told = not silence.is_told, True
        return is_news

    def _heard(self, silence: _Silence) -> None:
        silence.heard_at = self._clock()
        silence.given_up.clear()
        silence.is_told = False

    @staticmethod
    def _begin(silence: _Silence, wait: Wait) -> float:
        """Return since when a wait counts: while others were answered it was only in line."""
        return max(wait.since, silence.heard_at)
