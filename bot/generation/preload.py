"""Loads a model before it is asked, so that the first answer does not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Self

from bot.errors import OllamaError
from bot.generation.models import ModelCatalog
from bot.ollama.client import OllamaClient

log = logging.getLogger(__name__)


class Preloader:
    """Loads one model at a time, in a task of its own; use as an async context manager.

    A failure is logged and costs nothing else: the first question loads the
    model anyway. *keep_alive* is what replies send; without *is_on* nothing is
    ever loaded ahead, since that may push out another client's model.
    """

    def __init__(
        self, client: OllamaClient, catalog: ModelCatalog, *, keep_alive: str | float | None, is_on: bool
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._keep_alive = keep_alive
        self._is_on = is_on
        self._wanted: list[str | None] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def want(self, name: str | None = None) -> None:
        """Load the model of that *name*, or the default one, in the background; returns at once.

        What is being loaded is loaded to its end; of the wishes that wait for that, the newest counts.
        """
        if not self._is_on:
            return
        self._wanted = [name]
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="preload")

    async def _work(self) -> None:
        while self._wanted:
            wanted = self._wanted.pop()
            try:
                await self._load(wanted)
            except OllamaError as error:
                log.warning("Model %s could not be loaded ahead: %s", wanted or "(default)", error)
            except Exception:
                log.exception("Loading model %s ahead failed", wanted or "(default)")

    async def _load(self, wanted: str | None) -> None:
        began_at = time.monotonic()
        name = wanted or await self._catalog.default()
        if self._catalog.is_remote(name):
            return
        await self._client.load(name, num_ctx=await self._catalog.window(name), keep_alive=self._keep_alive)
        log.info("Model %s is loaded, after %.1f s", name, time.monotonic() - began_at)
