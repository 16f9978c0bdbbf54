"""How people's words are put before the model: who speaks, and nothing that pretends to be more.

A person's message reaches the model as ``⟦Ada⟧ what she wrote``. The brackets
⟦ ⟧ (U+27E6, U+27E7) occur in nobody's code or prose, so they can be taken out
of names and texts without harm, and then only we can write a speaker's label:
a line ``Grace: …`` or ``[Grace] …`` inside a message stays Ada's. With a colon
as the mark we would have to change every ``key: value`` that somebody pastes.

Two people of the same name are told apart by a number, so that nobody speaks as
another by taking over a nickname.

What chat templates use as control tokens (``<|im_start|>``, ``[INST]``,
``<start_of_turn>``, ``</think>`` …) gets a space inside: llama.cpp reads such
tokens in the rendered prompt wherever they stand, also in a user's text, and
templates cut a model's own half of the conversation at ``</think>``. With the
space they are ordinary characters that a model still understands, code about
templates included. Roles that a template writes in plain words (``### Human:``)
are no tokens, and are left alone as any heading is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import regex

NAME_LENGTH = 32
"""Code points of a name that reach the model; Discord's names have at most as many."""

_ANONYMOUS = "Someone"

# Controls, zero width and bidi marks, fillers that take room and show nothing, surrogates, private use.
_INVISIBLE = regex.compile(r"[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}\u2800--\s]", regex.V1)

# <|im_start|>, <|turn>, <turn|>, <｜User｜>, <|START_OF_TURN_TOKEN|> …: any word
# held by a bar. "<|>", "|>" and "a <| b", operators in several languages, are none.
_BARRED = re.compile(r"<(?=[|｜][^\s<>|｜]{1,64}[|｜]?>|[^\s<>|｜]{1,64}[|｜]>)")

# The names that stand in plain angle brackets: Llama 2 and Mistral, Gemma,
# StarCoder and Nemotron, the vision models, the tool calls and thoughts of several.
_ANGLED = re.compile(
    r"<(?=/?(?:s|bos|eos|pad|unk|sop|eop|start_of_turn|end_of_turn|end_of_utterance|"
    r"start_of_image|end_of_image|image_soft_token|start_of_audio|end_of_audio|"
    r"extra_id_\d+|unused\d+|fim_\w+|tools?|tool_calls?|tool_responses?|tool_results?|think|seed:\w+)>)",
    re.IGNORECASE,
)
_LLAMA_SYSTEM = re.compile(r"<(?=</?SYS>>)", re.IGNORECASE)

# [INST], [/INST], [SYSTEM_PROMPT], [TOOL_CALLS] …: Mistral's; [|user|]: EXAONE's; [gMASK]: GLM's.
_SQUARE = re.compile(
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|CALL_ID|ARGS|"
    r"MODEL_SETTINGS|THINK|IMG|IMG_BREAK|IMG_END|BEGIN_AUDIO|AUDIO|PREFIX|SUFFIX|MIDDLE|gMASK|sMASK)\]|\|[^\s\[\]|]{1,64}\|\])"
)

# ]~b] and its kin: MiniMax's.
_TILDED = re.compile(r"\](?=~!?b[\[\]])|\[(?=e~\[)")

_UNSENDABLE = re.compile("[\0\ud800-\udfff]")

# Those after the first pair look alike, and are as rare.
_LABEL = str.maketrans("⟦⟧〚〛⟬⟭〘〙⁅⁆⦋⦌⦍⦎⦏⦐", "[]" * 8)


def speak(name: str, text: str) -> str:
    """Return one message of a person as the model gets it: labelled with *name*, unable to pretend.

    An empty *name* gives the text without a label.
    """
    said = neutralise(text.translate(_LABEL))  # in this order: ⟦INST⟧ becomes [INST]
    return f"⟦{clean_name(name)}⟧ {said}" if name else said


def clean_name(name: str) -> str:
    """Return a display name on one line, without control or label characters, at most `NAME_LENGTH` long."""
    visible = _INVISIBLE.sub("", name[: 4 * NAME_LENGTH].translate(_LABEL))
    flat = " ".join(neutralise(visible).split())
    return flat[:NAME_LENGTH].rstrip() or _ANONYMOUS


def distinct_names(speakers: Iterable[tuple[int, str]], given: Sequence[str | None] = ()) -> list[str]:
    """Return a clean name for each (user id, name), different for different users.

    The first to use a name has it; others who look the same get a number.
    *given* are those that the first of them had before, and keep.

    >>> distinct_names([(1, "Ada"), (2, "ada"), (1, "Ada")])
    ['Ada', 'ada (2)', 'Ada']
    >>> distinct_names([(2, "ada"), (1, "Ada"), (2, "ada")], ["ada (2)"])
    ['ada (2)', 'Ada', 'ada (2)']
    """
    owners: dict[str, int] = {}
    known: dict[tuple[int, str], str] = {}
    names: list[str] = []
    for (user_id, name), kept in zip_longest(speakers, given):
        clean = clean_name(name)
        distinct = kept or known.get((user_id, clean), clean)
        number = 1
        while owners.setdefault(_look(distinct), user_id) != user_id and not kept:
            number += 1
            suffix = f" ({number})"
            distinct = clean[: NAME_LENGTH - len(suffix)].rstrip() + suffix
        known[user_id, clean] = distinct
        names.append(distinct)
    return names


def _look(name: str) -> str:
    """Return what names that look the same have in common."""
    return unicodedata.normalize("NFKC", name).casefold()


def neutralise(text: str) -> str:
    """Return *text* with a space inside whatever a chat template could read as a control token.

    NUL, which ends a text for code in C, and lone surrogates, which no JSON
    for Ollama can hold, become U+FFFD.
    """
    text = _UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    for pattern in (_BARRED, _LLAMA_SYSTEM, _ANGLED, _SQUARE, _TILDED):
        text = pattern.sub(r"\g<0> ", text)
    return text
