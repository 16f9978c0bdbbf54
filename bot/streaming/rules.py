"""What Discord may say to a call of a reply, and what is done about it: one table.

`rule` is total: every kind of call has an entry for every outcome. The
transcript carries a rule out; nobody else decides.

Where a post and an edit differ: a post that is forbidden is not tried again, for
each refusal counts towards Discord's ban and the asker can be reached otherwise;
an edit is, once, since what it costs is a message posted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Outcome(Enum):
    """What came of a request."""

    OK = auto()
    OTHER = auto()  # a message, but it shows another text than was sent
    LATER = auto()  # 5xx, 408, a timeout, a reset, an answer that makes no sense
    LIMITED = auto()  # 429
    CLOSED = auto()  # our HTTP client was closed; the next one goes on
    READ = auto()  # the text was read and refused: AutoMod, a link, explicit content
    TEXT = auto()  # this very request was refused
    TOO_LARGE = auto()
    ARCHIVED = auto()  # the thread is
    LOCKED = auto()  # the thread is
    FORBIDDEN = auto()
    PROXY = auto()  # 401 or 403 without Discord's code: it may pass
    PROXY404 = auto()  # 404 without Discord's code: it may pass
    TOKEN_DEAD = auto()  # the interaction's token
    NO_REFERENCE = auto()  # what the message was to reply to
    MESSAGE_GONE = auto()  # somebody deleted it
    PLACE_GONE = auto()  # the channel or the interaction


class Kind(Enum):
    """What a call is for."""

    POST = auto()  # a page in a new message
    EDIT = auto()  # a page in its message
    FILE = auto()  # the same, with a file
    POST_WORDS = auto()  # words in place of a page that was refused, in a new message
    EDIT_WORDS = auto()  # the same, below what its message shows
    LOOK = auto()  # for a followup whose answer was lost
    UNARCHIVE = auto()
    OPEN_DM = auto()
    SAY_WHY = auto()  # the first message there
    HAND_OVER = auto()  # the file, there
    CLOSE = auto()  # the last line of a message that nothing more comes for
    DELETE = auto()  # a message that another one stands in for


class Next(Enum):
    """What is done about an outcome."""

    SHOWN = auto()
    AGAIN = auto()  # after a while, with the newest text
    WAIT = auto()  # as long as Discord said
    UNREFERENCED = auto()  # again, replying to nothing
    BY_CHANNEL = auto()  # again, on the channel's route
    WORDS = auto()  # say why the page is not shown
    REPLACE = auto()  # post the page anew, and what stands below it
    UNARCHIVE = auto()
    ELSEWHERE = auto()  # the rest goes to who asked
    FILELESS = auto()  # say that the file was refused
    HAND_OVER = auto()  # give the file to who asked
    FORGET = auto()  # somebody deleted the message: nothing is posted in its place
    SKIP = auto()  # go on without
    FULL = auto()  # nothing more can be posted; what is there may be finished
    OVER = auto()  # nothing can be done any more


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done: *first* so many *times* for a message, *then* what comes after that."""

    then: Next
    first: Next = Next.AGAIN
    times: int = 0

    def at(self, count: int) -> Next:
        """Return what is done the *count*-th time, from 0."""
        return self.first if count < self.times else self.then


_AGAIN, _WAIT = Rule(Next.AGAIN), Rule(Next.WAIT)
_SHOWN, _SKIP, _OVER = Rule(Next.SHOWN), Rule(Next.SKIP), Rule(Next.OVER)
_BY_CHANNEL, _FORGET = Rule(Next.BY_CHANNEL), Rule(Next.FORGET)

# Whatever the call.
_ALL = {
    Outcome.OK: _SHOWN,
    Outcome.OTHER: _SHOWN,
    Outcome.LATER: _AGAIN,
    Outcome.LIMITED: _WAIT,
    Outcome.CLOSED: _AGAIN,
    Outcome.PROXY404: _AGAIN,
}
_POST = _ALL | {
    Outcome.READ: Rule(Next.WORDS),
    Outcome.TEXT: Rule(Next.WORDS, Next.AGAIN, 2),
    Outcome.TOO_LARGE: Rule(Next.WORDS, Next.AGAIN, 2),
    Outcome.ARCHIVED: Rule(Next.ELSEWHERE, Next.UNARCHIVE, 1),
    Outcome.LOCKED: Rule(Next.ELSEWHERE),
    Outcome.FORBIDDEN: Rule(Next.ELSEWHERE),
    Outcome.PROXY: Rule(Next.ELSEWHERE, Next.AGAIN, 1),
    Outcome.TOKEN_DEAD: _BY_CHANNEL,
    Outcome.NO_REFERENCE: Rule(Next.WORDS, Next.UNREFERENCED, 1),
    Outcome.MESSAGE_GONE: _FORGET,  # the nonce's, of a try whose answer was lost
    Outcome.PLACE_GONE: _OVER,
}
_EDIT = _POST | {
    Outcome.ARCHIVED: Rule(Next.REPLACE, Next.UNARCHIVE, 1),
    Outcome.LOCKED: Rule(Next.REPLACE, Next.AGAIN, 1),
    Outcome.FORBIDDEN: Rule(Next.REPLACE, Next.AGAIN, 1),
    Outcome.PROXY: Rule(Next.REPLACE, Next.AGAIN, 1),
}
_FILE = _EDIT | {
    Outcome.TEXT: Rule(Next.FILELESS, Next.AGAIN, 2),
    Outcome.TOO_LARGE: Rule(Next.FILELESS),
    Outcome.LOCKED: Rule(Next.HAND_OVER),
    Outcome.FORBIDDEN: Rule(Next.HAND_OVER),
    Outcome.PROXY: Rule(Next.HAND_OVER, Next.AGAIN, 1),
}
# Words that are refused as well: the page itself goes to who asked, or into a new message.
_POST_WORDS = _POST | dict.fromkeys((Outcome.READ, Outcome.TEXT, Outcome.TOO_LARGE), Rule(Next.ELSEWHERE))
_EDIT_WORDS = _EDIT | dict.fromkeys((Outcome.READ, Outcome.TEXT, Outcome.TOO_LARGE), Rule(Next.REPLACE, Next.WORDS, 1))
_SIDE = dict.fromkeys(Outcome, _SKIP) | _ALL | {Outcome.PROXY: Rule(Next.SKIP, Next.AGAIN, 1)}
_DM = dict.fromkeys(Outcome, Rule(Next.FULL)) | _ALL
_LAST = (
    _SIDE
    | dict.fromkeys((Outcome.LATER, Outcome.CLOSED, Outcome.PROXY404), Rule(Next.SKIP, Next.AGAIN, 4))
    | {
        Outcome.LIMITED: Rule(Next.SKIP, Next.WAIT, 4),
        Outcome.ARCHIVED: Rule(Next.SKIP, Next.UNARCHIVE, 1),
        Outcome.TOKEN_DEAD: _BY_CHANNEL,
        Outcome.MESSAGE_GONE: _SHOWN,
        Outcome.PLACE_GONE: _SHOWN,
    }
)
_RULES = {
    Kind.POST: _POST,
    Kind.EDIT: _EDIT,
    Kind.FILE: _FILE,
    Kind.POST_WORDS: _POST_WORDS,
    Kind.EDIT_WORDS: _EDIT_WORDS,
    Kind.LOOK: _SIDE,
    Kind.UNARCHIVE: _SIDE,
    Kind.OPEN_DM: _DM,
    Kind.SAY_WHY: _DM,
    Kind.HAND_OVER: _SIDE,
    Kind.CLOSE: _LAST,
    Kind.DELETE: _LAST,
}


def rule(kind: Kind, outcome: Outcome) -> Rule:
    """Return what is done about *outcome* of a call of that *kind*."""
    return _RULES[kind][outcome]
