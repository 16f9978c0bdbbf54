"""What a reply needs of the place it is shown in: protocols only.

A reply is a list of messages, counted by ordinal from 0. The streamer never
has more than one call of a sink in flight. A sink does no pacing, no retrying
and no splitting of its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from bot.markdown.files import File


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of Discord's rate-limit buckets, as the budget counts them.

    Attributes:
        key: what Discord counts together, for example ``("edit", channel_id)``.
        bound_globally: whether the bot's 50 requests per second bind it too
            (interaction routes are exempt).
    """

    key: Hashable
    bound_globally: bool = True


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Discord's rate-limit headers of one answer.

    Attributes:
        limit: requests per window, or the size of the leaky bucket.
        remaining: requests left now.
        reset_after: seconds until the window ends, or until the leaky bucket is full.
        sent_at: when the request really went (the loop's time), if that is known better
            than by when it was asked for.
    """

    limit: int
    remaining: int
    reset_after: float
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a request.

    Attributes:
        text: the message's text now; differs from what was sent when Discord
            recognised the nonce of an earlier try and returned that message.
        headers: the rate-limit headers, if the answer had any.
    """

    text: str
    headers: RateHeaders | None = None


class Sink(Protocol):
    """A place that shows the messages of one reply.

    Every call raises one of the `DeliveryError` family and nothing else.
    """

    def post_bucket(self) -> Bucket:
        """Return the bucket that the next `post` is counted in."""
        ...

    def edit_bucket(self) -> Bucket:
        """Return the bucket that the next `edit` is counted in (it may change: interactions age)."""
        ...

    async def post(self, text: str) -> Sent:
        """Send the reply's next message, 1 to 2000 code points."""
        ...

    async def edit(self, ordinal: int, text: str, file: File | None = None) -> Sent:
        """Replace the whole text of message *ordinal*, 1 to 2000 code points; attach *file* if given."""
        ...
