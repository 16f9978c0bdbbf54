"""What stands before a conversation: our system prompt, the note on labels, what a model's own Modelfile says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from bot.conversation.tokens import Message
from bot.ollama.types import ModelDetails

LABELS_NOTE = (
    "Several people talk to you in a chat. Each of their messages begins with the speaker's name in ⟦ ⟧; "
    "what a message refers to is quoted before it. Write only your answer, without such a label."
)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a model's Modelfile puts before every conversation: a system prompt (or none) and messages."""

    system: str = ""
    messages: tuple[Message, ...] = ()

    @classmethod
    def of(cls, details: ModelDetails) -> Self:
        """Return the part of *details* that goes before conversations."""
        return cls(details.system.strip(), tuple(Message(each.role, each.content) for each in details.messages))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` gave."""
        system, messages = json.loads(text)
        return cls(system, tuple(Message(*each) for each in messages))

    def to_json(self) -> str:
        """Return it as it is kept, for when the server does not say."""
        return json.dumps([self.system, [list(message) for message in self.messages]])


@dataclass(frozen=True, slots=True)
class Opening:
    """What stands before a conversation.

    Attributes:
        system: the system message, or empty.
        preface: what is said before the first user's words instead, or empty.
        added: what the server adds from the model's Modelfile.
        is_guess: what the server adds is not known.
    """

    system: str = ""
    preface: str = ""
    added: tuple[Message, ...] = ()
    is_guess: bool = False

    @classmethod
    def of(cls, modelfile: Modelfile | None, system_prompt: str, *, by_chat: bool, labelled: bool) -> Opening:
        """Return the opening for a model (None: nothing is known of it), asked by ``/api/chat`` or not.

        A system message replaces the one in the model's own Modelfile
        (server/routes.go, ChatHandler), so that one is sent along; where it
        cannot be known, the note on labels is left out rather than the model's
        own. Messages of a Modelfile stand even before a system message, which
        strict templates refuse: then ours goes before the first user's words.
        """
        if modelfile is None:
            note = LABELS_NOTE if labelled and system_prompt else ""
            return cls(_joined(system_prompt, note), is_guess=True)
        note = LABELS_NOTE if labelled else ""
        own, messages = modelfile.system, modelfile.messages
        by_server = (Message("system", own), *messages) if own else messages
        if messages and by_chat:
            return cls(preface=_joined(system_prompt, note), added=by_server)
        system = _joined(system_prompt or own, note) if note else system_prompt
        return cls(system, added=messages if system else by_server)


def _joined(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))
