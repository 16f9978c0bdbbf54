"""What the model is sent: system prompt, the turns that fit, the prompt, the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

from bot.conversation.journal import StoreHealth
from bot.conversation.records import PromptKind, PromptRecord
from bot.conversation.speaker_labels import distinct_names, neutralise
from bot.conversation.store import Store, Turn
from bot.conversation.turn_text import said, trimmed, without
from bot.conversation.window import (
    MESSAGE_OVERHEAD,
    MOST_CHARACTERS_PER_TOKEN,
    TEMPLATE_OVERHEAD,
    Fitted,
    TokenEstimator,
    default_reserve,
    fit,
)
from bot.conversation.window import Message as ContextMessage
from bot.errors import StoreError
from bot.generation.models import ModelCatalog
from bot.ollama.client import OllamaClient
from bot.ollama.stream import ChatStream
from bot.ollama.types import Counts, Message
from bot.parts import Part, Quote

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
        erasures: how much had been erased before it was put together.
        think: whether the model is to think; None where it cannot, or nobody knows.
        is_chat: it goes to ``/api/chat``; else, a question on its own, to ``/api/generate``.
        is_resumed: the last message is the model's own half answer, which it is to go on with.
    """

    model: str
    fitted: Fitted
    num_ctx: int
    is_forgetful: bool = False
    erasures: int = 0
    think: bool | None = None
    is_chat: bool = True
    is_resumed: bool = False


def extend(fitted: Fitted, last: ContextMessage, *, num_ctx: int, estimate: Callable[[str], int]) -> Fitted | None:
    """Return *fitted* with one more message, and with as few of the oldest turns dropped as that takes.

    A sixteenth of the window stays free to go on in. None if even without any
    turn the message finds no room.
    """
    messages = [*fitted.messages, last]
    costs = [MESSAGE_OVERHEAD + estimate(message.content) for message in messages]
    room = num_ctx - num_ctx // 16 - TEMPLATE_OVERHEAD
    oldest = 1 if messages[0].role == "system" else 0
    dropped = 0
    while sum(costs) > room:
        if len(messages) - oldest <= 2:
            return None
        del messages[oldest], costs[oldest]
        if messages[oldest].role == "assistant":
            del messages[oldest], costs[oldest]
        dropped += 1
    return Fitted(
        tuple(messages), fitted.turns_used - dropped, fitted.turns_dropped + dropped, TEMPLATE_OVERHEAD + sum(costs)
    )


class HistoryCheck(Protocol):
    """Compares what is remembered with what still stands in Discord."""

    async def check(self, prompt: PromptRecord, turns: Sequence[Turn]) -> None:
        """Forget what is gone of *turns*, which are about to be sent with *prompt*."""


class Requests:
    """Builds requests from prompts and sends them.

    *system_prompt* goes first, if it is not empty; *keep_alive* is Ollama's;
    *check* is asked before turns are sent.
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
        check: HistoryCheck | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._health = health
        self._catalog = catalog
        self._check = check
        self._system_prompt = system_prompt.strip()
        self._keep_alive = keep_alive
        self._estimator = TokenEstimator()

    async def build(self, prompt: PromptRecord, model: str) -> Request:
        """Return what to send for *prompt*.

        Raises:
            PromptTooLong: it alone does not fit.
            OllamaError: the model's window could not be asked.
        """
        erasures = self._store.erasure.count
        num_ctx = await self._catalog.window(model)
        estimate = self._estimator.bind(model)
        is_chat = prompt.kind is PromptKind.CHAT
        history = await self._history(prompt, num_ctx) if is_chat else []
        turns = history or []
        if self._check is not None:
            await self._check.check(prompt, turns)
        # who asks once, or in a DM, is alone with the model: no label needed
        labelled = is_chat and prompt.guild_id is not None
        *labels, label = _labels(turns, prompt) if labelled else [""] * (len(turns) + 1)
        parts = prompt.parts
        if prompt.label is None:
            parts = trimmed(await self._news(prompt, turns), (num_ctx - default_reserve(num_ctx)) // 4, estimate)
            if is_chat and history is not None:
                await self._fix(prompt, label, parts)
        fitted = fit(
            await self._system(model, labelled=labelled),
            [replace(turn, label=name) for turn, name in zip(turns, labels, strict=True)],
            said(label, parts),
            num_ctx=num_ctx,
            estimate=estimate,
        )
        abilities = await self._catalog.capabilities(model)
        thinks = abilities is not None and "thinking" in abilities
        return Request(
            model,
            fitted,
            num_ctx,
            is_forgetful=history is None,
            erasures=erasures,
            think=thinks or None,
            # /api/generate gives the thoughts of a model with a template of its own as the answer
            is_chat=is_chat or thinks or abilities is None,
        )

    async def is_current(self, request: Request) -> bool:
        """Tell whether nothing that may stand in *request* was erased since it was put together."""
        with suppress(StoreError):
            await self._health.read(self._store.erasure.settle())
            return request.erasures == self._store.erasure.count
        return request.is_forgetful  # what is to be erased is not known to be in it

    async def _news(self, prompt: PromptRecord, turns: Sequence[Turn]) -> tuple[Part, ...]:
        """Return the parts of *prompt* without quotes of what stands right before it in *turns*."""
        last = turns[-1].message_id if turns else 0
        known = {last}
        for part in prompt.parts if turns else ():
            if isinstance(part, Quote) and part.source_id:
                with suppress(StoreError):
                    owner = await self._health.read(self._store.reply_by_message(part.source_id))
                    if owner is not None and owner.prompt_id == last:
                        known.add(part.source_id)
        return without(prompt.parts, known=known, is_first=not turns)

    async def _fix(self, prompt: PromptRecord, label: str, parts: tuple[Part, ...]) -> None:
        """Keep how *prompt* is sent; where the store cannot, it may be sent otherwise next time."""
        with suppress(StoreError):
            await self._health.read(self._store.fix_prompt(prompt.message_id, label=label, parts=parts))

    async def _history(self, prompt: PromptRecord, num_ctx: int) -> list[Turn] | None:
        """Return the turns before *prompt* that may fit *num_ctx* tokens, or None if the store cannot tell them now."""
        most = num_ctx * MOST_CHARACTERS_PER_TOKEN
        try:
            return await self._health.read(
                self._store.history(prompt.channel_id, before=prompt.message_id, limit_characters=most)
            )
        except StoreError:
            return None

    def resume(self, request: Request, partial: str, *, has_thought: bool) -> Request | None:
        """Return the request that has the model go on with its *partial* answer; None if that does not fit.

        A model that thinks, or *has_thought*, is told not to: llama.cpp refuses half
        an answer together with thinking, and one that thinks all the same begins
        afresh. White space at the end stays here: most templates cut it off, and the
        rest would tear the model's tokens; see `bot.generation.continuation`.
        """
        estimate = self._estimator.bind(request.model)
        said = ContextMessage("assistant", neutralise(partial.rstrip()))
        fitted = extend(request.fitted, said, num_ctx=request.num_ctx, estimate=estimate)
        think = False if request.think or has_thought else None
        # /api/generate takes no half answer
        return replace(request, fitted=fitted, think=think, is_chat=True, is_resumed=True) if fitted else None

    def send(self, request: Request) -> AbstractAsyncContextManager[ChatStream]:
        """Return the stream of the answer; entering it sends the request."""
        messages = request.fitted.messages
        if request.is_chat:
            conversation = [
                # a question without its answer and the next one: many templates refuse two in a row
                Message(role, "\n\n".join(message.content for message in some))
                for role, some in groupby(messages, key=lambda message: message.role)
            ]
            return self._client.chat(
                request.model,
                conversation,
                num_ctx=request.num_ctx,
                keep_alive=self._keep_alive,
                think=request.think,
            )
        return self._client.generate(
            request.model,
            messages[-1].content,
            system=self._system_prompt or None,
            num_ctx=request.num_ctx,
            keep_alive=self._keep_alive,
            think=request.think,
        )

    def learn(self, request: Request, counts: Counts) -> None:
        """Calibrate the estimate of tokens with what Ollama counted."""
        self._estimator.observe(request.model, request.fitted.messages, counts.prompt_tokens)

    async def _system(self, model: str, *, labelled: bool) -> str:
        """Return the system prompt, the note on labels at its end.

        A system message replaces the one in the model's own Modelfile
        (server/routes.go, ChatHandler), so that one is sent along; where it
        cannot be known, the note is left out rather than the model's own.
        """
        if not labelled:
            return self._system_prompt
        base = self._system_prompt or await self._catalog.own_system(model)
        return "" if base is None else f"{base}\n\n{LABELS_NOTE}".strip()


def _labels(turns: Sequence[Turn], prompt: PromptRecord) -> list[str]:
    """Return how each of *turns*, and *prompt* after them, is signed."""
    speakers = [(turn.author_id, turn.author_name) for turn in turns]
    speakers.append((prompt.author_id, prompt.author_name))
    return distinct_names(speakers, [*(turn.label for turn in turns), prompt.label])
