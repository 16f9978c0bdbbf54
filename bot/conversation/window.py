"""What is sent: as many of the latest turns as the model's window holds, with room left for the answer.

Pure. Ollama would cut by itself, but drops messages in silence, may split a
turn, and leaves no room for the answer (``server/prompt.go``); so whatever is
sent fits already.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

from bot.conversation.records import Turn
from bot.conversation.speaker_labels import neutralise
from bot.conversation.turn_text import said
from bot.errors import PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Fitted", "Message", "TokenEstimator", "Turn", "default_reserve", "fit"]

MESSAGE_OVERHEAD = 8
"""Tokens that a template puts around each message; the known ones take 3 to 7."""

TEMPLATE_OVERHEAD = 80
"""Tokens that a template adds once; gpt-oss with its preamble adds about 70."""

LARGEST_RESERVE = 8192
"""Tokens kept for an answer at most: longer than any reply's messages can show."""


MOST_CHARACTERS_PER_TOKEN = 6
"""Longer texts never fit: `TokenEstimator` gives three letters to a token, and twice that at its floor."""


class Message(NamedTuple):
    """A message for ``/api/chat``; *role* is system, user or assistant."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fits.

    Attributes:
        messages: system first (if there is one), prompt last.
        turns_used: how many turns are among them; always the latest.
        turns_dropped: how many older ones are not.
        estimated_tokens: what the messages are estimated to need.
    """

    messages: tuple[Message, ...]
    turns_used: int
    turns_dropped: int
    estimated_tokens: int


def default_reserve(num_ctx: int) -> int:
    """Return the tokens kept for the answer: a quarter of the window, at most `LARGEST_RESERVE`."""
    return min(ceil(num_ctx / 4), LARGEST_RESERVE)


def fit(
    system: str,
    turns: Sequence[Turn],
    prompt: str,
    *,
    num_ctx: int,
    reserve: int | None = None,
    estimate: Callable[[str], int],
) -> Fitted:
    """Choose the latest whole turns that fit *num_ctx* tokens beside *system*, *prompt* and the answer.

    Args:
        system: the system prompt; none if blank.
        turns: the history, oldest first; their prompts are sent as `said` puts them.
        prompt: what is asked now, as it is to be sent (the caller has put it through `said`).
        num_ctx: the window, in tokens.
        reserve: tokens kept for the answer; None means `default_reserve`.
        estimate: how many tokens a text needs, for example ``TokenEstimator.bind(model)``.

    Raises:
        PromptTooLong: system and prompt alone do not fit.
    """
    room = num_ctx - (default_reserve(num_ctx) if reserve is None else max(reserve, 0))
    first = [Message("system", system)] if system.strip() else []
    last = Message("user", prompt)
    tokens = TEMPLATE_OVERHEAD + _cost([*first, last], estimate)
    if tokens > room:
        raise PromptTooLong(tokens, max(room, 0))
    kept: list[list[Message]] = []
    for turn in reversed(turns):
        exchange = _exchange(turn)
        cost = _cost(exchange, estimate)
        if tokens + cost > room:
            break
        tokens += cost
        kept.append(exchange)
    middle = [message for exchange in reversed(kept) for message in exchange]
    return Fitted((*first, *middle, last), len(kept), len(turns) - len(kept), tokens)


def _exchange(turn: Turn) -> list[Message]:
    # What the model wrote goes back as it was, but for control tokens that
    # somebody had it write. No text, no message: an empty one breaks templates.
    asked = Message("user", said(turn.label or "", turn.parts))
    return [asked, Message("assistant", neutralise(turn.reply))] if turn.reply.strip() else [asked]


def _cost(messages: Iterable[Message], estimate: Callable[[str], int]) -> int:
    return sum(MESSAGE_OVERHEAD + max(estimate(message.content), 0) for message in messages)


class TokenEstimator:
    """How many tokens a text needs, learned per model from the counts that Ollama returns.

    It starts pessimistic: about 3 bytes a token for letters, fewer for what
    tokenizers split finely. `observe` then scales that by what a model really
    took. A count that is too high costs some history; one that is too low
    (Ollama counts after its own cut, old servers left out what was cached)
    would overrun the window. So the highest of the latest counts decides, and
    the start counts as one of them until enough are known.
    """

    WINDOW = 6
    FLOOR = 0.5
    CEILING = 4.0

    _SMALLEST_SAMPLE = 100
    _MARGIN = 1.05

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = {}

    def bind(self, model: str) -> Callable[[str], int]:
        """Return an estimate for texts to *model*, as it is known now."""
        scale = self.scale(model)
        return lambda text: ceil(_units(text) * scale)

    def scale(self, model: str) -> float:
        """Return the factor for *model*: 1.0 at first, never below `FLOOR` nor above `CEILING`."""
        highest = max(self._ratios.get(model, (1.0,)))
        return min(max(highest, self.FLOOR), self.CEILING)

    def observe(self, model: str, messages: Sequence[Message], prompt_tokens: int | None) -> None:
        """Learn from what *messages* took: Ollama's ``prompt_eval_count``, or None if it told none.

        Short prompts teach nothing (the template outweighs them), nor do
        counts that no tokenizer could give.
        """
        expected = sum(_units(message.content) for message in messages)
        if prompt_tokens is None or expected < self._SMALLEST_SAMPLE:
            return
        ratio = (prompt_tokens - MESSAGE_OVERHEAD * len(messages)) / expected * self._MARGIN
        if not self.FLOOR / 2 <= ratio <= self.CEILING * 2:
            return
        self._ratios.setdefault(model, deque([1.0], maxlen=self.WINDOW)).append(ratio)


_NON_ASCII = bytes(range(0x80, 0x100))
_DIGIT_BYTES = b"0123456789"
_LETTER_BYTES = b" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _units(text: str) -> float:
    """Return a text's length in tokens of a pessimistic tokenizer.

    Letters and spaces 3 to a token; digits one each (Qwen, Gemma); other ASCII
    1.5 to a token; two bytes of UTF-8 to a token for the rest, so a Chinese
    character costs 1.5 and an emoji 2.
    """
    raw = text.encode("utf-8", "replace")
    ascii_only = raw.translate(None, _NON_ASCII)
    letters = len(ascii_only) - len(ascii_only.translate(None, _LETTER_BYTES))
    digits = len(ascii_only) - len(ascii_only.translate(None, _DIGIT_BYTES))
    rest = len(ascii_only) - letters - digits
    return letters / 3 + digits + rest / 1.5 + (len(raw) - len(ascii_only)) / 2
