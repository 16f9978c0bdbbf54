"""What the operator is told at a start, one line each: versions, data, Ollama."""

from __future__ import annotations

import importlib.metadata
import logging
import platform

from sqlalchemy import make_url

from bot.errors import OllamaError
from bot.services import Services
from bot.settings.settings import Settings

log = logging.getLogger(__name__)


def report_start(settings: Settings) -> None:
    """Tell what runs, and on which data."""
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("burble", "discord.py"))
    log.info("%s, Python %s", ", ".join(versions), platform.python_version())
    database = make_url(settings.store_url).render_as_string(hide_password=True)
    log.info("Data directory %s, database %s", settings.data_dir.absolute(), database)


async def report_ollama(services: Services) -> None:
    """Tell which Ollama answers, and with what."""
    try:
        version = await services.ollama.version()
        model = await services.catalog.default()
        window = await services.catalog.window(model)
    except OllamaError as error:
        told = f"{error.sentence()}: {error.text}"
        log.warning("%s. The bot comes up all the same and asks again with each prompt", told)
    else:
        log.info("Ollama %s at %s, model %s, window %d tokens", version, services.ollama.url, model, window)
