"""What is worth showing next: the text there is, against what Discord shows of it.

Pure. A plan names at most two requests at a time, an edit and a post: they are
counted in different buckets, and whichever may go first goes. What a request
shows is composed when its turn has come, so that it is the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bot.markdown.files import File, whole_answer
from bot.markdown.splitter import STATE_ROOM
from bot.streaming.bucket import Urgency

# A growing page has a cursor and closing marks that the final one has not.
_MARKS = 12


class Pages(Protocol):
    """What is needed of a splitter (`bot.markdown.splitter.Splitter`)."""

    @property
    def closed(self) -> Sequence[str]:
        """Pages that never change again."""
        ...

    @property
    def is_nearly_full(self) -> bool:
        """Whether the open page is about to end."""
        ...

    def feed(self, text: str) -> None:
        """Append text."""
        ...

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        """Return whether anybody sees anything of the text if it ends here."""
        ...

    def finish(self, footer: str = "", *, interrupted: bool = False) -> None:
        """Close the last page, our own line at its end; *interrupted* says that the text was to go on."""
        ...

    def tail(self, notice: str = "") -> str:
        """Return the open page as it may be shown now, our own *notice* below it."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One request that would bring the screen closer to the text.

    Attributes:
        ordinal: the message it posts or edits.
        urgency: what it is for.
        is_post: whether it makes a new message.
        is_status: whether it says what is going on instead of showing text.
        text: what it shows; empty until it is composed.
        file: to be attached.
    """

    ordinal: int
    urgency: Urgency
    is_post: bool = False
    is_status: bool = False
    text: str = ""
    file: File | None = None


class ReplyPlan:
    """A reply's text and what is on screen of it.

    *max_messages* bounds the messages of a reply: past it the last message
    counts characters below its text, and the whole text comes as a file at the end.
    """

    def __init__(self, pages: Pages, max_messages: int) -> None:
        self._pages = pages
        self._max_messages = max_messages
        self._shown: list[str] = []  # what Discord shows, by ordinal
        self._settled = 0  # messages below this ordinal show their final page
        self._gone: set[int] = set()  # messages that somebody deleted
        self._status_shown = False  # message 0 holds a status, not text
        self._attached = False
        self._is_full = False  # no further message can be posted
        self._status = ""
        self._notice = ""
        self._footer = ""
        self._text: list[str] = []
        self._tail = ""  # the open page as last rendered
        self._is_stale = False  # text came since then
        self.characters = 0
        self.is_ended = False
        self._is_quiet = False
        self._is_left = False

    @property
    def text(self) -> str:
        """The model's text so far, as it wrote it."""
        return "".join(self._text)

    @property
    def messages(self) -> int:
        """How many messages the reply has on screen."""
        return len(self._shown)

    def feed(self, text: str) -> bool:
        """Append the model's *text*; return whether other requests are wanted now, or more urgently."""
        before = len(self._pages.closed), self._pages.is_nearly_full
        self._text.append(text)
        self.characters += len(text)
        self._pages.feed(text)
        self._notice = ""
        self._is_stale = True
        return (len(self._pages.closed), self._pages.is_nearly_full) != before

    def status(self, line: str) -> bool:
        """Set what is going on; return whether that is new."""
        is_new, self._status = line != self._status, line
        return is_new

    def notice(self, line: str) -> None:
        """Set our own *line* below the growing page; it goes with the next text."""
        self._notice = line
        self._is_stale = True

    def has_visible_text(self, *, interrupted: bool = False) -> bool:
        """Return whether anybody sees anything of the text if it ends here, as whole or *interrupted*."""
        return self._pages.has_visible_text(interrupted=interrupted)

    def end(self, footer: str, *, quiet: bool, interrupted: bool) -> None:
        """Close the last page with *footer*; if *quiet*, nothing is posted for its sake."""
        self._is_quiet = quiet and not self.has_visible_text(interrupted=interrupted)
        self.is_ended = True
        self._footer = footer
        self._pages.finish(footer, interrupted=interrupted)
        self._is_stale = True

    def leave(self, line: str) -> None:
        """End without a text: *line* replaces the status, if one is on screen."""
        self.is_ended = self._is_left = True
        self._status = line

    # ------------------------------------------------------------ what came of a request

    def note(self, step: Step, text: str) -> None:
        """Note that *step* was carried out; Discord shows *text* for it."""
        if step.is_post:
            self._shown.append(text)
        else:
            self._shown[step.ordinal] = text
        if step.file is not None:
            self._attached = True
        if step.ordinal == 0:
            self._status_shown = step.is_status

    def note_gone(self, ordinal: int) -> None:
        """Note that somebody deleted that message: it is not edited any more."""
        self._gone.add(ordinal)

    def note_full(self) -> None:
        """Note that no further message can be posted."""
        self._is_full = True

    # ------------------------------------------------------------ what is worth showing

    def wanted(self) -> list[Step]:
        """Return what would show something new, not composed: nothing, or an edit, or a post, or an edit and a post."""
        if (self._is_quiet or self._is_left) and not self._shown:
            return []
        closed = self._pages.closed
        if len(closed) >= self._max_messages and len(closed) + bool(self._open_page()) > self._max_messages:
            return self._wanted_overlong()
        edit = self._stale_page(len(closed)) or self._growing_page(len(closed))
        post = self._next_post(len(closed))
        if edit is not None and post is not None and edit.urgency is Urgency.PAGE and self._would_shrink(edit.ordinal):
            edit = None  # what moves to the next page must not vanish meanwhile
        if edit is None and post is None and (self._is_left or not self.is_ended):
            return self.wanted_status()
        return [step for step in (edit, post) if step is not None]

    def compose(self, step: Step) -> Step | None:
        """Return *step* with the newest text, or None if it shows nothing new after all."""
        if step.is_status or step.text:
            return step
        closed = self._pages.closed
        text = closed[step.ordinal] if step.ordinal < len(closed) else self._open_page()
        if not text or (not step.is_post and self._shows(step.ordinal, text)):
            return None
        return replace(step, text=text)

    def _open_page(self) -> str:
        if self._is_stale:
            self._tail = self._pages.tail(self._notice)
            self._is_stale = False
        return self._tail

    def _shows(self, ordinal: int, text: str) -> bool:
        return self._shown[ordinal] == text or ordinal in self._gone

    def _stale_page(self, count: int) -> Step | None:
        """Return the edit that gives the first unfinished message of the first *count* its final page."""
        closed = self._pages.closed
        known = min(count, len(self._shown))
        while self._settled < known and self._shows(self._settled, closed[self._settled]):
            self._settled += 1
        if self._settled >= known:
            return None
        is_first = self._settled == 0 and self._status_shown
        urgency = Urgency.FIRST if is_first else Urgency.FINAL if self.is_ended else Urgency.PAGE
        return Step(self._settled, urgency)

    def _would_shrink(self, ordinal: int) -> bool:
        """Tell whether a message shows more than its final page: a page ends where its text lets it."""
        return len(self._shown[ordinal]) > len(self._pages.closed[ordinal]) + _MARKS

    def _growing_page(self, ordinal: int) -> Step | None:
        """Return the edit that shows more of the open page, if it is on screen."""
        if self.is_ended or len(self._shown) <= ordinal or ordinal in self._gone:
            return None
        if ordinal == 0 and self._status_shown:
            return Step(0, Urgency.FIRST) if self._open_page() else None
        if not self._is_stale and self._shown[ordinal] == self._tail:
            return None
        return Step(ordinal, Urgency.LATE_EDIT if self._pages.is_nearly_full else Urgency.EDIT)

    def _next_post(self, closed: int) -> Step | None:
        ordinal = len(self._shown)
        if self._is_full or ordinal > closed or (ordinal == closed and not self._open_page()):
            return None
        return Step(ordinal, Urgency.OVERFLOW if ordinal and not self.is_ended else Urgency.FIRST, is_post=True)

    def wanted_status(self) -> list[Step]:
        """Return the request that would show what is going on, if that is new."""
        if not self._status or (self._is_left and not self._shown):
            return []
        if not self._shown:
            return [Step(0, Urgency.STATUS, is_post=True, is_status=True, text=self._status)]
        if self._status_shown and not self._shows(0, self._status):
            return [Step(0, Urgency.STATUS, is_status=True, text=self._status)]
        return []

    # ------------------------------------------------------------ more text than messages

    def _wanted_overlong(self) -> list[Step]:
        """Show the first pages, count characters below the last of them, attach everything at the end."""
        full = self._max_messages - 1
        steps = [step for step in (self._stale_page(full),) if step is not None]
        ordinal = len(self._shown)
        if ordinal <= full and self._is_full:
            return steps
        if ordinal < full:
            steps.append(Step(ordinal, Urgency.FIRST if self.is_ended else Urgency.OVERFLOW, is_post=True))
        elif ordinal == full:
            steps.append(Step(full, Urgency.OVERFLOW, is_post=True, text=self._overlong_page()))
        elif not steps and full not in self._gone:
            steps += self._counted(full)
        return steps

    def _counted(self, full: int) -> list[Step]:
        """Return the edit that brings the last message, which is *full* now, up to date."""
        text = self._overlong_page()
        if self.is_ended:
            file = None if self._attached else whole_answer(self.text)
            return [Step(full, Urgency.FINAL, text=text, file=file)] if file else []
        if self._shown[full] == text:
            return []
        is_first = full == 0 and self._status_shown
        is_whole = self._shown[full].startswith(self._pages.closed[full])
        return [Step(full, Urgency.FIRST if is_first else Urgency.STATUS if is_whole else Urgency.PAGE, text=text)]

    def _overlong_page(self) -> str:
        """Return the last page with our lines below it; the splitter left room for them."""
        return f"{self._pages.closed[self._max_messages - 1]}\n{self._overlong_lines()}"

    def _overlong_lines(self) -> str:
        if not self.is_ended:
            return overlong_line(self._max_messages, self.characters)
        lines = [f"-# the whole answer, {self.characters:,} characters, is in the attached file", self._footer]
        text = "\n".join(line for line in lines if line)
        return text if len(text) < STATE_ROOM else text[: STATE_ROOM - 2] + "…"


def overlong_line(messages: int, characters: int) -> str:
    """Return the line below a text that goes on past the most *messages*, while it grows."""
    return f"-# too long for {messages} messages: {characters:,} characters so far, a file follows ▌"
