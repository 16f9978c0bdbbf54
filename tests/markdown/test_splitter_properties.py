"""What holds for every document, however it is chunked and whenever it is read."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import regex
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.markdown.splitter import Splitter
from tests.markdown.documents import check_page, documents, table, tidy_documents, words_of

LIMIT = 300  # small pages, many cuts
QUICK = 25
IS_THOROUGH = settings().max_examples >= 1000  # the profile that CI gives this file
WANTED = int(os.environ.get("SPLITTER_EXAMPLES", "0"))  # a hunt of one's own, another one each time
seeds = st.integers(0, 2**16)

pytestmark = pytest.mark.timeout(1200 if IS_THOROUGH or WANTED else 60)


def examples(thorough: int) -> Callable[[Any], Any]:
    """Run a test with so many examples in a thorough run."""
    return settings(
        max_examples=WANTED or (thorough if IS_THOROUGH else QUICK),
        deadline=None,
        derandomize=not WANTED,
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


def without_cursor(tail: str) -> str:
    return tail.replace(" ▌", "").replace("\n▌", "")


# ticks that Discord pairs otherwise than Markdown does
TICKS = "````code````\n\n**``` a`b ```**\n\n"


@pytest.mark.parametrize("mode", ["discord", "raw"])
@examples(2600)
@given(documents(), seeds)
@example(TICKS, 0)
def test_every_state_is_a_valid_message_and_pages_do_not_depend_on_chunks_or_reads(
    mode: str, document: str, seed: int
) -> None:
    chance = random.Random(seed)
    splitter = Splitter(limit=LIMIT, mode=mode)
    before: list[str] = []
    for part in chunks(document, seed):
        splitter.feed(part)
        if chance.random() < 0.1:
            assert list(splitter.closed)[: len(before)] == before
            before = list(splitter.closed)
            tail = splitter.tail()
            assert tail == splitter.tail()
            assert len(tail) <= LIMIT
            if tail:
                assert "▌" in tail
                check_page(without_cursor(tail), LIMIT, raw=mode == "raw")
    is_visible = splitter.has_visible_text()
    splitter.finish("-# done")
    pages = list(splitter.closed)
    assert splitter.tail() == ""
    assert splitter.has_visible_text() == is_visible == (pages != ["-# done"])
    assert pages[: len(before)] == before
    assert pages == whole(document, mode=mode, footer="-# done")
    assert splitter.characters == len(document)
    assert pages[-1].endswith("-# done")
    pages[-1] = pages[-1].removesuffix("-# done").strip()
    for page in filter(None, pages):
        check_page(page, LIMIT, raw=mode == "raw")


@pytest.mark.parametrize("mode", ["discord", "raw"])
@pytest.mark.parametrize("code", range(90, 100))
def test_a_look_between_blank_lines_moves_no_page(code: int, mode: str) -> None:
    before = ("word " * 33).strip() + "\n\n"
    document = before + "\n" + "`a`" * code + "\n\n"
    splitter = Splitter(limit=LIMIT, mode=mode)
    splitter.feed(before)
    assert splitter.tail()
    splitter.feed(document[len(before) :])
    splitter.finish("-# done")
    assert list(splitter.closed) == whole(document, mode=mode, footer="-# done")


@pytest.mark.parametrize(
    "document", ["\\[\n 1. ```\n", " .\n||x\n |-", "$$\n2. \n>e", "x\n  a | b\n    -- | -- | --\ny"]
)
def test_a_look_at_each_character_changes_no_page(document: str) -> None:
    splitter = Splitter(limit=LIMIT)
    for char in document:
        splitter.feed(char)
        splitter.tail()
    splitter.finish()
    assert list(splitter.closed) == whole(document)


@pytest.mark.parametrize("mode", ["discord", "raw"])
@examples(300)
@given(documents(), seeds)
def test_an_interrupted_answer_is_valid_too_and_known_to_be_visible(mode: str, document: str, seed: int) -> None:
    text = document[: random.Random(seed).randrange(len(document) + 1)]
    splitter = Splitter(limit=LIMIT, mode=mode)
    splitter.feed(text)
    is_visible = splitter.has_visible_text(interrupted=True)
    splitter.finish(interrupted=True)
    assert bool(splitter.closed) == is_visible
    for page in splitter.closed:
        check_page(page, LIMIT, raw=mode == "raw")


@examples(300)
@given(tidy_documents, seeds)
def test_an_interruption_loses_nothing_that_was_shown(document: str, seed: int) -> None:
    splitter = Splitter(limit=LIMIT)
    splitter.feed(document[: random.Random(seed).randrange(len(document) + 1)])
    shown = words_of("\n".join([*splitter.closed, without_cursor(splitter.tail())]))
    splitter.finish(interrupted=True)
    assert words_of("\n".join(splitter.closed)).startswith(shown)


@examples(300)
@given(tidy_documents)
def test_joined_pages_give_back_the_unsplit_text(document: str) -> None:
    unsplit = whole(document, limit=10**6)
    assert len(unsplit) == 1
    assert words_of("\n".join(whole(document))) == words_of(unsplit[0])


@examples(300)
@given(documents())
def test_raw_pages_give_back_the_unsplit_text(document: str) -> None:
    unsplit = "\n".join(whole(document, mode="raw", limit=10**6))
    assert words_of("\n".join(whole(document, mode="raw"))) == words_of(unsplit)


@examples(300)
@given(tidy_documents)
def test_lines_of_code_keep_their_order_and_indentation(document: str) -> None:
    def code(text: str) -> list[str]:
        blocks = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
        return [line for block in blocks for line in block.split("\n") if line.strip()]

    assert code("\n".join(whole(document))) == code(document)


CLUSTERS = ["👨‍👩‍👧‍👦", "🇩🇪", "e\u0301", "日", "x", "🏴\U000e0067\U000e0062\U000e007f", "❤️"]


@examples(300)
@given(st.text(st.characters(min_codepoint=0x100, max_codepoint=0x106), min_size=200, max_size=600), seeds)
def test_a_word_without_end_is_cut_between_graphemes(drawn: str, seed: int) -> None:
    text = "".join(CLUSTERS[ord(char) - 0x100] for char in drawn)
    splitter = Splitter(limit=LIMIT)
    for part in chunks(text, seed):
        splitter.feed(part)
    splitter.finish()
    pages = list(splitter.closed)
    assert "".join(pages) == text
    assert [c for page in pages for c in regex.findall(r"\X", page)] == regex.findall(r"\X", text)


@examples(300)
@given(tidy_documents, seeds)
def test_a_reader_never_waits_long_for_what_was_fed(document: str, seed: int) -> None:
    chance = random.Random(seed)
    splitter = Splitter(limit=LIMIT)
    for i in range(0, len(document), 11):
        splitter.feed(document[i : i + 11])
        if chance.random() < 0.2:
            shown = words_of("\n".join([*splitter.closed, splitter.tail().replace("▌", "")]))
            fed = words_of(document[: i + 11])
            assert len(shown) >= len(fed) - 110, (document[max(0, i - 200) : i + 11], splitter.tail())


@examples(300)
@given(table(words=40), seeds)
def test_the_columns_of_a_growing_table_never_shrink(text: str, seed: int) -> None:
    chance = random.Random(seed)
    splitter = Splitter(limit=LIMIT)
    page, width = 0, 0
    for char in text:
        splitter.feed(char)
        rule = re.match(r"```\n[^\n]*\n([─┼]*)", splitter.tail()) if chance.random() < 0.3 else None
        if rule:
            page, before = len(splitter.closed), width if page == len(splitter.closed) else 0
            width = len(rule[1])
            assert width >= before, splitter.tail()
