"""What a model does while nothing comes from it: is loaded, waits for room, is busy, or answers nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Self

from bot.errors import OllamaError
from bot.generation.model_text import code
from bot.generation.models import ModelCatalog
from bot.generation.stuck_model import StuckModelWatch
from bot.ollama.client import OllamaClient
from bot.ollama.names import same_model
from bot.ollama.types import RunningModel

log = logging.getLogger(__name__)

# Servers round a window up to whole blocks.
_WINDOW_SLACK = 256
_LOOK_AGAIN = 10.0


class WaitWatch:
    """Runs beside one request until its first byte, and says what it waits for; never delays it.

    Use as an async context manager around the request. `/api/ps` is asked
    *look_after* seconds on, and now and then until the model is there; whatever
    becomes of that question, the wait goes on. A model that is still loading is
    not listed there (``server/sched.go``), nor is one that waits until another
    has done its work and makes room.
    """

    def __init__(
        self,
        client: OllamaClient,
        catalog: ModelCatalog,
        stuck: StuckModelWatch,
        *,
        model: str,
        num_ctx: int,
        say: Callable[[str], None],
        look_after: float,
        long_after: float,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._stuck = stuck
        self._model = model
        self._num_ctx = num_ctx
        self._say = say
        self._look_after = look_after
        self._long_after = long_after
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="wait-watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                log.error("Watching a wait failed", exc_info=error)

    async def _watch(self) -> None:
        await asyncio.sleep(self._look_after)
        if self._catalog.is_remote(self._model):
            return
        while (loaded := await self._loaded()) is not None and not await self._is_among(loaded):
            self._say(self._why_absent(loaded))
            await asyncio.sleep(_LOOK_AGAIN)
        if loaded:
            self._say(f"⏳ waiting for {code(self._model)}")
            await asyncio.sleep(self._long_after)
            self._say(f"⏳ waiting for {code(self._model)} (busy with someone else?)")
        await self._watch_place()

    def _why_absent(self, loaded: Sequence[RunningModel]) -> str:
        """Tell what our model may wait for while only others are loaded."""
        others = [model.name for model in loaded if not same_model(model.name, self._model)]
        busy = next(filter(self._stuck.is_asked, others), None)
        if busy:
            return f"⏳ {code(self._model)} waits for room: {code(busy)} is still answering"
        if others and len(others) == len(loaded):
            return f"⏳ waiting for {code(self._model)}: it is being loaded, or {code(others[0])} must make room first"
        return f"⏳ loading {code(self._model)}"

    async def _watch_place(self) -> None:
        """Look now and then whether the model answers anybody."""
        while True:
            await asyncio.sleep(self._stuck.after / 4)
            if self._stuck.is_stuck(self._model) and await self._is_among(await self._loaded() or ()):
                self._tell_stuck()

    def _tell_stuck(self) -> None:
        self._say(f"⏳ {code(self._model)} answers nobody; whoever hosts me finds the remedy in my log")
        if self._stuck.tell_once(self._model):
            log.error(
                "Model %s is loaded, but has answered none of several questions for %.0f minutes: its place in Ollama "
                "is probably lost, as happens when a client leaves in the middle of an answer. Remedy: run "
                "`ollama stop %s` on Ollama's machine (stop the waiting replies first), or restart Ollama",
                self._model,
                2 * self._stuck.after / 60,
                self._model,
            )

    async def _loaded(self) -> Sequence[RunningModel] | None:
        """Return the models that are loaded, None if the server does not tell."""
        with contextlib.suppress(OllamaError):
            return await self._client.ps()
        return None

    async def _is_among(self, loaded: Sequence[RunningModel]) -> bool:
        """Tell whether our model is loaded, under whatever name, with our window."""
        for model in loaded:
            window = model.context_length
            if window is not None and not 0 <= window - self._num_ctx < _WINDOW_SLACK:
                continue
            if same_model(model.name, self._model) or await self._catalog.shares_weights(self._model, model.name):
                return True
        return False
