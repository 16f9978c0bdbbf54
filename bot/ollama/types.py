"""What Ollama says, as values: frozen, typed, and safe against hostile fields.

The field sets are those of ``api/types.go``. A missing, null or mistyped field
becomes an empty string or None, never an error: older servers, gateways and
broken proxies send all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bot.ollama import fields

Role = Literal["system", "user", "assistant", "tool"]

_EMBEDDER = re.compile(r"bert|embed|minilm|rerank|\b(bge|gte|e5)-")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants to call.

    Attributes:
        name: the tool's, or ``unnamed``.
        arguments: by name; empty where the model gave no object.
        id: the call's, or empty (older servers give none).
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as it is sent to ``/api/chat``.

    Attributes:
        role: who speaks; tool for what a tool gave.
        content: the words.
        thinking: what the model thought before it answered so.
        images: pictures (sounds go the same way), each as base64 without a ``data:`` prefix.
        tool_calls: what the model wanted to call.
        tool_name: which tool gave this.
    """

    role: Role
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """The metrics of a finished answer; None where the server gave none (it omits zeros).

    Attributes:
        prompt_tokens: the whole prompt after the server's truncation, cached part included.
        reply_tokens: tokens generated, thinking included.
        total_seconds, load_seconds, prompt_seconds, reply_seconds: durations.
    """

    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    total_seconds: float | None = None
    load_seconds: float | None = None
    prompt_seconds: float | None = None
    reply_seconds: float | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """The speed of generation, or None if it is not known."""
        if not self.reply_tokens or not self.reply_seconds:
            return None
        return self.reply_tokens / self.reply_seconds


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """One line of a streamed answer.

    Attributes:
        content: text of the answer; may be empty, in the last chunk it may not.
        thinking: text of the model's reasoning, not part of the answer.
        done: True on the last chunk only.
        done_reason: ``stop``, ``length``, ``load``, ``unload``, another word, or None.
        counts: metrics, on the last chunk if at all.
        tool_calls: the tools that the model wants to call.
    """

    content: str = ""
    thinking: str = ""
    done: bool = False
    done_reason: str | None = None
    counts: Counts | None = None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model, as ``/api/tags`` lists it.

    Attributes:
        name: with its tag, for example ``llama3.2:latest``.
        size: bytes on disk; a few hundred for a cloud model's stub.
        modified_at: RFC 3339, or empty; for show, not for arithmetic.
        parameter_size: such as ``3.2B``, or empty.
        quantization: such as ``Q4_K_M``, or empty.
        family: such as ``llama``, or empty.
        context_length: the training maximum in tokens, or None on older servers.
        capabilities: such as completion, tools, vision, thinking; None on older servers.
        is_remote: whether it runs on another host (ollama.com).
        digest: of its manifest, another one once the model was replaced; empty if the server does not say.
    """

    name: str
    size: int = 0
    modified_at: str = ""
    parameter_size: str = ""
    quantization: str = ""
    family: str = ""
    context_length: int | None = None
    capabilities: frozenset[str] | None = None
    is_remote: bool = False
    digest: str = field(default="", compare=False)

    @property
    def can_complete(self) -> bool:
        """Whether it can answer; where the server does not say, all but what looks like an embedder can."""
        if self.capabilities is None:
            return not _EMBEDDER.search(f"{self.family} {self.name}".lower())
        return "completion" in self.capabilities

    @property
    def state(self) -> str:
        """What changes when another model takes the name."""
        return self.digest or f"{self.modified_at} {self.size}"


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """What ``/api/show`` knows about a model.

    Attributes:
        model: the name that was asked for.
        parameters: the Modelfile's parameters as (name, value) pairs; names may repeat.
        template: the prompt template, or empty.
        system: the Modelfile's system prompt, or empty.
        messages: the Modelfile's MESSAGE lines, which the server puts before those of a request.
        license: the first line of the licence, or empty.
        context_length: the training maximum in tokens, or None.
        num_ctx: the Modelfile's own window in tokens, or None.
        capabilities: as in `Model`.
        family, parameter_size, quantization, format: as in `Model`; format is ``gguf`` or ``safetensors``.
        modified_at: as in `Model`.
        is_remote: as in `Model`.
        weights: the file that it is made from; models that share one are loaded once. Empty if that is not told.
    """

    model: str
    parameters: tuple[tuple[str, str], ...] = ()
    template: str = ""
    system: str = ""
    messages: tuple[Message, ...] = ()
    license: str = ""
    context_length: int | None = None
    num_ctx: int | None = None
    capabilities: frozenset[str] | None = None
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    format: str = ""
    modified_at: str = ""
    is_remote: bool = False
    weights: str = ""


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A loaded model, as ``/api/ps`` lists it.

    Attributes:
        name: with its tag.
        size: bytes of memory it takes.
        size_vram: bytes of these on GPUs.
        context_length: tokens of the window that is allocated, or None.
        expires_at: RFC 3339, or empty; a year of 2318 means for ever.
    """

    name: str
    size: int = 0
    size_vram: int = 0
    context_length: int | None = None
    expires_at: str = ""

    @property
    def stays_loaded(self) -> bool:
        """Whether it is never unloaded for idleness (``keep_alive`` below zero)."""
        # Not datetime: year 2318 overflows astimezone() and years may be garbage.
        year = self.expires_at[:4]
        return year.isascii() and year.isdigit() and int(year) >= 2200

    @property
    def gpu_share(self) -> float | None:
        """The part that lies on GPUs, 0 to 1, or None if sizes are not known."""
        return min(self.size_vram / self.size, 1.0) if self.size else None


_NANOSECONDS = 1e9
_COUNT_KEYS = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


def parse_chat_chunk(line: dict[str, Any]) -> ChatChunk:
    """Return the chunk that one line of ``/api/chat`` holds."""
    message = line.get("message")
    if type(message) is not dict:
        message = {}
    return _chunk(line, message, message.get("content"))


def parse_generate_chunk(line: dict[str, Any]) -> ChatChunk:
    """Return the chunk that one line of ``/api/generate`` holds."""
    return _chunk(line, line, line.get("response"))


def _chunk(line: dict[str, Any], message: dict[str, Any], content: object) -> ChatChunk:
    """Build a chunk; this runs once per token, so the common line takes the short way."""
    text = content if type(content) is str else fields.text_of_parts(content)
    if "\0" in text:
        # PostgreSQL cannot store it and no client shows it.
        text = text.replace("\0", "")
    done = line.get("done")
    if done is False and "thinking" not in message and "tool_calls" not in message:
        return ChatChunk(text)
    # some gateways only give the reason
    finished = done in (True, "true") or (done is None and bool(fields.text(line.get("done_reason"))))
    return ChatChunk(
        content=text,
        thinking=fields.text(message.get("thinking")).replace("\0", ""),
        done=finished,
        done_reason=(fields.text(line.get("done_reason")) or None) if finished else None,
        counts=parse_counts(line) if finished else None,
        tool_calls=_tool_calls(message.get("tool_calls")),
    )


def parse_counts(line: dict[str, Any]) -> Counts | None:
    """Return the metrics of a last line, or None if it has none that can be used."""
    prompt, reply, *durations = (fields.count(line.get(key)) for key in _COUNT_KEYS)
    seconds = [None if value is None else value / _NANOSECONDS for value in durations]
    if prompt is None and reply is None and not any(seconds):
        return None
    return Counts(prompt, reply, *seconds)


def parse_models(answer: object) -> list[Model]:
    """Return the models of a ``/api/tags`` answer; entries without a name are skipped."""
    return [_model(entry, name) for entry, name in fields.named(answer)]


def parse_running(answer: object) -> list[RunningModel]:
    """Return the models of a ``/api/ps`` answer; entries without a name are skipped."""
    return [
        RunningModel(
            name=name,
            size=fields.count(entry.get("size")) or 0,
            size_vram=fields.count(entry.get("size_vram")) or 0,
            context_length=fields.count(entry.get("context_length")) or None,
            expires_at=fields.text(entry.get("expires_at")),
        )
        for entry, name in fields.named(answer)
    ]


def parse_details(answer: object, model: str) -> ModelDetails:
    """Return what a ``/api/show`` answer says about *model*."""
    entry = fields.mapping(answer)
    details = fields.mapping(entry.get("details"))
    parameters = fields.parameters(fields.text(entry.get("parameters")))
    return ModelDetails(
        model=model,
        parameters=parameters,
        template=fields.text(entry.get("template")),
        system=fields.text(entry.get("system")),
        messages=_messages(entry.get("messages")),
        license=fields.first_line(fields.text(entry.get("license"))),
        context_length=fields.training_length(fields.mapping(entry.get("model_info"))),
        num_ctx=fields.num_ctx(parameters),
        capabilities=fields.capabilities(entry.get("capabilities"))
        or fields.guessed_capabilities(fields.mapping(entry.get("model_info"))),
        family=fields.text(details.get("family")),
        parameter_size=fields.text(details.get("parameter_size")),
        quantization=fields.text(details.get("quantization_level")),
        format=fields.text(details.get("format")),
        modified_at=fields.text(entry.get("modified_at")),
        is_remote=fields.is_remote(entry, model),
        weights=fields.weights(fields.text(entry.get("modelfile"))),
    )


def _model(entry: dict[str, Any], name: str) -> Model:
    details = fields.mapping(entry.get("details"))
    return Model(
        name=name,
        size=fields.count(entry.get("size")) or 0,
        digest=fields.text(entry.get("digest")),
        modified_at=fields.text(entry.get("modified_at")),
        parameter_size=fields.text(details.get("parameter_size")),
        quantization=fields.text(details.get("quantization_level")),
        family=fields.text(details.get("family")),
        context_length=fields.count(details.get("context_length")) or None,
        capabilities=fields.capabilities(entry.get("capabilities")),
        is_remote=fields.is_remote(entry, name),
    )


def _messages(value: object) -> tuple[Message, ...]:
    roles = get_args(Role)
    entries = (fields.mapping(entry) for entry in fields.sequence(value))
    return tuple(Message(e["role"], fields.text(e.get("content"))) for e in entries if e.get("role") in roles)


def _tool_calls(calls: object) -> tuple[ToolCall, ...]:
    found = (
        (fields.mapping(call), fields.mapping(fields.mapping(call).get("function"))) for call in fields.sequence(calls)
    )
    return tuple(
        ToolCall(
            fields.text(function.get("name")) or "unnamed",
            fields.mapping(function.get("arguments")),
            fields.text(call.get("id")),
        )
        for call, function in found
    )
