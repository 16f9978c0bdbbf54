"""The filter between model and page: what of a model's words is its answer, however they were cut into chunks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import NamedTuple

from bot.generation.code_state import CodeState
from bot.generation.model_marks import CLOSING, END, LITERALS, MARK, OPENING, SPOKEN_LIMIT

FIRST_MESSAGE = 1500
"""Code points of an answer that are taken back when it turns out that they were a thought."""

_SPECIAL = re.compile(r"[<\[◁⟦`\n]")
_LABEL = re.compile(r"⟦([^⟦⟧\n]{1,48})⟧")
_HALF_LABEL = re.compile(r"⟦[^⟦⟧\n]{0,48}")
_LONGEST = max(map(len, LITERALS))
_HARMONY_END = re.compile(r"<\|(?:end|start|channel|return|call)\|>")
_MAX_HEADER = 200
_OWN_ROLES = {"assistant", "model"}
_ROLES = {*_OWN_ROLES, "user", "system", "tool", "human", "developer", "ipython", "function"}


class Filtered(NamedTuple):
    """What came of some words of a model.

    Attributes:
        text: of the answer.
        thought: what the model thought; it is not shown and not remembered.
        takes_back: all of the answer before *text* was a thought, too.
    """

    text: str = ""
    thought: str = ""
    takes_back: bool = False


class AnswerFilter:
    """Takes a model's words in pieces; the result does not depend on how they were cut.

    *names* are those that speakers bear in the request, *own* is the bot's. A
    template that *opens_thought* leaves the model only the mark that closes it:
    all before that is held. Marks in code, or in backticks, are text.

    Attributes:
        is_thinking: whether what comes is thought rather than answer.
        is_ended: whether the answer is over, whatever follows.
    """

    def __init__(self, names: Collection[str] = (), own: str = "", *, opens_thought: bool = False) -> None:
        self._own = _look(own)
        self._others = {_look(name) for name in names} - {self._own, ""}
        self._buffer = ""
        self._code = CodeState()
        self._held: list[str] | None = [] if opens_thought else None
        self._doubt: list[str] = []  # what a sentence about thoughts would go on with, if the thought never ends
        self.is_thinking = opens_thought
        self.is_ended = False
        self._in_header = False  # of a channel
        self._has_channels = False
        self._thoughts = 0  # that were opened
        self._closed = 0
        self._strikes = 0  # <s> that are open
        self._shown = 0  # code points of the answer
        self._skips = ""  # white space that is left out next
        self._last = ""  # of the thought
        self._text: list[str] = []
        self._thought: list[str] = []
        self._takes_back = False

    def feed(self, text: str) -> Filtered:
        """Return what came of *text*, as far as it is known."""
        if self.is_ended:
            return Filtered()
        self._buffer += text
        return self._run(final=False)

    def flush(self, *, is_whole: bool = True) -> Filtered:
        """Return what was held back; no more text follows.

        An answer that is *whole* had no thought if the mark that would have closed it never came,
        unless a line began with the one that opened it.
        """
        if self.is_ended:
            return Filtered()
        if self._held is not None:
            return self.release() if is_whole else self._take()
        filtered = self._run(final=True)
        if self.is_thinking and self._doubt and is_whole:
            spoken, self._doubt, self.is_thinking = "".join(self._doubt), [], False
            return filtered._replace(text=filtered.text + spoken, thought="")
        return filtered

    def release(self) -> Filtered:
        """Return what was held from the start: it was no thought after all."""
        if self._held is None:
            return Filtered()
        self._buffer = "".join(self._held) + self._buffer
        self._held, self.is_thinking = None, False
        return self._run(final=False)

    def drop_half(self) -> None:
        """Forget what may be half a mark: the model is asked to go on behind what came before."""
        self._buffer = ""
        self.is_thinking = self._in_header = False
        self._held = None
        self._closed = self._thoughts = max(self._thoughts, 1)  # what stands there is not taken back

    # ------------------------------------------------------------ steps

    def _run(self, *, final: bool) -> Filtered:
        while self._buffer and not self.is_ended:
            step = self._header_step if self._in_header else self._thought_step if self.is_thinking else self._text_step
            if not step(final=final):
                break
        if final or self.is_ended:
            self._buffer = ""
        return self._take()

    def _take(self) -> Filtered:
        filtered = Filtered("".join(self._text), "".join(self._thought), self._takes_back)
        self._text, self._thought, self._takes_back = [], [], False
        return filtered

    def _text_step(self, *, final: bool) -> bool:
        """Take the next words of the answer; return whether there may be more to do."""
        buffer = self._buffer
        if self._code.in_fence:
            end = buffer.find("\n") + 1 or len(buffer)
            return self._emit(end)
        match = _SPECIAL.search(buffer)
        if match is None or match.start():
            return self._emit(match.start() if match else len(buffer))
        if buffer[0] == "`":
            run = len(buffer) - len(buffer.lstrip("`"))
            return (run < len(buffer) or final) and self._emit(run)
        if buffer[0] == "⟦":
            return self._label_step(final=final)
        return self._emit(1) if buffer[0] == "\n" else self._mark_step(final=final)

    def _mark_step(self, *, final: bool) -> bool:
        mark = MARK.match(self._buffer)
        may_grow = mark and mark.end() == len(self._buffer) and (mark["turn"] or mark["empty"] or mark["own"])
        if not final and (may_grow or _is_half(self._buffer)):
            return False
        spoken = mark and self._is_spoken(final=final)
        if mark and spoken is None:
            return False
        return self._take_mark(mark) if mark and not spoken else self._emit(mark.end() if mark else 1)

    def _label_step(self, *, final: bool) -> bool:
        label = _LABEL.match(self._buffer) if self._code.begins_line else None
        if label is None:
            is_half = self._code.begins_line and _HALF_LABEL.fullmatch(self._buffer)
            return bool(final or not is_half) and self._emit(1)
        spoken = self._is_spoken(final=final)
        name = _look(label[1])
        if spoken is None:
            return False
        if spoken or name not in {self._own, *self._others} - {""}:
            return self._emit(label.end())
        if name in self._others:
            self.is_ended = True
        else:
            self._skip(label.end(), " \t" if self._shown else " \t\n")
        return True

    def _is_spoken(self, *, final: bool) -> bool | None:
        """Whether the mark that comes next is in inline code; None if that is not known yet."""
        ticks = self._code.ticks
        if not ticks:
            return False
        for run in re.finditer(r"`+", self._buffer):
            if len(run[0]) == ticks and (run.end() < len(self._buffer) or final) and run.start() <= SPOKEN_LIMIT:
                return "\n\n" not in self._buffer[: run.start()] or self._open_code(is_open=False)
        if final or len(self._buffer) > SPOKEN_LIMIT + ticks or "\n\n" in self._buffer:
            return self._open_code(is_open=False)
        return None

    def _open_code(self, *, is_open: bool) -> bool:
        self._code.ticks = 0
        return is_open

    def _take_mark(self, mark: re.Match[str]) -> bool:
        kind = mark.lastgroup
        if kind == "role" or mark["turn"]:
            role = mark["role"].lower()
            if role not in _ROLES:  # a text that speaks of it
                return self._emit(mark.end())
            self.is_ended = role not in _OWN_ROLES or (self._shown > 0 and not self._has_channels)
            self._skip(mark.end(), "\n" if self._shown else " \t\n")
        elif kind == "opening":
            self._thoughts += 1
            self.is_thinking = True
            self._last = ""
            self._doubt = [] if self._code.begins_line else [mark[0]]
            self._buffer = self._buffer[mark.end() :]
        elif kind == "closing":
            self._close_alone(mark.end())
        elif kind == "channel":
            self._has_channels = self._in_header = True
            self._buffer = self._buffer[mark.end() :]
        elif kind == "end":
            self.is_ended = not (self._has_channels and mark[0].lower() == "<|end|>")
            self._skip(mark.end(), "")
        elif kind == "own":
            self.is_ended = self._shown > 0
            self._skip(mark.end(), " \t\n")
        elif kind == "strike":
            self._strike(mark)
        elif self._shown and not self._has_channels:
            self._emit(mark.end())
        else:
            self._skip(mark.end(), "" if self._shown else " \t\n")
        return True

    def _strike(self, mark: re.Match[str]) -> None:
        """Take ``<s>``, which is also HTML's, or ``</s>``, which is an end only where none is open."""
        is_end = mark[0][1] == "/"
        if is_end and not self._strikes:
            self.is_ended = True
            return
        self._strikes += -1 if is_end else 1
        self._emit(mark.end())

    def _close_alone(self, end: int) -> None:
        """Take a mark that closes a thought which nothing has opened: what stands there was one, if it is short."""
        if self._shown <= FIRST_MESSAGE and self._closed < max(self._thoughts, 1):
            self._takes_back = self._takes_back or self._shown > sum(map(len, self._text))
            self._thought += self._text
            self._text, self._shown, self._strikes = [], 0, 0
            self._code = CodeState()
        self._closed += 1
        self._skip(end, self._white)

    def _thought_step(self, *, final: bool) -> bool:
        """Take the next words of a thought."""
        buffer = self._buffer
        match = min(self._closers(buffer), key=lambda match: match.start(), default=None)
        if match:
            self._think(match.start())
            self._end_thought(match)
            return True
        tail = range(max(len(buffer) - _LONGEST, 0), len(buffer))
        half = next((i for i in tail if buffer[i] in "<[◁" and _is_half(buffer[i:])), len(buffer))
        self._think(len(buffer) if final else half)
        return False

    def _closers(self, buffer: str) -> list[re.Match[str]]:
        """Return the marks that may end the thought, but those that it speaks of."""
        if not any(char in buffer for char in "<[◁"):
            return []
        patterns = (CLOSING, END, _HARMONY_END) if self._has_channels else (CLOSING, END)
        found = [next((m for m in pattern.finditer(buffer) if self._counts(m)), None) for pattern in patterns]
        return [match for match in found if match]

    def _counts(self, match: re.Match[str]) -> bool:
        return (match.string[match.start() - 1] if match.start() else self._last) != "`"

    def _end_thought(self, match: re.Match[str]) -> None:
        held, self._held = self._held, None
        self._doubt = []
        self.is_thinking = False
        if END.fullmatch(match[0]) and not (self._has_channels and match[0].lower() == "<|end|>"):
            if held is not None:  # an answer without a thought
                self._buffer = "".join(held) + self._buffer
                return
            self.is_ended = True
            return
        self._thought += held or ()
        self._thoughts = max(self._thoughts, 1)
        if match[0].startswith(("<|start|>", "<|channel|>")):
            return  # the answer begins with it
        self._closed += 1
        self._skip(len(match[0]), self._white)

    def _header_step(self, *, final: bool) -> bool:
        """Take the head of one of harmony's channels, up to its message."""
        head, mark, rest = self._buffer.partition("<|message|>")
        if not mark and not final and len(head) <= _MAX_HEADER:
            return False
        self._in_header = False
        if not mark:
            return not final
        name = head.split()[0].lower() if head.strip() else ""
        self.is_thinking = name == "analysis" or "to=" in head
        self._thoughts += self.is_thinking
        self._buffer, self._last = rest, ""
        if not self.is_thinking and not self._shown:
            self._skip(0, " \t\n")
        return True

    # ------------------------------------------------------------ what goes where

    @property
    def _white(self) -> str:
        """White space that says nothing behind what is shown."""
        return "" if self._shown and not self._code.last.isspace() else " \t\n"

    def _skip(self, count: int, white: str) -> bool:
        """Drop *count* characters, and the *white* space behind them."""
        self._buffer, self._skips = self._buffer[count:], white
        return True

    def _emit(self, count: int) -> bool:
        text, self._buffer = self._buffer[:count], self._buffer[count:]
        if self._skips:
            text = text.lstrip(self._skips)
            if not text:
                return True
            self._skips = ""
        self._code.take(text)
        self._shown += len(text)
        self._text.append(text)
        return True

    def _think(self, count: int) -> None:
        text, self._buffer = self._buffer[:count], self._buffer[count:]
        if text:
            self._last = text[-1]
            self._thoughts += len(OPENING.findall(text)) if "<" in text or "[" in text else 0
            if self._doubt:
                self._doubt.append(text)
            (self._thought if self._held is None else self._held).append(text)


def _is_half(text: str) -> bool:
    """Return whether *text* may become a mark, with more behind it."""
    small = text.lower()
    return len(small) < _LONGEST and any(
        len(literal) > len(small) and literal.startswith(small) for literal in LITERALS
    )


def _look(name: str) -> str:
    return unicodedata.normalize("NFKC", name.strip()).casefold()
