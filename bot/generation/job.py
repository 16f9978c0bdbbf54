"""What belongs to one reply while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bot.conversation.journal import ReplyJournal
from bot.errors import BurbleError
from bot.generation.describe import code
from bot.generation.discretion import discreet
from bot.generation.running import ReplySink, RunningReply
from bot.generation.status import StatusTeller
from bot.ollama.types import ChatChunk
from bot.streaming.streamer import ReplyStreamer

MAX_REPLY_CHARACTERS = 1024 * 1024
"""A reply's text is stopped, with words, past so many code points."""


@dataclass(slots=True)
class Job:
    """One reply in the making; see `bot.generation.responder`.

    Attributes:
        model: who answers, once that is decided.
        last: the model's last line, or an empty chunk.
        thought: the model has been thinking.
        tools: names of the tools that it wanted to call.
        is_resumed: the text goes on behind a place where the connection broke.
        hint: a sentence to go with a failure.
        is_undeliverable, may_be_shown_later: what became of it at Discord.
        is_forgetful: it is answered without the conversation so far.
    """

    reply: RunningReply
    journal: ReplyJournal
    sink: ReplySink
    streamer: ReplyStreamer
    status: StatusTeller
    model: str = ""
    last: ChatChunk = field(default_factory=ChatChunk)
    thought: bool = False
    tools: list[str] = field(default_factory=list)
    is_resumed: bool = False
    hint: str = ""
    is_undeliverable: bool = False
    is_forgetful: bool = False
    may_be_shown_later: bool = False
    began_at: float = field(default_factory=time.monotonic)

    @property
    def is_full(self) -> bool:
        """Whether the text is as long as one may get."""
        return self.streamer.characters > MAX_REPLY_CHARACTERS

    def told(self, error: BurbleError) -> str:
        """Return *error* for the log, without what was asked or answered."""
        return discreet(str(error), self.reply.prompt.text, self.streamer.text)

    def write(self, text: str) -> None:
        """Append the model's *text*; white space before the first word is no text."""
        if text and (self.streamer.characters or text.strip()):
            self.status.text_began()
            self.journal.append(text)
            self.streamer.feed(text)

    def note_thought(self) -> None:
        """Note that the model is thinking, and say so the first time."""
        if not self.thought:
            self.thought = True
            self.status.say(f"💭 {code(self.model)} is thinking")

    def note_rest(self, chunk: ChatChunk) -> None:
        """Note what a chunk holds besides text."""
        # a server that never stops calling tools must not fill the memory
        if chunk.tool_calls and len(self.tools) < 10:
            self.tools += chunk.tool_calls[:10]
        if chunk.done:
            self.last = chunk
