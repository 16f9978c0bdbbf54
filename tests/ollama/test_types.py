from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ollama.ndjson import NDJSONDecoder, decode_json
from bot.ollama.types import (
    ChatChunk,
    Counts,
    Model,
    RunningModel,
    ToolCall,
    parse_chat_chunk,
    parse_counts,
    parse_details,
    parse_generate_chunk,
    parse_models,
    parse_running,
)

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> Any:
    return decode_json((SAMPLES / f"{name}.ndjson").read_bytes())


def chunks(name: str) -> list[ChatChunk]:
    decoder, raw = NDJSONDecoder(), (SAMPLES / f"{name}.ndjson").read_bytes()
    parse = parse_generate_chunk if name.startswith("generate") else parse_chat_chunk
    return [parse(line) for line in decoder.feed(raw) + decoder.flush()]


def test_a_plain_answer() -> None:
    got = chunks("chat-content")
    assert "".join(c.content for c in got).startswith("The sky looks blue because air scatters")
    assert [c.done for c in got] == [False] * (len(got) - 1) + [True]
    assert got[-1].done_reason == "stop"
    assert got[-1].counts is not None
    assert got[-1].counts.tokens_per_second


def test_thinking_is_kept_apart_from_the_answer() -> None:
    got = chunks("chat-thinking")
    assert "".join(c.thinking for c in got).startswith("Okay, the user asks 17 × 23.")
    assert "Okay" not in "".join(c.content for c in got)


def test_thinking_only_has_no_content() -> None:
    got = chunks("chat-thinking-only-length")
    assert "".join(c.content for c in got) == ""
    assert got[-1].done_reason == "length"


def test_generate_gives_the_same_kind_of_chunks() -> None:
    got = chunks("generate-content")
    assert [c.content for c in got] == ["Blue", " light", ".", ""]
    assert got[-1].counts == Counts(26, 4, 0.212874917, 0.031208333, 0.04011, 0.090007)


@pytest.mark.parametrize("name", ["chat-tools-rendered", "chat-tools-native-in-done"])
def test_tool_calls_are_named(name: str) -> None:
    assert [(call.name, type(call.arguments)) for c in chunks(name) for call in c.tool_calls] == [("get_weather", dict)]


def test_missing_metrics_are_none() -> None:
    counts = chunks("chat-done-no-counts")[-1].counts
    assert counts is not None
    assert (counts.prompt_tokens, counts.reply_tokens, counts.tokens_per_second) == (None, None, None)
    assert chunks("chat-load")[-1] == ChatChunk(done=True, done_reason="load")


@pytest.mark.parametrize(
    ("line", "chunk"),
    [
        ({}, ChatChunk()),
        ({"message": None}, ChatChunk()),
        ({"message": "text"}, ChatChunk()),
        ({"message": {"content": None}, "done": False}, ChatChunk()),
        ({"message": {"content": 5}}, ChatChunk()),
        ({"message": {"content": ["a"]}}, ChatChunk()),
        ({"message": {"content": "a\0b"}, "done": False}, ChatChunk("ab")),
        ({"message": {"content": "a", "thinking": 7}, "done": None}, ChatChunk("a")),
        ({"done": "true"}, ChatChunk(done=True)),
        ({"done": 1}, ChatChunk(done=True)),
        ({"done": "no"}, ChatChunk()),
        ({"done": [True]}, ChatChunk()),
        ({"done": True, "done_reason": 5}, ChatChunk(done=True)),
        ({"done": True, "done_reason": "mystery"}, ChatChunk(done=True, done_reason="mystery")),
        ({"message": {"tool_calls": None}}, ChatChunk()),
        ({"message": {"tool_calls": {"function": {}}}}, ChatChunk()),
        (
            {"message": {"tool_calls": [None, {"function": {"name": "f", "arguments": "x"}}, {"function": 3}]}},
            ChatChunk(tool_calls=(ToolCall("unnamed"), ToolCall("f"), ToolCall("unnamed"))),
        ),
        (
            {"message": {"content": "c", "thinking": "t", "tool_calls": []}, "done": True, "eval_count": 2},
            ChatChunk("c", "t", True, None, Counts(reply_tokens=2)),
        ),
    ],
)
def test_hostile_chunks_are_read_conservatively(line: dict[str, Any], chunk: ChatChunk) -> None:
    assert parse_chat_chunk(line) == chunk


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1, -0.5, 10**400, "5", True, None, [], {}])
def test_counts_that_are_none_are_none(bad: object) -> None:
    keys = ("prompt_eval_count", "eval_count", "total_duration", "eval_duration")
    assert parse_counts(dict.fromkeys(keys, bad)) is None


def test_a_count_may_come_as_float() -> None:
    assert parse_counts({"eval_count": 7.0}) == Counts(reply_tokens=7)


def test_no_speed_from_no_time() -> None:
    assert Counts(reply_tokens=5, reply_seconds=0.0).tokens_per_second is None


def test_tags() -> None:
    models = {model.name: model for model in parse_models(sample("tags"))}
    assert models["qwen3:8b"] == Model(
        "qwen3:8b",
        5225387923,
        "2026-07-04T09:12:01.5-07:00",
        "8.2B",
        "Q4_K_M",
        "qwen3",
        40960,
        frozenset({"completion", "tools", "thinking"}),
    )
    assert not models["nomic-embed-text:latest"].can_complete
    assert any(model.is_remote for model in models.values())
    assert any(model.capabilities is None for model in models.values())


@pytest.mark.parametrize(
    "answer", [{}, {"models": None}, {"models": 5}, [], None, {"models": [None, {}, {"name": " "}]}]
)
def test_no_models_are_no_models(answer: object) -> None:
    assert parse_models(answer) == []
    assert parse_running(answer) == []


def test_hostile_names_and_fields_survive() -> None:
    names = ["\x1b[2J", "../../etc/passwd", "x" * 500]
    entries = [
        {"name": n, "size": -5, "details": {"families": None, "family": 3}, "capabilities": "all"} for n in names
    ]
    assert [m.name for m in parse_models({"models": entries})] == names
    assert len(parse_models({"models": entries * 700})) == 2100


def test_old_servers_do_not_say_what_a_model_can() -> None:
    assert Model("a", family="llama").can_complete
    assert not Model("a", family="nomic-bert").can_complete


def test_show() -> None:
    details = parse_details(sample("show"), "llama3.2")
    assert (details.context_length, details.num_ctx, details.system) == (131072, 8192, "You are terse.")
    assert ("temperature", "0.6") in details.parameters
    assert details.license == "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT"
    assert details.capabilities is not None
    assert "completion" in details.capabilities
    stub = parse_details(sample("show-cloud-stub"), "gpt-oss:120b-cloud")
    assert (stub.is_remote, stub.num_ctx, stub.context_length) == (True, None, 131072)


def test_ps() -> None:
    forever, partly = parse_running(sample("ps"))
    assert (forever.stays_loaded, forever.gpu_share, forever.context_length) == (True, 1.0, 32768)
    assert (partly.stays_loaded, round(partly.gpu_share or 0, 2)) == (False, 0.48)


@pytest.mark.parametrize("moment", ["", "0001-01-01T00:00:00Z", "garbage", "٢٣١٨-", "2026"])
def test_moments_that_cannot_be_read_are_not_for_ever(moment: str) -> None:
    assert not RunningModel("m", expires_at=moment).stays_loaded
    assert RunningModel("m").gpu_share is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "message response content thinking done tool_calls models name details model_info eval_count total_duration "
    "capabilities parameters function size expires_at license"
)
keys = st.sampled_from(KEYS.split())


@given(st.dictionaries(keys, st.dictionaries(keys, json_values) | json_values))
def test_no_object_breaks_a_parser(line: dict[str, Any]) -> None:
    parse_chat_chunk(line)
    parse_generate_chunk(line)
    parse_details(line, "m")
    for model in parse_models({"models": [line]}):
        assert model.can_complete in (True, False)
    for running in parse_running({"models": [line]}):
        assert running.stays_loaded in (True, False)
