"""What goes wrong at Discord while the soak runs: requests that fail, gateways that drop."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from bot.playground.loopback.discord import LoopbackDiscord

_ROUTES = (
    ("POST", "/channels/*/messages"),
    ("POST", "/channels/*/messages"),
    ("PATCH", "/channels/*/messages/*"),
    ("PATCH", "/channels/*/messages/*"),
    ("*", "*/reactions/*"),
    ("POST", "/channels/*/typing"),
    ("PATCH", "/webhooks/*"),
    ("POST", "/webhooks/*"),
    ("POST", "/interactions/*"),
    ("GET", "*"),
    ("*", "*"),
)
# All of them pass: the session can be resumed, or a new one is opened.
_CLOSE_CODES = (4000, 4001, 4007, 4008, 4009, 1000, 1001, 1011)
_POISON = {"id": "not a number", "channel_id": None}


class Weather:
    """Makes requests and gateway fail at random; *scale* multiplies all times, *hangs* says if requests hang, too.

    Attributes:
        counts: what happened how often.
    """

    def __init__(self, discord: LoopbackDiscord, seed: int, scale: float, *, hangs: bool = True) -> None:
        self._discord = discord
        self._chance = random.Random(f"{seed}/weather")
        self._scale = scale
        self._kinds = ("5xx", "5xx", "429", "slow", "reset", *(("hang",) if hangs else ()))
        self.counts: Counter[str] = Counter()

    async def rage(self, *, request_every: float, gateway_every: float) -> None:
        """Let something fail every so many seconds on average, until cancelled; then all is well."""
        try:
            await asyncio.gather(
                self._now_and_then(request_every, self._spoil_requests),
                self._now_and_then(gateway_every, self._spoil_gateway),
            )
        finally:
            self._discord.faults.clear()
            self._discord.zombie(False)

    async def _now_and_then(self, seconds: float, strike: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / seconds))
            strike()

    def _spoil_requests(self) -> None:
        method, route = self._chance.choice(_ROUTES)
        where: dict[str, Any] = {"method": method, "route": route, "times": self._chance.choice((1, 1, 2))}
        kind = self._chance.choice(self._kinds)
        after = self._chance.random() < 0.3
        self.counts[kind] += 1
        if kind == "5xx":
            self._discord.inject(status=self._chance.choice((500, 502, 503, 504)), after=after, **where)
        elif kind == "429":
            scope = self._chance.choice(("user", "user", "shared", "global"))
            seconds = self._chance.uniform(0.3, 2.0) * self._scale
            self._discord.inject_rate_limit(seconds, scope=scope, **where)
        elif kind == "slow":
            self._discord.inject(delay=self._chance.uniform(0.5, 5.0) * self._scale, **where)
        elif kind == "reset":
            self._discord.inject(reset=True, after=after, **where)
        else:
            self._discord.inject(hang=True, after=after, **(where | {"times": 1}))

    def _spoil_gateway(self) -> None:
        kinds = {
            "close": lambda: self._discord.gateway.close_all(self._chance.choice(_CLOSE_CODES)),
            "drop": self._discord.drop_gateway,
            "reconnect": self._discord.request_reconnect,
            "invalid, resumable": lambda: self._discord.invalidate_session(resumable=True),
            "invalid": lambda: self._discord.invalidate_session(resumable=False),
            "repeat": lambda: self._discord.repeat("MESSAGE_CREATE"),
            "poison": lambda: self._discord.dispatch("MESSAGE_CREATE", _POISON),
            "dead": self._play_dead,
        }
        kind = self._chance.choice(sorted(kinds))
        self.counts[kind] += 1
        kinds[kind]()

    def _play_dead(self) -> None:
        self._discord.zombie()
        seconds = self._chance.uniform(1.0, 5.0) * self._scale
        asyncio.get_running_loop().call_later(seconds, self._discord.zombie, False)
