"""Why a prompt is not taken."""

from __future__ import annotations

from typing import Literal

from bot.errors.base import BurbleError
from bot.errors.words import duration


class PromptTooLong(BurbleError):
    """The prompt alone does not fit the model's window.

    Attributes:
        prompt_tokens: what the prompt is estimated to need, system prompt included.
        room_tokens: what the window leaves for it.
    """

    def __init__(self, prompt_tokens: int, room_tokens: int) -> None:
        super().__init__(f"prompt of about {prompt_tokens} tokens, room for {room_tokens}")
        self.prompt_tokens = prompt_tokens
        self.room_tokens = room_tokens

    def sentence(self) -> str:
        """Name both sizes."""
        return (
            f"That message is too long for the model: about {self.prompt_tokens:,} tokens, "
            f"and there is room for {self.room_tokens:,}. Nothing was sent; please shorten it."
        )


class PromptRefused(BurbleError):
    """A prompt is not taken in, so that those of others can be.

    Attributes:
        seconds: when it is worth asking again, 0 if nobody knows.
        is_repeated: the same was said in that channel a moment ago.
    """

    seconds = 0.0
    is_repeated = False


class TooManyPrompts(PromptRefused):
    """One user asks too often, or many do in one channel.

    Attributes:
        by: whose limit it is.
        per_minute: the limit.
    """

    def __init__(self, by: Literal["user", "channel"], per_minute: int, seconds: float) -> None:
        super().__init__(f"more than {per_minute} prompts a minute of one {by}")
        self.by = by
        self.per_minute = per_minute
        self.seconds = seconds

    def sentence(self) -> str:
        """Name the limit and the time to wait."""
        whom = "one person" if self.by == "user" else "one channel"
        return (
            f"That is too fast for me: I take {self.per_minute} questions a minute from {whom}. "
            f"Please ask again in {duration(self.seconds)}; what comes before that stays unanswered."
        )


class QueueFull(PromptRefused):
    """Too many prompts wait.

    Attributes:
        of: whose, ``all`` meaning everywhere.
    """

    def __init__(self, of: Literal["user", "channel", "all"]) -> None:
        super().__init__(f"too many prompts wait ({of})")
        self.of = of

    def sentence(self) -> str:
        """Say whose questions wait, and ask for patience."""
        if self.of == "user":
            return (
                "Too many of your questions are waiting already. "
                "Please ask again when some are answered, or end them with `/stop`."
            )
        if self.of == "channel":
            return "Too many questions are waiting in this channel already. Please ask again when some are answered."
        return "I am busy: too many questions are waiting in all my channels. Please ask again in a few minutes."


class ShuttingDown(BurbleError):
    """No new prompt is taken: the bot is being stopped."""

    def sentence(self) -> str:
        """Ask for patience."""
        return "I am shutting down. Please ask again once I am back."
