"""Every way to end is said in words, or rightly in none."""

from __future__ import annotations

import pytest

from bot.conversation.records import ReplyState
from bot.errors import OllamaUnreachable
from bot.generation import ending
from bot.generation.session import StopCause


def test_a_finished_answer_needs_no_words() -> None:
    end = ending.completed("stop", None, has_text=True, thought=True)
    assert (end.state, end.line) == (ReplyState.COMPLETE, "")


@pytest.mark.parametrize(
    ("reason", "thought", "words"),
    [("stop", False, "empty answer"), (None, False, "empty"), ("stop", True, "thought"), ("length", True, "thinking")],
)
def test_no_answer_ends_in_a_sentence(reason: str | None, thought: bool, words: str) -> None:
    end = ending.completed(reason, None, has_text=False, thought=thought)
    assert words in end.footer(has_text=False)
    assert not end.footer(has_text=False).startswith("-#")


def test_a_cut_by_length_is_said_below_the_text() -> None:
    end = ending.completed("length", None, has_text=True, thought=False)
    assert end.footer(has_text=True).startswith("-# ✂️")


def test_a_stop_names_who() -> None:
    end = ending.stopped(StopCause(" by Ada"))
    assert end.state is ReplyState.STOPPED
    assert end.footer(has_text=True) == "-# ⏹️ stopped by Ada"
    assert end.footer(has_text=False) == "⏹️ stopped by Ada"
    assert not end.is_quiet


def test_a_stop_by_deletion_is_quiet() -> None:
    assert ending.stopped(StopCause(": the question was deleted", is_silent=True)).is_quiet


def test_a_failure_gives_its_sentence_and_what_to_do() -> None:
    end = ending.failed(OllamaUnreachable("http://127.0.0.1:11434"), "More.")
    assert end.state is ReplyState.FAILED
    assert "Is it running?" in end.line
    assert end.line.endswith("More.")


def test_each_line_of_a_footer_is_small() -> None:
    end = ending.Ending(ReplyState.FAILED, "one\n\ntwo")
    assert end.footer(has_text=True) == "-# one\n-# two"


def test_a_bug_is_told_with_its_reference() -> None:
    assert "`0a1b2c3d`" in ending.broken("0a1b2c3d").line


def test_a_model_that_only_calls_tools_is_explained() -> None:
    end = ending.completed("stop", None, has_text=False, thought=True, tools=["get`x", "b", "c", "d"])
    assert "`getˋx`, `b`, `c`)" in end.line
    assert ending.completed("stop", None, has_text=True, thought=False, tools=["x"]).line == ""


def test_a_seam_is_told_before_whatever_else_there_is_to_say() -> None:
    end = ending.resumed(ending.failed(OllamaUnreachable("http://127.0.0.1:11434")))
    first, second = end.footer(has_text=True).splitlines()
    assert first.startswith("-# ↻ resumed")
    assert second.startswith("-# ⚠️")
    assert end.state is ReplyState.FAILED
    assert ending.resumed(ending.completed("stop", None, has_text=True, thought=False)).line.count("\n") == 0
