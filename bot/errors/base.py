"""The root of the tree, and what stops the bot itself."""

from __future__ import annotations


class BurbleError(Exception):
    """Base of every error that we raise on purpose."""

    def sentence(self) -> str:
        """Return one or two sentences for the person in the channel: what happened and what to do."""
        return str(self) or "Something went wrong."


class SettingsError(BurbleError):
    """One or more settings are missing or wrong; the message holds a line for each."""


class StoreError(BurbleError):
    """The database cannot be used; the message names the file and the remedy."""
