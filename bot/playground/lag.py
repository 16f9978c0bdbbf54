"""How late a reader sees what the model wrote: emitted characters matched with visible ones.

Pure; clocks are the caller's, in seconds. Texts are compared by their letters
and digits alone, because on its way to the screen an answer gains a cursor,
closing marks, reopened fences and state lines, and loses white space.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["LagMeter", "LagSummary", "LetterFilter", "TokenStream", "letters"]

# So many letters in a row are taken as the same text; fewer must be all there is.
_ENOUGH = 12
_KEPT_SAMPLES = 50_000
_KEPT_MESSAGES = 512


class LetterFilter:
    """Reduce Markdown that arrives in pieces to its letters and digits.

    Left out are the line that opens or closes a fence (its language is written
    again where a page begins) and small-print lines (``-#``: the bot's own).
    """

    def __init__(self) -> None:
        self._lead = ""  # what the line began with, up to its first letter
        self._skipping = False

    def feed(self, text: str) -> str:
        """Return the letters and digits of *text*."""
        kept = []
        for char in text:
            if char == "\n":
                self._lead, self._skipping = "", False
            elif self._skipping:
                continue
            elif char.isalnum():
                self._lead = "x"
                kept.append(char)
            elif not self._lead.endswith("x"):
                self._lead += char
                self._skipping = self._lead == "-# " or (self._lead.endswith("```") and not self._lead.strip("`> \t"))
        return "".join(kept)


def letters(text: str) -> str:
    """Reduce a whole text to its letters and digits, as `LetterFilter` does."""
    return LetterFilter().feed(text)


@dataclass(slots=True)
class TokenStream:
    """One answer of the model server.

    Attributes:
        prompt: letters of the last message that it answers.
        text: letters of the answer so far.
        times: when each of them was emitted.
        shown: how many of them are visible.
        ended: whether the connection is over.
    """

    prompt: str = ""
    text: str = ""
    times: list[float] = field(default_factory=list)
    shown: int = 0
    ended: bool = False
    _filter: LetterFilter = field(default_factory=LetterFilter)

    def feed(self, content: str, at: float) -> None:
        """Add *content*, emitted at *at*."""
        new = self._filter.feed(content)
        self.text += new
        self.times.extend([at] * len(new))


@dataclass(frozen=True, slots=True)
class LagSummary:
    """Lags in seconds over the latest characters; None without any."""

    mean: float | None
    p95: float | None
    characters: int


@dataclass(slots=True)
class _Page:
    """A message that shows *stream* from letter *start* on."""

    stream: TokenStream
    start: int


class LagMeter:
    """Matches visible messages with the streams of a `Tap`.

    *streams* returns the streams to look among, oldest first.
    """

    def __init__(self, streams: Callable[[], Iterable[TokenStream]]) -> None:
        self._streams = streams
        self._pages: dict[str, _Page] = {}
        self._samples: deque[tuple[float, float]] = deque(maxlen=_KEPT_SAMPLES)

    def seen(self, message: Mapping[str, Any], at: float) -> int:
        """Take a message of the bot as it became visible at *at*; return how many characters were new."""
        visible = letters(str(message.get("content") or ""))
        if not visible:
            return 0
        page = self._pages.get(message["id"])
        if page is None or not _matches(page.stream, page.start, visible):
            page = self._find(message, visible)
            if page is None:
                return 0
            self._remember(message["id"], page)
        return self._record(page, visible, at)

    def summary(self, since: float = 0.0) -> LagSummary:
        """Sum up what became visible at *since* or later."""
        lags = sorted(lag for at, lag in self._samples if at >= since)
        if not lags:
            return LagSummary(None, None, 0)
        return LagSummary(sum(lags) / len(lags), lags[min(len(lags) - 1, int(0.95 * len(lags)))], len(lags))

    def _record(self, page: _Page, visible: str, at: float) -> int:
        stream = page.stream
        end = _visible_end(stream, page.start, visible)
        new = stream.times[stream.shown : end]
        self._samples.extend((at, max(0.0, at - emitted)) for emitted in new)
        stream.shown = max(stream.shown, end)
        return len(new)

    def _find(self, message: Mapping[str, Any], visible: str) -> _Page | None:
        asked = letters(str((message.get("referenced_message") or {}).get("content") or ""))
        candidates = [
            (bool(asked) and asked in stream.prompt, start == 0, -index, _Page(stream, start))
            for index, stream in enumerate(self._streams())
            for start in {0, stream.shown}
            if not (start == 0 and stream.shown) and _matches(stream, start, visible)
        ]
        return max(candidates, key=lambda candidate: candidate[:3])[3] if candidates else None

    def _remember(self, message_id: str, page: _Page) -> None:
        self._pages[message_id] = page
        while len(self._pages) > _KEPT_MESSAGES:
            del self._pages[next(iter(self._pages))]


def _matches(stream: TokenStream, start: int, visible: str) -> bool:
    needed = visible[:_ENOUGH]
    return stream.text.startswith(needed, start)


def _visible_end(stream: TokenStream, start: int, visible: str) -> int:
    """Return how far into *stream* the visible letters reach."""
    expected = start + len(visible)
    if stream.text.startswith(visible, start):
        return expected
    # Something was rewritten on the way (a table, a formula) or a sentence of the bot follows: the last letters that
    # the stream has too tell how far it goes.
    for cut in range(len(visible), max(_ENOUGH, len(visible) - 400), -1):
        found = stream.text.rfind(visible[cut - _ENOUGH : cut], start, expected + 200)
        if found >= 0:
            return found + _ENOUGH
    return start
