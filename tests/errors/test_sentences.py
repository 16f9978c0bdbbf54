"""What people read of an error holds nothing that is the operator's; the log holds it, under the same reference."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from bot import errors
from bot.errors import BurbleError, OllamaError, OllamaUnauthorized

URL = "http://gpu-box.internal:11999/ollama"
DETAIL = (
    "you (ada.lovelace@example.org) have reached your limit at /home/ada/.ollama/models on gpu-box.internal:11999 "
    '<html>{"error": "zorillafern"} 10.1.2.3 C:\\Users\\ada https://ollama.com/connect?name=gpu-box&key=zorillafern'
)
OPERATORS = ("gpu-box", "11999", "ada", "example.org", "/home", ".ollama", "zorillafern", "10.1.2.3", "Users", "<")
VALUES = {
    "url": URL,
    "detail": DETAIL,
    "signin_url": "https://ollama.com/connect?name=gpu-box&key=zorillafern",
    "status": 400,
    "code": 50013,
    "seconds": 10.0,
    "retry_after": 5.0,
    "model": "llama3.2",
    "prompt_tokens": 9000,
    "room_tokens": 8000,
    "per_minute": 10,
    "by": "user",
    "of": "all",
    "scope": "user",
    "is_lost": True,
    "is_repetition": False,
}


def kinds(root: type[BurbleError] = BurbleError) -> Iterator[type[BurbleError]]:
    yield root
    for kind in root.__subclasses__():
        # those of the playground's Discord stand in its own answers
        if kind.__module__.startswith("bot.") and not kind.__module__.startswith("bot.playground"):
            yield from kinds(kind)


def made(kind: type[BurbleError]) -> BurbleError:
    """An error of that kind with the operator's matters wherever it takes words."""
    if kind.__init__ is Exception.__init__ or kind.__init__ is BurbleError.__init__:
        return kind(f"{DETAIL} at {URL}")
    names = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    return kind(**{name: VALUES[name] for name in names})


ALL = sorted(set(kinds()), key=lambda kind: kind.__name__)


def test_every_kind_of_the_tree_is_looked_at():
    named = {getattr(errors, name) for name in errors.__all__}
    assert named <= set(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_no_sentence_holds_what_is_the_operators(kind: type[BurbleError]):
    error = made(kind)
    sentence = error.sentence().replace(error.reference, "")  # any hexadecimal word may be in that
    found = [word for word in OPERATORS if re.search(rf"(?<![a-z]){re.escape(word)}", sentence)]
    assert sentence.strip()
    assert found == []
    assert len(sentence) < 400


@pytest.mark.parametrize("kind", ALL)
def test_a_reference_in_a_sentence_stands_in_the_log_with_the_detail(kind: type[BurbleError]):
    error = made(kind)
    if found := re.search(r"`([0-9a-f]{8})`", error.sentence()):
        assert f"(reference {found[1]})" in str(error)
        assert found[1] in error.sentence(), "the same every time"
    if isinstance(error, OllamaError) and "detail" in inspect.signature(kind.__init__).parameters:
        assert "gpu-box.internal:11999" in str(error)
        assert "ada.lovelace" in str(error)


def test_a_page_to_sign_in_is_the_operators():
    error = OllamaUnauthorized(URL, 401, "unauthorized", "https://ollama.com/connect?name=gpu-box&key=k")
    assert "connect" not in error.sentence()
    assert "https://ollama.com/connect?name=gpu-box&key=k" in str(error)
