"""What of a document has to stand on screen, told from Markdown's grammar and not from our renderer."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from hypothesis import strategies as st

_TEX = re.compile(r"\\[A-Za-z]|[\^_]")
_DISPLAYED = re.compile(
    r"(?=\\\((.*?)\\\)|\\\[(.*?)\\\]|\$\$((?:[^$]|\\\$)*)\$\$|(?<!\$)\$((?:\\.|[^$])*)\$)", re.DOTALL
)
_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)
_TAGS = (
    "a abbr b big center cite code del details dfn div em font i ins kbd mark p q s samp small span strike strong "
    "sub summary sup tt u var"
)
_MARKS = [
    re.compile(rf"</?(?:{_TAGS.replace(' ', '|')})(?:\s[^<>]*)?/?>", re.IGNORECASE),
    re.compile(r"(?m)^[ \t>]*<br\s*/?>[ \t]*$", re.IGNORECASE),
    re.compile(r"(?<=\S)<br\s*/?>(?=\S|[ \t]*\n|[ \t]*$)", re.IGNORECASE),  # a line's end, for it touches the line
    re.compile(r"&#?\w+;"),
    re.compile(r"(?m)^[ \t>]*(?:[-*+]|\d+[.)])[ \t]+(?:\[[ xX]\][ \t])?"),
    re.compile(r"(?m)^[ \t>]*\d+[.)]?[ \t]*$"),
    re.compile(r"\[\^(?=[\w-]+\])|(?<=\w)\](?=:?)"),
    re.compile(r"\]\(|\)(?=[^()]*)"),
    re.compile(r"(?m)(?:`{3,}|~{3,})[ \t]*[\w+#.-]+[ \t]*$"),  # a language, perhaps of no code
    re.compile(
        r"(?m)(?:`{3,}|~{3,})[ \t]*[\w+#.-]+[ \t]*"
        r"(?:(?:[\w.-]+=(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"']\S*)|\{[^{}\n]*\})[ \t,]*)+$"
    ),
    re.compile(r"(?m)^[ \t>]*-#"),
    re.compile(r"\[https?://[^\[\]\s]*(?=\]\()"),  # a link's text that is an address
    re.compile(r"(?<=\]\()[^()\s]*(?=\)\]\()"),  # an image in a link, whose address stands behind it
]
_RULE = re.compile(r"(?m)^[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_ADDRESS = re.compile(r"https?://[\w./-]*\w")


def has_table(source: str) -> bool:
    """Return whether *source* may hold a table, whose cells may stand in another order."""
    return any("|" in match[0] and "-" in match[0] for match in _RULE.finditer(source))


def owed(source: str, *, raw: bool = False) -> str:
    """Return the letters, digits, dollars, brackets and bars of *source* that must stand on screen."""
    free = bytearray(len(source))

    def spare(start: int, end: int) -> None:
        free[start:end] = b"\1" * (min(end, len(source)) - start)

    if not raw:
        for match in _DISPLAYED.finditer(source):
            group = match.lastindex or 0
            if group and _TEX.search(match[group]):
                spare(match.start(), match.end(group) + 2)
        for match in _ENVIRONMENT.finditer(source):
            spare(*match.span())
    for marks in _MARKS:
        for match in marks.finditer(source):
            spare(*match.span())
    for match in re.finditer(r"!?\[", source):  # of a link, a reference or a task
        spare(*match.span())
    if has_table(source):
        for match in re.finditer(r"[|]|<br\s*/?>", source):
            spare(*match.span())
    text = "".join(char for char, is_free in zip(source, free, strict=True) if not is_free)
    return significant(text)


def significant(text: str) -> str:
    """Return what of *text* may not be lost."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if char in "$()[]{}|" or (char.isalnum()))


def check(source: str, pages: list[str], *, raw: bool = False) -> None:
    """Raise AssertionError if *pages* lack anything of *source*."""
    seen = significant("\n".join(pages))
    want = owed(source, raw=raw)
    missing = Counter(want) - Counter(seen)
    assert not missing, f"{dict(missing)} of {source!r} are not in {pages!r}"
    if not has_table(source):
        at = 0
        for index, char in enumerate(want):
            at = seen.find(char, at) + 1
            assert at, f"{want[index : index + 20]!r} of {source!r} is not in its place in {pages!r}"
    whole = re.sub(r"\n(?:> )?```\0(?:> )?```\S*\n(?:> )?|[\0\\\u200b]", "", "\0".join(pages))
    for address in _ADDRESS.findall(source):
        assert address in whole or len(address) > 60, f"{address} is not in {pages!r}"


TEXTS = [
    "Cost ($) and Tax ($)",
    "$USER@$(hostname)",
    "${HOME}/${USER}",
    "$HOME_DIR/$FILE_NAME",
    "($), ($$), ($$$)",
    "$5",
    "US$",
    "**Income ($)**",
    "*Rent ($)*",
    "foo\\(bar\\)",
    "\\(late\\)",
    "\\[text\\]\\(url\\)",
    "\\(\\d+\\)",
    "\\[1\\]",
    "\\$x\\$",
    "$n$",
    "$P(A|B)$",
    "(a||b) or (c||d)",
    "x||' '||y",
    "a | b",
    "make||exit 1",
    "||the gardener||",
    "||his dog||.",
    "if [[ -f x ]]||[ y ]; then",
    "the <br> tag",
    "<hr>",
    "a<br>b",
    "<T>",
    "List<String>",
    "<b>bold</b>",
    "<kbd>Ctrl</kbd>",
    "`<b>`",
    "<details>",
    "</details>",
    "<i>x",
    "x</u>",
    "<span style='x'>red</span>",
    '<a href="https://e.com/page">link</a>',
    '<img src="https://e.com/i.png">',
    "<!-- note -->",
    "x<sup>2</sup>",
    "<sub>Ω</sub>",
    "[docs](https://e.com/docs)",
    '[docs](https://e.com/docs "The title")',
    "[here](#part)",
    "[file](src/a.py)",
    "[a][b]",
    "[a]()",
    "[](https://e.com/x)",
    "![alt](https://e.com/alt.png)",
    "[![b](https://e.com/b.svg)](https://e.com/l)",
    "<https://e.com/auto>",
    "https://e.com/bare",
    "[x]",
    "f[0](x)",
    "a[i][j]",
    "`code $x$ || <br>`",
    "``a`b``",
    "```inline```",
    "`open",
    "$x^2$",
    "\\(\\frac12\\)",
    "$$\\sum x$$",
    "^\\(?(\\d{3})\\)?$",
    "$|^$",
    "日本語",
    "note[^1]",
    "[^word]",
    "{{x}}",
    "{a|b}",
    "C:\\dir",
    "\\",
    "*",
    "**",
    "__init__",
    "&lt;",
    "~~no~~",
    "|",
    "||",
    "$",
    "$$",
    "\\(",
    "\\[",
    "`",
    "```",
    "[",
    "](",
    "<",
]
LINES = [
    "```bash npm ci",
    "```sh make all install",
    "```Hello, this is a quote.",
    "```text hello",
    '```py title="a.py" {1,3}',
    "```js {1} x",
    "```12:20:src/app.ts",
    "```{.python .x}",
    "```py",
    "```",
    "~~~",
    "~~~ruby puts 1",
    "````md",
    "```你好",
    "   ```sh ls -la",
    "1. ```sh make",
    "- ```",
    "> ```sh echo",
    "> ```",
    "```Donaudampfschifffahrtsgesellschaft",
    "| Item | Price ($) | Total ($) |",
    "|---|---:|---:|",
    "|---|---|",
    "| Flour | 2.50 | 5.00 |",
    "| $|x|$ | $x^2$ |",
    "| `a|b` | [docs](https://e.com/t) |",
    "| 日本 | 名前<br>x |",
    "| a || b |",
    "a | b",
    "--- | ---",
    "| a \\| b | c | d | e |",
    "| " + "wide cell " * 9 + "| y |",
    "| " + "long head " * 9 + "| z |",
    "|  |  |",
    "Title",
    "=====",
    "---",
    "# Head ($)",
    "#### Deep ($) <b>x</b>",
    "- item ($)",
    "  - nested ||a||",
    "1) one",
    "> quote $x",
    "> > deep",
    '[ref]: https://e.com/ref "T"',
    "[^1]: note",
    "- [ ] task",
    "<details><summary>Answer</summary>",
    "</details>",
    '<p align="center">',
    "<div>",
    "\\[",
    "x = y",
    "\\]",
    "$$",
    "- c",
    "\\begin{align}",
    "\\end{align}",
    "    code $x",
    "1.",
    "-",
    "",
]


def _picks(choices: list[str], most: int) -> st.SearchStrategy[list[str]]:
    alphabet = st.characters(min_codepoint=0x100, max_codepoint=0x100 + len(choices) - 1)
    return st.text(alphabet, min_size=1, max_size=most).map(
        lambda drawn: [choices[ord(char) - 0x100] for char in drawn]
    )


_inline = _picks(TEXTS + ["word", "and", "so."] * 8, 12).flatmap(
    lambda parts: st.sampled_from([" ", " ", ""]).map(lambda gap: gap.join(parts))
)
_line = st.one_of(_inline, st.sampled_from(LINES), st.tuples(st.sampled_from(LINES), _inline).map(" ".join))
nasty_documents = st.lists(_line, min_size=1, max_size=9).flatmap(
    lambda lines: st.sampled_from(["\n", "\n", "\n\n"]).map(lambda gap: gap.join(lines))
)
