"""Documents to split: a hypothesis strategy, and a strict reader of Discord's Markdown to judge pages with."""

from __future__ import annotations

import re

from hypothesis import strategies as st

WORDS = [
    "Ollama",
    "streams",
    "tokens",
    "a",
    "of",
    "the",
    "x=1",
    "2*3",
    "snake_case",
    "naïve",
    "Straße",
    "it's",
    "ok.",
    "Why?",
    "日本語",
    "你好。",
    "مرحبا",
    "(see)",
    "🙂",
    "👨‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "e\u0301\u0323",
    "C#",
    "-",
    "1.",
    "#",
    ">",
    "$5",
    "R&D",
    "a_b",
    "__init__",
    "f(*args,",
    "**kwargs)",
    "||",
    "~",
    "`",
    "[1]",
    "\\",
    "&amp;",
    "<b>",
    "5<6",
]
ATOMS = [
    "<:smile:123456789012345678>",
    "<a:dance:123456789012345678>",
    "<@123456789012345678>",
    "<#123456789012345678>",
    "<t:1700000000:R>",
    "https://example.com/a_b/c*d?x=1&y=2",
    "[a link](https://example.com/path_(x))",
    "`code`",
    "`` a`b ``",
    "![pic](https://e.com/p.png)",
    "<https://example.com>",
    "$x^2$",
    "\\(a+b\\)",
    "[https://e.com](https://e.com)",
    "[![alt](https://e.com/p.png)](https://e.com)",
    '[text](https://e.com/a_(b) "a title")',
    "[text][ref]",
    "text[^1]",
    "```code```",
    "``` a`b ```",
    "H<sub>2</sub>O<br>",
    "&lt;b&gt; &nbsp;",
    "<kbd>Ctrl</kbd>",
    "costs $5 and $10",
]

LETTERS = [
    *["ab", "cde", "fgh", "abcdef", "habe", "g", "cafe", "bedded", "aaaaaaaaaaaa", "hhhh"],
    *["bab", "decade", "fa", "deed", "eggs"],
]
POOL = WORDS + WORDS[:20] + ATOMS + LETTERS
TIDY = [word + end for word in (*LETTERS, "häß", "日", "ß日a", "ä", "日日") for end in ("", "b", "日")]
MARKS = ["**", "*", "_", "~~", "||", "***", "`"]
_FIRST = 0x100


def numbers(choices: int, min_size: int, max_size: int) -> st.SearchStrategy[list[int]]:
    """Numbers below *choices*, drawn as one text: one draw for each would take longer than all that is tested."""
    alphabet = st.characters(min_codepoint=_FIRST, max_codepoint=_FIRST + choices - 1)
    return st.text(alphabet, min_size=min_size, max_size=max_size).map(
        lambda text: [ord(char) - _FIRST for char in text]
    )


def amounts(choices: int, most: int) -> st.SearchStrategy[list[int]]:
    """Few numbers below *choices*, or many; long texts are rare unless they are asked for."""
    return st.one_of(
        numbers(choices, 1, most // 4), numbers(choices, most // 3, most), numbers(choices, most // 3, most)
    )


def picks(choices: list[str], min_size: int, max_size: int) -> st.SearchStrategy[list[str]]:
    """Some of *choices*."""
    return numbers(len(choices), min_size, max_size).map(lambda drawn: [choices[i] for i in drawn])


plain = picks(POOL, 1, 14).map(" ".join)
tidy = picks(TIDY, 1, 9).map(" ".join)
WRAPS = [(mark, words) for mark in MARKS for words in (POOL, TIDY)] + [("", POOL)] * len(MARKS)


def spread(parts: list[tuple[str, list[str]]], drawn: list[int]) -> list[str]:
    """Return the drawn words in parts, each with its mark around it."""
    size = -(-len(drawn) // len(parts))
    texts = []
    for i, (mark, pool) in enumerate(parts):
        words = [pool[number % len(pool)] for number in drawn[i * size : (i + 1) * size]]
        texts.append(f"{mark}{' '.join(words)}{mark}" if words else "")
    return texts


def inlines(parts: int, words: int) -> st.SearchStrategy[list[str]]:
    """Texts with and without marks around them."""
    wraps = amounts(len(WRAPS), parts).map(lambda drawn: [WRAPS[i] for i in drawn])
    return st.tuples(wraps, amounts(len(POOL), words)).map(lambda drawn: spread(*drawn))


inline = inlines(8, 50).map(" ".join)
CODE = [*POOL, *["\n"] * 20, *["\n\n", "\n    return x", "\n  ``", "\n  ```", "\n\t", "a b\tc " * 40] * 2]


@st.composite
def fence(draw: st.DrawFn) -> str:
    mark, language, indent, close = draw(
        st.tuples(
            st.sampled_from(["```", "````", "~~~", "`````"]),
            st.sampled_from(["", "python", "c++", "js title=x"]),
            st.sampled_from(["", "", "  "]),
            st.sampled_from([True, True, False]),
        )
    )
    code = " ".join(draw(st.just([]) | picks(CODE, 1, 20) | picks(CODE, 40, 120)))
    if len(mark) == 3:
        code = code.replace("```", "``")
    lines = [mark + language, *code.split("\n"), *[mark] * close]
    return "\n".join(indent + line for line in lines)


@st.composite
def table(draw: st.DrawFn, *, words: int = 80) -> str:
    columns = draw(st.integers(1, 4))
    cells = draw(inlines(columns * 12, words))
    cells = [cell.replace("|", "\\|") for cell in cells]
    rows = ["| " + " | ".join(cells[i : i + columns]) + " |" for i in range(0, len(cells), columns)]
    return "\n".join([rows[0], "|" + "---|" * columns, *rows[1:]])


def led(leads: list[str], text: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    """Lines, each with one of *leads* before it."""
    return st.tuples(text, numbers(len(leads), 1, 6)).map(
        lambda drawn: "\n".join(leads[drawn[1][i % len(drawn[1])]] + line for i, line in enumerate(drawn[0]))
    )


items = led(["- ", "* ", "1. ", "  - ", "- [ ] ", "- [x] ", "2) "], inlines(12, 80))
headings = led(["# ", "## ", "### ", "#### ", "###### "], inline.map(lambda text: [text]))
nested = led(
    ["- ", "  ", "  - ", "    ", "    1. ", "1. ", "   ", "   - [ ] ", "> ", "> - ", ">   ", ">", "-# "],
    inlines(12, 80),
)
formulas = st.tuples(
    st.sampled_from([("\\[", "\\]"), ("$$", "$$"), ("\\[", "")]),
    st.sampled_from(["", "  ", "> "]),
    picks(["x = y", "+ z", "- \\frac{a}{b}", "* 2", "= c \\\\[4pt]", "1. d", "\\\\", "", "# e", "```"], 1, 6),
).map(lambda drawn: "\n".join(drawn[1] + line for line in (drawn[0][0], *drawn[2], drawn[0][1])))
quotes = led(["> ", "> ", ">", "> \n> ", ">\n\n> "], inlines(8, 60))
quoted_fence = fence().map(lambda text: "\n".join(f"> {line}" for line in text.split("\n")))
odd = st.sampled_from(
    [
        "---",
        "***",
        "- - -\n___",
        "Title\n=====",
        "Title\n---",
        "-# forged",
        "**-# forged**",
        "||*-# forged*||",
        "[-# forged](https://e.com)",
        "- **-# forged**",
        "> ~~-# forged~~",
        "**# no heading**",
        '[ref]: https://e.com "title"',
        "<details>\n<summary>More</summary>\n\nHidden\n\n</details>",
        "    indented\n      code",
        "```diff\n- a\n+ b\n@@ -1 +1 @@\n```",
        '{"key": ["value", {"a_b": "*c*"}], "n": null}',
        "2026-01-01 12:00:00 [INFO] a.b: x=1 *y* <z>",
        "$$\nx = \\frac{1}{2}\n$$",
        "[^1]: note",
        "\\[ a \\]",
        "x" * 1000,
        "👨‍👩‍👧‍👦" * 130,
        "* " * 50,
        "*" * 70,
        "`" * 70,
        "> " * 30,
        "\t\t",
        "a" + "\u0301" * 30,
        ">>> print(1)",
        "\u202eevil",
        " " * 500 + "x",
        "1. ```sh\n   ls\n   ```\n2. b",
        "so: ```py\nx = 1\n\n    y\n```\nend",
        "> - do ```\n>   x\n>   ```\n> b",
        "```md\n```sh\nls\n```\nend\n```\nafter",
        "| a |",
        "| a | b |\n|--",
        "- |",
        "|---|",
    ]
)
paragraph = inlines(16, 120).map("\n".join)
block = st.one_of(
    paragraph,
    fence(),
    table(),
    items,
    nested,
    headings,
    quotes,
    quoted_fence,
    formulas,
    odd,
    inlines(24, 160).map(" ".join),
)
GAPS = ["\n\n", "\n\n", "\n", "\n\n\n", "\r\n"]


def documents() -> st.SearchStrategy[str]:
    """Whatever a model may write, and what none would."""
    parts = st.tuples(block, st.sampled_from(GAPS)).map("".join)
    return st.one_of(st.lists(parts, min_size=1, max_size=3), st.lists(parts, min_size=4, max_size=9)).map("".join)


TIDY_WRAPS = [("", TIDY)] * 6 + [(mark, TIDY) for mark in ("**", "*", "~~", "||", "`")] + [("", ATOMS[:9])] * 3


def tidy_inlines(parts: int, words: int) -> st.SearchStrategy[list[str]]:
    """Texts without anything that may be read in two ways."""
    wraps = amounts(len(TIDY_WRAPS), parts).map(lambda drawn: [TIDY_WRAPS[i] for i in drawn])
    return st.tuples(wraps, amounts(len(TIDY), words)).map(lambda drawn: [t for t in spread(*drawn) if t])


tidy_inline = tidy_inlines(16, 80).map(" ".join)


def tidy_lines(words: list[str]) -> str:
    """Return code of lines that fit on a page, every third of them indented, some empty."""
    lines = [" ".join(words[i : i + 7]) for i in range(0, len(words), 7)]
    return "\n".join("\n" * (i % 5 == 4) + "    " * (i % 3 == 1) + line for i, line in enumerate(lines))


tidy_code = (picks(TIDY, 1, 20) | picks(TIDY, 60, 200)).map(
    lambda words: f"```python\nfirst\n{tidy_lines(words)}\nlast\n```"
)
tidy_block = st.one_of(
    tidy_inline,
    tidy_inline.map(lambda t: "## " + t),
    tidy_inline.map(lambda t: "> " + t),
    tidy_inlines(16, 80).map(lambda lines: "\n".join("- " + line for line in lines)),
    tidy_code,
)
tidy_documents = st.one_of(
    st.lists(tidy_block, min_size=1, max_size=3), st.lists(tidy_block, min_size=4, max_size=9)
).map("\n\n".join)


# A reader of Discord's Markdown, written from its grammar, not from our renderer.

_BLOCK = re.compile(r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n].*?)\n*```", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`)(.*?[^`])\1(?!`)", re.DOTALL)
_ESCAPE = re.compile(r"\\[^0-9A-Za-z\s]")
_OPAQUE = re.compile(
    r"""\[[^\[\]]*\]\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*\)|https?://[^\s<>\0]*[^\s<>\0*_~|.,:;"'\])]|<[^<>\s]{1,80}>"""
)


def without_code(page: str) -> str:
    r"""Return *page* without code and escapes; "\0" stands for each. Raises AssertionError on a torn fence."""
    out, at = [], 0
    while at < len(page):
        match = _ESCAPE.match(page, at) or _BLOCK.match(page, at) or _CODE.match(page, at)
        if match:
            out.append("\0")
            at = match.end()
        else:
            assert not page.startswith("```", at), f"fence not closed in {page!r}"
            out.append(page[at])
            at += 1
    return "".join(out)


def check_page(page: str, limit: int, *, raw: bool = False) -> None:
    """Raise AssertionError unless *page* is a message that Discord takes and shows as meant."""
    assert 0 < len(page) <= limit
    assert page.strip() == page
    text = without_code(page)
    assert not re.search(r"(?m)^(?:> )?[ *_~|\[]*(?:(?:[-*+#]|\d+\.) )?[ *_~|\[]*-#", text), page
    rest = _OPAQUE.sub("\0", text)
    if raw:
        return
    assert "`" not in rest, f"half inline code in {page!r}"
    for mark in ("**", "~~", "||"):
        assert rest.count(mark) % 2 == 0, f"half {mark} in {page!r}"


def words_of(text: str) -> str:
    """Return *text* without white space, marks and the lines of fences: what no cut may change."""
    text = re.sub(r"(?m)^(?:> )?```[^`\n]*$", "", text)
    return re.sub(r"[\s*_~|`\\>\u200b]", "", text)
