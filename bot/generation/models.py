"""Which models there are, which one answers a channel, how large its window is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from bot.errors import (
    ModelMissing,
    NoModelInstalled,
    OllamaBusy,
    OllamaError,
    OllamaUnauthorized,
    OllamaUnreachable,
)
from bot.ollama.client import OllamaClient
from bot.ollama.names import canonical_name, is_cloud_name, same_model
from bot.ollama.types import Model

log = logging.getLogger(__name__)

_FRESH_SECONDS = 15.0
# A prompt waits no longer for what is only good to know.
_SHOW_PATIENCE = 3.0


class ModelCatalog:
    """The installed models, asked from the server and remembered for a moment.

    *default* is `OLLAMA_MODEL`; without it the newest model that can complete
    answers. *num_ctx* is the wanted window in tokens.

    Attributes:
        answers: whether the server told of its models when it was asked last.
    """

    def __init__(
        self,
        client: OllamaClient,
        *,
        default: str | None,
        num_ctx: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._default = default
        self._num_ctx = num_ctx
        self._clock = clock
        self._models: list[Model] = []
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[list[Model]] | None = None
        self.answers = True
        self._windows: dict[str, int] = {}
        self._systems: dict[str, str] = {}

    async def installed(self, *, fresh: bool = False) -> list[Model]:
        """Return the installed models, newest first, at most some seconds old.

        Raises:
            OllamaError: the server did not tell.
        """
        if not fresh and self._clock() - self._asked_at < _FRESH_SECONDS:
            return self._models
        # one question serves all who ask meanwhile; shielded, since any of them may be stopped
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="ask-models")
            self._asking.add_done_callback(_note_failure)
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[Model]:
        try:
            self._models = await self._client.tags()
        except OllamaError:
            self.answers = False
            raise
        self.answers = True
        self._asked_at = self._clock()
        return self._models

    async def known(self, *, within: float, fresh: bool = False) -> Sequence[Model]:
        """Return the installed models, or after *within* seconds (or a failure) those last seen."""
        try:
            async with asyncio.timeout(within):
                return await self.installed(fresh=fresh)
        except (TimeoutError, OllamaError):
            return self._models

    def remembered(self, name: str) -> Model | None:
        """Return the model of that name as it was last seen, or None; asks nobody."""
        return next((model for model in self._models if same_model(model.name, name)), None)

    def is_remote(self, name: str) -> bool:
        """Tell whether a model runs elsewhere (ollama.com), as far as is known: it is never loaded here."""
        model = self.remembered(name)
        return model.is_remote if model else is_cloud_name(name)

    async def find(self, name: str) -> Model | None:
        """Return the installed model of that name, or None."""
        return next((m for m in await self.installed(fresh=True) if same_model(m.name, name)), None)

    async def default(self) -> str:
        """Return who answers where nothing was chosen.

        Raises:
            NoModelInstalled: nothing there can.
        """
        name = self._default or self.default_among(await self.installed())
        if name is None:
            raise NoModelInstalled(self._client.url)
        return name

    def default_among(self, models: Sequence[Model]) -> str | None:
        """Return who of *models* (newest first) answers where nothing was chosen, or None; asks nobody."""
        return self._default or next((model.name for model in models if model.can_complete), None)

    async def window(self, name: str) -> int:
        """Return the num_ctx to send with *name*, always the same: another value would reload it.

        The wanted one, capped by the length that the model was trained with, if the server tells that.

        Raises:
            OllamaError: nobody is there who could answer, or not with this model.
        """
        key = canonical_name(name).casefold()
        if key not in self._windows:
            try:
                trained = await self._trained_length(name)
            except (OllamaBusy, OllamaUnreachable, OllamaUnauthorized, ModelMissing):
                raise
            except OllamaError as error:
                # lists that fail or hang are no reason not to answer: Ollama caps the window itself
                log.warning("The window of %s could not be asked, taking %d: %s", name, self._num_ctx, error)
                return self._num_ctx
            self._windows[key] = self._num_ctx if trained is None else min(self._num_ctx, trained)
        return self._windows[key]

    async def own_system(self, name: str) -> str | None:
        """Return the system prompt of the model's own Modelfile (often empty); None if it cannot be known now."""
        key = canonical_name(name)
        if key not in self._systems:
            try:
                async with asyncio.timeout(_SHOW_PATIENCE):
                    self._systems[key] = (await self._client.show(name)).system.strip()
            except (TimeoutError, OllamaError) as error:
                log.warning("The system prompt of %s could not be asked: %s", name, type(error).__name__)
                return None
        return self._systems[key]

    async def _trained_length(self, name: str) -> int | None:
        for model in await self.installed():
            if same_model(model.name, name) and model.context_length:
                return model.context_length
        return (await self._client.show(name)).context_length  # servers of before 2026 do not list it


def _note_failure(task: asyncio.Task[list[Model]]) -> None:
    # whoever waits gets the error; if nobody does any more, it is not news
    if not task.cancelled():
        task.exception()
