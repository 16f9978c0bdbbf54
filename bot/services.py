"""What a bot works with: opened and closed by the composition root, handed to whoever is connected."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.conversation.store import Store
from bot.delivery.invalid_request_guard import InvalidRequestGuard
from bot.delivery.reply_api import HttpLine
from bot.generation.models import ModelCatalog
from bot.generation.preload import Preloader
from bot.generation.queue import ReplyQueue
from bot.generation.responder import Responder
from bot.ollama.client import OllamaClient
from bot.recovery.changes import Changes
from bot.recovery.gap_tracker import GapTracker
from bot.recovery.memory_check import MemoryCheck
from bot.recovery.recovery import Recovery
from bot.recovery.reruns import Reruns
from bot.settings.settings import Settings
from bot.streaming.budget import EditBudget


@dataclass(frozen=True, slots=True)
class Services:
    """What outlives a connection to Discord."""

    line: HttpLine
    settings: Settings
    store: Store
    ollama: OllamaClient
    catalog: ModelCatalog
    queue: ReplyQueue
    responder: Responder
    budget: EditBudget
    recovery: Recovery
    preloader: Preloader
    changes: Changes
    memory: MemoryCheck
    reruns: Reruns
    invalid: InvalidRequestGuard = field(default_factory=InvalidRequestGuard)
    seen: GapTracker = field(default_factory=GapTracker)
