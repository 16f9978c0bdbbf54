"""What of an answer comes as a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown.files import code_blocks, long_code, whole_answer


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no code", []),
        ("a\n```python\nx = 1\n```\nb", [("python", "x = 1")]),
        ("````md\n```\ninner\n```\n````", [("md", "```\ninner\n```")]),
        ("~~~\na\n```\nb\n~~~", [("", "a\n```\nb")]),
        ("```rust title=main.rs\nfn main() {}", [("rust", "fn main() {}")]),
        ("use ```inline``` here\n", []),
        ("1. Run: ```sh\n   ls\n   ```\n2. b\n```py\nx\n```", [("sh", "ls"), ("py", "x")]),
        ("```md\n```sh\nls\n```\nb\n```\nc", [("md", "```sh\nls\n```\nb")]),
        ("- a\n  ```py\n  if x:\n      y\n  ```", [("py", "if x:\n    y")]),
        ("```a\n1\n```\n```b\n2\n```", [("a", "1"), ("b", "2")]),
    ],
)
def test_code_blocks_are_found_with_their_language(text: str, blocks: list[tuple[str, str]]):
    assert list(code_blocks(text)) == blocks


def test_only_long_code_becomes_a_file_with_the_extension_of_its_language():
    code = "print('hello')\n" * 400
    [file] = long_code(f"Look:\n```Python\n{code}```\nand\n```js\nshort()\n```")
    assert file.name == "code.py"
    assert file.data.decode() == code


def test_several_long_blocks_are_numbered_and_unknown_languages_are_text():
    block = "x" * 5000
    files = long_code(f"```go\n{block}\n```\n```brainwave\n{block}\n```")
    assert [file.name for file in files] == ["code-1.go", "code-2.txt"]


@given(st.text(alphabet="`~ab\n "))
def test_no_text_breaks_the_search(text: str):
    for language, code in code_blocks(text):
        assert code in text
        assert "\n" not in language


def test_the_whole_answer_is_markdown():
    assert whole_answer("a").name == "answer.md"
