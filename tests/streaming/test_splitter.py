"""The splitter: where pages end, and what is shown while text is still coming."""

from __future__ import annotations

import time

import pytest

from bot.streaming.splitter import Splitter


def tail(text: str, *, mode: str = "discord", limit: int = 2000) -> str:
    splitter = Splitter(limit=limit, mode=mode)
    splitter.feed(text)
    return splitter.tail()


def pages(text: str, *, limit: int = 200, footer: str = "") -> list[str]:
    splitter = Splitter(limit=limit)
    splitter.feed(text)
    splitter.finish(footer)
    return list(splitter.closed)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("", ""),
        ("   \n", ""),
        ("Hello", "Hello ▌"),
        ("Hello *", "Hello ▌"),
        ("Hello **wor", "Hello **wor** ▌"),
        ("Hello **wor*", "Hello **wor** ▌"),
        ("Hello **world** ", "Hello **world** ▌"),
        ("**bold *both", "**bold *both*** ▌"),
        ("say `", "say ▌"),
        ("say `co", "say `co` ▌"),
        ("say ``a`", "say ``a`` ▌"),
        ("||sec", "||sec|| ▌"),
        ("||", ""),
        ("see [the te", "see the te ▌"),
        ("see [the text](ht", "see the text ▌"),
        ("see [the text](https://e.com)", "see [the text](https://e.com) ▌"),
        ("![pic](https://e", "pic ▌"),
        ("hi <@1234", "hi ▌"),
        ("hi <:smi", "hi ▌"),
        ("at <t:17000", "at ▌"),
        ("a &am", "a ▌"),
        ("a \\", "a ▌"),
        ("-", ""),
        ("- ", ""),
        ("- a\n- ", "- a ▌"),
        ("- a\n- long item", "- a\n- long item ▌"),
        ("#", ""),
        ("## Ti", "## Ti ▌"),
        ("```", ""),
        ("```py", ""),
        ("```py\n", ""),
        ("```py\nx = 1", "```py\nx = 1 ▌\n```"),
        ("```py\nx = 1\n``", "```py\nx = 1 ▌\n```"),
        ("```py\nx = 1\n```\n", "```py\nx = 1\n```\n▌"),
        ("> ```py\n> x", "> ```py\n> x ▌\n> ```"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3", "```\na │ b\n──┼──\n1 │ 2\n3 │ ▌\n```"),
        ("text\n\n| a | b |\n|--", "text\n\n```\na │ b\n──┼── ▌\n```"),
        ("5 * 3 and f(*ar", "5 \\* 3 and f(*ar* ▌"),
    ],
)
def test_what_is_open_is_closed_and_half_a_mark_is_held_back(source: str, shown: str) -> None:
    assert tail(source) == shown


def test_raw_mode_repairs_the_same_way() -> None:
    assert tail("__under **bo", mode="raw") == "__under **bo**__ ▌"
    assert tail("```py\nx", mode="raw") == "```py\nx ▌\n```"


def test_a_page_ends_at_the_best_place_in_its_second_half() -> None:
    sentence = "This is a sentence of some length. "
    paragraph = (sentence * 4).strip()
    assert pages(f"{paragraph}\n\n{paragraph}") == [paragraph, paragraph]
    assert pages(sentence * 8) == [(sentence * 5).strip(), (sentence * 3).strip()]
    assert all(page.split()[-1] in {"word", "words"} for page in pages("word words " * 60))


def test_a_heading_goes_with_its_text() -> None:
    filler = "word " * 28
    assert pages(f"{filler}\n\n## Title\n\n{filler}")[1].startswith("## Title\n\nword")


def test_a_fence_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"    line_{i} = {i}" for i in range(30))
    result = pages(f"````python\n{code}\n````")
    assert len(result) > 2
    assert all(page.startswith("```python\n    line_") for page in result)
    assert all(page.endswith("\n```") for page in result)
    assert "\n".join(page[len("```python\n") : -len("\n```")] for page in result) == code


def test_a_code_block_moves_to_the_next_page_rather_than_being_cut() -> None:
    result = pages("word " * 30 + "\n\n```py\n" + "x = 1\n" * 12 + "```")
    assert result[1].startswith("```py")


def test_inline_marks_are_closed_and_opened_again() -> None:
    first, second, *_ = pages("**" + "bold words " * 30 + "end**")
    assert (first[:6], first[-2:]) == ("**bold", "**")
    assert second.startswith("**")


@pytest.mark.parametrize(
    "atom",
    [
        "[a link with words](https://example.com/p)",
        "<a:dance:123456789012345678>",
        "<t:1700000000:R>",
        "👨‍👩‍👧‍👦",
        "`code here`",
    ],
)
@pytest.mark.parametrize("offset", range(0, 44, 4))
def test_atoms_are_never_torn(atom: str, offset: int) -> None:
    result = pages("w" * (180 - offset) + " " + atom + " end" * 10)
    assert sum(page.count(atom) for page in result) == 1


def test_text_that_only_starts_a_line_by_a_cut_starts_no_block() -> None:
    for mark in ("-", "#", ">", "1.", "-#"):
        for page in pages(f"word {mark} " * 40)[1:]:
            assert not page.startswith(f"{mark} ")


def test_the_footer_comes_last_on_its_own_line_or_page() -> None:
    assert pages("text", footer="-# done") == ["text\n-# done"]
    assert pages("```\nx\n```", footer="-# done") == ["```\nx\n```\n-# done"]
    assert pages("x" * 198, footer="-# done") == ["x" * 198, "-# done"]
    assert pages("", footer="-# nothing") == ["-# nothing"]


def test_reading_changes_nothing_and_finish_is_final() -> None:
    splitter = Splitter(limit=200)
    splitter.feed("some text")
    assert splitter.tail() == splitter.tail() == "some text ▌"
    splitter.finish()
    splitter.finish("again")
    assert (list(splitter.closed), splitter.tail(), splitter.characters) == (["some text"], "", 9)


def test_a_limit_too_small_for_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        Splitter(limit=50)


@pytest.mark.parametrize(
    "text",
    [
        "*" * 20000,
        "`" * 20000,
        "[" * 20000,
        "> " * 10000,
        "<br>" * 8000,
        "&amp;" * 8000,
        "| " * 10000,
        "$a" * 10000,
        "\\(" * 10000,
        "\n" * 20000,
        " " * 20000 + "x",
        "a" + "\u200d👩" * 9000,
        "- " * 10000,
        "![](" * 5000,
        "**a" * 6000,
        "|a|b|\n|-|-|\n" + "|x" * 9000,
        "```\n" + "\n" * 20000 + "x",
        "https://e.com/" + ")" * 20000,
        "https://e.com/" + "*" * 20000 + "x",
        "# " + " " * 20000 + "x",
        "x." + " " * 20000 + "y",
        "|" + " " * 20000 + "x",
        "a\n|" + " " * 20000 + "-x",
        "-" + " " * 20000 + "x",
        "```\n" + "👩\u200d" * 9000,
        "```\n" + " " * 9000 + "x",
        "````\n" + "x ```" * 3000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    splitter = Splitter()
    started = time.process_time()
    for i in range(0, len(text), 97):
        splitter.feed(text[i : i + 97])
    splitter.tail()
    splitter.finish()
    assert time.process_time() - started < 10
    assert all(0 < len(page) <= 2000 for page in splitter.closed)
