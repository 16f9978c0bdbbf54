"""How replies end, in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.conversation.records import PromptKind, ReplyEnd, ReplyState
from bot.errors import BurbleError, PromptRefused
from bot.generation.model_text import code
from bot.generation.session import StopCause
from bot.ollama.types import Counts
from bot.parts import Part


@dataclass(frozen=True, slots=True)
class Ending:
    """How a reply ended.

    Attributes:
        state: what is recorded.
        line: our own closing words, or empty.
        counts: what Ollama counted, or None.
        is_quiet: not worth a message of its own if nothing is on screen.
        is_put_off: it has not ended at all; the line stands in for the status until the next start.
    """

    state: ReplyState
    line: str = ""
    counts: Counts | None = None
    is_quiet: bool = False
    is_put_off: bool = False

    def footer(self, *, has_text: bool) -> str:
        """Return the closing words as they are shown: small below a text, plain where they are all there is."""
        if not self.line or not has_text:
            return self.line
        return "\n".join(f"-# {line}" for line in self.line.splitlines() if line)

    def record(self, text: str, model: str, parts: tuple[Part, ...] = ()) -> ReplyEnd:
        """Return what is stored of a reply that ends so, *text* being what *model* wrote, *parts* what else it gave."""
        return ReplyEnd(
            self.state,
            text,
            footer=self.footer(has_text=bool(text)),
            at=time.time(),
            model=model or None,
            prompt_tokens=self.counts.prompt_tokens if self.counts else None,
            reply_tokens=self.counts.reply_tokens if self.counts else None,
            parts=parts,
        )


def completed(
    reason: str | None, counts: Counts | None, *, has_text: bool, thought: bool, tools: Sequence[str] = ()
) -> Ending:
    """Return the ending of a reply that the model finished.

    *reason* is its done_reason; *tools* are those it wanted to call, although it was offered none.
    """
    if reason == "length":
        if has_text:
            line = "✂️ The model reached its length limit here."
        else:
            line = "✂️ The model used up its whole budget on thinking and gave no answer. Ask again, or ask for less."
        return Ending(ReplyState.COMPLETE, line, counts)
    if has_text:
        return Ending(ReplyState.COMPLETE, "", counts)
    if tools:
        names = ", ".join(code(name, 40) for name in tools[:3])
        line = f"The model wanted to use a tool that I do not have ({names}), and gave no answer. Please ask again."
        return Ending(ReplyState.COMPLETE, line, counts)
    if thought:
        return Ending(ReplyState.COMPLETE, "The model thought about it, but gave no answer. Please ask again.", counts)
    return Ending(ReplyState.COMPLETE, "The model gave an empty answer. Please ask again in other words.", counts)


def endless(*, is_fruitless: bool, thought: bool, tools: Sequence[str]) -> Ending:
    """Return the ending of a reply that had to be stopped since the model came to no end."""
    what = "the answer passed a million characters"
    if is_fruitless and tools:
        what = "the model went on calling tools that I do not have"
    elif is_fruitless:
        what = "the model thought without end" if thought else "the model sent white space without end"
    return Ending(ReplyState.STOPPED, f"✂️ stopped: {what}")


def stopped(cause: StopCause) -> Ending:
    """Return the ending of a reply that was stopped."""
    return Ending(ReplyState.STOPPED, f"⏹️ stopped{cause.words}", is_quiet=cause.is_silent)


def put_off() -> Ending:
    """Return what becomes of a prompt that waited when the bot was shut down: nothing is recorded of it."""
    line = "-# ⏳ I was shut down before I began with this; back within ten minutes of your question, I answer it."
    return Ending(ReplyState.STREAMING, line, is_put_off=True)


def undeliverable() -> Ending:
    """Return the ending of a reply that Discord takes no more; nobody will see the line unless it does again."""
    return Ending(ReplyState.FAILED, "⚠️ interrupted: Discord took no more of this answer", is_quiet=True)


def forgetful(ending: Ending) -> Ending:
    """Return *ending* with a word on why the answer knew nothing of what was said before."""
    line = "⚠️ answered without the conversation so far: my memory is out of order"
    return replace(ending, line=f"{ending.line}\n{line}".strip()) if ending.state is ReplyState.COMPLETE else ending


def resumed(ending: Ending) -> Ending:
    """Return *ending* with a word on why there may be a continuation in the text."""
    line = "↻ resumed: the connection to Ollama broke in the middle"
    return replace(ending, line=f"{line}\n{ending.line}".strip())


def failed(error: BurbleError, extra: str = "") -> Ending:
    """Return the ending of a reply that failed, in the error's own sentence."""
    sentence = error.sentence()
    return Ending(ReplyState.FAILED, f"⚠️ {sentence} {extra}".rstrip())


def refused(error: BurbleError, kind: PromptKind) -> Ending:
    """Return the ending of a prompt that is not taken; said once in a chat, but each command wants its answer."""
    is_repeated = isinstance(error, PromptRefused) and error.is_repeated
    return replace(failed(error), is_quiet=is_repeated and kind is PromptKind.CHAT)


def broken(reference: str) -> Ending:
    """Return the ending of a reply that failed in a way nobody expected."""
    return Ending(
        ReplyState.FAILED,
        f"⚠️ Something went wrong on my side. Please ask again; whoever hosts me finds the cause "
        f"in my log under `{reference}`.",
    )
