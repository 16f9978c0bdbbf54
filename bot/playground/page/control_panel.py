"""What runs behind the page: the bot's process, the model, the limiter, as the side panel shows and switches them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.playground.loopback.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.loopback.limits import LimitSettings
    from bot.playground.loopback.world import World
    from bot.playground.page.metrics import Meter
    from bot.playground.page.ollama_proxy import OllamaProxy
    from bot.playground.standin.server import StandIn
    from bot.playground.supervisor import BotProcess

__all__ = ["PlaygroundBackstage"]

_ANNOUNCE_SECONDS = 0.1  # lines of the log come in bursts; the page hears of them together


class PlaygroundBackstage:
    """The `bot.playground.page.actions.ControlPanel` of a running playground.

    Attributes:
        bot: the bot's process, or None if somebody else's bot connects.
        model_note: where the answers come from, in words.
        model_hint: what somebody else's bot needs to be answered from there, or "".
        changed: called soon after the status changed.
    """

    def __init__(
        self,
        world: World,
        limits: LimitSettings,
        meter: Meter,
        stand_in: StandIn | None,
        model_note: str,
        proxy: OllamaProxy,
    ) -> None:
        self.bot: BotProcess | None = None
        self.model_note = model_note
        self.model_hint = ""
        self.changed: Callable[[], None] = lambda: None
        self._world = world
        self._limits = limits
        self._meter = meter
        self._stand_in = stand_in
        self._proxy = proxy
        self._announcement: asyncio.TimerHandle | None = None

    def status(self) -> dict[str, Any]:
        """Return the state of bot, model and limiter."""
        model = {
            "stand_in": self._stand_in is not None,
            "reachable": self._proxy.reachable,
            "note": f"{self._model_state()} {self.model_hint}".strip(),
            "speed": self._stand_in.speed if self._stand_in else None,
        }
        return {"bot": self._bot_status(), "model": model, "limiter": {"kind": self._limits.kind}}

    def metrics(self) -> dict[str, Any]:
        """Return the figures of the side panel."""
        return self._meter.metrics(*(self._limits.rule("edit") or (5, 5.0)))

    def restart_bot(self) -> None:
        """Stop the bot's process and start it anew."""
        if self.bot is None:
            raise WorldError(400, 0, "This bot was not started by the playground; restart it where it runs.")
        self.bot.restart()

    def set_speed(self, tokens_per_second: float) -> None:
        """Set the speed of the stand-in."""
        if self._stand_in is None:
            raise WorldError(400, 0, "Ollama decides how fast it is.")
        self._stand_in.speed = tokens_per_second
        self.bot_changed()

    def set_limiter(self, kind: str) -> None:
        """Choose how the rate limits refill, from the next request on."""
        self._limits.kind = "leaky" if kind == "leaky" else "fixed"
        self.bot_changed()

    def bot_changed(self) -> None:
        """Announce the status soon."""
        if self._announcement is None:
            loop = asyncio.get_running_loop()
            self._announcement = loop.call_later(_ANNOUNCE_SECONDS, self._announce)

    def _announce(self) -> None:
        self._announcement = None
        self.changed()

    def _model_state(self) -> str:
        if self._proxy.reachable:
            return self.model_note
        return f"Nobody answered at {self._proxy.shown_upstream} when the bot asked last."

    def _bot_status(self) -> dict[str, Any]:
        if self.bot is None:
            state = "online" if self._world.bot_online else "external"
            return {"state": state, "detail": "", "log": [], "managed": False}
        return {"state": self.bot.state, "detail": self.bot.detail, "log": list(self.bot.log), "managed": True}
