"""What is worth showing next: the text there is, against what Discord shows of it.

Pure. A plan names at most two calls at a time, an edit and a post: they are
counted in different buckets, and whichever may go first goes. What a call
shows is composed when its turn has come, so that it is the newest.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.markdown.dress import REFUSED, cut_for
from bot.markdown.failsafe import FailsafePages
from bot.markdown.files import File, whole_answer
from bot.markdown.splitter import STATE_ROOM
from bot.streaming.bucket import Urgency
from bot.streaming.calls import POSTS, Call, FileState
from bot.streaming.transcript import Transcript

# A growing page has a cursor and closing marks that the final one has not.
_MARKS = 12


class ReplyPlan:
    """A reply's text, and what would bring the screen closer to it.

    *max_messages* bounds the messages of a reply: past it the last message
    counts characters below its text, and the whole text comes as a file at the end.
    """

    def __init__(self, transcript: Transcript, pages: FailsafePages, max_messages: int) -> None:
        self._transcript = transcript
        self._pages = pages
        self._max_messages = max_messages
        self._settled = 0  # messages below this ordinal show their final page
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
        self._stop_line: str | None = None  # no further message is posted, and this closes what is there
        self._cut: list[str] | None = None  # the pages then

    @property
    def text(self) -> str:
        """The model's text so far, as it wrote it."""
        return "".join(self._text)

    @property
    def final_count(self) -> int | None:
        """How many messages hold everything, once it has ended; None if none is to be too many."""
        closed = len(self._closed())
        return min(closed, self._max_messages) if closed and self.is_ended and not self._is_left else None

    @property
    def has_more(self) -> bool:
        """Whether further messages are to be posted of a text that has ended."""
        closed = min(len(self._closed()), self._max_messages)
        return self.is_ended and not self._is_left and closed > self._transcript.count()

    def feed(self, text: str) -> bool:
        """Append the model's *text*; return whether other requests are wanted now, or more urgently."""
        before = len(self._pages.closed), self._pages.is_nearly_full
        self._text.append(text)
        self.characters += len(text)
        self._pages.feed(text)
        self._notice = ""
        self._is_stale = True
        return (len(self._pages.closed), self._pages.is_nearly_full) != before

    @property
    def is_in_first_message(self) -> bool:
        """Whether nothing of the text is in a further message, or has to go there."""
        return not self._pages.closed and self._transcript.count() <= 1

    def take_back(self, line: str) -> None:
        """Show *line* in place of the text that an earlier plan has put on screen, until there is a new one."""
        self._status = line
        self._tail = line if self._transcript.count() else ""

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

    def stop(self, line: str) -> bool:
        """Post no further message; *line* closes what is on screen. Return False if all of it is there already."""
        if not self.has_more:
            return False
        self._stop_line = line
        return True

    # ------------------------------------------------------------ what is worth showing

    def wanted(self) -> list[Call]:
        """Return what would show something new, not composed: nothing, or an edit, or a post, or an edit and a post."""
        count = self._transcript.count()
        if (self._is_quiet or self._is_left) and not count:
            return []
        if self._stop_line is not None and self._cut is None:
            self._cut = self._cut_pages(max(1, count), self._stop_line)
            self._settled = 0
        closed = self._closed()
        if len(closed) >= self._max_messages and len(closed) + bool(self._open_page()) > self._max_messages:
            return self._wanted_overlong()
        edit = self._stale_page(len(closed)) or self._growing_page(len(closed))
        post = self._next_post(len(closed))
        if edit is not None and post is not None and edit.urgency is Urgency.PAGE and self._would_shrink(edit.ordinal):
            edit = None  # what moves to the next page must not vanish meanwhile
        if edit is None and post is None and (self._is_left or not self.is_ended):
            return self.wanted_status()
        return [call for call in (edit, post) if call is not None]

    def compose(self, call: Call) -> Call | None:
        """Return *call* with the newest text, or None if it shows nothing new after all."""
        page = call.page or self._page(call.ordinal)
        is_post = call.kind in POSTS
        if not page or (not is_post and call.file is None and self._shows(call.ordinal, page, is_final=call.is_final)):
            return None
        return self._call(call.ordinal, call.urgency, page, is_status=call.is_status, file=call.file)

    def _call(
        self, ordinal: int, urgency: Urgency, page: str = "", *, is_status: bool = False, file: File | None = None
    ) -> Call:
        is_last = ordinal == self._max_messages - 1 and len(self._closed()) > ordinal and self._cut is None
        is_final = self.is_ended if is_last else ordinal < len(self._closed())
        return self._transcript.call(
            ordinal, urgency, page, is_final=is_final and not is_status, is_status=is_status, file=file
        )

    def _closed(self) -> Sequence[str]:
        return self._pages.closed if self._cut is None else self._cut

    def _cut_pages(self, count: int, line: str) -> list[str]:
        """Return the first *count* pages, the last of them closed with *line*."""
        pages = list(self._pages.closed[:count])
        if len(self._pages.closed) > count:
            pages[-1] = cut_for(pages[-1], line, self._transcript.room(count - 1))
        return pages

    def _page(self, ordinal: int) -> str:
        closed = self._closed()
        return closed[ordinal] if ordinal < len(closed) else self._open_page()

    def _open_page(self) -> str:
        if self._is_stale:
            self._tail = self._pages.tail(self._notice)
            self._is_stale = False
        return self._tail

    def _shows(self, ordinal: int, page: str, *, is_final: bool = True) -> bool:
        return self._transcript.shows(ordinal, page, is_final=is_final)

    def _stale_page(self, count: int) -> Call | None:
        """Return the edit that gives the first unfinished message of the first *count* its final page."""
        closed = self._closed()
        known = min(count, self._transcript.count())
        self._settled = min(self._settled, known)
        while self._settled < known and self._shows(self._settled, closed[self._settled]):
            self._settled += 1
        if self._settled >= known:
            return None
        is_first = self._settled == 0 and not self._transcript.has_text()
        urgency = Urgency.FIRST if is_first else Urgency.FINAL if self.is_ended else Urgency.PAGE
        return self._call(self._settled, urgency)

    def _would_shrink(self, ordinal: int) -> bool:
        """Tell whether a message shows more than its final page: a page ends where its text lets it."""
        return self._transcript.length(ordinal) > len(self._closed()[ordinal]) + _MARKS

    def _growing_page(self, ordinal: int) -> Call | None:
        """Return the edit that shows more of the open page, if it is on screen."""
        if self.is_ended or self._transcript.count() <= ordinal or not self._transcript.takes_growth(ordinal):
            return None
        if ordinal == 0 and not self._transcript.has_text():
            return self._call(0, Urgency.FIRST) if self._open_page() else None
        if not self._is_stale and (not self._tail or self._shows(ordinal, self._tail, is_final=False)):
            return None
        return self._call(ordinal, Urgency.LATE_EDIT if self._pages.is_nearly_full else Urgency.EDIT)

    def _next_post(self, closed: int) -> Call | None:
        ordinal = self._transcript.count()
        if not self._transcript.may_post() or ordinal > closed or (ordinal == closed and not self._open_page()):
            return None
        return self._call(ordinal, Urgency.OVERFLOW if ordinal and not self.is_ended else Urgency.FIRST)

    def wanted_status(self) -> list[Call]:
        """Return the request that would show what is going on, if that is new."""
        transcript = self._transcript
        if not self._status or not transcript.may_show_status or (self._is_left and not transcript.count()):
            return []
        if not transcript.count():
            is_wanted = transcript.may_post()
        else:
            is_wanted = transcript.has_status() and not self._shows(0, self._status)
        return [self._call(0, Urgency.STATUS, self._status, is_status=True)] if is_wanted else []

    # ------------------------------------------------------------ more text than messages

    def _wanted_overlong(self) -> list[Call]:
        """Show the first pages, count characters below the last of them, attach everything at the end."""
        full = self._max_messages - 1
        calls = [call for call in (self._stale_page(full),) if call is not None]
        ordinal = self._transcript.count()
        if ordinal <= full and not self._transcript.may_post():
            return calls
        if ordinal < full:
            calls.append(self._call(ordinal, Urgency.FIRST if self.is_ended else Urgency.OVERFLOW))
        elif ordinal == full:
            calls.append(self._call(full, Urgency.OVERFLOW, self._overlong_page()))
        elif not calls and not self._transcript.is_gone(full):
            calls += self._counted(full)
        return calls

    def _counted(self, full: int) -> list[Call]:
        """Return the edit that brings the last message, which is *full* now, up to date."""
        page = self._overlong_page()
        if self.is_ended and self._transcript.file(full) is FileState.NONE:
            return [self._call(full, Urgency.FINAL, page, file=whole_answer(self.text))]
        if self._shows(full, page, is_final=self.is_ended):
            return []
        if self.is_ended:
            return [self._call(full, Urgency.FINAL, page)]
        is_first = full == 0 and not self._transcript.has_text()
        is_whole = self._transcript.starts_with(full, self._pages.closed[full])
        urgency = Urgency.FIRST if is_first else Urgency.STATUS if is_whole else Urgency.PAGE
        return [self._call(full, urgency, page)]

    def _overlong_page(self) -> str:
        """Return the last page with our lines below it; the splitter left room for them."""
        return f"{self._pages.closed[self._max_messages - 1]}\n{self._overlong_lines()}"

    def _overlong_lines(self) -> str:
        if not self.is_ended:
            return overlong_line(self._max_messages, self.characters)
        lines = [self._file_line(), self._footer]
        text = "\n".join(line for line in lines if line)
        return text if len(text) < STATE_ROOM else text[: STATE_ROOM - 2] + "…"

    def _file_line(self) -> str:
        full = self._max_messages - 1
        state = self._transcript.file(full) if full < self._transcript.count() else FileState.NONE
        match state:
            case FileState.REFUSED:
                words = "and the file with it was refused"
            case FileState.FORBIDDEN:
                words = "and I may not attach files"
            case FileState.HANDED_OVER:
                words = "and I may not attach files; who asked has got it directly"
            case _:
                return f"-# the whole answer, {self.characters:,} characters, is in the attached file"
        return f"{REFUSED}the whole answer does not fit here, {words}"


def overlong_line(messages: int, characters: int) -> str:
    """Return the line below a text that goes on past the most *messages*, while it grows."""
    return f"-# too long for {messages} messages: {characters:,} characters so far, a file follows ▌"
