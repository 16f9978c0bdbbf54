"""Who is let in: rates, bounds, and one sentence for those who are not.

Rates and bounds hold for everybody, also for those who manage a server: what
they protect is the machine, and that is not theirs.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

from bot.conversation.records import PromptRecord
from bot.errors import PromptRefused, TooManyPrompts
from bot.generation.queue import ReplyQueue
from bot.generation.rates import TokenBuckets

log = logging.getLogger(__name__)

SPELL_SECONDS = 10.0
"""After a sentence, what is refused for the same reason gets none for so long: a flood must not be answered by one."""

_MOST_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class PromptRates:
    """How many prompts a minute are taken; 0 sets no limit."""

    of_user: int = 0
    of_channel: int = 0


NO_LIMIT = PromptRates()


class Admission:
    """Decides about each prompt before anything is stored or sent for it.

    Time is when a prompt was asked, by Discord's clock: what was asked over an
    hour and is delivered at once, after a lost session, was not asked at once.
    """

    def __init__(self, queue: ReplyQueue, rates: PromptRates) -> None:
        self._queue = queue
        self._rates = rates
        self._of_user = TokenBuckets(rates.of_user)
        self._of_channel = TokenBuckets(rates.of_channel)
        self._told: OrderedDict[tuple[int, int], float] = OrderedDict()  # until when that is enough

    def apart(self) -> Admission:
        """Return one that counts anew: for prompts of the past, among which the present ones would be out of order."""
        return Admission(self._queue, self._rates)

    def admit(self, prompt: PromptRecord, *, is_again: bool = False) -> None:
        """Let a prompt in, and count it; one that was taken in before (*is_again*) has its place already.

        Raises:
            PromptRefused: not now; `PromptRefused.is_repeated` tells whether that was said a moment ago.
        """
        try:
            self._check_rates(prompt)
            if not is_again:
                self._queue.check(prompt)
        except PromptRefused as refusal:
            self.note(refusal, prompt)
            raise
        self._of_user.take(prompt.author_id, prompt.created_at)
        self._of_channel.take(prompt.channel_id, prompt.created_at)

    def note(self, refusal: PromptRefused, prompt: PromptRecord) -> None:
        """Remember that *prompt* was refused; mark the *refusal* if there was one like it just now."""
        at = prompt.created_at
        author = 0 if isinstance(refusal, TooManyPrompts) and refusal.by == "channel" else prompt.author_id
        key = (author, prompt.channel_id)
        refusal.is_repeated = at < self._told.get(key, at)
        if refusal.is_repeated:
            return
        log.warning(
            "Refused prompt %s of user %s in channel %s: %s", prompt.message_id, prompt.author_id, key[1], refusal
        )
        self._told[key] = at + max(SPELL_SECONDS, refusal.seconds)
        self._told.move_to_end(key)
        while len(self._told) > _MOST_TOLD or next(iter(self._told.values())) <= at:
            self._told.popitem(last=False)

    def _check_rates(self, prompt: PromptRecord) -> None:
        wait = self._of_user.wait(prompt.author_id, prompt.created_at)
        if wait:
            raise TooManyPrompts("user", self._rates.of_user, wait)
        wait = self._of_channel.wait(prompt.channel_id, prompt.created_at)
        if wait:
            raise TooManyPrompts("channel", self._rates.of_channel, wait)
