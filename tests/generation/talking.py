"""A conversation with a scripted model server over a real store: what the model gets, turn by turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.conversation.journal import StoreHealth
from bot.conversation.records import PromptKind, PromptRecord, ReplyMessage, ReplyState
from bot.conversation.store import Store
from bot.generation.models import ModelCatalog
from bot.generation.request import Requests
from bot.ollama.client import OllamaClient
from bot.parts import Part, Text
from tests.scripted_ollama import Reply, ScriptedOllama, Step, done, token

CHANNEL, GUILD = 1_100, 7
MODEL = "llama3.2:latest"


Count = Callable[[dict[str, Any]], int | None]


def counted(count: Count) -> Step:
    """The last line, with what *count* makes of the request's body."""

    async def play(reply: Reply) -> None:
        tokens = count(reply.request.json)
        counts = {} if tokens is None else {"prompt_eval_count": tokens}
        await reply.line(reply.value("", done=True, done_reason="stop", **counts))
        await reply.wire(b"0\r\n\r\n")

    return Step(play, ends=True)


class Talk:
    """One bot's requests; made anew by each `talking`, as by a restart."""

    def __init__(self, requests: Requests, store: Store, server: ScriptedOllama) -> None:
        self.requests = requests
        self.store = store
        self.server = server

    @staticmethod
    def prompt(
        message_id: int,
        *parts: Part | str,
        name: str = "Ada",
        user: int = 5,
        guild: int | None = GUILD,
        channel: int = CHANNEL,
        kind: PromptKind = PromptKind.CHAT,
    ) -> PromptRecord:
        made = tuple(Text(part) if isinstance(part, str) else part for part in parts)
        return PromptRecord(message_id, channel, guild, user, name, made, time.time(), kind)

    async def ask(
        self,
        message_id: int,
        *parts: Part | str,
        reply: str = "Yes.",
        name: str = "Ada",
        user: int = 5,
        guild: int | None = GUILD,
        channel: int = CHANNEL,
        model: str = MODEL,
        kind: PromptKind = PromptKind.CHAT,
        count: Count | None = None,
        shown_in: int | None = None,
        copy_id: int | None = None,
    ) -> list[dict[str, Any]]:
        """Ask and answer; return the messages that the model got. *count* gives its tokens of a request's body."""
        prompt = self.prompt(message_id, *parts, name=name, user=user, guild=guild, channel=channel, kind=kind)
        prompt = replace(prompt, copy_id=copy_id)
        reply_id = await self.store.take_in(prompt, model=model, at=time.time())
        assert reply_id is not None
        if shown_in is not None:
            await self.store.write_down(reply_id, messages=[ReplyMessage(0, channel, shown_in, "n", reply)])
        return await self.answer(prompt, reply_id, reply=reply, model=model, count=count)

    async def answer(
        self,
        prompt: PromptRecord,
        reply_id: int,
        *,
        reply: str = "Yes.",
        model: str = MODEL,
        count: Count | None = None,
    ) -> list[dict[str, Any]]:
        """Have a prompt answered that the store knows."""
        request = await self.requests.build(prompt, model)
        self.server.enqueue(token(reply), done() if count is None else counted(count))
        counts = None
        async with self.requests.send(request) as chunks:
            while batch := await chunks.read_batch():
                counts = batch[-1].counts
        body: dict[str, Any] = self.server.chats[-1].json
        if counts is not None:
            await self.requests.learn(request, counts)
        await self.store.finish_reply(reply_id, state=ReplyState.COMPLETE, text=reply, at=time.time(), model=model)
        messages: list[dict[str, Any]] = body.get("messages", [body])
        return messages


@contextlib.asynccontextmanager
async def talking(
    folder: Path, server: ScriptedOllama, *, system_prompt: str = "", num_ctx: int = 8192
) -> AsyncIterator[Talk]:
    """Open store and requests on *folder*; leaving and entering again is a restart."""
    async with Store.open(f"sqlite:///{folder / 'burble.db'}") as store, OllamaClient(server.url) as client:
        catalog = ModelCatalog(client, default=None, num_ctx=num_ctx)
        requests = Requests(client, store, StoreHealth(), catalog, system_prompt=system_prompt, keep_alive=None)
        yield Talk(requests, store, server)
