"""The splitter: where pages end, and what is shown while text is still coming."""

from __future__ import annotations

import time

import pytest

from bot.markdown.page import Page
from bot.markdown.splitter import Splitter
from tests.benchmarks.streams import make_tokens, numbers


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
        ("say ```co", "say ▌"),
        ("say ```co d", "say `co d` ▌"),
        ("1. ```sh\n   ls", "1.\n```sh\nls ▌\n```"),
        ("say ```co``", "say `co` ▌"),
        ("||sec", "||sec|| ▌"),
        ("is \\(\\int_0^\\inft", "is ∫₀ ▌"),
        ("is $", "is ▌"),
        ("is $\\alpha + x^", "is α + x ▌"),
        ("is $5 + x^", "is $5 + x^ ▌"),
        ("| a | b |\n|:--|:", "```\na │ b\n──┼── ▌\n```"),
        ("x<sup>2", "x ▌"),
        ("so\n\\begin{align}\na &= b", "so\na = b ▌"),
        ("so __ini", "so \\_\\_ini ▌"),
        ("so 2*3", "so 2\\*3 ▌"),
        ("**-", ""),
        ("**-#", ""),
        ("**-# x", "**\\-# x** ▌"),
        ("**# x", "**\\# x** ▌"),
        ("- a\n  ", "- a ▌"),
        ("- a\n  b", "- a\n  b ▌"),
        ("> a\n>", "> a ▌"),
        ("> a\n>\n>", "> a ▌"),
        ("> a\n>\n> b", "> a\n> \n> b ▌"),
        ("so\n\\[\na\n+", "so\na + ▌"),
        ("so\n\\[\na\n+ b\n\\]\n- c", "so\n\\[a + b\\]\n- c ▌"),
        ("[https://e.com](https://e", "https://e.com ▌"),
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


def test_a_formula_that_ended_long_ago_takes_no_lines_in() -> None:
    assert tail("$$" + "x+a" * 200 + "$$\n" + "word " * 120 + "\n- -# y").endswith("word\n- \\-# y ▌")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("It is **impor", "It is **impor**"),
        ("It is **impor*", "It is **impor**"),
        ("It is *", "It is"),
        ("||secret|", "||secret||"),
        ("a `code", "a `code`"),
        ("a `", "a"),
        ("see [Ollama](https://oll", "see Ollama"),
        ("see [Oll", "see Oll"),
        ("so[^1", "so"),
        ("is $$x^2", "is x²"),
        ("so\n\\[\na\n+", "so\na +"),
        ("```py\nx = 1\n``", "```py\nx = 1\n```"),
        ("> **quo", "> **quo**"),
        ("- a\n- **b", "- a\n- **b**"),
        ("- a\n- ", "- a"),
        ("#### deep *b", "**deep *b***"),
        ("hi <@1234", "hi"),
        ("a<br", "a"),
        ("a &am", "a"),
        ("in R&D", "in R&D"),
        ("if a <b and c", "if a <b and c"),
        ("take x[0", "take x[0"),
        ("The answer:\n42", "The answer:\n42"),
        ("| a | b |", "| a | b"),
        ("| a | b |\n|--|--|\n| 1 | **x", "```\na │ b\n──┼──\n1 │ x\n```"),
        ("| a |\n|--|\n| 1 |\nand", "```\na\n─\n1\n```\nand"),
        ("**a** b\n\n5 ** 2", "**a** b\n\n5 \\*\\* 2"),
        ("**half a paragraph\n\nand **more", "\\*\\*half a paragraph\n\nand **more**"),
    ],
)
def test_what_is_open_in_an_interrupted_text_is_closed(source: str, shown: str) -> None:
    splitter = Splitter()
    splitter.feed(source)
    assert splitter.has_visible_text(interrupted=True)
    splitter.finish(interrupted=True)
    assert list(splitter.closed) == [shown]


@pytest.mark.parametrize(
    ("text", "interrupted", "visible"),
    [
        ("", False, False),
        ("`", False, True),
        ("`", True, False),
        ("1.", False, True),
        ("1.", True, False),
        ("1. ", False, False),
        ("\ud83d", False, True),
        ("```\nx", True, True),
        ("> <br>\n> ", False, False),
    ],
)
def test_whether_anything_is_seen_is_known_before_the_end(text: str, interrupted: bool, visible: bool) -> None:
    splitter = Splitter()
    splitter.feed(text)
    assert splitter.has_visible_text(interrupted=interrupted) is visible
    splitter.finish("-# footer", interrupted=interrupted)
    assert splitter.has_visible_text(interrupted=interrupted) is visible
    assert len(splitter.closed) == 1


def test_a_mark_that_closes_after_a_break_closes_at_the_end_of_its_line() -> None:
    assert pages("*one<br>* *two* **three<br>** four") == ["*one*\n*two* **three**\nfour"]


def test_asking_whether_anything_is_seen_changes_nothing() -> None:
    splitter = Splitter()
    for part in ("**", "bo", "ld** `", "x` ["):
        splitter.has_visible_text()
        splitter.feed(part)
    assert splitter.tail() == "**bold** `x` ▌"


TABLE = "Routes:\n| Route | **Limit** |\n|---|--:|\n| a **b** | `x|y` |\n| [l](https://e.com/p) | 20 |\nThat is all."


def test_a_growing_table_shows_neither_raw_rows_nor_half_marks_and_its_columns_never_shrink() -> None:
    splitter = Splitter()
    widths = [0]
    for char in TABLE:
        splitter.feed(char)
        shown = splitter.tail()
        assert not any(line.startswith("|") for line in shown.splitlines())
        assert not any(mark in shown for mark in ("**", "[", "`x"))
        assert "(" not in shown.replace("(https://e.com/p)", "")
        widths += [len(line.removesuffix(" ▌")) for line in shown.splitlines() if "┼" in line]
    assert widths == sorted(widths)
    assert shown == (
        "Routes:\n```\nRoute               │ Limit\n────────────────────┼──────\na b                 │   x|y\n"
        "l (https://e.com/p) │    20\n```\nThat is all. ▌"
    )


def test_a_line_that_might_have_been_a_header_is_shown_once_it_is_none() -> None:
    assert tail("| a | b |\n") == ""
    assert tail("| a | b |\nte") == "| a | b |\nte ▌"
    assert tail("| a " + "long " * 80).startswith("| a long long")
    assert tail("||secret") == "||secret|| ▌"
    assert tail("text\n| a |\n-x") == "text\n| a |\n-x ▌"


def test_a_table_on_the_next_page_has_its_header_and_its_columns_again() -> None:
    rows = "".join(f"| {'wide cell' if i == 1 else i} | value {i} |\n" for i in range(20))
    first, second, *_ = pages(f"| Name | Value |\n|---|---|\n{rows}")
    top = "```\nName      │ Value\n──────────┼────────"
    assert first.startswith(top)
    assert second.startswith(top)
    assert pages(f"> | Name | Value |\n> |---|---|\n> {rows}".replace("\n| ", "\n> | "))[1].startswith(
        "> ```\n> Name      │ Value\n> "
    )


@pytest.mark.parametrize("cell", ["👩\u200d" * 400, "x" * 400, " " * 900 + "x", "`" * 300, "\\|" * 300])
def test_no_cell_is_too_large_for_a_page(cell: str) -> None:
    for table in (f"| a |\n|---|\n| {cell} |\n| b |", f"| {cell} |\n|---|\n| a |\n| b |"):
        assert all(0 < len(page) <= 200 for page in pages(table))


def test_raw_mode_repairs_the_same_way() -> None:
    assert tail("__under **bo", mode="raw") == "__under **bo**__ ▌"
    assert tail("```py\nx", mode="raw") == "```py\nx ▌\n```"


def test_a_page_ends_at_the_best_place_in_its_second_half() -> None:
    sentence = "This is a sentence of some length. "
    paragraph = (sentence * 4).strip()
    assert pages(f"{paragraph}\n\n{paragraph}") == [paragraph, paragraph]
    assert pages(sentence * 8) == [(sentence * 5).strip(), (sentence * 3).strip()]
    assert all(page.split()[-1] in {"word", "words"} for page in pages("word words " * 60))


def test_a_page_that_is_nearly_full_ends_with_the_next_block_line_sentence_or_word() -> None:
    def first(end: str, *, before: str = "") -> int:
        """Return how long the first page is if such an end comes again and again."""
        return len(pages(before + f"word word word{end}" * 400, limit=2000)[0])

    assert 1700 <= first("\n\n") < 1740
    assert 1790 <= first("\n- ", before="- ") < 1830
    assert 1870 <= first("\n", before="```\n") < 1910
    assert 1870 <= first(". ") < 1910
    assert 1930 <= first(" ") < 1960


@pytest.mark.parametrize("seed", range(5))
def test_what_was_on_screen_of_a_page_stays_there(seed: int) -> None:
    """A page that ended before what it shows would cost an edit that takes text away."""
    splitter = Splitter()
    shown: list[int] = []
    for token in make_tokens(2000, seed, is_markdown=True):
        before = len(splitter.closed)
        splitter.feed(token)
        if len(splitter.closed) > before:
            assert len(set(shown) - set(numbers(splitter.closed[before]))) <= 1
        shown = numbers(splitter.tail())
    assert len(splitter.closed) > 3


def test_a_page_is_nearly_full_before_it_ends() -> None:
    splitter = Splitter()
    splitter.feed("word " * 320)
    assert not splitter.is_nearly_full
    splitter.feed("word " * 60)
    assert splitter.is_nearly_full
    splitter.feed("word " * 20)
    assert len(splitter.closed) == 1
    assert not splitter.is_nearly_full


def test_a_notice_stands_below_the_open_page_where_it_fits() -> None:
    splitter = Splitter(limit=200)
    assert splitter.tail("-# notice") == ""
    splitter.feed("```py\nx = 1\n")
    assert splitter.tail("-# notice") == "```py\nx = 1 ▌\n```\n-# notice"
    assert splitter.tail("-# " + "n" * 190) == splitter.tail()


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
        "*a " * 6000,
        "**a* " * 4000,
        "||a " * 5000,
        "`a ``b " * 3000,
        "[a " * 6000,
        "\\( a" * 5000,
        "| *a " * 4000,
        "| a | b |\n" * 2000,
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


@pytest.mark.parametrize("blank", ["\n", " \n"])
def test_blank_lines_without_end_may_come_at_once(blank: str) -> None:
    """A search from each of them to their end would outlast the test's time limit by hours."""
    splitter = Splitter()
    splitter.feed("a" + blank * 400_000 + "b")
    splitter.finish()
    assert [page.strip() for page in splitter.closed] == ["a", "b"]


def test_short_lines_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    render = Page.render
    monkeypatch.setattr(Page, "render", lambda *args, **kwargs: looks.append(args) or render(*args, **kwargs))
    splitter = Splitter()
    for _ in range(5_000):
        splitter.feed("a\n")
    assert len(looks) / len(splitter.closed) < 30


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_past_the_last_page_costs_nothing(monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    splitter, text = Splitter(last=2), "word " * 2_000
    splitter.feed(text)
    monkeypatch.delattr(Page, "render")
    for part in [text * 20] if at_once else [text] * 20:
        splitter.feed(part)
    assert splitter.tail() == ""
    splitter.finish()
    assert len(splitter.closed) == 3
    assert splitter.characters == 21 * len(text)
