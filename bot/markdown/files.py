"""What of an answer is worth a file: all of it, or code too long to copy from messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.markdown.code import after_line, fence_start, late_fence, without_indent
from bot.markdown.items import text_indent
from bot.markdown.pieces import Fence

LONG_CODE = 4000
"""Code points from which a code block also comes as a file: it fills more than two messages."""

_MAX_FILES = 9  # Discord takes ten in a message, and one may be the whole answer

_EXTENSIONS = {
    "bash": "sh", "c": "c", "c#": "cs", "c++": "cpp", "clojure": "clj", "cpp": "cpp", "cs": "cs", "csharp": "cs",
    "css": "css", "csv": "csv", "dart": "dart", "diff": "diff", "dockerfile": "dockerfile", "elixir": "ex",
    "erlang": "erl", "fortran": "f90", "fsharp": "fs", "go": "go", "golang": "go", "groovy": "groovy", "haskell": "hs",
    "html": "html", "ini": "ini", "java": "java", "javascript": "js", "js": "js", "json": "json", "jsx": "jsx",
    "julia": "jl", "kotlin": "kt", "latex": "tex", "lisp": "lisp", "lua": "lua", "makefile": "mk", "markdown": "md",
    "matlab": "m", "md": "md", "nim": "nim", "objectivec": "m", "ocaml": "ml", "perl": "pl", "php": "php",
    "powershell": "ps1", "ps1": "ps1", "py": "py", "python": "py", "python3": "py", "r": "r", "rb": "rb", "ruby": "rb",
    "rs": "rs", "rust": "rs", "scala": "scala", "scss": "scss", "sh": "sh", "shell": "sh", "sql": "sql", "svg": "svg",
    "swift": "swift", "tex": "tex", "toml": "toml", "ts": "ts", "tsx": "tsx", "typescript": "ts", "vb": "vb",
    "vue": "vue", "xml": "xml", "yaml": "yaml", "yml": "yml", "zig": "zig", "zsh": "sh",
}  # fmt: skip


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
            fence, code = _fence(line), []
            continue
        following = after_line(line, fence)
        if following is None:
            yield fence.language.lower(), "\n".join(code)
        else:
            code.append(without_indent(line, fence.indent))
        fence = following
    if fence is not None:
        yield fence.language.lower(), "\n".join(code)


def _fence(line: str) -> Fence | None:
    """Return the fence that *line* opens, perhaps behind text or the mark of an item."""
    at = late_fence(line, 0, len(line))
    if at < 0:
        return fence_start(line, raw=False)
    fence = fence_start(line[at:], raw=False)
    return replace(fence, indent=text_indent(line[:at])) if fence else None


def long_code(text: str, threshold: int = LONG_CODE) -> list[File]:
    """Return the code blocks of *text* that are too long to copy from messages, named by their language."""
    blocks = [(language, code) for language, code in code_blocks(text) if len(code) > threshold][:_MAX_FILES]
    return [
        File(
            f"code{'' if len(blocks) == 1 else f'-{number}'}.{_EXTENSIONS.get(language, 'txt')}",
            f"{code}\n".encode(errors="replace"),
        )
        for number, (language, code) in enumerate(blocks, 1)
    ]


def whole_answer(text: str) -> File:
    """Return all of *text* as a Markdown file, and beside it the code that is too long to copy from messages."""
    return File("answer.md", text.encode(errors="replace"), beside=tuple(long_code(text)))
