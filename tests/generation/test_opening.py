"""What stands before a conversation, for each kind of model."""

from __future__ import annotations

import pytest

from bot.conversation.tokens import Message
from bot.generation.opening import LABELS_NOTE, Modelfile, Opening

OWN = Message("system", "Own.")
EXAMPLES = (Message("user", "Ahoy"), Message("assistant", "Aye \ud800\0"))


@pytest.mark.parametrize("modelfile", [Modelfile(), Modelfile("Own."), Modelfile("", EXAMPLES)])
def test_a_modelfile_is_kept_as_it_is(modelfile: Modelfile) -> None:
    assert Modelfile.from_json(modelfile.to_json()) == modelfile


@pytest.mark.parametrize(
    ("modelfile", "asked", "labelled", "opening"),
    [
        (Modelfile(), "", False, Opening()),
        (Modelfile(), "Ours.", False, Opening("Ours.")),
        (Modelfile(), "", True, Opening(LABELS_NOTE)),
        (Modelfile("Own."), "", False, Opening(added=(OWN,))),
        (Modelfile("Own."), "", True, Opening(f"Own.\n\n{LABELS_NOTE}")),
        (Modelfile("Own."), "Ours.", True, Opening(f"Ours.\n\n{LABELS_NOTE}")),
        (Modelfile("Own.", EXAMPLES), "", False, Opening(added=(OWN, *EXAMPLES))),
        (Modelfile("Own.", EXAMPLES), "Ours.", False, Opening("", "Ours.", (OWN, *EXAMPLES))),
        (Modelfile("", EXAMPLES), "Ours.", True, Opening("", f"Ours.\n\n{LABELS_NOTE}", EXAMPLES)),
        (None, "", True, Opening(is_guess=True)),
        (None, "Ours.", True, Opening(f"Ours.\n\n{LABELS_NOTE}", is_guess=True)),
    ],
)
def test_what_we_say_first_and_what_the_server_adds(
    modelfile: Modelfile | None, asked: str, labelled: bool, opening: Opening
) -> None:
    assert Opening.of(modelfile, asked, by_chat=True, labelled=labelled) == opening


def test_a_command_keeps_its_system_prompt_before_a_modelfiles_messages() -> None:
    modelfile = Modelfile("Own.", EXAMPLES)
    assert Opening.of(modelfile, "Ours.", by_chat=False, labelled=False) == Opening("Ours.", added=EXAMPLES)
    assert Opening.of(modelfile, "", by_chat=False, labelled=False) == Opening(added=(OWN, *EXAMPLES))
