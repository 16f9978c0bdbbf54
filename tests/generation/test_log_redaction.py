"""The log gets causes, never words."""

from __future__ import annotations

import pytest

from bot.generation.log_redaction import discreet

PROMPT = "Please help me with the letter to my landlord about the leak"


@pytest.mark.parametrize(
    "text",
    [
        "OllamaStatusError at http://127.0.0.1:11434: model requires more system memory (5.5 GiB) than is available",
        "StreamError at http://127.0.0.1:11434: CUDA error: out of memory",
        "ModelMissing at http://127.0.0.1:11434: model 'llama3.2:3b-instruct-q4_K_M' not found",
    ],
)
def test_causes_stay(text: str) -> None:
    assert discreet(text, PROMPT, "An answer that has nothing to do with it.") == text


def test_what_was_asked_is_left_out_wherever_the_server_quotes_it() -> None:
    logged = discreet(f"cannot read {PROMPT[5:40]!r} in the request", PROMPT)
    assert "landlord" not in logged
    assert logged.startswith("cannot read")
    assert logged.endswith("in the request")


def test_what_was_answered_is_left_out_even_across_lines() -> None:
    assert "secret" not in discreet(
        "bad JSON near my secret plan is to leave", "x", "Well:\nmy  secret\nplan is to leave"
    )


def test_a_short_question_is_left_out_whole() -> None:
    assert discreet("cannot read tooth ache", "tooth ache") == "cannot read […]"


def test_long_quotations_are_left_out_whoever_said_them() -> None:
    logged = discreet(f"error parsing tool call: raw='{'x' * 80}', err=unexpected end of JSON input")
    assert logged == "error parsing tool call: raw='[…]', err=unexpected end of JSON input"


def test_a_quotation_that_was_cut_off_is_left_out_too() -> None:
    assert discreet(f"raw='{'x' * 80}") == "raw='[…]"


def test_nothing_said_changes_nothing() -> None:
    assert discreet("anything at all", "", "Hi") == "anything at all"
