"""The root of the tree, and what stops the bot itself."""

from __future__ import annotations

import secrets
from functools import cached_property


class BurbleError(Exception):
    """Base of every error that we raise on purpose.

    Its text is the operator's and goes to the log: it may name addresses, paths
    and accounts. What people read is its `sentence`, which never does.
    """

    @cached_property
    def reference(self) -> str:
        """A code that stands in the channel and, from then on, in the text for the log."""
        return secrets.token_hex(4)

    def __str__(self) -> str:
        return self.logged(self.text)

    @property
    def text(self) -> str:
        """What happened, without the reference."""
        return super().__str__()

    def logged(self, text: str) -> str:
        """Return *text*, with the reference if anybody was told it."""
        return f"{text} (reference {self.reference})" if "reference" in self.__dict__ else text

    def sentence(self) -> str:
        """Return one or two sentences for the person in the channel: what happened and what to do."""
        return self.referring("Something went wrong on my side.")

    def referring(self, sentence: str) -> str:
        """Return *sentence* with the code under which the log says more."""
        return f"{sentence} (reference `{self.reference}`)"


class SettingsError(BurbleError):
    """One or more settings are missing or wrong; the message holds a line for each."""


class StoreError(BurbleError):
    """The database cannot be used; the message names the file and the remedy."""

    def sentence(self) -> str:
        """Say what is lacking."""
        return self.referring("My database does not answer. Please try again in a few minutes.")
