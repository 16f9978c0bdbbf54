from __future__ import annotations

import orjson
import pytest

from bot.ollama.requests import chat_body, generate_body, parse_keep_alive
from bot.ollama.types import Message, ToolCall


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("300", 300),
        ("-1", -1),
        ("+5", 5),
        ("0", 0),
        (" 2.5 ", 2.5),
        ("10m", "10m"),
        ("1h30m", "1h30m"),
        ("-1m", "-1m"),
        ("1.5h", "1.5h"),
        ("100ms", "100ms"),
        (300, 300),
        (-1, -1),
        (1.5, 1.5),
        (2.0, 2),
    ],
)
def test_keep_alive_is_sent_as_ollama_wants_it(given: str | float, sent: str | float) -> None:
    value = parse_keep_alive(given)
    assert (value, type(value)) == (sent, type(sent))


@pytest.mark.parametrize("text", ["", "soon", "10 m", "10d", "1e3", "nan", "inf", "٣", float("nan"), float("inf")])
def test_a_keep_alive_that_ollama_would_refuse_is_refused_here(text: str | float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        parse_keep_alive(text)


def test_a_chat_holds_only_what_was_given() -> None:
    assert chat_body("m", [Message("user", "hi")]) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_a_message_holds_what_its_part_of_the_conversation_needs() -> None:
    call = ToolCall("add", {"a": 1}, "call_1")
    messages = [
        Message("user", "What is this?", images=("aGk=",)),
        Message("assistant", "", thinking="hm", tool_calls=(call, ToolCall("f"))),
        Message("tool", "2", tool_name="add"),
    ]
    assert chat_body("m", messages)["messages"] == [
        {"role": "user", "content": "What is this?", "images": ["aGk="]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [
                {"id": "call_1", "function": {"name": "add", "arguments": {"a": 1}}},
                {"function": {"name": "f", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "2", "tool_name": "add"},
    ]
    assert generate_body("m", "And this?", images=["aGk="])["images"] == ["aGk="]


def test_a_chat_holds_everything_that_was_given() -> None:
    body = chat_body(
        "m",
        [Message("system", "s"), Message("user", ""), Message("assistant", "a")],
        num_ctx=8192,
        options={"temperature": 0.5, "num_ctx": 1},
        keep_alive="300",
        think=False,
    )
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": "a"},
        ],
        "stream": True,
        "options": {"temperature": 0.5, "num_ctx": 8192},
        "keep_alive": 300,
        "think": False,
    }


def test_a_generate_holds_prompt_and_system() -> None:
    assert generate_body("m", "p", system="s", num_ctx=4096, think="low") == {
        "model": "m",
        "prompt": "p",
        "stream": True,
        "system": "s",
        "options": {"num_ctx": 4096},
        "think": "low",
    }


def test_the_callers_options_are_not_changed() -> None:
    options = {"seed": 1}
    chat_body("m", [], num_ctx=1, options=options)
    assert options == {"seed": 1}


def test_lone_surrogates_do_not_stop_a_request() -> None:
    body = chat_body("m\ud83d", [Message("user", "a\udc00b")])
    assert orjson.loads(orjson.dumps(body))["messages"][0]["content"] == "a\ufffdb"
