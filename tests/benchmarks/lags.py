"""From what was emitted and what was visible to figures: lags, and what is missing, doubled or out of order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.benchmarks.streams import is_growing, numbers


@dataclass
class ReplyTrace:
    """One reply as the model emitted it and as a reader saw it; times in seconds of one clock.

    Attributes:
        emitted: when each token was.
        seen: when each token first was visible.
        breaks: the tokens that begin a further message if messages are filled to the last code point.
        complete_at: when the finished text stood there, without a cursor.
        edited: when each of its edits became visible.
        base: the number of its first word.
    """

    emitted: list[float] = field(default_factory=list)
    seen: dict[int, float] = field(default_factory=dict)
    pages: dict[object, tuple[list[int], bool]] = field(default_factory=dict)
    complete_at: float | None = None
    edited: list[float] = field(default_factory=list)
    base: int = 0
    breaks: list[int] = field(default_factory=list)

    def show(self, message: object, text: str, at: float) -> None:
        """Note that *message* shows *text* since *at*."""
        if message in self.pages:
            self.edited.append(at)
        shown = [number - self.base for number in numbers(text)]
        for number in reversed(shown):
            if self.seen.setdefault(number, at) < at:
                break
        self.pages[message] = (shown, is_growing(text))
        if not any(growing for _, growing in self.pages.values()):
            self.complete_at = at

    @property
    def edits(self) -> int:
        """How many edits it took."""
        return len(self.edited)

    @property
    def faults(self) -> int:
        """How many tokens are missing, doubled or out of order in what stands there at the end."""
        shown = [number for page, _ in self.pages.values() for number in page]
        missing = len(self.emitted) - len(set(shown))
        doubled = len(shown) - len(set(shown))
        disordered = sum(b < a for a, b in pairwise(shown))
        return missing + doubled + disordered

    @property
    def lags(self) -> list[float]:
        """Token emitted → token visible, of every token that became visible."""
        return [self.seen[i] - at for i, at in enumerate(self.emitted) if i in self.seen]

    @property
    def first(self) -> float:
        """First token → first text."""
        return min(self.seen.values(), default=float("inf")) - self.emitted[0]

    @property
    def last(self) -> float:
        """Last token → everything visible and finished."""
        return (self.complete_at if self.complete_at is not None else float("inf")) - self.emitted[-1]


def mean(values: Iterable[float]) -> float:
    """Return the mean; 0 of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of all lie; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
