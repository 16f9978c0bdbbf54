"""Answers questions anew, in the messages of the answer that is there.

A question whose answer is being written has the model begin again; one that is
answered has its messages used again, and those that are too many deleted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Protocol

import discord

from bot.conversation.records import PromptRecord, UnfinishedReply
from bot.conversation.store import Store
from bot.errors import PromptRefused
from bot.generation.responder import Responder
from bot.generation.session import Phase, Session
from bot.recovery.tasks import Tasks

log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
"""How long after its last edit a question is asked anew: people edit in several steps."""
ANSWERED_WITHIN_SECONDS = 300.0
"""How long after an answer's end an edit of its question has it written anew."""


class Answers(Protocol):
    """Who shows answers."""

    async def take(self, message: discord.Message) -> None:
        """Answer a message that speaks to the bot."""

    async def answer_again(self, reply: UnfinishedReply) -> None:
        """Answer a question in the messages that its answer has."""

    async def refuse(self, prompt: PromptRecord, refusal: PromptRefused) -> None:
        """Tell who asked why a question is not answered anew."""


class Reruns:
    """Has questions answered anew by *responder*; *store* tells which can be."""

    def __init__(self, store: Store, responder: Responder) -> None:
        self._store = store
        self._responder = responder
        self._answers: Answers | None = None
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._edited_at: dict[int, float] = {}  # the latest edit of each question that is asked anew
        self._tasks = Tasks()

    def connect(self, answers: Answers) -> None:
        """Have answers shown by *answers* from now on."""
        self._answers = answers

    def want(self, prompt: PromptRecord) -> None:
        """Ask an edited question anew, once it is quiet; one that waits is asked with its new words anyway."""
        session = self._responder.queue.find(prompt.message_id)
        if session is not None and session.phase is Phase.QUEUED:
            return
        timer = self._timers.pop(prompt.message_id, None)
        if timer is not None:
            timer.cancel()
        if session is not None and session.cause is not None:  # who edits after a stop wants an answer after all
            session = None
        later = asyncio.get_running_loop().call_later
        self._edited_at[prompt.message_id] = now = time.time()
        self._timers[prompt.message_id] = later(QUIET_SECONDS, self._begin, prompt, now, session)

    async def take(self, message: discord.Message) -> None:
        """Answer a message after all that was not heard in time."""
        if self._answers is not None:
            await self._answers.take(message)

    def resume(self, prompt: PromptRecord) -> None:
        """Answer a question after all that was stopped a moment ago."""
        self._tasks.spawn(self._answer(prompt, None), f"answer-anew-{prompt.message_id}")

    def _begin(self, prompt: PromptRecord, edited_at: float, before: Session | None) -> None:
        del self._timers[prompt.message_id]
        self._tasks.spawn(self._run(prompt, edited_at, before), f"answer-anew-{prompt.message_id}")

    async def _run(self, prompt: PromptRecord, edited_at: float, before: Session | None) -> None:
        """Ask anew, unless the reply that ran *before* was stopped since, or the question was edited again."""
        session = self._responder.queue.find(prompt.message_id)
        is_generating = session is not None and session.phase is Phase.GENERATING
        finished_after = edited_at - ANSWERED_WITHIN_SECONDS
        if not is_generating:
            await self._responder.until_closed(prompt.message_id)
        if self._edited_at.get(prompt.message_id) != edited_at:
            return
        del self._edited_at[prompt.message_id]
        if before is not None and before.cause is not None:
            return
        if not is_generating and not await self._store.is_reopenable(prompt.message_id, finished_after=finished_after):
            return
        try:
            self._responder.admission.admit(replace(prompt, created_at=edited_at), is_again=True)
        except PromptRefused as refusal:
            if self._answers is not None:
                await self._answers.refuse(prompt, refusal)
            return
        if session is None or not session.restart():
            await self._answer(prompt, finished_after)

    async def _answer(self, prompt: PromptRecord, finished_after: float | None) -> None:
        await self._responder.until_closed(prompt.message_id)
        if self._answers is None or self._responder.queue.is_closed:
            return
        reply = await self._store.reopen(prompt.message_id, finished_after=finished_after)
        if reply is not None:
            log.info("Reply %d is written anew", reply.reply_id)
            await self._answers.answer_again(replace(reply, model=""))
