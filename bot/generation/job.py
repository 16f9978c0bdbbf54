"""What belongs to one reply while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.conversation.journal import ReplyJournal
from bot.conversation.records import ReplyState
from bot.conversation.turn_text import said
from bot.errors import BurbleError
from bot.generation.answer_filter import AnswerFilter, Filtered
from bot.generation.continuation import Continuation
from bot.generation.ending import Ending
from bot.generation.log_redaction import discreet
from bot.generation.model_text import code
from bot.generation.session import ReplySink, Session
from bot.generation.status import StatusTeller
from bot.markdown.beginning import beginning
from bot.markdown.failsafe import FailsafePages
from bot.ollama.types import ChatChunk
from bot.parts import Thinking
from bot.streaming.streamer import ReplyStreamer

log = logging.getLogger(__name__)

MAX_REPLY_CHARACTERS = 1024 * 1024
"""A reply's text is stopped, with words, past so many code points."""
MAX_UNSEEN = 1_000_000
"""So much may be read that is never shown: a code point of thoughts counts one, see the others below."""
_TOOL_CALL = 10_000
_WHITE_SPACE = 2
_LONGEST_GAP = 500

MAX_THOUGHT_CHARACTERS = 100_000
"""Code points of a model's thoughts that are kept."""


@dataclass(slots=True)
class Job:
    """One reply in the making; see `bot.generation.responder`.

    Attributes:
        new_pages: makes pages as the streamer has them.
        model: who answers, once that is decided.
        filter: tells the model's answer from its thoughts.
        last: the model's last line, or an empty chunk.
        thought: the model has been thinking.
        tools: names of the tools that it wanted to call.
        is_resumed: the text goes on behind a place where the connection broke.
        hint: a sentence to go with a failure.
        is_undeliverable: Discord takes no more of it.
        is_left_open: the next start has something to do for it.
        is_forgetful: it is answered without the conversation so far.
        began_at, taken_up_at, first_word_at: when it was taken in, got a place of the model's, and its first token
            (seconds, monotonic).
    """

    reply: Session
    journal: ReplyJournal
    sink: ReplySink
    streamer: ReplyStreamer
    status: StatusTeller
    new_pages: Callable[[], FailsafePages]
    model: str = ""
    last: ChatChunk = field(default_factory=ChatChunk)
    thought: bool = False
    tools: list[str] = field(default_factory=list)
    is_resumed: bool = False
    hint: str = ""
    is_undeliverable: bool = False
    is_forgetful: bool = False
    is_left_open: bool = False
    began_at: float = field(default_factory=time.monotonic)
    filter: AnswerFilter = field(default_factory=AnswerFilter)
    taken_up_at: float | None = None
    first_word_at: float | None = None
    _thoughts: list[str] = field(default_factory=list)
    _thought_characters: int = 0
    _unseen: int = 0
    _blank: int = 0  # since the last word

    @property
    def is_full(self) -> bool:
        """Whether the text is as long as one may get, or the model goes on and on without one."""
        return self.streamer.characters > MAX_REPLY_CHARACTERS or self.is_fruitless

    @property
    def is_fruitless(self) -> bool:
        """Whether the model thinks, calls tools or sends white space without end."""
        return max(self._unseen, self._blank) > MAX_UNSEEN

    def told(self, error: BurbleError) -> str:
        """Return *error* for the log, without what was asked or answered."""
        return error.logged(discreet(error.text, said("", self.reply.prompt.parts), self.streamer.text))

    def write(self, text: str) -> None:
        """Append the model's *text*; white space before the first word is no text, nor is a gap without end."""
        if text.strip() or (text and self.streamer.characters and self._blank < _LONGEST_GAP * _WHITE_SPACE):
            if self.streamer.is_released:
                self.status.text_began()
            self.journal.append(text)
            self.streamer.feed(text)

    def take(self, words: Filtered, continuation: Continuation | None = None) -> None:
        """Take what the filter made of the model's words; *continuation* joins them to what was there."""
        if words.takes_back:
            self._take_back()
        if words.thought or self.filter.is_thinking:
            self.note_thought(words.thought)
            self._unseen += len(words.thought)
        if words.text:
            self.write(continuation.feed(words.text) if continuation else words.text)
        if self.filter.is_thinking and self.streamer.characters:
            self.streamer.notice(f"-# {self._thinking}")

    def _take_back(self) -> None:
        """Take what is on screen for a thought, unless there is too much of it by now."""
        text = self.streamer.text
        if self.streamer.take_back(self.new_pages(), self._thinking):
            self.journal.begin_anew()
            self.note_thought(text)

    @property
    def _thinking(self) -> str:
        return f"💭 {code(self.model)} is thinking"

    def show(self) -> None:
        """Let the text go on screen, now that what comes before it in the channel is there."""
        self.streamer.release()
        if self.streamer.is_ended:
            self.status.close()
        elif self.streamer.characters:
            self.status.text_began()

    def note_thought(self, text: str) -> None:
        """Keep what the model thinks apart, as far as there is room, and say the first time that it does."""
        if not self.thought:
            self.thought = True
            self.status.say(self._thinking)
        room = MAX_THOUGHT_CHARACTERS - self._thought_characters
        if room > 0:
            self._thoughts.append(text[:room])
            self._thought_characters += len(text)

    def note_rest(self, chunk: ChatChunk) -> None:
        """Note what a chunk holds besides text."""
        if self.first_word_at is None and (chunk.content or chunk.thinking):
            self.first_word_at = time.monotonic()
        self._unseen += len(chunk.thinking) + _TOOL_CALL * len(chunk.tool_calls)
        self._blank = 0 if chunk.content.strip() else self._blank + 1 + _WHITE_SPACE * len(chunk.content)
        # a server that never stops calling tools must not fill the memory
        if chunk.tool_calls and len(self.tools) < 10:
            self.tools += [call.name for call in chunk.tool_calls[:10]]
        if chunk.done:
            self.last = chunk

    def begin_anew(self) -> None:
        """Forget what the model wrote: it is asked anew, and its text takes the other's place."""
        self.journal.begin_anew()
        self.streamer.begin_anew(self.new_pages())
        self.last, self.hint, self.first_word_at = ChatChunk(), "", None
        self.thought = self.is_resumed = self.is_forgetful = False
        self.tools, self._thoughts = [], []
        self._thought_characters = self._unseen = self._blank = 0

    def conclude(self, ending: Ending) -> None:
        """Note how the reply ended, for the journal and on screen; of one that is put off nothing is recorded."""
        if not self.streamer.characters:
            self.streamer.release()  # words of ours wait for nobody's answer
        if self.streamer.is_released:
            self.status.close()
        if ending.is_put_off:
            self.is_left_open = True
            self.streamer.leave(ending.line)
            return
        interrupted = ending.state is not ReplyState.COMPLETE or self.last.done_reason == "length"
        has_text = self.streamer.has_visible_text(interrupted=interrupted)
        self._record(ending, self.streamer.text if has_text else "")
        self.streamer.end(ending.footer(has_text=has_text), quiet=ending.is_quiet, interrupted=interrupted)

    async def cut(self, ending: Ending, writer: asyncio.Task[None]) -> None:
        """Show no further message of a text that has ended, and remember no more than what is on screen.

        That is stored before its last line is shown; of a message that was under way then, afterwards.
        """
        if not self.streamer.has_more:
            return
        was_released = self.streamer.is_released
        self.streamer.hold()
        count, line = max(1, self.streamer.messages), ending.footer(has_text=True)
        await self._remember(ending, count, line)
        self.streamer.stop(line)
        if was_released:
            self.streamer.release()
        await asyncio.wait([writer])
        if self.streamer.messages > count:
            await self._remember(ending, self.streamer.messages, line)

    async def _remember(self, ending: Ending, count: int, line: str) -> None:
        shown = await asyncio.to_thread(beginning, self.streamer.text, count, line, self.new_pages)
        self._record(ending, shown)
        await self.journal.settle()

    def _record(self, ending: Ending, text: str) -> None:
        thoughts = (Thinking("".join(self._thoughts)),) if self._thoughts else ()
        self.journal.end(ending.record(text, self.model, thoughts))

    def report(self, ending: Ending) -> None:
        """Log how it went."""
        prompt, label = self.reply.prompt, self.journal.label
        where = f"{prompt.place or 'channel'} ({prompt.channel_id})"
        if ending.is_put_off:
            log.info("Reply %s to %d in %s was not begun; left for the next start", label, prompt.author_id, where)
            return
        now = time.monotonic()
        queued = (self.taken_up_at or now) - self.began_at
        first = "none" if self.first_word_at is None else f"{self.first_word_at - self.began_at - queued:.1f} s"
        counts = ending.counts
        speed = counts.tokens_per_second if counts else None
        log.info(
            "Reply %s to %d in %s: %s, model %s, queued %.1f s, first token %s, %s tokens, %s tokens/s, "
            "%d characters, %.1f s in all",
            label,
            prompt.author_id,
            where,
            ending.state,
            self.model or "none",
            queued,
            first,
            counts.reply_tokens if counts else "?",
            "?" if speed is None else f"{speed:.1f}",
            self.streamer.characters,
            now - self.began_at,
        )
