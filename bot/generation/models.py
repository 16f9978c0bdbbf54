"""Which models there are, which one answers a channel, how large its window is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

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
from bot.ollama.types import Model, ModelDetails

log = logging.getLogger(__name__)

_FRESH_SECONDS = 15.0
# A prompt waits no longer for what is only good to know.
_SHOW_PATIENCE = 3.0
_LIST_PATIENCE = 1.0


class ModelCatalog:
    """The installed models, asked from the server and remembered for a moment.

    *default* is `OLLAMA_MODEL`; without it the newest model answers that can
    complete and runs on the server itself: one in a cloud would send what is
    said here to others. *num_ctx* is the wanted window in tokens.

    What is known of a model holds for its digest: ``ollama create`` may put
    another one under the same name.

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
        self._asking_since = 0.0
        self.answers = True
        self._details: dict[str, tuple[str, ModelDetails]] = {}  # with the state of the model that they belong to
        self._silent_until: dict[str, float] = {}  # no details are to be had of a model

    async def installed(self, *, fresh: bool = False) -> list[Model]:
        """Return the installed models, newest first, at most some seconds old.

        Raises:
            OllamaError: the server did not tell.
        """
        if not fresh and self._clock() - self._asked_at < _FRESH_SECONDS:
            return self._models
        # one question serves all who ask meanwhile; shielded, since any of them may be stopped
        if self._asking is None or self._asking.done():
            self._asking_since = self._clock()
            self._asking = asyncio.create_task(self._ask(), name="ask-models")
            self._asking.add_done_callback(_note_failure)
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[Model]:
        try:
            models = await self._client.tags()
        except OllamaError:
            self.answers = False
            raise
        self._models = models if self._default else await self._with_capabilities(models)
        self.answers = True
        self._asked_at = self._clock()
        return self._models

    async def _with_capabilities(self, models: list[Model]) -> list[Model]:
        """Return *models* with what older servers do not list, as far down as the first that can answer.

        What was asked before is filled in for all.
        """
        filled = [self._filled(model, self._remembered_details(model)) for model in models]
        try:
            async with asyncio.timeout(2 * _SHOW_PATIENCE):
                for index, model in enumerate(filled):
                    if model.capabilities is None:
                        filled[index] = self._filled(model, await self._tried_details(model.name, model.state))
                    if _may_be_default(filled[index]) and filled[index].capabilities is not None:
                        break
        except TimeoutError:
            log.warning("What the models can do could not be asked in time")
        return filled

    @staticmethod
    def _filled(model: Model, details: ModelDetails | None) -> Model:
        if model.capabilities is not None or details is None:
            return model
        return replace(model, capabilities=details.capabilities, is_remote=model.is_remote or details.is_remote)

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
        if self._default:
            return self._default
        able = [model for model in models if _may_be_default(model)]
        sure = [model for model in able if model.capabilities is not None]
        return next((model.name for model in sure or able), None)

    async def window(self, name: str) -> int:
        """Return the num_ctx to send with *name*, always the same: another value would reload it.

        The wanted one, capped by the length that the model was trained with, if
        the server tells that. The server's list is asked anew for it, so that
        what was put under the name since is known to `details` as well.

        Raises:
            OllamaError: nobody is there who could answer, or not with this model.
        """
        try:
            trained = await self._trained_length(name)
        except (OllamaBusy, OllamaUnreachable, OllamaUnauthorized, ModelMissing):
            raise
        except OllamaError as error:
            # lists that fail or hang are no reason not to answer: Ollama caps the window itself
            log.warning("The window of %s could not be asked, taking %d: %s", name, self._num_ctx, error)
            return self._num_ctx
        return self._num_ctx if trained is None else min(self._num_ctx, trained)

    async def details(self, name: str) -> ModelDetails | None:
        """Return what the model is, as of the list seen last; None if it cannot be known now."""
        return await self._tried_details(name, self._state(name))

    async def capabilities(self, name: str) -> frozenset[str] | None:
        """Return what the model can do; None if nobody tells.

        The list alone will not do: it does not look into a template that the
        model's file brings along, and so takes a model that thinks for one that does not.
        """
        listed = self.remembered(name)
        details = await self.details(name)
        return (details and details.capabilities) or (listed and listed.capabilities) or None

    async def shares_weights(self, one: str, other: str) -> bool:
        """Tell whether the server loads both models as one: `/api/ps` then shows it under the name that came first."""
        first, second = await self.details(one), await self.details(other)
        return first is not None and second is not None and bool(first.weights) and first.weights == second.weights

    async def _tried_details(self, name: str, state: str) -> ModelDetails | None:
        """Return what the server says of a model, None if it does not in time; then it is left in peace for a while."""
        key = canonical_name(name)
        if self._clock() < self._silent_until.get(key, float("-inf")):
            return None
        try:
            async with asyncio.timeout(_SHOW_PATIENCE):
                return await self._ask_details(name, state)
        except (TimeoutError, OllamaError) as error:
            log.warning("What %s is could not be asked: %s", name, type(error).__name__)
            self._silent_until[key] = self._clock() + _FRESH_SECONDS
            return None

    async def _ask_details(self, name: str, state: str) -> ModelDetails:
        """Return what the server says of a model, asked once for each *state* of it."""
        key = canonical_name(name)
        known = self._details.get(key)
        if known is None or known[0] != state:
            self._details[key] = known = state, await self._client.show(name)
        return known[1]

    def _remembered_details(self, model: Model) -> ModelDetails | None:
        state, details = self._details.get(canonical_name(model.name), ("", None))
        return details if state == model.state else None

    def _state(self, name: str) -> str:
        model = self.remembered(name)
        return model.state if model else ""

    async def _trained_length(self, name: str) -> int | None:
        if self.remembered(name) is None:
            await self.installed(fresh=True)
        else:  # a slow list holds nobody up, and only the first for a moment
            is_asked = self._asking is not None and not self._asking.done()
            waited = self._clock() - self._asking_since if is_asked else 0.0
            await self.known(within=max(_LIST_PATIENCE - waited, 0.0), fresh=True)
        model = self.remembered(name)
        if model and model.context_length:
            return model.context_length
        return (await self._ask_details(name, self._state(name))).context_length  # servers before 2026 do not list it


def _may_be_default(model: Model) -> bool:
    return model.can_complete and not model.is_remote


def _note_failure(task: asyncio.Task[list[Model]]) -> None:
    # whoever waits gets the error; if nobody does any more, it is not news
    if not task.cancelled():
        task.exception()
