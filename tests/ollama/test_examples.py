from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["failures", "host", "names", "ndjson", "requests"])
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"bot.ollama.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
