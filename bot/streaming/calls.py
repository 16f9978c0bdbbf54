"""The values that a transcript is made of: messages, the calls that change them, what came of those."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bot.errors import DeliveryError
from bot.markdown.dress import REFUSED, with_line, without_cursor
from bot.markdown.files import File
from bot.markdown.text import PAGE_LIMIT
from bot.streaming.bucket import RateHeaders, Urgency
from bot.streaming.rules import Kind, Outcome

POSTS = (Kind.POST, Kind.POST_WORDS)
PAGES = (*POSTS, Kind.EDIT, Kind.FILE, Kind.EDIT_WORDS)


class State(StrEnum):
    """How far a message has come."""

    OPEN = "open"
    FINAL = "final"
    WITHHELD = "withheld"  # words stand in place of a part that Discord refused
    GONE = "gone"  # somebody deleted it


class FileState(StrEnum):
    """What became of the file with a message."""

    NONE = "none"
    ATTACHED = "attached"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    HANDED_OVER = "handed over"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is, or is to be.

    Attributes:
        channel_id: its channel.
        message_id: None while Discord has not told it.
        nonce: what its POST carries.
        by_token: an interaction's token reaches it, as long as that lives.
    """

    channel_id: int
    message_id: int | None = None
    nonce: str = ""
    by_token: bool = False


@dataclass(slots=True)
class Message:
    """One message of a reply.

    Attributes, those that the journal stores:
        ordinal: its place in the reply, from 0.
        generation: how often messages had been posted anew before it.
        place: where it is.
        state: how far it has come.
        wanted: what was sent last, or is about to be.
        shown: what Discord said that it shows.
        first_try: the text of the first try to post it, until its id is known.
        is_status: it shows no text of the answer.
        file: what became of the file with it.

    And what a running process knows besides:
        page: the page that `shown` is, None if that is not certain.
        is_old: it shows text of an answer that this one takes the place of.
        is_unsure: a try to post it may have arrived.
        refusal: why words are to take a page's place.
        refused_page: the page that was refused last.
        is_read: it was read, so that more of it would be refused as well.
        odd_page: a page that Discord shows otherwise than it was sent.
        stage: 1 if words stand alone since they were refused below the text.
    """

    ordinal: int
    generation: int
    place: Place
    state: State = State.OPEN
    wanted: str = ""
    shown: str = ""
    first_try: str = ""
    is_status: bool = False
    file: FileState = FileState.NONE
    page: str | None = None
    is_old: bool = False
    is_unsure: bool = False
    refusal: Answered | None = None
    refused_page: str = ""
    is_read: bool = True
    odd_page: str = ""
    stage: int = 0

    def bare(self, header: str) -> str:
        """Return what it shows of the text below *header*, without the mark of what grows and words of ours."""
        head = header.strip()
        text = self.shown.removeprefix(head).lstrip("\n") if head else self.shown
        if self.is_status:
            return ""
        if self.state is State.WITHHELD:
            return "" if text.startswith(REFUSED) else text.partition(f"\n{REFUSED}")[0]
        return text if self.state is State.FINAL else without_cursor(text)

    def closed(self, header: str, line: str) -> str:
        """Return its last text: what it shows below *header*, and *line*, if that fits."""
        bare = self.bare(header)
        return header + with_line(bare, line, PAGE_LIMIT - len(header)) if bare else header + line

    def gone(self) -> Message:
        """Return what stands for it when it is not there."""
        return Message(self.ordinal, self.generation, replace(self.place, message_id=None), state=State.GONE)

    @property
    def is_first(self) -> bool:
        """Whether it is the first of all, which replies to the question or was the loading message."""
        return self.ordinal == 0 and self.generation == 0


@dataclass(slots=True)
class Left:
    """A message that another one stands in for.

    Attributes:
        message: it.
        refusal: why it takes no edit, or None if it only stood below one that takes none.
        is_replaced: all of it stands in another message, or is about to.
    """

    message: Message
    refusal: Answered | None
    is_replaced: bool = True

    @property
    def is_editable(self) -> bool:
        """Whether it may take an edit by now: a new message opens an archived thread."""
        return self.refusal is not None and self.refusal.outcome is Outcome.ARCHIVED


@dataclass(frozen=True, slots=True)
class Closing:
    """What is left to be done with a message: its last text, or (None) its deletion.

    Attributes:
        then_delete: if the text is refused, it is deleted.
    """

    message: Message
    text: str | None
    then_delete: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        text: what is sent, with everything around the page.
        page: the plan's text.
        is_first: it is for the first message of all, which replies to the question or is the loading message.
        reason: for `Kind.SAY_WHY`: why the channel takes no more.
    """

    kind: Kind
    ordinal: int
    urgency: Urgency
    place: Place
    text: str = ""
    page: str = ""
    file: File | None = None
    is_final: bool = True
    is_status: bool = False
    is_first: bool = False
    reason: Answered | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a call.

    Attributes:
        text: what the message shows now, if there is one.
        message_id: its id; channel_id: where it is, or a channel that was opened.
        retry_after: seconds, of a 429.
        is_global: whether that binds the whole bot.
        reason: in a sentence, why a page was refused.
        headers: the rate-limit headers, if the answer had any.
        error: what a refusal or a failure is for who asks outside.
    """

    outcome: Outcome
    text: str = ""
    message_id: int | None = None
    channel_id: int | None = None
    retry_after: float = 0.0
    is_global: bool = False
    reason: str = ""
    headers: RateHeaders | None = None
    error: DeliveryError | None = None
