"""What holds for every document, however it is chunked and whenever it is read."""

from __future__ import annotations

import os
import random
import re

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.streaming.splitter import Splitter
from tests.streaming.markdown_documents import check_page, documents, tidy_documents, words_of

LIMIT = 400  # small pages, many cuts
EXAMPLES = int(os.environ.get("SPLITTER_EXAMPLES", "25"))
seeds = st.integers(0, 2**16)

thorough = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not os.environ.get("SPLITTER_EXAMPLES"),
    suppress_health_check=list(HealthCheck),
)


def whole(document: str, *, mode: str = "discord", limit: int = LIMIT, footer: str = "") -> list[str]:
    splitter = Splitter(limit=limit, mode=mode)
    splitter.feed(document)
    splitter.finish(footer)
    return list(splitter.closed)


def chunks(document: str, seed: int) -> list[str]:
    chance = random.Random(seed)
    parts, at = [], 0
    while at < len(document):
        size = chance.choice([1, 2, 3, 7, 40, 300])
        parts.append(document[at : at + size])
        at += size
    return parts


@pytest.mark.parametrize("mode", ["discord", "raw"])
@thorough
@given(documents(), seeds)
def test_every_state_is_a_valid_message_and_pages_do_not_depend_on_chunks_or_reads(
    mode: str, document: str, seed: int
) -> None:
    chance = random.Random(seed)
    splitter = Splitter(limit=LIMIT, mode=mode)
    before: list[str] = []
    for part in chunks(document, seed):
        splitter.feed(part)
        if chance.random() < 0.2:
            assert list(splitter.closed)[: len(before)] == before
            before = list(splitter.closed)
            tail = splitter.tail()
            assert tail == splitter.tail()
            assert len(tail) <= LIMIT
            if tail:
                assert "▌" in tail
                check_page(tail.replace(" ▌", "").replace("\n▌", ""), LIMIT, raw=mode == "raw")
    splitter.finish("-# done")
    pages = list(splitter.closed)
    assert splitter.tail() == ""
    assert pages[: len(before)] == before
    assert pages == whole(document, mode=mode, footer="-# done")
    assert splitter.characters == len(document)
    assert pages[-1].endswith("-# done")
    for page in whole(document, mode=mode):
        check_page(page, LIMIT, raw=mode == "raw")


@thorough
@given(tidy_documents)
def test_joined_pages_give_back_the_unsplit_text(document: str) -> None:
    unsplit = whole(document, limit=10**6)
    assert len(unsplit) == 1
    assert words_of("\n".join(whole(document))) == words_of(unsplit[0])


@thorough
@given(documents())
def test_raw_pages_give_back_the_unsplit_text(document: str) -> None:
    unsplit = "\n".join(whole(document, mode="raw", limit=10**6))
    assert words_of("\n".join(whole(document, mode="raw"))) == words_of(unsplit)


@thorough
@given(tidy_documents)
def test_lines_of_code_keep_their_order_and_indentation(document: str) -> None:
    def code(text: str) -> list[str]:
        blocks = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
        return [line for block in blocks for line in block.split("\n") if line.strip()]

    assert code("\n".join(whole(document))) == code(document)


@thorough
@given(
    st.lists(
        st.sampled_from(["👨‍👩‍👧‍👦", "🇩🇪", "e\u0301", "日", "x", "🏴\U000e0067\U000e0062\U000e007f", "❤️"]),
        min_size=250,
        max_size=900,
    ),
    seeds,
)
def test_a_word_without_end_is_cut_between_graphemes(clusters: list[str], seed: int) -> None:
    text = "".join(clusters)
    splitter = Splitter(limit=LIMIT)
    for part in chunks(text, seed):
        splitter.feed(part)
    splitter.finish()
    pages = list(splitter.closed)
    assert "".join(pages) == text
    assert [c for page in pages for c in regex.findall(r"\X", page)] == regex.findall(r"\X", text)


@thorough
@given(tidy_documents)
def test_a_reader_never_waits_long_for_what_was_fed(document: str) -> None:
    splitter = Splitter(limit=LIMIT)
    for i in range(0, len(document), 11):
        splitter.feed(document[i : i + 11])
        shown = words_of("\n".join([*splitter.closed, splitter.tail().replace("▌", "")]))
        fed = words_of(document[: i + 11])
        assert len(shown) >= len(fed) - 110, (document[max(0, i - 200) : i + 11], splitter.tail())
