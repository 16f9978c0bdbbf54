"""How replies are made: what the settings say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.generation.admission import NO_LIMIT, PromptRates
from bot.generation.retry import DEFAULT_RETRY, RetryPolicy
from bot.generation.status import DISCORD_TIMING, StatusTiming


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """How replies are made.

    Attributes:
        system_prompt: sent first, or empty.
        keep_alive: seconds or a Go duration; None is not sent.
        max_messages: messages per reply.
        render_markdown: ``discord`` turns what Discord does not render into what it does; ``raw`` does not.
        timing: when the status message and the stop control come.
        retry: how often a question is put again while the server is busy or not there.
        resumes: an answer whose connection broke is gone on with.
        stuck_after: seconds that a question waits before it speaks for a model that answers nobody.
        rates: how often one may ask.
    """

    system_prompt: str = ""
    keep_alive: str | float | None = None
    max_messages: int = 8
    render_markdown: Literal["discord", "raw"] = "discord"
    timing: StatusTiming = DISCORD_TIMING
    retry: RetryPolicy = DEFAULT_RETRY
    resumes: bool = True
    stuck_after: float = 300.0
    rates: PromptRates = NO_LIMIT
