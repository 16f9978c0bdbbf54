"""The ``.env`` file: which one is read, and the pairs in it."""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotenv.parser import parse_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_FILE_KEY: Final = "BURBLE_ENV_FILE"
"""Environment variable that names the file to read instead of ``.env``; empty: read none."""


def env_file_path(environ: Mapping[str, str], path: str | Path | None = None) -> Path | None:
    """Return the file to read: *path*, else what ``BURBLE_ENV_FILE`` names, else ``.env``; None: none shall be."""
    named = path if path is not None else environ.get(ENV_FILE_KEY, ".env")
    return Path(named) if str(named).strip() else None


def read_env_file(environ: Mapping[str, str], path: str | Path | None = None) -> tuple[dict[str, str], list[str]]:
    """Return the pairs of the ``.env`` file, keys in upper case, and a sentence for each thing wrong with it.

    Read as it stands: no ``${NAME}`` is expanded, or a system prompt could not hold one.
    """
    file = env_file_path(environ, path)
    if file is None:
        return {}, []
    try:
        text = _decode(file.read_bytes())
    except FileNotFoundError:
        is_named = path is not None or ENV_FILE_KEY in environ
        missing = f"{ENV_FILE_KEY}: there is no file of that name. Example: {ENV_FILE_KEY}=/etc/burble/burble.env"
        return {}, [missing] if is_named else []
    except UnicodeError:
        return {}, [f"The file {file.name} is not UTF-8 text; save it again with that encoding."]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not a path"
        return {}, [f"The file {file.name} cannot be read: {reason}."]
    bindings = list(parse_stream(io.StringIO(text)))
    problems = [
        f"Line {binding.original.line} of {file.name} cannot be read{_why(binding.original.string)}"
        for binding in bindings
        if binding.error
    ]
    return {binding.key.upper(): binding.value for binding in bindings if binding.key and binding.value}, problems


def _decode(raw: bytes) -> str:
    """Return *raw* as text: UTF-8, but for lines that PowerShell's ``>>`` appended in UTF-16, with or without a mark.

    Raises:
        UnicodeError: it is something else.
    """
    if raw.startswith(codecs.BOM_UTF16_BE):
        return raw.decode("utf-16")
    text, position = "", 0
    # A NUL stands in no UTF-8 that is meant as text; in UTF-16 it is the second byte of every ASCII character.
    while (nul := raw.find(b"\0", position)) > position:
        begin = nul - 1
        text += raw[position:begin].removesuffix(codecs.BOM_UTF16_LE).decode("utf-8-sig")
        if text and not text.endswith("\n"):
            text += "\n"  # appended to a line without an end
        end = begin + 2
        while end < len(raw) and raw[end - 2 : end] != b"\n\0":
            end += 2
        line = raw[begin:end].decode("utf-16-le")
        if line.strip() and "=" not in line and not line.startswith("#"):
            raise UnicodeError  # a stray NUL
        text += line
        position = end
    text += raw[position:].decode("utf-8-sig")
    if "\0" in text:
        raise UnicodeError
    return text


def _why(line: str) -> str:
    """Return why a line cannot be read, if that is known, or else how one looks."""
    begun = line.partition("=")[2].lstrip()[:1]
    if begun and begun in "\"'":
        return f": a quote ({begun}) is opened and not closed."
    return ". Example: NUM_CTX=8192"
