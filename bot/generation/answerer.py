"""Gets one model's answer: asks again while there is none, goes on where a connection broke.

What is done again, and what never:

- Nothing came yet, and the server is busy or not there: asked again, see
  `bot.generation.retry`.
- The connection broke in the middle: the model is asked once to go on, see
  `Answerer._go_on`. Not after silence (`IdleTimeout`): its reader has waited
  long enough, and whatever holds the model up holds up the next request too.
  Not after an error line or an end in good order without ``done``: there the
  server itself ended the answer (out of memory, a model that repeats itself)
  and would do so again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from bot.errors import FirstByteTimeout, OllamaError, OllamaUnreachable, StreamCut
from bot.generation.continuation import Continuation
from bot.generation.job import Job
from bot.generation.model_text import code
from bot.generation.models import ModelCatalog
from bot.generation.request import Request, Requests
from bot.generation.retry import Outage, Retries, RetryPolicy
from bot.generation.status import StatusTiming
from bot.generation.stuck_model import StuckModelWatch
from bot.generation.waiting import WaitWatch
from bot.ollama.client import OllamaClient
from bot.ollama.stream import ChatStream

log = logging.getLogger(__name__)

# How far into the time until the status line comes /api/ps is asked: it is to be right when it comes.
_LOOK_AT = 0.8


class Answerer:
    """Gets answers for jobs; everything shared is handed in.

    *resumes* says whether an answer that was cut off is gone on with.
    """

    def __init__(
        self,
        client: OllamaClient,
        catalog: ModelCatalog,
        requests: Requests,
        *,
        timing: StatusTiming,
        retry: RetryPolicy,
        stuck: StuckModelWatch,
        resumes: bool,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._requests = requests
        self._timing = timing
        self._retry = retry
        self._stuck = stuck
        self._resumes = resumes
        self._outage = Outage()

    async def answer(self, job: Job) -> None:
        """Write the model's answer into *job*, that of its channel's model if the job names none.

        Raises:
            PromptTooLong: the prompt does not fit.
            OllamaError: there is no answer, or not all of it; what came is in the job.
        """
        request: Request | None = None
        job.taken_up_at = time.monotonic()

        async def prepare() -> Request:
            nonlocal request
            if not job.model:
                job.model = await self._requests.model_for(job.reply.prompt.channel_id)
            job.status.say(f"⏳ waiting for {code(job.model)}")
            request = await self._build(job)
            return request

        try:
            async with self._open(job, prepare, since=job.began_at) as chunks:
                await self._read(job, chunks)
        except StreamCut as cut:
            if request is None or not self._may_resume(job, cut):
                raise
            request = await self._go_on(job, request, cut)
        finally:
            self._write_held(job, None)
        if request is not None and job.last.counts is not None:
            await self._requests.learn(request, job.last.counts)

    async def _build(self, job: Job) -> Request:
        """Return the request for *job*, without anything that was deleted meanwhile."""
        while True:
            prompt = job.reply.prompt
            request = await self._requests.build(prompt, job.model)
            job.is_forgetful = request.is_forgetful
            job.filter = request.new_filter()
            if prompt is job.reply.prompt and await self._requests.is_current(request):
                return request

    @asynccontextmanager
    async def _open(
        self, job: Job, prepare: Callable[[], Awaitable[Request]], *, since: float
    ) -> AsyncIterator[ChatStream]:
        """Send what *prepare* returns, both again if that may help; yield the answer.

        *since* is from when on (seconds, monotonic) the job has waited for that.
        """
        retries, is_hopeless = Retries(self._retry), self._outage.covers(since)
        async with AsyncExitStack() as stack:
            while True:
                try:
                    request = await prepare()
                    chunks = await stack.enter_async_context(self._ask(job, request))
                    self._outage.end()
                    break
                except OllamaError as error:
                    is_away = isinstance(error, OllamaUnreachable)
                    delay = None if is_away and is_hopeless else retries.delay_after(error)
                    if delay is None:
                        if is_away:
                            self._outage.note(time.monotonic())
                        raise
                    log.info("Reply %s: %s; try %s in %.1f s", job.journal.label, job.told(error), retries.words, delay)
                    why = "I cannot reach Ollama" if is_away else "Ollama is busy"
                    job.status.say(f"⏳ {why}, retrying ({retries.words})", at_once=True)
                    await asyncio.sleep(delay)
            yield chunks

    @asynccontextmanager
    async def _ask(self, job: Job, request: Request) -> AsyncIterator[ChatStream]:
        """Send *request* once, telling meanwhile what it waits for; yield the answer."""
        wait = self._stuck.asked(request.model)
        watch = WaitWatch(
            self._client,
            self._catalog,
            self._stuck,
            model=request.model,
            num_ctx=request.num_ctx,
            say=job.status.say,
            look_after=self._timing.status_after * _LOOK_AT,
            long_after=self._timing.long_after,
        )
        try:
            async with AsyncExitStack() as stack:
                async with watch:
                    chunks = await stack.enter_async_context(self._requests.send(request))
                self._stuck.answered(wait)
                yield chunks
        except FirstByteTimeout:
            if self._stuck.is_stuck(request.model):
                job.hint = (
                    f"{code(request.model)} has answered nobody for a while: whoever hosts me finds more in my log."
                )
            raise
        finally:
            self._stuck.left(wait)

    @staticmethod
    async def _read(job: Job, chunks: ChatStream, continuation: Continuation | None = None) -> None:
        """Drain the socket as fast as the model talks; *continuation* joins the text to what was there."""
        while batch := await chunks.read_batch():
            for chunk in batch:
                if chunk.thinking and continuation is not None:
                    raise StreamCut(chunks.url, "the model began to think afresh")
                if chunk.thinking:
                    job.note_thought(chunk.thinking)
                    job.take(job.filter.release())  # the server tells thoughts apart
                if chunk.content:
                    job.take(job.filter.feed(chunk.content), continuation)
                job.note_rest(chunk)
                if job.filter.is_ended:
                    return
            if job.is_full:
                return

    def _may_resume(self, job: Job, cut: StreamCut) -> bool:
        """Tell whether the model can be asked to go on: the connection broke, and there is a text to go on with.

        Without any text the question is simply put again; a model that had
        begun to think would have to think it all again.
        """
        return self._resumes and cut.is_lost and not job.is_full and bool(job.streamer.characters or not job.thought)

    async def _go_on(self, job: Job, request: Request, cut: StreamCut) -> Request:
        """Have the model go on where the connection broke; return what it was sent.

        Raises:
            StreamCut: *cut*, if nothing came of it.
            OllamaError: the answer was cut off again, further on.
        """
        job.filter.drop_half()
        text, continuation = job.streamer.text, None
        if not await self._requests.is_current(request):
            request = await self._build(job)
        if text:
            resumed = self._requests.resume(request, text, has_thought=job.thought)
            if resumed is None:
                log.info("Reply %s: %s; too long to be resumed", job.journal.label, job.told(cut))
                raise cut
            request, continuation = resumed, Continuation(text, resumed.fitted.messages[-1].content)
        log.info("Reply %s: %s; resuming after %d characters", job.journal.label, job.told(cut), len(text))
        return await self._continue(job, request, cut, continuation)

    async def _continue(self, job: Job, request: Request, cut: StreamCut, continuation: Continuation | None) -> Request:
        """Send *request* and write what comes behind the text that is there."""

        async def ready() -> Request:
            if not await self._requests.is_current(request):
                raise cut  # something in it was deleted meanwhile
            return request

        before = job.streamer.characters
        try:
            async with self._open(job, ready, since=time.monotonic()) as chunks:
                await self._read(job, chunks, continuation)
        except OllamaError as error:
            self._write_held(job, continuation)
            job.is_resumed = continuation is not None and job.streamer.characters > before
            if job.is_resumed or continuation is None:
                raise
            log.warning("Reply %s could not be resumed: %s", job.journal.label, job.told(error))
            job.hint = "I tried to resume it, in vain."
            raise cut from error
        finally:
            self._write_held(job, continuation)  # when it is stopped, too
        job.is_resumed = continuation is not None
        return request

    @staticmethod
    def _write_held(job: Job, continuation: Continuation | None) -> None:
        job.take(job.filter.flush(is_whole=job.last.done and job.last.done_reason != "length"), continuation)
        if continuation is not None:
            job.write(continuation.flush())
