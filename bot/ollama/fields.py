"""The fields of Ollama's answers, whatever a server put into them: a wrong type is read as nothing."""

from __future__ import annotations

import re
from typing import Any

from bot.ollama.names import is_cloud_name

_MAX_COUNT = 2**53
_BLOB = re.compile(r"^FROM \S*(sha256[-:][0-9a-f]{64})\s*$", re.MULTILINE)


def text(value: object) -> str:
    """Return *value* if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def count(value: object) -> int | None:
    """Return a whole number from 0 to 2**53, None for everything else (NaN and booleans too)."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_COUNT else None
    if type(value) is float and 0 <= value <= _MAX_COUNT:
        return int(value)
    return None


def text_of_parts(content: object) -> str:
    """Return the text of a content that gateways give in parts, as OpenAI's API has it."""
    return "".join(text(mapping(part).get("text")) for part in sequence(content))


def parameters(lines: str) -> tuple[tuple[str, str], ...]:
    """Read the ``%-30s value`` lines of ``/api/show``."""
    pairs = (line.split(None, 1) for line in lines.split("\n"))
    return tuple((pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2)


def num_ctx(parameters: tuple[tuple[str, str], ...]) -> int | None:
    """Return the Modelfile's own window, or None."""
    for name, value in parameters:
        if name == "num_ctx" and value.isascii() and value.isdigit() and len(value) < 16:
            return int(value) or None
    return None


def training_length(info: dict[str, Any]) -> int | None:
    """Return the training maximum that ``model_info`` tells, or None."""
    architecture = text(info.get("general.architecture"))
    return count(info.get(f"{architecture}.context_length")) or None


def capabilities(value: object) -> frozenset[str] | None:
    """Return what a model can do, None where the server does not say."""
    return frozenset(name for name in sequence(value) if isinstance(name, str)) or None


def guessed_capabilities(info: dict[str, Any]) -> frozenset[str] | None:
    """Return what an older server does not say: only an embedder has a way to pool (``server/images.go``)."""
    return frozenset({"embedding"}) if any(key.endswith(".pooling_type") for key in info) else None


def weights(modelfile: str) -> str:
    """Return the blob that a Modelfile is made ``FROM``, or an empty string."""
    found = _BLOB.search(modelfile)
    return found[1] if found else ""


def first_line(lines: str) -> str:
    """Return the first line that is not blank, or an empty string."""
    return next((line.strip() for line in lines.split("\n") if line.strip()), "")


def named(answer: object) -> list[tuple[dict[str, Any], str]]:
    """Return the entries of ``models`` with their names; ``models: null`` is an empty list."""
    entries = sequence(mapping(answer).get("models"))
    named = ((entry, text(entry.get("name")) or text(entry.get("model"))) for entry in map(mapping, entries))
    return [(entry, name) for entry, name in named if name.strip()]


def is_remote(entry: dict[str, Any], name: str) -> bool:
    """Return whether a model runs on another host."""
    if entry.get("remote_model") or entry.get("remote_host"):
        return True
    return is_cloud_name(name)
