"""What Discord does not render becomes what it does, and nothing else changes."""

from __future__ import annotations

import pytest

from bot.markdown.splitter import Splitter


def render(text: str, *, mode: str = "discord", limit: int = 2000) -> str:
    splitter = Splitter(limit=limit, mode=mode)
    splitter.feed(text)
    splitter.finish()
    return "\n----\n".join(splitter.closed)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain **bold** *it* ~~no~~ ||s||", "plain **bold** *it* ~~no~~ ||s||"),
        ("# One\n\n### Three ###", "# One\n\n### Three"),
        ("#### Deep **inner** text", "**Deep inner text**"),
        (
            "2*3*4, a*b*c, (a+b)*c*(d+e) and width*height*depth",
            r"2\*3\*4, a\*b\*c, (a+b)\*c\*(d+e) and width\*height\*depth",
        ),
        (
            "x**2 + y**2, (a+b)**2 + (c+d)**2, 10**6 or 2**n",
            r"x\*\*2 + y\*\*2, (a+b)\*\*2 + (c+d)\*\*2, 10\*\*6 or 2\*\*n",
        ),
        ("**2*3*4** walk*ed*, Hyper**T**ext, **Step 2**is", r"**2\*3\*4** walk*ed*, Hyper**T**ext, **Step 2**is"),
        ("f(*a, **b) or g(**c, *d)", r"f(\*a, \*\*b) or g(\*\*c, \*d)"),
        ("*.py, **/*.js, src/**/*.ts", r"\*.py, \*\*/\*.js, src/\*\*/\*.ts"),
        ("**.gitignore**, **/help** and *.env*", "**.gitignore**, **/help** and *.env*"),
        ("int *p; /* a */ int *q; /* b */", r"int \*p; /\* a \*/ int \*q; /\* b \*/"),
        (
            "__init__ and x.__call__, __main__.py, a/_b_/c",
            r"\_\_init\_\_ and x.\_\_call\_\_, \_\_main\_\_.py, a/\_b\_/c",
        ),
        ("**a**/**b**, *file*.txt and *yes*/*no*", "**a**/**b**, *file*.txt and *yes*/*no*"),
        ("α*β*γ, π*r²*h, 2**-1 and x**(n+1)", r"α\*β\*γ, π\*r²\*h, 2\*\*-1 and x\*\*(n+1)"),
        ("is ___. and __bar", r"is \_\_\_. and \_\_bar"),
        ('<a href="https://e.com/a_b">the *page*</a>', "[the page](https://e.com/a_b)"),
        (r"^\(?(\d{3})\)?$", r"^\(?(\d{3})\)?$"),
        ("__strong__ and foo__bar__baz", r"**strong** and foo\_\_bar\_\_baz"),
        ("a\n\n---\n\nb", "a\n\n────────────\n\nb"),
        ("- [ ] open\n- [x] done", "- ☐ open\n- ☑ done"),
        ("+ plus\n1) one", "- plus\n1. one"),
        ("![alt](https://e.com/a.png)", "[alt](https://e.com/a.png)"),
        ("[here](#part) and [file](src/a.py)", "here (#part) and file (src/a.py)"),
        ("claim[^1]\n\n[^1]: source", "claim¹\n\n¹ source"),
        ("a &amp; b &lt;c&gt; &copy; &nope;", r"a & b \<c\> © &nope;"),
        ("a<br>b<br/>c", "a\nb\nc"),
        (r"$x^2$ and \(y_1\) and \[z\]", r"x² and y₁ and \[z\]"),
        ("$$\n\\frac{1}{2}\n$$", "1/2"),
        (r"$\begin{pmatrix}a\end{pmatrix}$", r"`\begin{pmatrix}a\end{pmatrix}`"),
        ("the $n$th and $5$ of $1,000$ in $A$s", "the $n$th and $5$ of $1,000$ in $A$s"),
        (r"see \[1\], \[2, 3\] and \[optional\], \[a\](b)", r"see \[1\], \[2, 3\] and \[optional\], \[a\](b)"),
        ("so[^1][^2]", "so¹\u202f²"),
        ("f[0](x) and [0](x)", "f[0](x) and 0 (x)"),
        ("见https://e.com/路。又https://e.com", "见<https://e.com/路>。又https://e.com"),
        (">= 5\n>100 ms\n>> q\n> >= 1", ">= 5\n>100 ms\n> q\n> >= 1"),
        (r"$$\text{T: } \$20$$", "T: $20"),
        ("costs $5 and $10, or $5/$6", "costs $5 and $10, or $5/$6"),
        ("from $5k to $10k a_b", "from $5k to $10k a_b"),
        ("~~~py\nx\n~~~", "```py\nx\n```"),
        (">>> print(1)", r"\>>> print(1)"),
        (">> nested", "> nested"),
        ("2 * 3 * 4 and *args, **kw", r"2 \* 3 \* 4 and \*args, \*\*kw"),
        ("a || b", r"a \|\| b"),
        ("`a **b** &amp; $x$`", "`a **b** &amp; $x$`"),
        ("a `b", r"a \`b"),
        (
            "<:s:123456789012345678> <@123456789012345678> <t:1:R>",
            "<:s:123456789012345678> <@123456789012345678> <t:1:R>",
        ),
        ("**Note:**text and f(a**b, **kw)", r"**Note:**text and f(a\*\*b, \*\*kw)"),
        ("H<sub>2</sub>O, x<sup>n+1</sup>, <sub>Ω</sub>", "H₂O, xⁿ⁺¹, <sub>Ω</sub>"),
        ("**你好。**你", "**你好。**你"),
        ("https://e.com/a_b_c and **https://e.com/x**", "https://e.com/a_b_c and **https://e.com/x**"),
        ("C:\\dir\\file \\*no\\*", "C:\\dir\\file \\*no\\*"),
        (
            "[https://e.com/](https://e.com) and [https://a.b](https://c.d)",
            "<https://e.com> and https://a.b (<https://c.d>)",
        ),
        ("[![badge](https://e.com/b.svg)](https://e.com)", "[badge](https://e.com) (<https://e.com/b.svg>)"),
        ("say ```x``` and ``` a`b ```, ````a```b````", "say `x` and `` a`b ``, `` a`\u200b`\u200b`b ``"),
        ("**# of items:** 5", r"**\# of items:** 5"),
        ("||> not quoted||", r"||\> not quoted||"),
        ("**1. Step**", "**1. Step**"),
        ("- a\n  b\n  - c\n    d\ne", "- a\n  b\n  - c\n    d\ne"),
        ("1. a\n   b\n\n   c", "1. a\n  b\n\nc"),
        ("if x:\n    # why\n    > y\n\ty", "if x:\n    \\# why\n    \\> y\n\ty"),
        ("a\n\n    # b\n      c", "a\n\n    \\# b\n      c"),
        ("a\n\n  b\n    c", "a\n\nb\n  c"),
        ("    a\n      b", "a\n  b"),
        ("> if x:\n>     y", "> if x:\n>     y"),
        ("- a\n      # b", "- a\n  \\# b"),
        ("> a\n>\n> b\n>\n\nc", "> a\n> \n> b\n\nc"),
        ("> a\n>\nb", "> a\n\nb"),
        ("\\[\nx = a\n+ b\n- c\n\\]\n- item", "\\[x = a + b − c\\]\n- item"),
        ("\\begin{align*}\na &= b \\\\\nc &= d\n\\end{align*}\nok", "a = b\nc = d\nok"),
        ("$$" + "\\alpha + " * 90 + "x$$", "α + " * 90 + "x"),
        ("> $$\n> a\n> + b\n> $$\n> c", "> $$a + b$$\n> c"),
        ("\\[ never closed\n- a", "\\[ never closed\n- a"),
        ("", ""),
        ("  \n\n ", ""),
        ("```py\n\n```", ""),
    ],
)
def test_inline_and_blocks(source: str, expected: str) -> None:
    assert render(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        *[
            "#### a **b**",
            "- [ ] x",
            "__u__ ~~~",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "$x^2$ &amp; <br>",
            "![a](b)",
            "2 * 3",
        ],
        *[
            "a\n    b\n\tc",
            "a\n\n   b\n\n\n\nc",
            "- a\n    b\n  c",
            "x\n  - a\n +  b",
            ">b\n>> c",
            "> a\n>   b\n> > c",
            "a\\\nb",
        ],
        *[
            "#  x",
            "`a\n b` c",
            "```x``` y",
            "**# a**",
            "\\[\na\n+ b\n\\]",
            "[https://a.b](https://c.d)",
            "Title\n=====\n---",
        ],
    ],
)
def test_raw_leaves_markdown_as_it_is(source: str) -> None:
    assert render(source, mode="raw") == source


def test_raw_code_in_ticks_that_discord_pairs_otherwise_stays_code() -> None:
    assert render("````code```` b ```a` ``` c", mode="raw") == "`code` b `` a` `` c"


def test_tables_are_aligned_by_what_is_seen() -> None:
    table = "| Name | n | 日本 |\n|:--|--:|:-:|\n| **a** | 1 | 日本語 |\n| `b\\|c` | 22 | x |\n| short |"
    assert render(table) == (
        "```\nName  │  n │  日本\n──────┼────┼───────\na     │  1 │ 日本語\nb|c   │ 22 │   x\nshort │    │\n```"
    )


def test_tables_lose_nothing_behind_their_last_column_nor_bars_in_formulas() -> None:
    table = "| a | b |\n|---|---|\n| $|x|$ | $P(A | B)$ |\n| 1 | 2 | 3 | 4 |\n| $5 | 6$ |"
    assert render(table) == (
        "```\na     │ b\n──────┼───────────\n$|x|$ │ $P(A | B)$\n1     │ 2 | 3 | 4\n$5    │ 6$\n```"
    )


def test_bars_in_the_code_of_records_are_not_escaped() -> None:
    assert render(f"| a | b |\n|---|---|\n| `x \\| y` | {'word ' * 20}|").startswith("**a:** `x | y`\n")


def test_wide_tables_become_records() -> None:
    table = f"| Key | Text |\n|---|---|\n| a | {'word ' * 20}|\n| b | [l](https://e.com) |"
    assert render(table) == (
        f"**Key:** a\n**Text:** {('word ' * 20).strip()}\n\n**Key:** b\n**Text:** [l](https://e.com)"
    )


def test_code_is_untouched() -> None:
    code = "```python\n# **x** | a | $x$ &amp; <br> -# __y__\n\n    - [ ] z\n```"
    assert render(code) == code


def test_longer_fences_keep_their_content_and_nothing_breaks_out() -> None:
    assert render("````md\n```py\nx\n```\n````\nafter") == "```md\n``\u200b`py\nx\n``\u200b`\n```\nafter"


def test_fences_in_lists_lose_their_indentation_only() -> None:
    assert render("1. a\n   ```py\n   if x:\n       y\n   ```\n2. b") == "1. a\n```py\nif x:\n    y\n```\n2. b"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1. ```sh\n   ls\n   ```\n2. b", "1.\n```sh\nls\n```\n2. b"),
        ("- ```js\n  x\n  ```\n- b", "```js\nx\n```\n- b"),
        ("- [ ] try: ```py\n  if x:\n      y\n  ```\nend", "- ☐ try:\n```py\nif x:\n    y\n```\nend"),
        ("**So:** ```\nx\n```\nend", "**So:**\n```\nx\n```\nend"),
        ("> 1. ```sh\n>    ls\n>    ```\n> b", "> 1.\n> ```sh\n> ls\n> ```\n> b"),
        ("a ``` b\nc ``` d", "a `b c` d"),
    ],
)
def test_a_fence_behind_text_is_one_and_its_end_opens_none(source: str, expected: str) -> None:
    assert render(source) == expected


def test_fences_in_fenced_markdown_end_what_they_began() -> None:
    source = "```markdown\n# Setup\n```sh\nls\n```\nDone.\n```\nafter"
    assert render(source) == "```markdown\n# Setup\n``\u200b`sh\nls\n``\u200b`\nDone.\n```\nafter"


@pytest.mark.parametrize("mode", ["discord", "raw"])
@pytest.mark.parametrize(
    "source",
    [
        "-# stopped",
        "text\n-# stopped",
        "- -# stopped",
        "> -# stopped",
        "# x\n-# y",
        "-\u200b# stopped",
        "  -# x",
        "a<br>-# x",
        "&#45;# x",
        "**-# x**",
        "*-# x*",
        "***-# x***",
        "||-# x||",
        "~~-# x~~",
        "#### -# x",
        "> **-# x**",
        "- **-# x**",
        "[-# x](https://e.com)",
        "**[-# x](https://e.com)**",
        "![-# x](https://e.com/p.png)",
        "$-\\#x$",
        "2*3 x\n||*-# f*||",
        "    > -# x",
    ],
)
def test_our_state_lines_cannot_be_forged(mode: str, source: str) -> None:
    lines = render(source, mode=mode).split("\n")
    assert not any(line.lstrip("> -*~|[").startswith("#") and "-#" in line and "\\-#" not in line for line in lines)


def test_table_cells_cannot_break_out_of_the_code_block() -> None:
    assert render("| a |\n|---|\n| x ```` y |").count("```") == 2


@pytest.mark.parametrize("run", [3, 4, 49, 50, 51, 151])
def test_backticks_in_long_lines_of_code_cannot_break_out(run: int) -> None:
    line = "x" * 180 + "`" * run + "y" * 60
    assert render(f"~~~\n{line}\n~~~").count("```") == 2
