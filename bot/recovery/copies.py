"""Messages that proxy bots wrote over a webhook in a person's place (PluralKit and the like).

Such a bot repeats what somebody wrote under another name and deletes the
original, in either order. So the original's deletion is nobody's wish to forget.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

BEFORE_SECONDS = 5.0
"""How long before the original's deletion a copy may come; how long after it: `bot.conversation.erasure`."""
_KEPT = 200


@dataclass(frozen=True, slots=True)
class Copy:
    """A message of a webhook.

    Attributes:
        message_id: its id.
        channel_id: where it stands.
        words: what it says, as a model would read it.
        at: when it came, in seconds (monotonic).
    """

    message_id: int
    channel_id: int
    words: str
    at: float

    def is_of(self, channel_id: int, words: str) -> bool:
        """Tell whether its text stands in that of a question."""
        return self.channel_id == channel_id and self.words in words


class Copies:
    """The copies of the last seconds; each is of one question."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[Copy] = deque(maxlen=_KEPT)

    @property
    def has_any(self) -> bool:
        """Whether there may be a copy of what is deleted now."""
        return bool(self._recent) and self._recent[-1].at >= self._clock() - BEFORE_SECONDS

    def note(self, message_id: int, channel_id: int, words: str) -> None:
        """Take in a webhook's message."""
        if words:
            self._recent.append(Copy(message_id, channel_id, words, self._clock()))

    def take(self, channel_id: int, words: str) -> int | None:
        """Return the id of the copy of a question that was deleted just now, or None if there is none."""
        since = self._clock() - BEFORE_SECONDS
        for copy in self._recent:
            if copy.at >= since and copy.is_of(channel_id, words):
                self._recent.remove(copy)
                return copy.message_id
        return None
