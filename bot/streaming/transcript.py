"""What stands on screen of one reply, and what is to be done next: the only record of it.

Pure. The plan says what each message should show; `Transcript.call` makes the
one request of that, dressed; `begin` is called before it leaves and `take` with
what came of it. What must come before or beside the pages (opening a thread,
the direct messages with who asked, closing lines) are calls too: `chores`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from bot.markdown.dress import (
    has_cursor,
    in_place_of,
    with_hint,
)
from bot.markdown.files import File
from bot.markdown.text import PAGE_LIMIT
from bot.streaming.bucket import Urgency
from bot.streaming.calls import (
    POSTS,
    Answered,
    Call,
    Closing,
    FileState,
    Left,
    Message,
    Place,
    State,
)
from bot.streaming.closing import closings
from bot.streaming.errands import Errands
from bot.streaming.rules import Kind, Next, Outcome, rule
from bot.streaming.screen import Screen

_REFUSALS = {Outcome.READ, Outcome.TEXT, Outcome.TOO_LARGE}
_UNSURE = {Outcome.LATER, Outcome.CLOSED, Outcome.PROXY404}


@dataclass(eq=False)
class Transcript(Screen):
    """The screen of a reply, and the calls that change it: what they are, and what came of them."""

    is_finished: bool = field(default=False, init=False)
    _errands: Errands = field(init=False)
    _tries: Counter[tuple[int, Kind, Outcome]] = field(default_factory=Counter, init=False)
    _closings: list[Closing] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._errands = Errands(self.channel_id)

    # ------------------------------------------------------------ calls

    def call(
        self,
        ordinal: int,
        urgency: Urgency,
        page: str = "",
        *,
        is_final: bool = True,
        is_status: bool = False,
        file: File | None = None,
    ) -> Call:
        """Return the next request on the way to *page* in that message, with header, hint or words."""
        message = self.messages[ordinal] if ordinal < len(self.messages) else self._next_message()
        kind = _kind(message, file)
        if not page:
            text = ""
        elif message.refusal is not None:
            text = self._words(message, page, message.refusal, is_final=is_final)
        elif file is not None and message.state is State.WITHHELD and page == message.refused_page:
            text = message.shown  # the text was refused before: the file alone
        else:
            text = self._dressed(message, page, is_growing=not is_final and not is_status)
        file = file if kind is Kind.FILE else None
        return Call(
            kind,
            ordinal,
            urgency,
            message.place,
            text,
            page,
            file,
            is_final=is_final,
            is_status=is_status,
            is_first=message.is_first,
        )

    def _next_message(self) -> Message:
        if self.pending is None:
            ordinal = len(self.messages)
            suffix = f".{self.generation}" if self.generation else ""
            nonce = f"{self.nonce_seed}-{ordinal}{suffix}"[-25:]
            by_token = self.by_token and self.moved_to is None
            place = Place(self.moved_to or self.channel_id, None, nonce, by_token=by_token)
            self.pending = Message(ordinal, self.generation, place)
        return self.pending

    def chores(self) -> list[Call]:
        """Return what must come before the pages, or when they are done after them: one call at most."""
        if (errand := self._errands.call(len(self.messages))) is not None:
            return [errand]
        if self.pending is not None and self.pending.is_unsure:
            return [Call(Kind.LOOK, self.pending.ordinal, Urgency.FIRST, self._before(self.pending))]
        if self._closings:
            closing = self._closings[0]
            kind = Kind.DELETE if closing.text is None else Kind.CLOSE
            message = closing.message
            is_first = message.is_first
            return [Call(kind, message.ordinal, Urgency.FINAL, message.place, closing.text or "", is_first=is_first)]
        return []

    def _before(self, message: Message) -> Place:
        """Return the newest place before a message, which it must come after."""
        ids = [each.place.message_id or 0 for each in self.every()]
        return replace(message.place, message_id=max(ids, default=0) or None)

    def begin_anew(self) -> None:
        """Let another text take the place of the one that was shown so far, in the messages that are there."""
        self._tries.clear()
        for message in self.messages:
            if message.state is not State.GONE:
                message.state, message.page, message.refusal, message.refused_page = State.OPEN, None, None, ""
                message.is_old, message.file = True, FileState.NONE

    def begin(self, call: Call) -> Message | None:
        """Return the message that the journal must know before *call* leaves, if any."""
        message = self._of(call)
        if message is None:
            return None
        if call.kind is not Kind.EDIT_WORDS:  # a restart must know what was refused
            message.wanted = call.text
        if call.kind in POSTS and not message.first_try:
            message.first_try = call.text
        return message

    def _of(self, call: Call) -> Message | None:
        if call.kind in POSTS:
            return self.pending
        if call.kind in (Kind.EDIT, Kind.FILE, Kind.EDIT_WORDS):
            return self.messages[call.ordinal]
        return self._closings[0].message if call.kind in (Kind.CLOSE, Kind.DELETE) and self._closings else None

    # ------------------------------------------------------------ what came of them

    def take(self, call: Call, answered: Answered) -> Next:
        """Take in what came of *call*; return what is done about it. Nothing else changes what is known."""
        key = (call.ordinal, call.kind, answered.outcome)
        what = rule(call.kind, answered.outcome).at(self._tries[key])
        self._tries[key] += 1
        if call.is_status and answered.outcome in _REFUSALS:
            self.may_show_status, self.pending = False, None if call.kind in POSTS else self.pending
            return Next.SKIP
        if what is Next.ELSEWHERE and (not self.can_move or self.moved_to is not None):
            what = Next.FULL
        if call.kind is Kind.OPEN_DM and what is Next.FULL and self._errands.reason is None:
            what = Next.SKIP  # only the file was to go there
        if what is Next.HAND_OVER and not self.can_move:
            self.messages[call.ordinal].file = FileState.FORBIDDEN
            return Next.SKIP
        self._carry_out(what, call, answered)
        return what

    def _carry_out(self, what: Next, call: Call, answered: Answered) -> None:  # noqa: C901 - one case each
        match what:
            case Next.SHOWN:
                self._note(call, answered)
            case Next.AGAIN if call.kind in POSTS and answered.outcome in _UNSURE and self.pending is not None:
                self.pending.is_unsure = call.place.by_token
            case Next.WORDS:
                self._withhold(call, answered)
            case Next.REPLACE:
                self._replace(call.ordinal, answered)
            case Next.UNARCHIVE:
                self._errands.open_thread(call.place.channel_id)
            case Next.ELSEWHERE:
                self._errands.reason = answered
            case Next.FILELESS | Next.HAND_OVER if call.file is not None:
                message = self.messages[call.ordinal]
                message.file = FileState.REFUSED
                if what is Next.HAND_OVER:
                    self._errands.hand_over(message, call.file)
            case Next.FORGET:
                self._forget(call, answered)
            case Next.SKIP:
                self._skip(call)
            case Next.FULL | Next.OVER:
                self._shut(answered)

    def _note(self, call: Call, answered: Answered) -> None:
        match call.kind:
            case Kind.UNARCHIVE | Kind.OPEN_DM | Kind.SAY_WHY | Kind.HAND_OVER:
                self._errands.done(call, answered)
                if call.kind is Kind.SAY_WHY:
                    self.moved_to, self.pending = call.place.channel_id, None
            case Kind.CLOSE | Kind.DELETE:
                self._close(call.text)
            case Kind.LOOK:
                self._find(answered)
            case _:
                self._note_page(call, answered)

    def _note_page(self, call: Call, answered: Answered) -> None:
        for key in [key for key in self._tries if key[:2] == (call.ordinal, call.kind)]:
            del self._tries[key]
        message = self._land(answered) if call.kind in POSTS else self.messages[call.ordinal]
        is_same = answered.text == call.text.strip()
        message.shown = answered.text
        message.is_status, message.is_old = call.is_status, False
        if message.refusal is not None:
            message.state, message.refusal = State.WITHHELD, None
            if not is_same:
                message.refused_page = ""
        elif not (message.state is State.WITHHELD and call.page == message.refused_page):
            # a text that Discord always changes must not be sent for ever
            is_shown = is_same or message.odd_page == call.page
            message.state = State.FINAL if call.is_final and is_shown else State.OPEN
            message.page = call.page if is_shown else None
            message.odd_page = "" if is_same else call.page
        if call.file is not None:
            message.file = FileState.ATTACHED

    def _land(self, answered: Answered) -> Message:
        """Return the pending message, now that it is on screen."""
        assert self.pending is not None, "it was wanted"
        message, self.pending = self.pending, None
        channel_id = answered.channel_id or message.place.channel_id
        message.place = replace(message.place, channel_id=channel_id, message_id=answered.message_id)
        message.first_try, message.is_unsure = "", False
        self.messages.append(message)
        return message

    def _find(self, answered: Answered) -> None:
        """Take the followup in whose answer was lost, or know that there is none."""
        if self.pending is None:
            return
        self.pending.is_unsure = False
        if answered.message_id is not None:
            message = self._land(answered)
            message.shown, message.refusal = answered.text, None

    def _withhold(self, call: Call, answered: Answered) -> None:
        message = self._of(call)
        if message is None:
            return
        message.stage = 1 if call.kind is Kind.EDIT_WORDS else 0
        if message.stage == 0:
            message.refused_page, message.is_read = call.page, answered.outcome is Outcome.READ
        words = self._words(message, call.page, answered, is_final=call.is_final)
        if words == message.shown:
            message.state, message.refusal = State.WITHHELD, None
        else:
            message.refusal = answered

    def _replace(self, ordinal: int, answered: Answered) -> None:
        """Post a message anew, and those that stand below it after it: their order is the text's."""
        refused = self.messages[ordinal]
        if self.over is not None:
            self.left.append(Left(refused, answered, is_replaced=False))
            self.messages[ordinal] = refused.gone()
            return
        if answered.outcome is not Outcome.ARCHIVED:
            self.replaced += 1
        self.left += [Left(each, answered if each is refused else None) for each in self.messages[ordinal:]]
        del self.messages[ordinal:]
        self.generation += 1
        self.pending = None

    def _forget(self, call: Call, answered: Answered) -> None:
        if call.kind in POSTS:
            self.messages.append(self._next_message().gone())
            self.pending = None
            self.over = answered
        else:
            self.messages[call.ordinal].state = State.GONE
            self.messages[call.ordinal].refusal = None

    def _skip(self, call: Call) -> None:
        match call.kind:
            case Kind.UNARCHIVE | Kind.OPEN_DM | Kind.HAND_OVER:
                self._errands.skipped(call.kind)
            case Kind.LOOK if self.pending is not None:
                self.pending.is_unsure = False
            case Kind.CLOSE | Kind.DELETE:
                self._close(None)

    def _shut(self, answered: Answered) -> None:
        """Post nothing more; what was to be posted anew stays where it is."""
        self.over = answered
        self.pending = None
        self._errands.give_up()
        latest = {left.message.ordinal: left for left in self.left}  # the newest of each
        while (left := latest.get(len(self.messages))) is not None:
            if left.refusal is None:
                self.left.remove(left)
                self.messages.append(left.message)
            else:
                left.is_replaced = False
                self.messages.append(left.message.gone())

    # ------------------------------------------------------------ the end

    def finish(self, wanted: int | None) -> None:
        """Want what is left to be done when nothing more comes; the text fills so many messages, if that is known."""
        self.is_finished = True
        self._closings = closings(self, wanted)

    def _close(self, text: str | None) -> None:
        """Note that the first closing is done, or (None) that it is not to be."""
        closing = self._closings.pop(0)
        for key in [key for key in self._tries if key[1] in (Kind.CLOSE, Kind.DELETE)]:
            del self._tries[key]
        if text is None:
            if closing.then_delete:
                self._closings.insert(0, Closing(closing.message, None))
        elif closing.text is None:
            closing.message.state = State.GONE
        else:
            closing.message.shown, closing.message.page = text.strip(), None
            closing.message.state = State.FINAL

    # ------------------------------------------------------------ words

    def _dressed(self, message: Message, page: str, *, is_growing: bool) -> str:
        head = self.head(message)
        if is_growing and self.names_command and has_cursor(page):
            page = with_hint(page, PAGE_LIMIT - len(head))
        return head + page

    def _words(self, message: Message, page: str, answered: Answered, *, is_final: bool) -> str:
        head = self.head(message)
        accepted = message.bare(self.head(message)) if message.stage == 0 else ""
        limit = PAGE_LIMIT - len(head)
        return head + in_place_of(page, accepted, answered.reason, is_final=is_final, limit=limit)


def _kind(message: Message, file: File | None) -> Kind:
    is_posted = message.place.message_id is not None
    if message.refusal is not None:
        return Kind.EDIT_WORDS if is_posted else Kind.POST_WORDS
    return (Kind.EDIT if file is None else Kind.FILE) if is_posted else Kind.POST
