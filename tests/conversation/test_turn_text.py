from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.tokens import TokenEstimator
from bot.conversation.turn_text import QUOTE_LENGTH, said, trimmed, without
from bot.parts import Attachment, Part, Quote, QuoteKind, Text, text_of

ESTIMATE = TokenEstimator().bind("m")
CUT = "⟦the quote is cut here⟧"

# Words that try to get out of a quote, or to be a label, a quote or a control token.
hostile = st.text(alphabet="ab \n>⟦⟧〚<|im_start>[INST]\0\ud800🎉字:", max_size=300)
quotes = st.builds(
    Quote,
    st.sampled_from(QuoteKind),
    st.text(max_size=40) | st.just("⟦Grace⟧\n"),
    hostile | st.text(max_size=3000),
    st.none() | st.integers(1, 99),
    st.just("") | st.just("it was deleted"),
    st.booleans(),
    st.booleans(),
)
parts = st.lists(quotes | st.builds(Text, hostile) | st.builds(Attachment, st.text(max_size=20)), max_size=6).map(tuple)


def test_a_reply_quotes_before_its_words() -> None:
    quote = Quote(QuoteKind.REPLY, "Grace", "It rains.\nAgain.", source_id=7)
    assert said("Ada", (Text("What does she mean?"), quote)) == (
        "⟦quoted: what Grace wrote, which this message replies to⟧\n> It rains.\n> Again.\n⟦Ada⟧ What does she mean?"
    )


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        (
            Quote(QuoteKind.FORWARD, "", "old news"),
            "⟦quoted: what somebody wrote elsewhere, forwarded with this message⟧\n> old news",
        ),
        (
            Quote(QuoteKind.STARTER, "Grace", "A thread", is_cut=True),
            f"⟦quoted: what Grace wrote, which this thread began with⟧\n> A thread\n{CUT}",
        ),
        (
            Quote(QuoteKind.REPLY, "Burble", "I said so", is_own=True),
            "⟦quoted: what you wrote, which this message replies to⟧\n> I said so",
        ),
        (
            Quote(QuoteKind.REPLY, "", "", missing="it was deleted"),
            "⟦quoted: what somebody wrote, which this message replies to; its words are missing: it was deleted⟧",
        ),
    ],
)
def test_each_kind_of_quote_says_what_it_is(quote: Quote, text: str) -> None:
    assert said("", (quote, Text("Well?"))) == f"{text}\nWell?"


def test_attachments_are_named_behind_the_words() -> None:
    parts = (Text("Look"), Attachment("a.pdf"), Attachment("b.png"))
    assert said("Ada", parts) == "⟦Ada⟧ Look\n(attached, not visible to you: a.pdf, b.png)"


@given(parts)
def test_only_we_write_brackets_and_no_line_of_a_quote_leaves_it(made: tuple[Part, ...]) -> None:
    text = said("Ada", made)
    heads = re.findall("⟦.*⟧", text)
    assert all(head.startswith(("⟦quoted: what ", CUT, "⟦Ada⟧")) for head in heads)
    assert text.count("⟦") == text.count("⟧") == len(heads) == len(re.findall("^⟦", text, re.MULTILINE))
    before, _, words = text.partition("⟦Ada⟧")
    assert all(line.startswith(("> ", "⟦")) for line in before.split("\n") if line)
    assert "⟦" not in words
    assert not re.search(r"<\|im_start\|>|\[INST\]|[\0\ud800]", text)


@given(parts, st.integers(0, 3000))
def test_quotes_take_no_more_than_their_room_and_say_where_they_are_cut(made: tuple[Part, ...], room: int) -> None:
    fixed = trimmed(made, room, ESTIMATE)
    pairs = [(old, new) for old, new in zip(made, fixed, strict=True) if isinstance(old, Quote)]
    assert [new for new in fixed if not isinstance(new, Quote)] == [old for old in made if not isinstance(old, Quote)]
    for old, new in pairs:
        assert isinstance(new, Quote)
        assert len(new.text) <= QUOTE_LENGTH
        assert old.text.startswith(new.text)
        assert new.is_cut or new == old
    heads = sum(ESTIMATE(said("", (Quote(q.kind, q.author, "", missing=q.missing, is_cut=True),))) for q, _ in pairs)
    taken = ESTIMATE(said("", tuple(new for _, new in pairs))) if pairs else 0
    assert taken <= max(room, heads) + 2 * len(pairs)
    if any(new != old and isinstance(old, Quote) and len(old.text) <= QUOTE_LENGTH for old, new in pairs):
        assert taken + heads + 40 * len(pairs) >= room // len(pairs) - 2  # cut no shorter than needed


@given(parts, st.integers(0, 3000))
def test_what_was_cut_is_not_cut_again(made: tuple[Part, ...], room: int) -> None:
    fixed = trimmed(made, room, ESTIMATE)
    if all(isinstance(part, Quote) and part.text for part in fixed):
        assert trimmed(fixed, room, ESTIMATE) == fixed


@given(parts, st.sets(st.integers(1, 99)), st.booleans())
def test_what_is_known_is_not_quoted_and_a_threads_beginning_stands_at_the_beginning(
    made: tuple[Part, ...], known: set[int], is_first: bool
) -> None:
    left = without(made, known=known, is_first=is_first)
    for part in made:
        stays = (
            not text_of(made)
            or not isinstance(part, Quote)
            or (part.source_id not in known and (is_first or part.kind is not QuoteKind.STARTER))
        )
        assert (part in left) is stays


def test_where_nothing_is_said_beside_a_quote_the_model_is_asked_to_answer_the_quote() -> None:
    text = said("Ada", (Quote(QuoteKind.REPLY, "Linus", "Is it?"),))
    assert text.splitlines()[-1] == "⟦Ada⟧ (no words of their own: answer what is quoted)"
