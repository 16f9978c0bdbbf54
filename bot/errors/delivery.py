"""What Discord does not take of a reply."""

from __future__ import annotations

from bot.errors.base import BurbleError


class DeliveryError(BurbleError):
    """Discord did not take a part of a reply.

    Attributes:
        status: the HTTP status, or 0 when none came.
        code: Discord's JSON error code, or 0.
    """

    def __init__(self, status: int = 0, code: int = 0, detail: str = "") -> None:
        super().__init__(f"{type(self).__name__}: HTTP {status}, code {code} {detail}".rstrip())
        self.status = status
        self.code = code
        self.detail = detail

    def sentence(self) -> str:
        """Say who did not take it."""
        return self.referring("Discord did not take my answer.")


class DeliveryRetry(DeliveryError):
    """Not now (5xx, reset, timeout): try again, with the newest text."""


class DeliveryRateLimited(DeliveryRetry):
    """A 429.

    Attributes:
        retry_after: seconds until one more request may go.
        scope: ``user``, ``shared`` or ``global``.
    """

    def __init__(self, retry_after: float, scope: str = "user", code: int = 0) -> None:
        super().__init__(429, code, f"{scope}, retry after {retry_after:g} s")
        self.retry_after = retry_after
        self.scope = scope


class MessageGone(DeliveryError):
    """The message, its channel or the interaction was deleted: stop, do not recreate."""


class DeliveryForbidden(DeliveryError):
    """We may not write there (any more): permissions, archived and locked, kicked."""


class DeliveryRejected(DeliveryError):
    """This very text was refused: too long, blank, AutoMod."""
