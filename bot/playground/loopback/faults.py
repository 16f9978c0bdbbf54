"""Failures on order: what a test wants to go wrong at which request."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(eq=False)
class Fault:
    """One failure to inject; it wears off after ``times`` requests.

    Attributes:
        method: the HTTP method, ``*`` for any.
        route: a glob over the route's template (``/channels/{channel_id}/messages``) or the path below the API's root.
        times: how many requests it strikes; negative for all.
        skip: how many matching requests pass before that.
        status: the status to answer with; None lets the request through (after ``delay``).
        body: the JSON body, or text; None for one that fits the status.
        headers: further headers.
        via: whether the answer carries Discord's ``Via`` (without it discord.py takes a 429 for a ban).
        delay: seconds to wait first.
        hang: never answer.
        reset: cut the connection.
        after: let the request take effect first, then fail.
        hits: how many it has struck.
    """

    method: str = "*"
    route: str = "*"
    times: int = 1
    skip: int = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    via: bool = True
    delay: float = 0.0
    hang: bool = False
    reset: bool = False
    after: bool = False
    hits: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has worn off."""
        return 0 <= self.times <= self.hits

    def matches(self, method: str, route: str, path: str) -> bool:
        """Whether it strikes this request; counts ``skip`` down."""
        if self.spent or self.method not in {"*", method}:
            return False
        if not (fnmatchcase(route, self.route) or fnmatchcase(path, self.route)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    def answer(self) -> Any:
        """Return the body: the given one, or one as Discord's for the status."""
        if self.body is not None:
            return self.body
        if self.status == 429:
            return {"message": "You are being rate limited.", "retry_after": 0.05, "global": False}
        return {"message": f"{self.status}: injected", "code": 0}
