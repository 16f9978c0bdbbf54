"""The bodies of our requests to Ollama, as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from bot.ollama.ndjson import clean_text
from bot.ollama.types import Message

KeepAlive = int | float | str
Think = bool | str


class Parameters(TypedDict, total=False):
    """What may be asked of a model besides its task; what is missing or None is not sent.

    Attributes:
        num_ctx: the window in tokens; another value than before reloads the model.
        options: further model options, by Ollama's names.
        keep_alive: seconds or a Go duration; sticky on the server, so not sent unless given.
        think: True, False or an effort; not sent unless given (a model that can then thinks).
    """

    num_ctx: int | None
    options: Mapping[str, Any] | None
    keep_alive: KeepAlive | None
    think: Think | None


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
_GO_DURATION = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")


def parse_keep_alive(value: KeepAlive) -> KeepAlive:
    """Return *value* as Ollama wants it: a number of seconds, or a Go duration such as ``10m``.

    Ollama answers 400 to ``"300"`` and ``"-1"`` as strings (``time: missing unit
    in duration``), so a text that is a number becomes one. Below zero: for ever.

    Raises:
        ValueError: if it is neither.

    >>> parse_keep_alive("-1"), parse_keep_alive(" 1h30m "), parse_keep_alive("2.5")
    (-1, '1h30m', 2.5)
    """
    if isinstance(value, str):
        text = value.strip()
        if _GO_DURATION.fullmatch(text):
            return text
        if not text.isascii() or not _NUMBER.fullmatch(text):
            raise ValueError(f"{value!r} is neither seconds nor a duration such as 10m")
        value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no number of seconds")
    return int(value) if value == int(value) else value


def chat_body(model: str, messages: Iterable[Message], **parameters: Unpack[Parameters]) -> dict[str, Any]:
    """Return the body of a streamed ``/api/chat``.

    Raises:
        ValueError: if *keep_alive* is none.
    """
    body: dict[str, Any] = {
        "model": clean_text(model),
        "messages": [_message(message) for message in messages],
        "stream": True,
    }
    return body | _settings(parameters)


def _message(message: Message) -> dict[str, Any]:
    """Return *message* as the API has it; what is empty is left out, but for the content."""
    calls = [
        ({"id": call.id} if call.id else {}) | {"function": {"name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]
    rest = {
        "thinking": clean_text(message.thinking),
        "images": list(message.images),
        "tool_calls": calls,
        "tool_name": message.tool_name,
    }
    shown = {key: value for key, value in rest.items() if value}
    return {"role": message.role, "content": clean_text(message.content), **shown}


def generate_body(
    model: str,
    prompt: str,
    *,
    system: str | None = None,
    images: Sequence[str] = (),
    **parameters: Unpack[Parameters],
) -> dict[str, Any]:
    """Return the body of a streamed ``/api/generate``; see `chat_body`."""
    body: dict[str, Any] = {"model": clean_text(model), "prompt": clean_text(prompt), "stream": True}
    if system is not None:
        body["system"] = clean_text(system)
    if images:
        body["images"] = list(images)
    return body | _settings(parameters)


def _settings(parameters: Parameters) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    options = dict(parameters.get("options") or {})
    if (num_ctx := parameters.get("num_ctx")) is not None:
        options["num_ctx"] = num_ctx
    if options:
        settings["options"] = options
    if (keep_alive := parameters.get("keep_alive")) is not None:
        settings["keep_alive"] = parse_keep_alive(keep_alive)
    if (think := parameters.get("think")) is not None:
        settings["think"] = think
    return settings
