"""A reply as it stands in Discord: what sends its calls, the typing indicator, the stop control."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from bot.conversation.journal import ReplyJournal
from bot.delivery.control import StopControl
from bot.delivery.deliverer import Deletions, Deliverer
from bot.delivery.dm_fallback import DmFallback
from bot.delivery.permissions import Pauses
from bot.delivery.reply_api import ReplyApi
from bot.delivery.transport import Transport
from bot.delivery.typing import show_typing
from bot.streaming.transcript import Transcript


class DiscordReply:
    """One reply in one place.

    Without a control (*with_control*, or Discord refuses it) a line under the
    growing text names the command instead. Typing and control are tasks of this
    object; `close` waits for both. They end by flag: a request to Discord is
    never cancelled. See `Deliverer` for the rest.

    Attributes:
        deliverer: sends what its transcript wants.
    """

    def __init__(
        self,
        api: ReplyApi,
        transcript: Transcript,
        transport: Transport,
        journal: ReplyJournal,
        deletions: Deletions,
        *,
        fallback: DmFallback | None = None,
        pauses: Pauses | None = None,
        with_typing: bool = True,
        with_control: bool = True,
    ) -> None:
        self._api = api
        self._transcript = transcript
        self._with_typing = with_typing
        self._control = StopControl(api, transcript, is_usable=with_control)
        self.deliverer = Deliverer(
            transcript, transport, journal, self._control, deletions, fallback=fallback, pauses=pauses
        )
        self._text_began = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def message_ids(self) -> Sequence[int]:
        """Ids of the reply's messages so far."""
        return self._transcript.message_ids()

    @property
    def has_control(self) -> bool:
        """Whether ⏹️ can be used, as far as known."""
        return self._control.is_usable

    def begin(self) -> None:
        """Start the typing indicator; nobody waits for it."""
        if self._with_typing:
            self._spawn(show_typing(self._api, self._transcript.channel_id, self._text_began), "typing")

    def text_began(self) -> None:
        """Let the typing indicator run out."""
        self._text_began.set()

    def offer_stop(self) -> None:
        """Put the stop control on the newest message, now and as messages follow; or name the command from now on."""
        if self._control.offer():
            self._spawn(self._control.run(), "stop-control")

    async def close(self, clicked: tuple[int, int] | None) -> None:
        """Take the control away (and the reaction of who *clicked* it), end the typing."""
        self._text_began.set()
        if self._control.end(clicked):
            self._spawn(self._control.run(), "stop-control")
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"{name}-{self._transcript.channel_id}"))
