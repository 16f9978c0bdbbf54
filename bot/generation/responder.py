"""From a prompt to a recorded reply: queue, history, model, streamer, ending."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from bot.conversation.journal import Journals, ReplyJournal
from bot.conversation.records import PromptRecord, ReplyEnd, ReplyState, UnfinishedReply
from bot.conversation.store import Store
from bot.errors import BurbleError, DeliveryError, DeliveryRetry, ModelMissing, PromptRefused
from bot.generation import ending as endings
from bot.generation.admission import Admission
from bot.generation.answerer import Answerer
from bot.generation.ending import Ending
from bot.generation.job import Job
from bot.generation.model_text import code
from bot.generation.models import ModelCatalog
from bot.generation.options import ReplyOptions
from bot.generation.queue import ReplyQueue
from bot.generation.request import HistoryCheck, Requests
from bot.generation.session import Phase, ReplyRestarted, ReplySink, ReplyStopped, Session, StopCause
from bot.generation.status import StatusTeller, in_line
from bot.generation.stuck_model import StuckModelWatch
from bot.markdown.failsafe import FailsafePages
from bot.ollama.client import OllamaClient
from bot.streaming.budget import EditBudget
from bot.streaming.streamer import ReplyStreamer

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 0.5  # for what is not written down yet when the bot stops


class Responder:
    """Answers prompts. One `respond` per prompt; everything shared is handed in."""

    def __init__(
        self,
        client: OllamaClient,
        store: Store,
        budget: EditBudget,
        catalog: ModelCatalog,
        queue: ReplyQueue,
        options: ReplyOptions,
        check: HistoryCheck | None = None,
    ) -> None:
        self._journals = Journals(store)
        self._budget = budget
        self.catalog = catalog
        self.queue = queue
        self.admission = Admission(queue, options.rates)
        self._options = options
        self._answerer = Answerer(
            client,
            catalog,
            Requests(
                client,
                store,
                self._journals.health,
                catalog,
                system_prompt=options.system_prompt,
                keep_alive=options.keep_alive,
                check=check,
            ),
            timing=options.timing,
            retry=options.retry,
            stuck=StuckModelWatch(after=options.stuck_after),
            resumes=options.resumes,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._closings: dict[int, asyncio.Task[None]] = {}  # by prompt
        self._taking_in = 0  # prompts that are on their way into the store
        self._all_taken_in = asyncio.Event()
        self._all_taken_in.set()

    def knows(self, message_id: int) -> bool:
        """Tell whether a message was taken in as a prompt of late."""
        return self._journals.knows(message_id)

    def admit(self, prompt: PromptRecord, admission: Admission | None = None) -> None:
        """Let *prompt* in to be answered (by another *admission* than that of the present), or refuse it for good.

        Raises:
            PromptRefused: there is too much of it.
        """
        if self.knows(prompt.message_id):
            return  # delivered again: it counts once, and `respond` ignores it
        try:
            (admission or self.admission).admit(prompt)
        except PromptRefused:
            self._journals.remember(prompt.message_id)
            raise

    async def respond(
        self,
        prompt: PromptRecord,
        open_sink: Callable[[ReplyJournal], ReplySink],
        *,
        model: str | None = None,
    ) -> None:
        """Answer *prompt* in the sink that *open_sink* opens with the reply's journal; return when it is recorded.

        *model* answers instead of the channel's.
        A prompt that was taken in before (a redelivered event) changes nothing.
        A database that cannot be used costs the memory, not the answer.
        """
        journal = await self._take_in(prompt, model or "")
        if journal is None:
            log.info("Prompt %s was delivered again; ignored", prompt.message_id)
            return
        try:
            await self._answer(journal, open_sink, model or "")
        except Exception:  # the caller says so: a restart has nothing to do
            journal.end(ReplyEnd(ReplyState.FAILED, "", at=time.time()))
            await journal.close(is_shown=True)
            raise

    async def _take_in(self, prompt: PromptRecord, model: str) -> ReplyJournal | None:
        self._taking_in += 1
        self._all_taken_in.clear()
        try:
            return await self._journals.begin(prompt, model=model)
        finally:
            self._taking_in -= 1
            if not self._taking_in:
                self._all_taken_in.set()

    async def respond_again(self, reply: UnfinishedReply, open_sink: Callable[[ReplyJournal], ReplySink]) -> None:
        """Answer a prompt to which an earlier process had not said a word; see `respond`.

        When we are shutting down as well, it stays for the next start.
        """
        if self.queue.is_closed:
            return
        journal = self._journals.reopen(reply.prompt, reply.reply_id)
        await self._answer(journal, open_sink, reply.model, is_owed=True)

    async def _answer(
        self,
        journal: ReplyJournal,
        open_sink: Callable[[ReplyJournal], ReplySink],
        model: str,
        *,
        is_owed: bool = False,
    ) -> None:
        prompt = journal.prompt
        sink = open_sink(journal)
        options = self._options
        limit = sink.deliverer.transcript.room(0)  # beside words of our own
        new_pages = partial(FailsafePages, limit=limit, mode=options.render_markdown, last=options.max_messages)
        streamer = ReplyStreamer(
            sink.deliverer, new_pages(), self._budget, max_messages=options.max_messages, is_held=True
        )
        status = StatusTeller(streamer, sink, timing=self._options.timing)
        job = Job(Session(prompt), journal, sink, streamer, status, new_pages, model=model)
        try:
            job.reply = self.queue.enter(prompt, lambda session: self._moved(session, job), is_owed=is_owed)
        except BurbleError as error:
            streamer.release()
            if isinstance(error, PromptRefused):  # the line filled up while the prompt was taken in
                self.admission.note(error, prompt)
            await self._run(job, refusal=error)
            return
        try:
            job.reply.sink, job.reply.streamer = sink, streamer
            await self._run(job)
        finally:
            self.queue.leave(job.reply)

    async def until_closed(self, prompt_id: int) -> None:
        """Wait until nothing more is done for the answer to a prompt."""
        for session in [session for session in self.queue if session.prompt.message_id == prompt_id]:
            await session.done.wait()
        closing = self._closings.get(prompt_id)
        if closing is not None:
            await asyncio.wait((closing,))

    @property
    def is_busy(self) -> bool:
        """Whether a writer or the clearing up after a reply still runs."""
        return bool(self._tasks)

    async def shutdown(self, grace: float) -> None:
        """Give running replies *grace* seconds, then close them in words; leave who waits for the next start."""
        self.queue.close(StopCause(": the bot was shut down", is_put_off=True, ends_delivery=False))
        try:
            async with asyncio.timeout(grace):
                await self.queue.drained()
        except TimeoutError:
            self.queue.stop_all(StopCause(": the bot was shut down", ends_delivery=False))
            await self.queue.drained()
        # whoever is being taken in right now gets a sentence, too
        await self._all_taken_in.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._journals.drain(_DRAIN_SECONDS)

    async def _run(self, job: Job, refusal: BurbleError | None = None) -> None:
        """Work, show, record: whatever happens, the reply ends in words and in the database."""
        if refusal is None:
            job.sink.begin()
        writer = self._own(self._write(job), f"reply-writer-{job.journal.label}")
        ending = Ending(ReplyState.INTERRUPTED, "⏹️ stopped: the bot was shut down")
        try:
            ending = endings.refused(refusal, job.reply.prompt.kind) if refusal else await self._end(job)
            if job.is_resumed:
                ending = endings.resumed(ending)
        finally:
            job.conclude(ending)
            # shielded: a cancel from outside must not cost the last words
            await asyncio.shield(self._finish(job, ending, writer))

    async def _finish(self, job: Job, ending: Ending, writer: asyncio.Task[None]) -> None:
        await job.journal.settle()  # the next question is answered with this answer in mind
        self.queue.generated(job.reply)
        stopped = asyncio.create_task(job.reply.stopped.wait())
        await asyncio.wait([writer, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if (cause := job.reply.cause) is not None and cause.ends_delivery and not job.is_undeliverable:
            ending = ending if ending.state is ReplyState.STOPPED else endings.stopped(cause)
            await job.cut(ending, writer)
        await asyncio.wait([writer])
        job.report(ending)
        await job.journal.settle()
        # the next in line need not wait until the control is gone
        prompt_id = job.journal.prompt.message_id
        self._closings[prompt_id] = self._own(self._close(job), f"close-{job.journal.label}")
        self._closings[prompt_id].add_done_callback(lambda _: self._closings.pop(prompt_id, None))

    async def _close(self, job: Job) -> None:
        """Clear away what surrounds the text; only then a restart has nothing more to do for the reply."""
        await job.sink.close(job.reply.cause.clicked if job.reply.cause else None)
        await job.journal.close(is_shown=not job.is_left_open)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run *work* as a task that `shutdown` waits for."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write(self, job: Job) -> None:
        """Run the writer; if it fails, nobody would read on, so the work is stopped."""
        try:
            await job.streamer.run()
        except DeliveryError as error:
            log.warning(
                "Reply %s in channel %s cannot be shown any more: %s",
                job.journal.label,
                job.reply.prompt.channel_id,
                error,
            )
            job.is_left_open |= isinstance(error, DeliveryRetry)
        except Exception:
            log.exception("The writer of reply %s failed", job.journal.label)
        else:
            return
        job.is_undeliverable = True
        job.reply.stop(StopCause(": it can no longer be shown", is_silent=True))

    async def _end(self, job: Job) -> Ending:
        """Do the reply's work; turn every way it can go into an ending."""
        try:
            await self._work_until_it_stands(job)
        except ReplyStopped as stop:
            return endings.undeliverable() if job.is_undeliverable else self._stopped(job, stop.cause)
        except ModelMissing as error:
            log.warning("Reply %s: %s", job.journal.label, job.told(error))
            return endings.failed(error, await self._offer_models())
        except BurbleError as error:
            ending = endings.failed(error, job.hint)  # its words have a reference, which the log is to hold
            log.warning("Reply %s: %s", job.journal.label, job.told(error))
            return ending
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("Reply %s failed, reference %s", job.journal.label, reference)
            return endings.broken(reference)
        if job.is_full:
            return endings.endless(is_fruitless=job.is_fruitless, thought=job.thought, tools=job.tools)
        ending = endings.completed(
            job.last.done_reason,
            job.last.counts,
            has_text=job.streamer.has_visible_text(interrupted=job.last.done_reason == "length"),
            thought=job.thought,
            tools=job.tools,
        )
        return endings.forgetful(ending) if job.is_forgetful else ending

    async def _work_until_it_stands(self, job: Job) -> None:
        """Do the reply's work, anew whenever its question gets other words."""
        while True:
            try:
                await job.reply.unless_stopped(self._work(job))
            except ReplyRestarted:
                log.info("Reply %s begins anew: its question was edited", job.journal.label)
                job.begin_anew()
            else:
                return

    @staticmethod
    def _stopped(job: Job, cause: StopCause) -> Ending:
        # the next start finds what is in the store, nothing else
        return endings.put_off() if cause.is_put_off and job.journal.is_stored else endings.stopped(cause)

    async def _offer_models(self) -> str:
        names = [code(model.name) for model in await self.catalog.known(within=2.0) if model.can_complete]
        return f"Installed: {', '.join(names[:10])}." if names else ""

    async def _work(self, job: Job) -> None:
        """Wait for the turn, choose model and history, read the answer; cancelled when stopped."""
        self._moved(job.reply, job)
        await self.queue.turn(job.reply)
        job.status.say("⏳ waiting for the model")
        await self._answerer.answer(job)

    def _moved(self, session: Session, job: Job) -> None:
        """Tell who waits where they are now; show what may be shown."""
        queue = self.queue
        job.status.after = queue.previous(session)
        if session.phase is Phase.QUEUED:
            is_over_share, is_held = queue.is_over_share(session), queue.is_held(session)
            job.status.say(in_line(queue.ahead(session), is_over_share=is_over_share, is_held=is_held))
        elif queue.may_show(session):
            job.show()
