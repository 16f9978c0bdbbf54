"""How many tokens a text needs: an estimate, learned from what models count.

Pure. No server tells how it cuts a text into tokens; it tells how many a request took.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MESSAGE_OVERHEAD = 8
"""Tokens that a template puts around each message; the known ones take 3 to 7."""

MOST_CHARACTERS_PER_TOKEN = 12
"""Longer texts never fit: `TokenEstimator` gives three letters to a token, and four times that at its floor."""


class Message(NamedTuple):
    """A message for ``/api/chat``; *role* is who speaks."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


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
    FLOOR = 0.25
    CEILING = 4.0

    _SMALLEST_SAMPLE = 100
    _MARGIN = 1.05

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = {}

    def bind(self, model: str) -> Callable[[str], int]:
        """Return an estimate for texts to *model*, as it is known now."""
        scale = self.scale(model)
        return lambda text: ceil(units(text) * scale)

    def scale(self, model: str) -> float:
        """Return the factor for *model*: 1.0 at first, never below `FLOOR` nor above `CEILING`."""
        highest = max(self._ratios.get(model, (1.0,)))
        return min(max(highest, self.FLOOR), self.CEILING)

    def latest(self, model: str) -> tuple[float, ...]:
        """Return what `restore` takes to know *model* as well after a restart."""
        return tuple(self._ratios.get(model, ()))

    def restore(self, model: str, latest: Iterable[float]) -> None:
        """Take over what was known of *model*, unless something is known already."""
        if model not in self._ratios and (ratios := deque(latest, maxlen=self.WINDOW)):
            self._ratios[model] = ratios

    def observe(self, model: str, messages: Sequence[Message], prompt_tokens: int | None) -> None:
        """Learn from what *messages* took: Ollama's ``prompt_eval_count``, or None if it told none.

        Short prompts teach nothing (the template outweighs them), nor do
        counts that no tokenizer could give.
        """
        expected = sum(units(message.content) for message in messages)
        if prompt_tokens is None or expected < self._SMALLEST_SAMPLE:
            return
        ratio = (prompt_tokens - MESSAGE_OVERHEAD * len(messages)) / expected * self._MARGIN
        if not self.FLOOR <= ratio <= self.CEILING * 2:
            return
        self._ratios.setdefault(model, deque([1.0], maxlen=self.WINDOW)).append(ratio)


_NON_ASCII = bytes(range(0x80, 0x100))
_DIGIT_BYTES = b"0123456789"
_LETTER_BYTES = b" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def units(text: str) -> float:
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
