"""What was learned of each model and is kept over restarts: how it counts tokens, what its Modelfile puts first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from bot.conversation.journal import StoreHealth
from bot.conversation.store import Store
from bot.conversation.tokens import Message, TokenEstimator
from bot.errors import StoreError
from bot.generation.opening import Modelfile
from bot.ollama.types import ModelDetails

_RATIOS = "tokens:"
_MODELFILE = "modelfile:"


class ModelMemory:
    """Remembers models by the name under which the caller knows them again; read once, written when it changes.

    Where the store fails it is as if nothing had been kept.
    """

    def __init__(self, store: Store, health: StoreHealth) -> None:
        self._store = store
        self._health = health
        self._estimator = TokenEstimator()
        self._modelfiles: dict[str, Modelfile | None] = {}

    async def scale(self, model: str) -> float:
        """Return how many tokens one estimated token is, as far as the model's counts have told."""
        await self._load(model)
        return self._estimator.scale(model)

    async def modelfile(self, model: str, details: ModelDetails | None) -> Modelfile | None:
        """Return what the Modelfile puts first, by *details* or, if the server does not tell them now, as before."""
        await self._load(model)
        known = self._modelfiles.get(model)
        if details is None:
            return known
        told = Modelfile.of(details)
        if told != known:
            self._modelfiles[model] = told
            await self._keep(_MODELFILE + model, told.to_json())
        return told

    async def learn(self, model: str, messages: Sequence[Message], tokens: int) -> None:
        """Learn from how many *tokens* the model counted for *messages*."""
        self._estimator.observe(model, messages, tokens)
        await self._keep(_RATIOS + model, " ".join(str(ratio) for ratio in self._estimator.latest(model)))

    async def _load(self, model: str) -> None:
        if model in self._modelfiles:
            return
        with suppress(StoreError):
            ratios = await self._health.read(self._store.setting(_RATIOS + model))
            modelfile = await self._health.read(self._store.setting(_MODELFILE + model))
            self._estimator.restore(model, [float(ratio) for ratio in (ratios or "").split()])
            self._modelfiles[model] = Modelfile.from_json(modelfile) if modelfile else None

    async def _keep(self, key: str, value: str) -> None:
        with suppress(StoreError):
            await self._health.read(self._store.set_setting(key, value))
