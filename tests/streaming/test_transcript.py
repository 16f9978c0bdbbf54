"""The transcript against a Discord that says anything: nothing doubled, nothing out of order, no cursor left."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from bot.markdown.dress import REFUSED, has_cursor
from bot.streaming.bucket import Urgency
from bot.streaming.calls import PAGES, POSTS, Answered, Call, State
from bot.streaming.plan import ReplyPlan
from bot.streaming.rules import Kind, Next, Outcome
from bot.streaming.transcript import Transcript
from tests.streaming.simulated import PlainPages

HERE, DM = 1, 2
PASSING = (Outcome.LATER, Outcome.LIMITED, Outcome.CLOSED, Outcome.PROXY404)
REFUSALS = (
    Outcome.READ,
    Outcome.TEXT,
    Outcome.ARCHIVED,
    Outcome.LOCKED,
    Outcome.FORBIDDEN,
    Outcome.PROXY,
    Outcome.TOKEN_DEAD,
)
_STEPS = 600


@dataclass
class Discord:
    """What really stands there, whatever is told of it."""

    says: list[tuple[Outcome, bool]]  # each with whether a failure was carried out all the same
    by_token: bool = False
    texts: dict[int, str] = field(default_factory=dict)  # by id, in order
    places: dict[int, int] = field(default_factory=dict)
    nonces: dict[tuple[int, str], int] = field(default_factory=dict)
    edits: list[tuple[int, str]] = field(default_factory=list)
    last_id: int = 100

    def send(self, call: Call) -> Answered:
        outcome, is_applied = self.says.pop(0) if self.says and call.kind is not Kind.LOOK else (Outcome.OK, True)
        if outcome is Outcome.TOKEN_DEAD and not self.by_token:
            outcome = Outcome.OK
        if outcome is Outcome.OK:
            return self._do(call)
        if outcome in (Outcome.LATER, Outcome.CLOSED) and is_applied:
            self._do(call)
        return Answered(outcome, retry_after=1.0, reason="refused")

    def _do(self, call: Call) -> Answered:
        place = call.place
        match call.kind:
            case Kind.OPEN_DM:
                return Answered(Outcome.OK, channel_id=DM)
            case Kind.UNARCHIVE:
                return Answered(Outcome.OK)
            case Kind.LOOK:
                newer = [each for each in self.texts if each > (place.message_id or 0)]
                return Answered(Outcome.OK, self.texts[newer[0]], newer[0], HERE) if newer else Answered(Outcome.OK)
            case Kind.CLOSE | Kind.DELETE if place.message_id is None:
                assert call.is_first, "the loading message"
                return Answered(Outcome.OK, call.text)
            case Kind.DELETE:
                assert place.message_id is not None
                self.texts.pop(place.message_id, None)
                return Answered(Outcome.OK)
            case Kind.EDIT | Kind.FILE | Kind.EDIT_WORDS | Kind.CLOSE:
                assert place.message_id is not None
                if place.message_id not in self.texts:
                    return Answered(Outcome.MESSAGE_GONE)
                self.texts[place.message_id] = call.text
                self.edits.append((place.message_id, call.text))
                return Answered(Outcome.OK, call.text, place.message_id, place.channel_id)
            case _:
                return self._post(call)

    def _post(self, call: Call) -> Answered:
        key = call.place.channel_id, call.place.nonce
        if call.kind in POSTS and not call.place.by_token and key in self.nonces:
            known = self.nonces[key]
            outcome = Outcome.OK if self.texts[known] == call.text else Outcome.OTHER
            return Answered(outcome, self.texts[known], known, call.place.channel_id)
        self.last_id += 1
        self.nonces[key] = self.last_id
        self.texts[self.last_id], self.places[self.last_id] = call.text, call.place.channel_id
        return Answered(Outcome.OK, call.text, self.last_id, call.place.channel_id)


@dataclass
class Play:
    """A reply whose text comes in parts, each call followed by the next; what the streamer does, without time."""

    discord: Discord
    can_move: bool = True
    by_token: bool = False
    final: dict[int, str] = field(default_factory=dict)
    last: dict[int, str] = field(default_factory=dict)  # what was sent last to each message, its answer lost perhaps

    def __post_init__(self) -> None:
        self.transcript = Transcript(HERE, "7", by_token=self.by_token)
        self.pages = PlainPages(80, " ▌")
        self.plan = ReplyPlan(self.transcript, self.pages, 50)
        self.is_over = False

    def run(self, words: int, per_part: int) -> None:
        for start in range(0, words, per_part):
            self.plan.feed("".join(f"w{i} " for i in range(start, min(words, start + per_part))))
            self.step()
        self.plan.end("", quiet=False, interrupted=False)
        for _ in range(_STEPS):
            if self.is_over or not self.step():
                if self.is_over or self.transcript.is_finished:
                    return
                self.transcript.finish(self.plan.final_count)
        raise AssertionError("it never ends")

    def step(self) -> bool:
        """Send one call; return False if none is wanted."""
        if self.is_over:
            return False
        chores = self.transcript.chores()
        wanted = chores if chores and chores[0].kind not in (Kind.CLOSE, Kind.DELETE) else self.plan.wanted() or chores
        for each in wanted:
            call = self.plan.compose(each) if each.kind in PAGES else each
            if call is not None:
                self.send(call)
                return True
        return False

    def send(self, call: Call) -> None:
        assert 0 < len(call.text) <= 2000 or call.kind not in (*PAGES, Kind.CLOSE)
        self.check_final(call)
        self.transcript.begin(call)
        self.transcript.can_move = self.can_move
        if call.place.message_id is not None:
            self.last[call.place.message_id] = call.text
        answered = self.discord.send(call)
        what = self.transcript.take(call, answered)
        note(f"{call.kind.name} {call.ordinal} {call.place} {call.text!r} → {answered.outcome.name} {what.name}")
        self.is_over = what is Next.OVER
        for message in self.transcript.messages:
            if message.state is State.FINAL and message.place.message_id is not None:
                self.final.setdefault(message.place.message_id, message.shown)

    def check_final(self, call: Call) -> None:
        if call.kind in (Kind.EDIT, Kind.FILE, Kind.EDIT_WORDS):
            assert call.place.message_id not in self.final, "what is final is never edited again"

    def shown(self) -> list[str]:
        """What the reply's own messages really show."""
        ids = [each.place.message_id for each in self.transcript.messages if each.state is not State.GONE]
        return [self.discord.texts[each] for each in ids if each is not None]


def said(outcomes: tuple[Outcome, ...], most: int) -> st.SearchStrategy[list[tuple[Outcome, bool]]]:
    each = st.sampled_from((Outcome.OK, *outcomes))
    return st.lists(st.tuples(each, st.booleans()), max_size=most)


def words_of(texts: list[str]) -> list[str]:
    return re.findall(r"w\d+", " ".join(texts))


@given(said(PASSING, 25), st.integers(1, 60), st.integers(1, 20), st.booleans())
def test_what_passes_costs_nothing(says: list[tuple[Outcome, bool]], words: int, per_part: int, by_token: bool) -> None:
    play = Play(Discord(says, by_token), by_token=by_token)
    play.run(words, per_part)
    assert words_of(list(play.discord.texts.values())) == [f"w{i}" for i in range(words)]
    assert play.shown() == list(play.discord.texts.values()), "no other message stands there"


@given(said((*PASSING, *REFUSALS), 30), st.integers(1, 60), st.integers(1, 20), st.booleans(), st.booleans())
def test_whatever_is_refused_nothing_is_doubled_or_out_of_order(
    says: list[tuple[Outcome, bool]], words: int, per_part: int, can_move: bool, by_token: bool
) -> None:
    play = Play(Discord(says, by_token), can_move=can_move, by_token=by_token)
    play.run(words, per_part)
    mine = words_of(play.shown())
    assert len(set(mine)) == len(mine), "no page is shown twice"
    assert mine == sorted(mine, key=lambda word: int(word[1:])), "the order is the text's"
    ids = [each.place.message_id for each in play.transcript.messages if each.place.message_id is not None]
    assert ids == sorted(ids)
    for message in play.transcript.messages:
        if message.place.message_id is not None and message.state is not State.GONE:
            there = play.discord.texts[message.place.message_id]
            assert there in (message.shown, play.last.get(message.place.message_id)), "it knows what stands there"


@given(said((*PASSING, *REFUSALS), 30), st.integers(1, 60), st.integers(1, 20), st.booleans())
def test_no_cursor_stays(says: list[tuple[Outcome, bool]], words: int, per_part: int, can_move: bool) -> None:
    """The last calls of all are not refused here: what then stays cannot be mended."""
    play = Play(Discord(says), can_move=can_move)
    finish = play.transcript.finish

    def finishing(wanted: int | None) -> None:
        play.discord.says.clear()
        finish(wanted)

    play.transcript.finish = finishing  # type: ignore[method-assign]
    play.run(words, per_part)
    ids = [message.place.message_id for message in play.transcript.every()]
    assert not [text for each, text in play.discord.texts.items() if each in ids and has_cursor(text)]
    if play.transcript.over is None and not any(REFUSED in text for text in play.shown()):
        assert words_of(play.shown()) == [f"w{i}" for i in range(words)]


# ------------------------------------------------------------ one by one


def posted(text: str = "Hello ▌", **more: object) -> Transcript:
    transcript = Transcript(HERE, "7", **more)  # type: ignore[arg-type]
    show(transcript, 0, text, is_final=False)
    return transcript


def show(transcript: Transcript, ordinal: int, page: str, *, is_final: bool = True) -> Call:
    call = transcript.call(ordinal, Urgency.EDIT, page, is_final=is_final)
    transcript.begin(call)
    transcript.take(call, Answered(Outcome.OK, call.text.strip(), 100 + ordinal, HERE))
    return call


def refuse(transcript: Transcript, outcome: Outcome, page: str = "More ▌", *, is_final: bool = False) -> Next:
    call = transcript.call(0, Urgency.EDIT, page, is_final=is_final)
    transcript.begin(call)
    return transcript.take(call, Answered(outcome, reason="it was refused"))


def test_another_text_than_was_sent_is_brought_up_to_date_once() -> None:
    transcript = posted()
    for _ in range(2):
        assert not transcript.shows(0, "The end.")
        call = transcript.call(0, Urgency.FINAL, "The end.")
        transcript.take(call, Answered(Outcome.OTHER, "The end", 100, HERE))
    assert transcript.shows(0, "The end.")


def test_words_stand_below_what_was_accepted_and_the_end_below_them() -> None:
    transcript = posted("Good half ▌")
    assert refuse(transcript, Outcome.READ, "Good half and bad\n-# the end", is_final=True) is Next.WORDS
    call = transcript.call(0, Urgency.FINAL, "Good half and bad\n-# the end")
    assert call.kind is Kind.EDIT_WORDS
    assert call.text == "Good half\n-# ⚠️ it was refused\n-# the end"


def test_a_file_goes_with_the_words_where_its_text_was_refused() -> None:
    from bot.markdown.files import File  # noqa: PLC0415 - only here

    file, page = File("answer.md", b"x"), "Bad\n-# in the attached file"
    transcript = posted("Good ▌")
    call = transcript.call(0, Urgency.FINAL, page, file=file)
    assert transcript.take(call, Answered(Outcome.READ, reason="it was refused")) is Next.WORDS
    words = show(transcript, 0, page)
    alone = transcript.call(0, Urgency.FINAL, page, file=file)
    assert (words.kind, words.file) == (Kind.EDIT_WORDS, None)
    assert (alone.kind, alone.text, alone.file) == (Kind.FILE, words.text, file)


def test_a_status_that_is_refused_withholds_no_text() -> None:
    transcript = Transcript(HERE, "7")
    call = transcript.call(0, Urgency.STATUS, "-# waiting", is_final=False, is_status=True)
    transcript.begin(call)
    assert transcript.take(call, Answered(Outcome.TEXT)) is Next.SKIP
    assert not transcript.may_show_status
    assert transcript.call(0, Urgency.FIRST, "Text ▌", is_final=False).kind is Kind.POST


def test_a_page_that_takes_no_edit_takes_those_below_it_along() -> None:
    transcript = posted()
    show(transcript, 1, "Second page")
    assert refuse(transcript, Outcome.FORBIDDEN) is Next.AGAIN
    assert refuse(transcript, Outcome.FORBIDDEN) is Next.REPLACE
    assert transcript.count() == 0
    assert [left.message.ordinal for left in transcript.left] == [0, 1]
    assert transcript.call(0, Urgency.FIRST, "First").place.nonce == "7-0.1"


def test_where_nothing_can_be_posted_what_was_to_be_posted_anew_stays() -> None:
    transcript = posted()
    show(transcript, 1, "Second page")
    refuse(transcript, Outcome.FORBIDDEN)
    refuse(transcript, Outcome.FORBIDDEN)
    assert refuse(transcript, Outcome.FORBIDDEN, "First") is Next.FULL
    assert not transcript.may_post()
    assert transcript.count() == 2
    assert transcript.shows(1, "Second page")
    transcript.finish(2)
    assert [(call.kind, call.place.message_id) for call in transcript.chores()] == [(Kind.CLOSE, 101)]


def test_growing_text_is_dressed_with_the_question_and_how_to_stop_it() -> None:
    transcript = posted("Text ▌", header="> Why?\n")
    transcript.names_command = True
    growing = transcript.call(0, Urgency.EDIT, "Text, more ▌", is_final=False)
    assert growing.text == "> Why?\nText, more ▌\n-# `/stop` ends it"
    assert transcript.call(0, Urgency.EDIT, "Text, more ▌").text == "> Why?\nText, more ▌", "the model's own"


def test_messages_of_an_earlier_answer_are_used_again_and_those_too_many_deleted() -> None:
    transcript = posted("Old text")
    show(transcript, 1, "Old page")
    transcript.begin_anew()
    pages = PlainPages(80, " ▌")
    plan = ReplyPlan(transcript, pages, 8)
    plan.feed("New text")
    [call] = plan.wanted()
    assert (call.kind, call.ordinal, call.urgency) == (Kind.EDIT, 0, Urgency.FIRST)
    plan.end("", quiet=False, interrupted=False)
    show(transcript, 0, "New text")
    assert plan.wanted() == []
    transcript.finish(plan.final_count)
    assert [(call.kind, call.place.message_id) for call in transcript.chores()] == [(Kind.DELETE, 101)]


@pytest.mark.parametrize("on_screen", [0, 1, 3])
def test_a_stop_while_pages_go_out_posts_no_further_one_and_closes_what_is_there(on_screen: int) -> None:
    transcript, pages = Transcript(HERE, "7"), PlainPages(80, " ▌")
    plan = ReplyPlan(transcript, pages, 8)
    plan.feed("".join(f"w{i} " for i in range(200)))
    plan.end("", quiet=False, interrupted=False)
    for ordinal in range(on_screen):
        show(transcript, ordinal, pages.closed[ordinal])
    assert plan.stop("-# ⏹️ stopped by Ada")
    shown = []
    while wanted := plan.wanted():
        call = plan.compose(wanted[0])
        assert call is not None
        show(transcript, call.ordinal, call.page)
        shown.append((call.ordinal, call.text))
    [(ordinal, text)] = shown
    assert ordinal == max(0, on_screen - 1)
    assert text.endswith("\n-# ⏹️ stopped by Ada")


def test_text_that_is_taken_back_leaves_the_message() -> None:
    class Shrinking(PlainPages):
        def take_back(self, count: int) -> None:
            self._open = self._open[:-count]

    transcript, pages = Transcript(HERE, "7"), Shrinking(80, " ▌")
    plan = ReplyPlan(transcript, pages, 8)
    plan.feed("Good <secret")
    show(transcript, 0, pages.tail(), is_final=False)
    pages.take_back(len(" <secret"))
    plan.notice("")
    [call] = plan.wanted()
    composed = plan.compose(call)
    assert composed is not None
    assert composed.text == "Good ▌"
