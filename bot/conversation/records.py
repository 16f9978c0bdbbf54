"""The values that go into the store and come out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.parts import Part, text_of


class PromptKind(StrEnum):
    """How a prompt came in: chat has a history, ask stands alone."""

    CHAT = "chat"
    ASK = "ask"


class PromptState(StrEnum):
    """What became of a prompt."""

    WAITING = "waiting"
    """Taken in, no reply begun: after a restart it is still to be answered."""
    TAKEN = "taken"
    """A reply was begun."""
    CLOSED = "closed"
    """Nobody will answer: stopped while it waited, or refused."""
    WITHDRAWN = "withdrawn"
    """Its message was deleted a moment ago: it is not sent any more, and forgotten unless a proxy bot wrote it anew."""
    FORGOTTEN = "forgotten"
    """It is removed as soon as its answer's messages are closed."""


class ReplyState(StrEnum):
    """How far a reply has come; all but the first are final."""

    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """What somebody asked.

    Attributes:
        message_id: the prompt's message, or the interaction for kind ask.
        channel_id: where it was asked; a thread or a DM is a channel of its own.
        guild_id: the server, or None in a DM.
        author_id: who asked.
        author_name: their display name then.
        parts: what was written, as a reader sees it (mentions as names, ours stripped), and what it refers to.
        created_at: Unix seconds.
        kind: chat, or ask (which has and leaves no history).
        token: the interaction's while its answer is not on screen, a secret for 15 minutes; else empty.
        copy_id: a second message that holds it: one before a bare mention, or the one that a proxy bot wrote instead.
        own_name: what the bot is called there; not kept.
        label: the name that the model was told; None until it was first sent, and *parts* may still be cut then.
        place: the names of the channel and its server, for the log; not stored.
    """

    message_id: int
    channel_id: int
    guild_id: int | None
    author_id: int
    author_name: str
    parts: tuple[Part, ...]
    created_at: float
    kind: PromptKind = PromptKind.CHAT
    token: str = field(default="", repr=False)
    copy_id: int | None = None
    label: str | None = None
    place: str = field(default="", repr=False, compare=False)
    own_name: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """What was written, without what it refers to."""
        return text_of(self.parts)


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt with what was answered.

    Attributes:
        author_name: who asked, as in `PromptRecord`.
        parts: the prompt.
        reply: the answer's text, whole or as far as it came.
        message_id: the prompt's message.
        author_id: who asked.
        label: as in `PromptRecord`.
        copy_id: as in `PromptRecord`.
    """

    author_name: str
    parts: tuple[Part, ...]
    reply: str
    message_id: int = 0
    author_id: int = 0
    label: str | None = None
    copy_id: int | None = None

    @property
    def text(self) -> str:
        """What was written, without what it refers to."""
        return text_of(self.parts)


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """Where what a model is sent of a channel's conversation begins.

    Attributes:
        begins_at: the prompt of the oldest turn that is sent; 0 before the first request.
        scale: how many tokens one estimated token was in the request that was counted last, or None.
        counted_at: the prompt of that request.
    """

    begins_at: int = 0
    scale: float | None = None
    counted_at: int = 0


@dataclass(frozen=True, slots=True)
class ReplyMessage:
    """One of the messages that a reply is shown in.

    Attributes:
        ordinal: its place in the reply, from 0.
        channel_id: where it is.
        message_id: None while Discord has not told it (a POST in flight).
        nonce: what the POST carried, to find it again.
        text: what was last sent, or about to be.
        generation, state, shown, first_try, is_status, file: see `bot.streaming.calls.Message`.
        by_token: an interaction's token reaches it.
    """

    ordinal: int
    channel_id: int
    message_id: int | None
    nonce: str
    text: str
    generation: int = 0
    state: str = "open"
    shown: str = ""
    first_try: str = ""
    is_status: bool = False
    file: str = "none"
    by_token: bool = False


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """How a reply ended.

    Attributes:
        state: a final one.
        text: what the model wrote, whole.
        footer: our own closing words as they are shown, or empty.
        at: Unix seconds.
        model: who answered, or None to leave what is stored.
        prompt_tokens: Ollama's count, or None.
        reply_tokens: Ollama's count, or None.
        parts: what else the model gave, its thoughts for one.
    """

    state: ReplyState
    text: str
    footer: str = ""
    at: float = 0.0
    model: str | None = None
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what the model wrote, as it is added to the journal.

    Attributes:
        start: where in the reply's text it begins, in code points.
        text: the part.
    """

    start: int
    text: str


@dataclass(frozen=True, slots=True)
class UnfinishedReply:
    """A reply whose ending was not on screen yet when the process ended.

    Attributes:
        reply_id: its row.
        prompt: what it answers.
        model: who was answering, or empty if that was not settled.
        state: streaming, or how it ended before that could be shown.
        text: what the model wrote, as far as it was stored.
        footer: our own closing words if it ended, or empty.
        attempts: how many processes have begun to answer.
        created_at: Unix seconds.
        messages: where it is shown, by ordinal and generation; empty if nothing was.
        moved_to: the direct messages that the rest goes to, or None.
        is_deleted: its question or one of its messages was deleted: it is closed, but never begun anew.
    """

    reply_id: int
    prompt: PromptRecord
    model: str
    state: ReplyState
    text: str
    footer: str
    attempts: int
    created_at: float
    messages: tuple[ReplyMessage, ...]
    moved_to: int | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class ReplyOwner:
    """Whose a reply's message is.

    Attributes:
        reply_id: the reply.
        prompt_id: the prompt that it answers.
        author_id: who asked.
        channel_id: the channel of the conversation.
        state: how far it has come.
    """

    reply_id: int
    prompt_id: int
    author_id: int
    channel_id: int
    state: ReplyState
