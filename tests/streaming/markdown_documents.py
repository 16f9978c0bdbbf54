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
]

word = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS[:20]),
    st.sampled_from(ATOMS),
    st.text("abcdefgh", min_size=1, max_size=12),
)
plain = st.lists(word, min_size=1, max_size=14).map(" ".join)
tidy_word = st.text("abcdefghäß日", min_size=1, max_size=10)
tidy = st.lists(tidy_word, min_size=1, max_size=9).map(" ".join)
MARKS = ["**", "*", "_", "~~", "||", "***", "`"]


@st.composite
def inline(draw: st.DrawFn) -> str:
    parts = draw(
        st.lists(
            st.one_of(
                plain,
                st.tuples(st.sampled_from(MARKS), tidy).map(lambda p: p[0] + p[1] + p[0]),
                st.tuples(st.sampled_from(MARKS), plain).map(lambda p: p[0] + p[1] + p[0]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    return " ".join(parts)


@st.composite
def fence(draw: st.DrawFn) -> str:
    mark = draw(st.sampled_from(["```", "````", "~~~", "`````"]))
    language = draw(st.sampled_from(["", "python", "c++", "js title=x"]))
    lines = draw(
        st.lists(
            st.one_of(
                st.just(""),
                plain,
                st.just("    return x"),
                st.just("  ```" if len(mark) > 3 else "  ``"),
                st.text("abc \t", max_size=400),
            ),
            max_size=25,
        )
    )
    indent = draw(st.sampled_from(["", "", "  "]))
    end = draw(st.sampled_from([f"\n{indent}{mark}", f"\n{indent}{mark}", ""]))
    return "\n".join(f"{indent}{line}" for line in [mark + language, *lines]) + end


@st.composite
def table(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 4))
    cell = st.one_of(tidy_word, plain, inline()).map(lambda text: text.replace("|", "\\|").replace("\n", " "))
    rows = draw(st.lists(st.lists(cell, min_size=columns, max_size=columns), min_size=1, max_size=12))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * columns, *lines[1:]])


items = st.lists(
    st.tuples(st.sampled_from(["- ", "* ", "1. ", "  - ", "- [ ] ", "- [x] ", "2) "]), inline()).map("".join),
    min_size=1,
    max_size=9,
).map("\n".join)
headings = st.tuples(st.sampled_from(["# ", "## ", "### ", "#### ", "###### "]), inline()).map("".join)
quotes = st.lists(inline(), min_size=1, max_size=5).map(lambda lines: "\n".join(f"> {line}" for line in lines))
quoted_fence = fence().map(lambda text: "\n".join(f"> {line}" for line in text.split("\n")))
odd = st.sampled_from(
    [
        "---",
        "***",
        "-# forged",
        "$$\nx = \\frac{1}{2}\n$$",
        "[^1]: note",
        "\\[ a \\]",
        "x" * 2500,
        "👨‍👩‍👧‍👦" * 400,
        "* " * 50,
        "*" * 70,
        "`" * 70,
        "> " * 30,
        "\t\t",
        "a" + "\u0301" * 30,
        ">>> print(1)",
        "\u202eevil",
        " " * 900 + "x",
    ]
)
paragraph = st.lists(inline(), min_size=1, max_size=4).map("\n".join)
block = st.one_of(
    paragraph,
    fence(),
    table(),
    items,
    headings,
    quotes,
    quoted_fence,
    odd,
    st.lists(inline(), min_size=4, max_size=12).map(" ".join),
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    blocks = draw(st.lists(block, min_size=1, max_size=12))
    separators = draw(
        st.lists(st.sampled_from(["\n\n", "\n\n", "\n", "\n\n\n", "\r\n"]), min_size=len(blocks), max_size=len(blocks))
    )
    return "".join(text + gap for text, gap in zip(blocks, separators, strict=True))


tidy_mark = st.sampled_from(["**", "*", "~~", "||", "`"])
tidy_inline = st.lists(
    st.one_of(tidy, st.tuples(tidy_mark, tidy).map(lambda p: p[0] + p[1] + p[0]), st.sampled_from(ATOMS[:9])),
    min_size=1,
    max_size=12,
).map(" ".join)
tidy_code = st.lists(st.one_of(st.just(""), tidy, tidy.map(lambda line: "    " + line)), min_size=1, max_size=30).map(
    lambda lines: "```python\nfirst\n" + "\n".join(lines) + "\nlast\n```"
)
tidy_block = st.one_of(
    tidy_inline,
    tidy_inline.map(lambda t: "## " + t),
    tidy_inline.map(lambda t: "> " + t),
    st.lists(tidy_inline, min_size=1, max_size=6).map(lambda lines: "\n".join("- " + line for line in lines)),
    tidy_code,
)
tidy_documents = st.lists(tidy_block, min_size=1, max_size=14).map("\n\n".join)


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
    rest = _OPAQUE.sub("\0", without_code(page))
    if raw:
        return
    assert "`" not in rest, f"half inline code in {page!r}"
    for mark in ("**", "~~", "||"):
        assert rest.count(mark) % 2 == 0, f"half {mark} in {page!r}"
    assert not re.search(r"(?m)^(?:> )?-#", rest), page


def words_of(text: str) -> str:
    """Return *text* without white space, marks and the lines of fences: what no cut may change."""
    text = re.sub(r"(?m)^(?:> )?```.*$", "", text)
    return re.sub(r"[\s*_~|`\\>\u200b]", "", text)
