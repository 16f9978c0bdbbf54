"""Models in words: within Discord's limits, whatever a server sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation import model_text as describe
from bot.ollama.types import Model, ModelDetails, RunningModel

texts = st.text(max_size=300)
models = st.builds(
    Model,
    name=st.text(min_size=1, max_size=300),
    size=st.integers(0, 2**53),
    modified_at=texts,
    parameter_size=texts,
    quantization=texts,
    family=texts,
    context_length=st.none() | st.integers(1, 2**53),
    capabilities=st.none() | st.frozensets(texts, max_size=12),
    is_remote=st.booleans(),
)
cards = st.builds(
    ModelDetails,
    model=st.text(min_size=1, max_size=300),
    parameters=st.lists(st.tuples(texts, texts), max_size=30).map(tuple),
    license=texts,
    system=texts,
    family=texts,
    parameter_size=texts,
    quantization=texts,
    format=texts,
    modified_at=texts,
    context_length=st.none() | st.integers(1, 2**53),
    capabilities=st.none() | st.frozensets(texts, max_size=12),
    is_remote=st.booleans(),
)
running = st.none() | st.builds(
    RunningModel,
    name=texts,
    size=st.integers(0, 2**53),
    size_vram=st.integers(0, 2**53),
    context_length=st.none() | st.integers(1, 2**53),
    expires_at=texts,
)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (403, "403 B"),
        (1000, "1.0 kB"),
        (274_302_450, "274 MB"),
        (2_019_393_189, "2.0 GB"),
        (42_520_413_916, "43 GB"),
        (404_430_188_519, "404 GB"),
        (2**53, "9.0 PB"),
    ],
)
def test_sizes_read_as_in_ollama_list(count: int, shown: str) -> None:
    assert describe.size(count) == shown


@given(texts)
def test_code_is_one_span_on_one_line(text: str) -> None:
    shown = describe.code(text)
    assert shown[0] == shown[-1] == "`"
    assert shown.count("`") == 2
    assert 3 <= len(shown) <= 82
    assert shown.isprintable() or "\ufffd" not in shown
    assert "\n" not in shown
    assert len(shown.splitlines()) == 1


@given(st.lists(models, max_size=120), st.none() | texts)
def test_a_list_fits_one_message_and_counts_what_is_left_out(installed: list[Model], current: str | None) -> None:
    text = describe.model_list(installed, current)
    assert 1 <= len(text) <= 2000
    shown = sum(line.startswith("- ") for line in text.split("\n"))
    rest = [line for line in text.split("\n") if line.startswith("-# … and ")]
    assert shown + (int(rest[0].split()[3].replace(",", "")) if rest else 0) == len(installed)


def test_the_current_model_comes_first_and_is_marked() -> None:
    installed = [Model("aya:8b"), Model("llama3.2:latest")]
    lines = describe.model_list(installed, "llama3.2").splitlines()
    assert lines[1].startswith("- `llama3.2:latest`")
    assert lines[1].endswith("← **answers here**")
    assert lines[2] == "- `aya:8b`"


def test_a_current_model_that_is_gone_is_said() -> None:
    assert "`gone:7b`, which is not installed" in describe.model_list([Model("aya:8b")], "gone:7b")


def test_an_empty_server_is_told_what_to_do() -> None:
    assert "ollama pull" in describe.model_list([], None)


def test_a_cloud_model_has_no_size_of_its_own() -> None:
    assert "- `gpt-oss:120b-cloud` · 117B · cloud" in describe.model_list(
        [Model("gpt-oss:120b-cloud", size=384, parameter_size="117B", is_remote=True)], None
    )


@given(cards, st.none() | models, running, st.integers(1, 2**53), st.booleans())
def test_a_card_fits_one_message(
    about: ModelDetails, model: Model | None, loaded: RunningModel | None, num_ctx: int, is_current: bool
) -> None:
    text = describe.model_card(about, num_ctx=num_ctx, model=model, running=loaded, is_current=is_current)
    assert 1 <= len(text) <= 2000
    assert all(line.startswith("- ") for line in text.splitlines()[1:])


@given(st.lists(models, max_size=60), texts, st.none() | texts)
def test_suggestions_keep_to_discords_limits(installed: list[Model], typed: str, current: str | None) -> None:
    offered = describe.suggestions(installed, typed, current)
    assert len(offered) <= 25
    for model in offered:
        assert 1 <= len(model.name) <= 100
        assert 1 <= len(describe.choice_label(model, current)) <= 100


def test_suggestions_are_ordered_current_then_beginning_then_any_part() -> None:
    names = ["my-llama:1b", "qwen3:8b", "llama3.2:latest", "llama2:7b"]
    offered = describe.suggestions([Model(name) for name in names], "LLAMA", "my-llama:1b")
    assert [model.name for model in offered] == ["my-llama:1b", "llama3.2:latest", "llama2:7b"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("qwen", "qwen3:8b"), ("lama3.2", "llama3.2:latest"), ("llama3.2:70b", "llama3.2:latest"), ("QWEN3", "qwen3:8b")],
)
def test_a_slip_is_understood(typed: str, meant: str) -> None:
    assert describe.similar(typed, [Model("llama3.2:latest"), Model("qwen3:8b")])[0] == meant


@given(st.text(min_size=1, max_size=200), st.lists(models, max_size=40))
def test_a_refusal_is_short_enough_for_a_message(name: str, installed: list[Model]) -> None:
    text = describe.not_installed(name, installed)
    assert len(text) <= 2000
    assert len(text.splitlines()) == 1
    for model in installed:
        assert len(describe.cannot_answer(model)) <= 2000


def test_markup_in_facts_is_shown_as_it_is() -> None:
    card = describe.model_card(
        ModelDetails("m", license="**free** <@1> [x](http://y)\n# big"),
        num_ctx=1,
        model=None,
        running=None,
        is_current=False,
    )
    assert "\\*\\*free\\*\\* \\<\\@1\\> \\[x\\](http://y) \\# big" in card
