"""A shard that dials the gateway again with a back-off, whatever ended its connection.

discord.py does so at once and without end when a gateway takes the connection
and closes it, or asks for another one (discord/shard.py, `Shard.reidentify`):
hundreds of times a second. Every way back goes through the queue of the client,
so that is where ours waits: no other shard is held up by it. These seams have no
promise; a test fails when they move.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from traceback import walk_tb
from typing import Any

from discord.client import Client
from discord.errors import ConnectionClosed, PrivilegedIntentsRequired
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.shard import EventItem, EventType, Shard

from bot.gateway_pace import RedialPace

log = logging.getLogger(__name__)

# After so many losses in a row the session, or the address to resume it at, is given up.
_RESUMES = 5
_CAUSES_TOLD = 5


class PacedShard(Shard):
    """One connection to the gateway: lost, found again, told in the log once."""

    def __init__(
        self,
        ws: DiscordWebSocket,
        client: Client,
        queue_put: Callable[[EventItem], None],
        pace: RedialPace,
        steady_seconds: float,
    ) -> None:
        super().__init__(ws, client, self._queue_later)  # type: ignore[arg-type]  # it wants a client with shards
        self._queue_now = queue_put
        self._pace = pace
        self._steady_seconds = steady_seconds
        self._way_back: asyncio.Task[None] | None = None
        self._steady: asyncio.TimerHandle | None = None
        self._told: set[str] = set()

    def stands(self) -> None:
        """Note that Discord has taken us in; once that lasts, the losses before it are forgotten."""
        self._cancel_steady()
        self._steady = self._client.loop.call_later(self._steady_seconds, self._is_steady)
        if self._pace.losses == 1:
            log.info("Shard %s is connected again", self.id)

    async def close(self) -> None:
        """Close the connection, and dial no more."""
        self._cancel_steady()
        if self._way_back is not None:
            self._way_back.cancel()
        await super().close()

    async def _handle_disconnect(self, e: Exception) -> None:
        """Dial again, where discord.py would log a traceback for each try."""
        if isinstance(e, ConnectionClosed) and e.code != 1000:  # Discord will not have us
            await super()._handle_disconnect(e)
        elif not self._client.is_closed():
            self._queue_later(EventItem(EventType.reconnect, self, e))

    def _queue_later(self, item: EventItem) -> None:
        """Queue what a lost connection asks for when its time has come."""
        is_ours = item.type == EventType.terminate and not isinstance(item.error, PrivilegedIntentsRequired)
        if not is_ours and item.type not in {EventType.resume, EventType.identify, EventType.reconnect}:
            self._queue_now(item)
            return
        self._cancel_steady()
        resumes = self.ws.session_id is not None and self._pace.losses < _RESUMES
        resumes &= item.type in {EventType.resume, EventType.reconnect}
        delay = self._pace.delay(begins_session=not resumes)
        self._tell(item.error, delay)
        kind = EventType.resume if resumes else EventType.identify
        again = EventItem(kind, self, ReconnectWebSocket(self.id, resume=resumes))
        work = self._go_back(again, delay, socket_of(item.error))
        self._way_back = asyncio.create_task(work, name=f"redial-shard-{self.id}")

    async def _go_back(self, item: EventItem, delay: float, unfinished: DiscordWebSocket | None) -> None:
        for ws in filter(None, (self.ws, unfinished)):
            if ws.open:  # what came over it cannot be read
                await ws.close(4000 if item.type == EventType.resume else 1000)
        if delay:
            self._dispatch("shard_disconnect", self.id)  # as of now, not of when it is dialled
            await asyncio.sleep(delay)
        self._queue_now(item)

    def _tell(self, error: BaseException | None, delay: float) -> None:
        """Say why the connection was lost, each cause once until it stands again."""
        cause = cause_of(error)
        log.debug("Shard %s: lost (%s), back in %.1f s", self.id, cause, delay, exc_info=error)
        if cause in self._told or len(self._told) >= _CAUSES_TOLD:
            return
        self._told.add(cause)
        if self._pace.losses == 1 and not delay:
            log.info("Shard %s lost its connection to Discord: %s. Dialling again", self.id, cause)
        else:
            log.warning("Shard %s lost its connection again: %s. Dialling on, less and less often", self.id, cause)

    def _is_steady(self) -> None:
        if self._pace.losses > 1:
            log.info("Shard %s stands again, after %d losses", self.id, self._pace.losses)
        self._pace.reset()
        self._told.clear()

    def _cancel_steady(self) -> None:
        if self._steady is not None:
            self._steady.cancel()


def socket_of(error: BaseException | None) -> DiscordWebSocket | None:
    """Return the connection in whose reading an error came up: one that was just being made is nowhere else."""
    for frame, _ in walk_tb(error.__traceback__ if error else None):
        ws = frame.f_locals.get("self")
        if isinstance(ws, DiscordWebSocket):
            return ws
    return None


def cause_of(error: BaseException | None) -> str:
    """Return in words what ended a connection: discord.py's exceptions do not say, but their frames do."""
    if isinstance(error, ConnectionClosed):
        return f"closed with code {error.code}"
    where: dict[str, dict[str, Any]] = {
        frame.f_code.co_name: frame.f_locals for frame, _ in walk_tb(error.__traceback__ if error else None)
    }
    if isinstance(error, ReconnectWebSocket):
        received, polled = where.get("received_message", {}), where.get("poll_event", {})
        if "op" in received:
            return f"asked to by Discord (op {received['op']})"
        return f"closed with code {polled['code']}" if "code" in polled else "nothing was heard for long"
    if "received_message" in where or isinstance(error, json.JSONDecodeError):
        return f"what Discord sent cannot be read ({type(error).__name__})"
    return f"{type(error).__name__}: {error}".removesuffix(": ")
