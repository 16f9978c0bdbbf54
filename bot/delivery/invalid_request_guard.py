"""Counts refused requests, so that the bot never runs into Discord's ban for them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

# 10,000 answers of 401, 403 or 429 in 10 minutes get an IP address banned for a while
# (https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans).
_WINDOW_SECONDS = 600.0
WARN_AT = 500
"""So many refused requests in ten minutes are worth a line in the log."""
SPARE_AT = 2000
"""From here on what a reply can do without (typing, reactions, hints) is left out."""


class InvalidRequestGuard:
    """The refused requests of the last ten minutes, of the whole process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: deque[float] = deque(maxlen=SPARE_AT)
        self._told = 0

    @property
    def count(self) -> int:
        """How many there were in the last ten minutes; `SPARE_AT` stands for that many or more."""
        horizon = self._clock() - _WINDOW_SECONDS
        while self._at and self._at[0] <= horizon:
            self._at.popleft()
        if not self._at:
            self._told = 0
        return len(self._at)

    @property
    def allows_optional(self) -> bool:
        """Whether requests that a reply can do without may be made."""
        return self.count < SPARE_AT

    def note(self, status: int, scope: str | None) -> None:
        """Count an answer; a 429 of scope ``shared`` is nobody's fault and does not count."""
        if status not in (401, 403, 429) or scope == "shared":
            return
        self._at.append(self._clock())
        count = self.count
        for limit in (WARN_AT, SPARE_AT):
            if count >= limit > self._told:
                self._told = limit
                log.warning(
                    "Discord refused %d requests in ten minutes; it bans for ten thousand. %s",
                    count,
                    "Check the bot's permissions" if limit == WARN_AT else "Leaving out typing and reactions",
                )
