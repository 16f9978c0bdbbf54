"""From rows and what was found to the transcript: the same as before the kill, and nothing posted twice."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.conversation.records import PromptKind, PromptRecord, ReplyMessage, ReplyState, UnfinishedReply
from bot.delivery.deliverer import stored
from bot.parts import Text
from bot.recovery.found import Found, Seen
from bot.recovery.rebuild import rebuild, unclaimed
from bot.streaming.bucket import Urgency
from bot.streaming.calls import State
from bot.streaming.transcript import Transcript
from tests.streaming.test_transcript import PASSING, REFUSALS, Discord, Outcome, Play, said

PROMPT, HERE, DM = 7, 1, 2


def reply(*rows: ReplyMessage, kind: PromptKind = PromptKind.CHAT, token: str = "", **more: Any) -> UnfinishedReply:
    asked = PromptRecord(PROMPT, HERE, 5, 6, "Ada", (Text("Why?"),), 0.0, kind=kind, token=token)
    return UnfinishedReply(1, asked, "", ReplyState.STREAMING, "text", "", 1, 0.0, rows, **more)


def rebuilt(of: UnfinishedReply, found: Found | None = None) -> Transcript:
    return rebuild(of, found, unclaimed(of, found) if found else [])


def looked(*messages: Seen, newest: int = 1000, is_complete: bool = True) -> Found:
    return Found({each.message_id: each for each in messages}, is_complete, newest)


def row(ordinal: int, message_id: int | None, text: str, **more: Any) -> ReplyMessage:
    generation = more.get("generation", 0)
    nonce = f"{PROMPT}-{ordinal}" + (f".{generation}" if generation else "")
    return ReplyMessage(ordinal, more.pop("channel_id", HERE), message_id, nonce, text, **more)


# More of them find one that is still to be mended: the row of a message that was left when nothing took its place.
@settings(max_examples=100)
@given(said((*PASSING, *REFUSALS), 30), st.integers(1, 60), st.integers(1, 20), st.integers(1, 40))
def test_a_kill_at_any_moment_costs_no_knowledge(
    says: list[tuple[Outcome, bool]], words: int, per_part: int, steps: int
) -> None:
    play = Play(Discord(says))
    send, sent = play.send, 0

    def counted(call: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > steps:
            raise KeyboardInterrupt
        send(call)

    play.send = counted  # type: ignore[method-assign]
    with contextlib.suppress(KeyboardInterrupt):
        play.run(words, per_part)
    before = play.transcript
    rows = [stored(each) for each in before.rows()]
    rows = [each for each in rows if each.state != State.GONE]
    after = rebuilt(reply(*rows, moved_to=before.moved_to))

    def places(transcript: Transcript) -> list[Any]:
        there = [each for each in transcript.messages if each.place.message_id]
        return sorted((each.ordinal, each.generation, each.place) for each in there)

    assert places(after) == places(before)
    assert after.moved_to == before.moved_to
    known = {each.place.message_id: each.shown for each in before.messages}
    assert all(known[each.place.message_id] == each.shown for each in after.messages)


def test_a_message_that_was_deleted_meanwhile_is_not_posted_again_and_the_next_one_goes_on() -> None:
    rows = row(0, 100, "First page", shown="First page"), row(1, 101, "Sec ▌", shown="Sec ▌")
    transcript = rebuilt(reply(*rows), looked(Seen(HERE, 101, "Sec ▌")))
    assert [message.state for message in transcript.messages] == [State.GONE, State.OPEN]
    assert transcript.shows(0, "First page and more")


def test_where_nothing_could_be_looked_up_rows_are_taken_as_they_are() -> None:
    transcript = rebuilt(reply(row(0, 100, "Fir ▌", shown="Fir ▌")))
    assert [(message.state, message.shown) for message in transcript.messages] == [(State.OPEN, "Fir ▌")]


@pytest.mark.parametrize("generation", [0, 1])
def test_a_post_whose_answer_was_lost_is_found_by_its_first_text_though_newer_was_noted(generation: int) -> None:
    old = [row(0, 100, "Old ▌", shown="Old ▌")] if generation else [row(0, 100, "Page", shown="Page", state="final")]
    lost = row(1 - generation, None, "Newer text ▌", first_try="New ▌", generation=generation)
    found = looked(Seen(HERE, 100, old[0].shown, about=PROMPT), Seen(HERE, 105, "New ▌"))
    transcript = rebuilt(reply(*old, lost), found)
    assert transcript.messages[-1].place.message_id == 105
    assert transcript.pending is None
    assert [left.message.place.message_id for left in transcript.left] == ([100] if generation else [])


def test_a_post_that_never_arrived_keeps_its_nonce() -> None:
    transcript = rebuilt(reply(row(0, None, "New ▌", first_try="New ▌")), looked(newest=50))
    assert transcript.count() == 0
    assert transcript.pending is not None
    assert transcript.pending.place.nonce == f"{PROMPT}-0"


def test_a_followup_is_found_by_its_command_even_if_no_row_knows_of_it() -> None:
    of = reply(row(0, 100, "Page", by_token=True), kind=PromptKind.ASK, token="secret")
    found = looked(
        Seen(HERE, 100, "> Why?\nPage", about=PROMPT, is_command=True),
        Seen(HERE, 101, "More ▌", about=PROMPT, is_command=True),
    )
    transcript = rebuilt(of, found)
    assert [message.place.message_id for message in transcript.messages] == [100, 101]
    assert all(message.place.by_token for message in transcript.messages)


def test_a_message_of_another_reply_is_not_taken() -> None:
    of = reply(row(0, None, "Same", first_try="Same"))
    assert rebuilt(of, looked(Seen(HERE, 101, "Same", about=99))).count() == 0


def test_pages_that_went_to_who_asked_are_gone_on_with_there() -> None:
    rows = row(0, 100, "Page", shown="Page"), row(1, 300, "Sec ▌", shown="Sec ▌", channel_id=DM)
    transcript = rebuilt(reply(*rows, moved_to=DM), looked(Seen(HERE, 100, "Page")))
    assert [message.state for message in transcript.messages] == [State.OPEN, State.OPEN]
    assert transcript.call(2, Urgency.OVERFLOW, "Third").place.channel_id == DM


def test_rows_of_an_earlier_version_count_as_shown_and_a_status_as_none() -> None:
    rows = ReplyMessage(0, HERE, 100, "7-0", "-# ⏳ next in line"), ReplyMessage(1, HERE, 101, "7-1", "Text ▌")
    transcript = rebuilt(reply(*rows))
    assert [message.is_status for message in transcript.messages] == [True, False]
    assert [message.shown for message in transcript.messages] == ["-# ⏳ next in line", "Text ▌"]


def test_what_was_read_and_refused_is_not_shown_to_a_filter_a_second_time() -> None:
    words = "Good\n-# ⚠️ refused"
    withheld = row(0, 100, "Good and bad", shown=words, state="withheld")
    transcript = rebuilt(reply(replace(withheld)), looked(Seen(HERE, 100, words)))
    assert transcript.shows(0, "Good and bad")
    assert not transcript.shows(0, "Good and better")
