"""The marks that models put around thoughts, turns and ends, as their tokenizers and templates have them."""

from __future__ import annotations

import re

_ANGLED = ("think", "thinking", "thought", "seed:think")
_OPENING = (*(f"<{name}>" for name in _ANGLED), "[THINK]", "◁think▷", "<|begin_of_thought|>", "<|channel>")
_CLOSING = (*(f"</{name}>" for name in _ANGLED), "[/THINK]", "◁/think▷", "<|end_of_thought|>", "<channel|>")

_END = (
    *("<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<end_of_turn>"),
    *("<turn|>", "<eos>", "<|end|>", "<|return|>", "<|call|>", "<|EOT|>", "<|endofturn|>", "[|endofturn|]"),
    *("<｜end▁of▁sentence｜>", "<|end▁of▁sentence|>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>"),  # DeepSeek, Command
    *("<|end_of_role|>", "<end_of_utterance>", "<|end_of_turn|>", "<|endofresponse|>", "<|eos|>"),
    *("<|user|>", "<|observation|>", "<｜User｜>", "<|User|>", "[|user|]", "[INST]", "[/INST]"),  # somebody else's turn
)
# The beginning of a turn, whose speaker follows.
_TURN = ("<|im_start|>", "<start_of_turn>", "<|start_header_id|>", "<|turn>", "<|start|>", "<|start_of_role|>")
_OWN_TURN = ("<|assistant|>", "<｜Assistant｜>", "<|Assistant|>", "[|assistant|]", "<|CHATBOT_TOKEN|>")
_EMPTY = ("<|message|>", "<|end_header_id|>", "<|START_RESPONSE|>", "<|START_OF_TURN_TOKEN|>", "<|begin_of_text|>")
_HARMONY = "<|channel|>"

LITERALS = tuple(
    literal.lower()
    for literal in (*_OPENING, *_CLOSING, *_END, *_TURN, *_OWN_TURN, *_EMPTY, _HARMONY, "<s>", "</s>", "<bos>")
)
"""Every mark in small letters, to tell what may become one."""

SPOKEN_LIMIT = 300
"""Code points within which the backtick must follow that makes a mark one that is spoken of."""


def _any(literals: tuple[str, ...]) -> str:
    """Return a pattern for *literals*; in square brackets small letters are the text of a link."""
    ordered = sorted(literals, key=len, reverse=True)
    return "|".join(f"(?-i:{re.escape(each)})" if each[0] == "[" else re.escape(each) for each in ordered)


MARK = re.compile(
    rf"(?P<opening>{_any(_OPENING)})|(?P<closing>{_any(_CLOSING)})|(?P<end>{_any(_END)})"
    rf"|(?P<turn>(?:{_any(_TURN)})(?P<role>\w{{0,20}})\n?)|(?P<own>(?:{_any(_OWN_TURN)})\n?)"
    rf"|(?P<channel>{re.escape(_HARMONY)})|(?P<empty>(?:{_any((*_EMPTY, '<bos>'))})\n{{0,2}})|(?P<strike></?s>)",
    re.IGNORECASE,
)
OPENING = re.compile(_any(_OPENING), re.IGNORECASE)
CLOSING = re.compile(_any(_CLOSING), re.IGNORECASE)
END = re.compile(_any(_END), re.IGNORECASE)

# Behind it a template has at most line ends, quotes and the ends of its own directives.
_OPENS = re.compile(
    rf"(?:{_any(_OPENING)})(?:\\n|[\s'\"}}]|\{{%-?\s*end\w+\s*-?%|\{{\{{-?\s*end\s*-?|-?\}}\}}|-?%)*\Z", re.IGNORECASE
)


def opens_thought(template: str) -> bool:
    """Return whether a prompt *template* opens the thought, so that the model writes only the mark that closes it."""
    return _OPENS.search(template) is not None
