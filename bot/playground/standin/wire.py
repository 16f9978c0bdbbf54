"""The shapes that Ollama's HTTP API answers with, as the stand-in fills them in.

Field order and escapes are Go's; which fields are left out when zero follows
Ollama's ``api/types.go``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

CONTEXT_LENGTH = 32768
_GO_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that the stand-in offers.

    Attributes:
        name: with its tag.
        capabilities: as ``/api/show`` lists them.
        pace: factor on the server's speed.
        load_seconds: pause before the first token while the model is not loaded.
        always_thinks: whether thoughts come before every answer.
    """

    name: str
    capabilities: tuple[str, ...]
    pace: float = 1.0
    load_seconds: float = 0.0
    always_thinks: bool = False


MODELS = (
    ModelCard("stand-in:latest", ("completion", "thinking")),
    ModelCard("stand-in-thinking:latest", ("completion", "thinking"), always_thinks=True),
    ModelCard("stand-in-slow:latest", ("completion",), pace=0.12, load_seconds=3.0),
)


def go_json(value: Any) -> bytes:
    """Encode *value* as Go's ``encoding/json`` does: compact, ``<>&`` and U+2028/9 escaped, the rest raw UTF-8."""
    # The escaped characters occur in strings only, so the whole text may be translated.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_GO_ESCAPES).encode()


def chunk(model: str, text: str = "", *, thought: bool = False, chat: bool) -> dict[str, Any]:
    """Return one line of a chat (or generate) stream, still without ``done``."""
    content, thinking = ("", text) if thought else (text, "")
    thoughts = {"thinking": thinking} if thinking else {}
    head: dict[str, Any] = {"model": model, "created_at": go_time(datetime.now(UTC))}
    if chat:
        return head | {"message": {"role": "assistant", "content": content} | thoughts}
    return head | {"response": content} | thoughts


def joined(lines: list[dict[str, Any]], *, chat: bool) -> dict[str, Any]:
    """Return the one object that ``stream: false`` answers with."""
    parts = [line["message"] if chat else line for line in lines]
    key = "content" if chat else "response"
    text = "".join(part[key] for part in parts)
    thinking = "".join(part.get("thinking", "") for part in parts)
    whole = {key: text} | ({"thinking": thinking} if thinking else {})
    last = dict(lines[-1])
    if chat:
        return last | {"message": {"role": "assistant"} | whole}
    return last | whole


def go_time(moment: datetime) -> str:
    """Format *moment* (UTC) as Go writes a time in JSON."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def size_of(card: ModelCard) -> int:
    """Return a made-up size in bytes."""
    return 1_000_000 + len(card.name)


def tag(card: ModelCard, *, running: bool = False) -> dict[str, Any]:
    """Return the entry of ``/api/tags``, or what ``/api/ps`` shares with it."""
    digest = hashlib.sha256(card.name.encode()).hexdigest()
    details: dict[str, Any] = {
        "parent_model": "",
        "format": "gguf",
        "family": "stand-in",
        "families": ["stand-in"],
        "parameter_size": "0B",
        "quantization_level": "none",
    }
    entry: dict[str, Any] = {"name": card.name, "model": card.name}
    if running:
        return entry | {"size": size_of(card), "digest": digest, "details": details}
    entry |= {"modified_at": "2026-08-20T17:37:44.706015396Z", "size": size_of(card), "digest": digest}
    details |= {"context_length": CONTEXT_LENGTH, "embedding_length": 64}
    return entry | {"details": details, "capabilities": list(card.capabilities)}


def shown(card: ModelCard) -> dict[str, Any]:
    """Return the answer of ``/api/show``."""
    return {
        "license": "None: this is not a model.",
        "modelfile": f"# A stand-in, not a model\nFROM {card.name}\n",
        "template": "{{ .Prompt }}",
        "details": tag(card, running=True)["details"],
        "model_info": {
            "general.architecture": "stand-in",
            "general.basename": card.name.partition(":")[0],
            "general.parameter_count": 0,
            "stand-in.context_length": CONTEXT_LENGTH,
        },
        "capabilities": list(card.capabilities),
        "modified_at": "2026-08-20T17:37:44.706015396Z",
    }


def json_response(value: Any, status: int = 200) -> web.Response:
    """Answer with one JSON object the way gin does."""
    return web.Response(body=go_json(value), status=status, content_type="application/json", charset="utf-8")
