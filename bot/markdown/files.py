"""What of an answer is worth a file: all of it, or code too long to copy from messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.markdown.code import after_line, fence_opening, without_indent
from bot.markdown.languages import EXTENSIONS

LONG_CODE = 4000
"""Code points from which a code block also comes as a file: it fills more than two messages."""

_MAX_FILES = 9  # Discord takes ten in a message, and one may be the whole answer


@dataclass(frozen=True, slots=True)
class File:
    """A file to attach.

    Attributes:
        name: with its extension.
        data: its content.
        beside: further files that go with it.
    """

    name: str
    data: bytes
    beside: tuple[File, ...] = ()


def code_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (language, code) of each fenced block, also of one that was never closed."""
    fence, code = None, list[str]()
    for line in text.split("\n"):
        if fence is None:
            opening = fence_opening(line, raw=False)
            fence = opening.fence if opening else None
            code = [line[opening.code :]] if opening and opening.code <= len(line) else []
            continue
        following = after_line(line, fence)
        if following is None:
            yield fence.language.lower(), "\n".join(code)
        else:
            code.append(without_indent(line, fence.indent))
        fence = following
    if fence is not None:
        yield fence.language.lower(), "\n".join(code)


def long_code(text: str) -> list[File]:
    """Return the code blocks of *text* that are too long to copy from messages, named by their language."""
    blocks = [(language, code) for language, code in code_blocks(text) if len(code) > LONG_CODE][:_MAX_FILES]
    return [
        File(
            f"code{'' if len(blocks) == 1 else f'-{number}'}.{EXTENSIONS.get(language, 'txt')}",
            f"{code}\n".encode(errors="replace"),
        )
        for number, (language, code) in enumerate(blocks, 1)
    ]


def whole_answer(text: str) -> File:
    """Return all of *text* as a Markdown file, and beside it the code that is too long to copy from messages."""
    return File("answer.md", text.encode(errors="replace"), beside=tuple(long_code(text)))
