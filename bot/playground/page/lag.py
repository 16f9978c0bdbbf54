"""How late a reader sees what the model wrote: emitted characters matched with visible ones.

Pure; clocks are the caller's, in seconds. Texts are compared by their letters
and digits alone, because on its way to the screen an answer gains a cursor,
closing marks, reopened fences and state lines, and loses white space. The answer
to a slash command may also begin with the question as a quoted line, which is
not the model's.

Which of several streams a new message shows is told by its first letters and by
the question that it answers. A stream that nobody has seen a minute after its
end is given up: the next answer that begins alike must not be taken for it.
"""

from __future__ import annotations

import re
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
_GIVEN_UP_SECONDS = 60.0
_MENTION = re.compile(r"<(?:@[!&]?|#)\d+>")


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


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read a message: the *visible* letters of an answer, and the question that it answers.

    *asked* are the question's letters in pieces, as the names in between may
    have reached the model in another form; *asker* are those of who asked.
    """

    visible: str
    asked: tuple[str, ...] = ()
    asker: str = ""

    def fits(self, stream: TokenStream) -> int:
        """Return how well *stream* answers the question: 2 it alone, 1 among other words, 0 not at all."""
        question = "".join(self.asked)
        if not question:
            return 0
        if stream.prompt in {question, self.asker + question}:
            return 2
        return int(all(piece in stream.prompt for piece in self.asked))


class LagMeter:
    """Matches visible messages with the streams of a `OllamaProxy`.

    *streams* returns the streams to look among, oldest first.
    """

    def __init__(self, streams: Callable[[], Iterable[TokenStream]]) -> None:
        self._streams = streams
        self._pages: dict[str, _Page] = {}
        self._samples: deque[tuple[float, float]] = deque(maxlen=_KEPT_SAMPLES)

    def seen(self, message: Mapping[str, Any], at: float) -> int:
        """Take a message of the bot as it became visible at *at*; return how many characters were new."""
        readings = _readings(message)
        page = self._pages.get(message["id"])
        for reading in readings:
            if page is not None and _matches(page.stream, page.start, reading.visible):
                return self._record(page, reading.visible, at)
        found = self._find(readings, at)
        if found is None:
            return 0
        reading, page = found
        self._remember(message["id"], page)
        return self._record(page, reading.visible, at)

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

    def _find(self, readings: list[_Reading], at: float) -> tuple[_Reading, _Page] | None:
        """Return the best page for a message that is new: by its question, else the oldest stream that begins so."""
        candidates = [
            ((reading.fits(stream), stream.shown == 0, -index), reading, _Page(stream, stream.shown))
            for index, stream in enumerate(self._streams())
            if not _is_given_up(stream, at)
            for reading in readings
            if _matches(stream, stream.shown, reading.visible)
        ]
        return max(candidates, key=lambda candidate: candidate[0])[1:] if candidates else None

    def _remember(self, message_id: str, page: _Page) -> None:
        self._pages[message_id] = page
        while len(self._pages) > _KEPT_MESSAGES:
            del self._pages[next(iter(self._pages))]


def _readings(message: Mapping[str, Any]) -> list[_Reading]:
    """Return how *message* can be read: as a whole, and with a first quoted line as the question."""
    content = str(message.get("content") or "")
    replied_to = message.get("referenced_message") or {}
    author = replied_to.get("author") or {}
    asker = letters(str(author.get("global_name") or author.get("username") or ""))
    readings = [_Reading(letters(content), _pieces(str(replied_to.get("content") or "")), asker)]
    first, _, rest = content.partition("\n")
    if first.startswith("> "):
        readings.append(_Reading(letters(rest), _pieces(first)))
    return [reading for reading in readings if reading.visible]


def _pieces(question: str) -> tuple[str, ...]:
    return tuple(piece for part in _MENTION.split(question) if (piece := letters(part)))


def _is_given_up(stream: TokenStream, at: float) -> bool:
    return stream.ended and bool(stream.times) and at - stream.times[-1] > _GIVEN_UP_SECONDS


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
