"""The refusals of the loopback Discord, and of the playground that cannot start."""

from __future__ import annotations

from typing import Any

from bot.errors import BurbleError


class PlaygroundError(BurbleError):
    """The playground cannot start; the message says why and what to do."""


class WorldError(BurbleError):
    """A refusal as Discord gives it.

    Attributes:
        status: the HTTP status.
        code: Discord's JSON error code, 0 for a general one.
        message: Discord's English text.
        errors: the tree of form errors of a 50035, or None.
    """

    def __init__(self, status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def sentence(self) -> str:
        """Give Discord's own words."""
        return self.message

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the response."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


def form_error(field: str, code: str, message: str) -> WorldError:
    """Build a 50035; ``field`` is a path with dots, as ``components.0.custom_id``."""
    tree: dict[str, Any] = {"_errors": [{"code": code, "message": message}]}
    for part in reversed(field.split(".")):
        tree = {part: tree}
    return WorldError(400, 50035, "Invalid Form Body", tree)


def unknown_channel() -> WorldError:
    """Build the refusal where there is no such channel (any more)."""
    return WorldError(404, 10003, "Unknown Channel")


def unknown_message() -> WorldError:
    """Build the refusal where that channel has no such message."""
    return WorldError(404, 10008, "Unknown Message")


def missing_access() -> WorldError:
    """Build the refusal of a channel that cannot be seen."""
    return WorldError(403, 50001, "Missing Access")


def missing_permissions() -> WorldError:
    """Build the refusal of what may not be done in a channel that can be seen."""
    return WorldError(403, 50013, "Missing Permissions")
