"""Our own lines in place of what Discord refused, and how to tell them from text."""

from __future__ import annotations

from bot.delivery import http_errors as answers
from bot.errors import DeliveryError


def points_at_file(line: str) -> bool:
    """Tell whether a line of ours says that the rest is in the file."""
    return line.startswith("-# ") and line.endswith("in the attached file")


def is_status(text: str) -> bool:
    """Tell whether a message shows nothing but a status line of ours."""
    return text.startswith("-# ") and "\n" not in text


def reason(error: DeliveryError) -> str:
    """Return in a sentence why a part of an answer is not shown."""
    match error.code:
        case answers.AUTOMOD:
            words = "this server's AutoMod refused a part of the answer, so it is not shown"
        case answers.HARMFUL_LINK:
            words = "Discord refused a link in this part of the answer, so it is not shown"
        case answers.EXPLICIT:
            words = "Discord's filter for explicit content refused a part of the answer, so it is not shown"
        case answers.BLANK:
            words = "there is nothing to see in this part of the answer"
        case _:
            words = f"Discord did not take a part of the answer (HTTP {error.status}, code {error.code})"
    return words
