"""What the model is sent: system prompt, the turns that fit, the prompt, the window."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bot.conversation.context import Fitted, TokenEstimator, fit, speak
from bot.conversation.journal import StoreHealth
from bot.conversation.records import PromptKind, PromptRecord
from bot.conversation.store import Store, Turn
from bot.errors import StoreError
from bot.generation.models import ModelCatalog
from bot.ollama.client import OllamaClient
from bot.ollama.stream import ChatStream
from bot.ollama.types import Counts, Message

LABELS_NOTE = (
    "Several people talk to you in a chat. Each of their messages begins with the speaker's name in ⟦ ⟧. "
    "Write only your answer, without such a label."
)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, ready to be sent.

    Attributes:
        model: its name.
        fitted: what is sent, and how much of the history it holds.
        num_ctx: the window, in tokens.
        is_forgetful: the history could not be read.
    """

    model: str
    fitted: Fitted
    num_ctx: int
    is_forgetful: bool = False


class Requests:
    """Builds requests from prompts and sends them.

    *system_prompt* goes first, if it is not empty; *keep_alive* is Ollama's.
    """

    def __init__(
        self,
        client: OllamaClient,
        store: Store,
        health: StoreHealth,
        catalog: ModelCatalog,
        *,
        system_prompt: str,
        keep_alive: str | float | None,
    ) -> None:
        self._client = client
        self._store = store
        self._health = health
        self._catalog = catalog
        self._system_prompt = system_prompt.strip()
        self._keep_alive = keep_alive
        self._estimator = TokenEstimator()

    async def build(self, prompt: PromptRecord, model: str) -> Request:
        """Return what to send for *prompt*.

        Raises:
            PromptTooLong: it alone does not fit.
            OllamaError: the model's window could not be asked.
        """
        num_ctx = await self._catalog.window(model)
        is_chat = prompt.kind is PromptKind.CHAT
        turns = await self._history(prompt) if is_chat else []
        fitted = fit(
            self._system(labelled=is_chat),
            turns or [],
            speak(prompt.author_name if is_chat else "", prompt.text),
            num_ctx=num_ctx,
            estimate=self._estimator.bind(model),
        )
        return Request(model, fitted, num_ctx, is_forgetful=turns is None)

    async def _history(self, prompt: PromptRecord) -> list[Turn] | None:
        """Return the turns before *prompt*, or None if the store cannot tell them now."""
        try:
            return await self._health.read(self._store.history(prompt.channel_id, before=prompt.message_id))
        except StoreError:
            return None

    def send(self, request: Request, kind: PromptKind) -> AbstractAsyncContextManager[ChatStream]:
        """Return the stream of the answer; entering it sends the request."""
        messages = request.fitted.messages
        if kind is PromptKind.CHAT:
            conversation = [Message(message.role, message.content) for message in messages]
            return self._client.chat(request.model, conversation, num_ctx=request.num_ctx, keep_alive=self._keep_alive)
        return self._client.generate(
            request.model,
            messages[-1].content,
            system=self._system_prompt or None,
            num_ctx=request.num_ctx,
            keep_alive=self._keep_alive,
        )

    def learn(self, request: Request, counts: Counts) -> None:
        """Calibrate the estimate of tokens with what Ollama counted."""
        self._estimator.observe(request.model, request.fitted.messages, counts.prompt_tokens)

    def _system(self, *, labelled: bool) -> str:
        parts = (self._system_prompt, LABELS_NOTE if labelled else "")
        return "\n\n".join(part for part in parts if part)
