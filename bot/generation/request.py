"""What the model is sent: system prompt, the turns that fit, the prompt, the window."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil
from typing import Protocol

from bot.conversation.journal import StoreHealth
from bot.conversation.records import ContextWindow, PromptKind, PromptRecord, Turn
from bot.conversation.speaker_labels import distinct_names, neutralise
from bot.conversation.store import Store
from bot.conversation.tokens import MOST_CHARACTERS_PER_TOKEN, TokenEstimator, units
from bot.conversation.tokens import Message as ContextMessage
from bot.conversation.turn_text import said, trimmed, without
from bot.conversation.window import Fitted, Scale, default_reserve, extend, fit
from bot.errors import StoreError
from bot.generation.answer_filter import AnswerFilter
from bot.generation.model_marks import opens_thought
from bot.generation.model_memory import ModelMemory
from bot.generation.models import ModelCatalog
from bot.generation.opening import Opening
from bot.ollama.client import OllamaClient
from bot.ollama.names import canonical_name
from bot.ollama.stream import ChatStream
from bot.ollama.types import Counts, Message
from bot.parts import Part, Quote

# Of the least; a tokenizer may join what stands at a border.
_LEAST_COUNTED = 0.95


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, ready to be sent.

    Attributes:
        model: its name.
        fitted: what is sent, and how much of the history it holds.
        num_ctx: the window, in tokens.
        prompt: what is asked, as it is sent.
        opening: what stands before the conversation.
        scale: how its tokens were estimated.
        is_forgetful: the history could not be read.
        erasures: how much had been erased before it was put together.
        think: whether the model is to think; None where it cannot, or nobody knows.
        is_chat: it goes to ``/api/chat``; else, a question on its own, to ``/api/generate``.
        is_resumed: the last message is the model's own half answer, which it is to go on with.
        names: what those who speak in it are called.
        opens_thought: the model's template begins its thought, and the server does not tell it apart.
    """

    model: str
    fitted: Fitted
    num_ctx: int
    prompt: PromptRecord
    opening: Opening
    scale: Scale
    is_forgetful: bool = False
    erasures: int = 0
    think: bool | None = None
    is_chat: bool = True
    is_resumed: bool = False
    names: frozenset[str] = frozenset()
    opens_thought: bool = False

    def new_filter(self) -> AnswerFilter:
        """Return what tells the answer from what else the model writes."""
        return AnswerFilter(self.names, self.prompt.own_name, opens_thought=self.opens_thought)


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
        self._models = ModelMemory(store, health)

    async def model_for(self, channel_id: int) -> str:
        """Return the model chosen for a channel; the default one if none was, or the store cannot tell it now."""
        chosen = None
        with suppress(StoreError):
            chosen = await self._health.read(self._store.channel_model(channel_id))
        return chosen or await self._catalog.default()

    async def build(self, prompt: PromptRecord, model: str) -> Request:
        """Return what to send for *prompt*.

        Raises:
            PromptTooLong: it alone does not fit.
            OllamaError: the model's window could not be asked.
        """
        erasures = self._store.erasure.count
        num_ctx = await self._catalog.window(model)
        abilities = await self._catalog.capabilities(model)
        thinks = abilities is not None and "thinking" in abilities
        is_chat = prompt.kind is PromptKind.CHAT
        # /api/generate gives the thoughts of a model with a template of its own as the answer
        by_chat = is_chat or thinks or abilities is None
        key = canonical_name(model).casefold()
        memory = await self._remember(prompt, key, num_ctx)
        prompt, window, turns = memory or (prompt, ContextWindow(), [])
        if self._check is not None:
            await self._check.check(prompt, turns)
        scale = Scale.of(window, await self._models.scale(key))
        sent, turns = await self._signed(prompt, turns, num_ctx, scale)
        details = await self._catalog.details(model)
        modelfile = await self._models.modelfile(key, details)
        opening = Opening.of(modelfile, self._system_prompt, by_chat=by_chat, labelled=bool(sent.label))
        asked = said(sent.label or "", sent.parts)
        fitted = fit(
            opening.system, turns, asked, num_ctx=num_ctx, preface=opening.preface, added=opening.added, scale=scale
        )
        if is_chat and memory is not None:
            await self._fix(sent, key, window, turns[fitted.turns_dropped :], has_moved=fitted.turns_dropped > 0)
        is_forgetful = memory is None
        request = Request(model, fitted, num_ctx, sent, opening, scale, is_forgetful, erasures, thinks or None, by_chat)
        return replace(
            request,
            names=frozenset(filter(None, (sent.label, *(turn.label for turn in turns)))),
            opens_thought=details is not None and not thinks and opens_thought(details.template),
        )

    async def _fix(
        self, sent: PromptRecord, key: str, window: ContextWindow, kept: Sequence[Turn], *, has_moved: bool
    ) -> None:
        """Keep how a prompt is sent and with which of the turns before it (*kept*) the window begins."""
        begins_at = window.begins_at
        if has_moved or not begins_at:
            begins_at = kept[0].message_id if kept else sent.message_id
        with suppress(StoreError):  # where the store cannot keep it, it may be sent otherwise next time
            await self._health.read(self._store.windows.fix(sent, model=key, begins_at=begins_at))

    async def _remember(
        self, prompt: PromptRecord, key: str, num_ctx: int
    ) -> tuple[PromptRecord, ContextWindow, list[Turn]] | None:
        """Return *prompt* as it is kept, its window and the turns in that which may fit; None if the store is away."""
        try:
            prompt, window = await self._health.read(self._store.windows.read(prompt, key))
            if prompt.kind is PromptKind.ASK:
                return prompt, ContextWindow(), []
            if prompt.message_id < window.begins_at:  # asked before what the window begins with, answered after it
                window = ContextWindow()
            history = self._store.history(
                prompt.channel_id,
                since=window.begins_at,
                before=prompt.message_id,
                limit_turns=num_ctx // 4,
                limit_characters=num_ctx * MOST_CHARACTERS_PER_TOKEN,
            )
            return prompt, window, await self._health.read(history)
        except StoreError:
            return None

    async def _signed(
        self, prompt: PromptRecord, turns: list[Turn], num_ctx: int, scale: Scale
    ) -> tuple[PromptRecord, list[Turn]]:
        """Return *prompt* as it is sent now and ever after, and *turns* with the names of their speakers."""
        if prompt.kind is PromptKind.ASK or prompt.guild_id is None:  # alone with the model: no label needed
            *labels, label = [""] * (len(turns) + 1)
        else:
            *labels, label = _labels(turns, prompt)
        parts = prompt.parts
        if prompt.label is None:
            room = (num_ctx - default_reserve(num_ctx)) // 4
            parts = trimmed(await self._news(prompt, turns), room, lambda text: ceil(units(text) * scale.new))
        signed = [replace(turn, label=name) for turn, name in zip(turns, labels, strict=True)]
        return replace(prompt, label=label, parts=parts), signed

    async def is_current(self, request: Request) -> bool:
        """Tell whether nothing that may stand in *request* was erased since it was put together."""
        with suppress(StoreError):
            await self._health.read(self._store.erasure.settle())
            return request.erasures == self._store.erasure.count
        return request.is_forgetful  # what is to be erased is not known to be in it

    async def _news(self, prompt: PromptRecord, turns: Sequence[Turn]) -> tuple[Part, ...]:
        """Return the parts of *prompt* without quotes of what stands right before it in *turns*."""
        last = turns[-1] if turns else None
        known: set[int] = set()
        for part in prompt.parts if last else ():
            if isinstance(part, Quote) and part.source_id:
                with suppress(StoreError):
                    owner = await self._health.read(self._store.reply_by_message(part.source_id))
                    source = owner.prompt_id if owner else part.source_id
                    if last and source in (last.message_id, last.copy_id):
                        known.add(part.source_id)
        return without(prompt.parts, known=known, is_first=not turns)

    def resume(self, request: Request, partial: str, *, has_thought: bool) -> Request | None:
        """Return the request that has the model go on with its *partial* answer; None if that does not fit.

        A model that thinks, or *has_thought*, is told not to: llama.cpp refuses half
        an answer together with thinking, and one that thinks all the same begins
        afresh. White space at the end stays here: most templates cut it off, and the
        rest would tear the model's tokens; see `bot.generation.continuation`.
        """
        half = ContextMessage("assistant", neutralise(partial.rstrip()))
        fitted = extend(request.fitted, half, num_ctx=request.num_ctx, scale=request.scale.known)
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
            system=request.opening.system or None,
            num_ctx=request.num_ctx,
            keep_alive=self._keep_alive,
            think=request.think,
        )

    async def learn(self, request: Request, counts: Counts) -> None:
        """Calibrate the estimates of tokens with what Ollama counted, if it counted what we know of."""
        fitted, tokens = request.fitted, counts.prompt_tokens
        # fewer than its beginning took before: a server that tells only of what it had not read yet, or that cut
        if tokens is None or request.opening.is_guess or tokens < fitted.least_tokens * _LEAST_COUNTED:
            return
        key = canonical_name(request.model).casefold()
        await self._models.learn(key, [*request.opening.added, *fitted.messages], tokens)
        scale = tokens / fitted.weight
        if request.prompt.kind is PromptKind.CHAT and TokenEstimator.FLOOR <= scale <= TokenEstimator.CEILING:
            with suppress(StoreError):
                await self._health.read(self._store.windows.learn(request.prompt, model=key, scale=scale))


def _labels(turns: Sequence[Turn], prompt: PromptRecord) -> list[str]:
    """Return how each of *turns*, and *prompt* after them, is signed."""
    speakers = [(turn.author_id, turn.author_name) for turn in turns]
    speakers.append((prompt.author_id, prompt.author_name))
    return distinct_names(speakers, [*(turn.label for turn in turns), prompt.label])
