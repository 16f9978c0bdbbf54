"""The sanitizer: what hides or reorders text goes, what writing needs stays."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown.sanitize import MAX_MARKS, Sanitizer, cleaned


def clean(*parts: str) -> str:
    sanitizer = Sanitizer()
    return "".join(sanitizer.feed(part) for part in parts) + sanitizer.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u202eb\u2066c\u200ed\u061c", "abcd"),
        ("zero\u200bwidth\ufeff\u2060", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("bell\x07 null\x00 c1\x85", "bell null c1"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("lone\ud800x", "lone\ufffdx"),
        ("tags\U000e0041\U000e0042", "tags"),
        ("variation\U000e0100", "variation"),
        ("plain joiner\u200d here", "plain joiner here"),
    ],
)
def test_what_hides_or_reorders_text_goes(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "👨‍👩‍👧‍👦",
        "❤️",
        "1️⃣",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "می‌خواهم",
        "क्‍ष",
        "👩🏽‍🚀",
        "é",
        "ไม้",
    ],
)
def test_what_writing_needs_stays(text: str) -> None:
    assert clean(text) == text


def test_stacked_marks_are_capped() -> None:
    assert clean("e" + "\u0301" * 50 + "x") == "e" + "\u0301" * MAX_MARKS + "x"


def test_a_surrogate_pair_in_two_parts_becomes_its_character() -> None:
    assert clean("\ud83d", "\ude00") == "😀"


@given(
    st.lists(
        st.text(st.sampled_from("ab\r\n\u200d\u0301\ufe0f\U0001f3f4\U000e0067👩❤\ud83d\ude00\u202e日"), max_size=6),
        max_size=12,
    )
)
def test_the_result_does_not_depend_on_the_parts(parts: list[str]) -> None:
    assert clean(*parts) == clean("".join(parts))


anything = st.lists(
    st.text()
    | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Mn", "Me", "Zl", "Zp"]))
    | st.sampled_from(["\u202e", "\u200b", "\r", "👩\u200d🚀", "🏴\U000e0067\U000e007f", "e\u0301", "\u3164", "\ud83d"])
).map("".join)


@given(anything)
def test_whatever_goes_in_what_comes_out_hides_nothing(text: str) -> None:
    out = cleaned(text)
    out.encode()
    assert len(out) <= len(text)
    assert not [char for char in out if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} and char not in "\n\t"]
    assert not regex.search(r"[\p{Bidi_Control}\u200b\u2060\ufeff]", out)
    assert not regex.search(rf"[\p{{Mn}}\p{{Me}}]{{{2 * MAX_MARKS + 2}}}", out)


@given(anything)
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], codec="utf-8")))
def test_what_can_be_seen_stays(text: str) -> None:
    assert cleaned(text) == "".join(char for char in text if not regex.match(r"\p{Default_Ignorable_Code_Point}", char))
