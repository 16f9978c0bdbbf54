"""What of a model's words is its answer, however they were cut into chunks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.generation.answer_filter import FIRST_MESSAGE, AnswerFilter, Filtered
from bot.generation.model_marks import opens_thought


def told(text: str, seed: int = 0, *, template: bool = False, is_whole: bool = True) -> tuple[str, str, bool]:
    """Return what is answer and what is thought of *text*, and whether it was ended; *seed* cuts it into chunks."""
    answers = AnswerFilter(["Ada", "Grace Hopper"], "Burble", opens_thought=template)
    chance = random.Random(seed)
    answer = thought = ""

    def take(words: Filtered) -> None:
        nonlocal answer, thought
        if words.takes_back:
            answer, thought = "", thought + answer
        answer, thought = answer + words.text, thought + words.thought

    at = 0
    while at < len(text):
        size = chance.choice([1, 1, 2, 3, 9, 40]) if seed else len(text)
        take(answers.feed(text[at : at + size]))
        at += size
    take(answers.flush(is_whole=is_whole))
    return answer, thought, answers.is_ended


PAIRS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<THINK>", "</THINK>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("◁think▷", "◁/think▷"),
]
ENDS = [
    *("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<turn|>", "</s>", "<｜end▁of▁sentence｜>"),
    *("<eos>", "<|return|>", "[INST]", "<|im_start|>user", "<start_of_turn>user"),
    *("<|start_header_id|>user<|end_header_id|>", "⟦Ada⟧", "⟦grace hopper⟧"),
]


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
@pytest.mark.parametrize("before", ["", "Well.\n\n", "So "])
def test_a_thought_is_none_of_the_answer_over_any_borders(opening: str, closing: str, before: str) -> None:
    text = f"{before}{opening}hm, `x` or\n\n- y?\n{closing}\n\nHello!"
    answer, thought, is_ended = told(text)
    assert answer.split() == [*before.split(), "Hello!"]
    assert "or" in thought
    assert not is_ended
    assert all(told(text, seed)[::2] == (answer, is_ended) for seed in range(1, 40))


@pytest.mark.parametrize("end", ENDS)
def test_an_end_in_the_text_ends_the_answer_over_any_borders(end: str) -> None:
    text = f"Four.\n{end}\nAnd five?"
    for seed in range(30):
        answer, _, is_ended = told(text, seed)
        assert (answer.strip(), is_ended) == ("Four.", True)


@pytest.mark.parametrize("mark", [mark for pair in PAIRS for mark in pair] + ENDS)
@pytest.mark.parametrize(
    "around",
    [
        "Say `{}` so.",
        "Say ``a ` {}`` so.",
        "So:\n```xml\n{}\n```\nend",
        "> ```\n> {}\n> ```\nend",
        "1. x: ```sh\n   {}\n   ```\n",
    ],
)
def test_marks_in_code_or_spoken_of_stay(mark: str, around: str) -> None:
    text = around.format(mark.strip())
    for seed in range(20):
        assert told(text, seed) == (text, "", False)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("First I\n\nadd.</think>\n\nFour.", "Four."),
        ("a" * (FIRST_MESSAGE + 1) + "</think> b", "a" * (FIRST_MESSAGE + 1) + " b"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("<think>a</think>b </think>c", "b c"),
        ("<think>say `</think>` here</think>b", "b"),
        ("It is <s>five</s> four.", "It is <s>five</s> four."),
        ("⟦e⟧ and x ⟦Ada⟧", "⟦e⟧ and x ⟦Ada⟧"),
        ("⟦Burble⟧ Low.\n\n⟦Burble⟧ High.", "Low.\n\nHigh."),
        ("<|im_start|>assistant\nHi", "Hi"),
        ("Write <|im_start|> before it.", "Write <|im_start|> before it."),
        ("a ` b <think>x</think>c", "a ` b c"),
        ("a <b and [c] ⟦", "a <b and [c] ⟦"),
        ("<|channel|>commentary to=functions.x<|message|>{}<|end|><|start|>assistant<|message|>Hi", "Hi"),
        ("a < b <thin", "a < b <thin"),
        ("Use the <think> tag.\n\nIt helps.", "Use the <think> tag.\n\nIt helps."),
        ("Hm.\n<think>never closed", "Hm.\n"),
        ("see [think](https://e.com) and [inst]", "see [think](https://e.com) and [inst]"),
        ("BERT has <bos> at the start", "BERT has <bos> at the start"),
    ],
)
def test_what_is_told_apart(text: str, answer: str) -> None:
    assert all(told(text, seed)[0] == answer for seed in range(30))


def test_where_the_template_opens_the_thought_all_is_held_until_it_is_closed() -> None:
    answers = AnswerFilter(opens_thought=True)
    assert answers.feed("It is long: " * 500).text == ""
    assert answers.is_thinking
    assert answers.feed("</think>\n\nFour.").text == "Four."
    assert told("Four.", template=True) == ("Four.", "", False)
    assert told("Four, I thi", template=True, is_whole=False)[0] == ""


@pytest.mark.parametrize(
    ("template", "opens"),
    [
        ("{{ .Prompt }}<|im_start|>assistant\n<think>\n", True),
        ("{{ '<|im_start|>assistant\\n<think>\\n' }}\n{%- endif %}", True),
        ("{{- if .Last }}<think>\n{{ end }}", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("{{ .Prompt }}", False),
        ("", False),
    ],
)
def test_templates_that_open_the_thought_are_known(template: str, opens: bool) -> None:
    assert opens_thought(template) is opens


WORDS = [
    *(mark for pair in PAIRS for mark in pair),
    *ENDS,
    *("⟦Burble⟧ ", "⟦e⟧", "`", "``", "```", "\n", "\n\n", "```py\n", "word ", "a < b", "[x]", "\\`", "> ", "~~~\n"),
    *("<s>", "<|im_start|>", " "),
]


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join), st.integers(1, 2**16), st.booleans())
def test_the_chunks_change_nothing(text: str, seed: int, template: bool) -> None:
    answer, thought, is_ended = told(text, seed, template=template)
    as_whole = told(text, template=template)
    assert (answer, is_ended) == as_whole[::2]
    assert sorted(thought) == sorted(as_whole[1])  # what is taken back may come behind a later thought


@given(st.text("<|>[]⟦⟧`\n abthink/", max_size=80), st.integers(1, 2**16))
def test_odd_texts_come_whole_and_the_chunks_change_nothing(text: str, seed: int) -> None:
    assert told(text, seed)[::2] == told(text)[::2]
    if not any(mark in text for mark in ("<think>", "</think>")):
        assert told(text)[0] == text
